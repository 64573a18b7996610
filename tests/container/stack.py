"""What tests/container/compose asks of the stack. Needs no more than Python's own library."""

import argparse
import json
import math
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
RATE = 600  # an hour, of each key, as the check has set it
LOADS = 8
SHOP, COUNTED, PANELS, LOAD = range(4)  # keys; the last ones are one for each client of the load
ROWS = 3_000
TEXTS = {
    "sentiment": "a wonderful film, moving and beautifully acted",
    "topic": "shr 39 cts vs 50 cts net 1.3 mln vs 1.6 mln revs 20 mln vs 18 mln",
}


def say(line: str) -> None:
    print(f"compose: {line}", flush=True)


def ask(url: str, key: str = "", body: Any = None, **headers: str) -> tuple[int, bytes]:
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    named = {"X-API-Key": key} if key else {}
    named |= {"Content-Type": "application/json"} if data and not isinstance(body, bytes) else {}
    request = urllib.request.Request(
        url, data, named | {name.replace("_", "-"): value for name, value in headers.items()}
    )
    try:
        with OPENER.open(request, timeout=20) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def check(found: Any, wanted: Any, what: str) -> None:
    if found != wanted:
        sys.exit(f"compose: {what}: {found!r}, not {wanted!r}")


def answers(at: argparse.Namespace) -> None:
    for task, text in TEXTS.items():
        status, body = ask(f"{at.nginx}/predict/{task}", at.key(SHOP), {"text": text})
        check(status, 200, f"POST /predict/{task}")
        say(f"POST /predict/{task} through nginx answers {json.loads(body)['label']}")
        check(ask(f"{at.nginx}/predict/{task}", "", {"text": text})[0], 401, "without a key")
        check(ask(f"{at.nginx}/predict/{task}", "snt_1_wrong", {"text": text})[0], 401, "with a wrong key")
    say("without a key, or with a wrong one: 401")
    check(ask(f"{at.nginx}/health/ready")[0], 200, "GET /health/ready")
    check(ask(f"{at.nginx}/metrics", at.key(SHOP))[0], 404, "GET /metrics from outside")
    check(ask(f"{at.replicas[0]}/metrics", at.key(SHOP))[0], 403, "GET /metrics without the admin scope")
    rows = b'{"text": "a fine film"}\n' * 200
    stream = f"{at.nginx}/predict/sentiment/stream"
    status, body = ask(stream, at.key(SHOP), rows, Content_Type="application/x-ndjson")
    check((status, body.count(b"\n")), (200, 200), "a stream through nginx")
    say("a stream of 200 rows goes through nginx; metrics do not")


def jobs(at: argparse.Namespace) -> None:
    """Handed in at one replica, watched and fetched at the other."""
    one, other = at.replicas
    key, body = at.key(SHOP), b"text\n" + b"".join(b"film %d was good\n" % row for row in range(ROWS))
    status, told = ask(f"{one}/jobs?task=sentiment&format=csv", key, body, Content_Type="text/csv")
    check(status, 202, "POST /jobs")
    job, end = f"{other}/jobs/{json.loads(told)['id']}", time.monotonic() + 60
    while (found := json.loads(ask(job, key)[1]))["status"] in {"waiting", "running"} and time.monotonic() < end:
        time.sleep(0.2)
    check((found["status"], found["done"]), ("done", ROWS), "the job at the other replica")
    check(ask(job, at.key(PANELS))[0], 404, "another key's job")
    status, result = ask(f"{job}/result", key)
    check((status, result.count(b"\n")), (200, ROWS + 1), "its result")
    say(f"a job of {ROWS} rows: handed in at one replica, kept in PostgreSQL, read from the other")
    told = {"id": "0123456789abcdef", "task": "topic", "label": "grain"}
    status = ask(f"{one}/feedback", key, told)[0]
    check(status // 100, 2, "POST /feedback")


def rates(at: argparse.Namespace) -> None:
    """One key, asked for at both replicas: together they let as many through as may be."""
    urls = [f"{at.replicas[number % 2]}/tasks" for number in range(RATE + 60)]
    with ThreadPoolExecutor(4) as pool:
        statuses = Counter(status for status, _ in pool.map(lambda url: ask(url, at.key(COUNTED)), urls))
    check(dict(statuses), {200: RATE, 429: 60}, "a rate that replicas share in Redis")
    say(f"of {RATE + 60} requests to both replicas {RATE} pass at {RATE} an hour")


def load(at: argparse.Namespace) -> None:
    """As long as the check takes to replace both replicas, and no longer than the keys' rates last."""
    statuses, end = Counter[int](), time.monotonic() + 150

    def client(number: int) -> None:
        key, asked = at.key(LOAD + number), 0
        while time.monotonic() < end and asked < RATE and not at.until.exists():
            task, asked = ("sentiment", "topic")[asked % 2], asked + 1
            try:
                status = ask(f"{at.nginx}/predict/{task}", key, {"text": f"{TEXTS[task]} {asked}"})[0]
            except OSError as error:
                status = -1
                say(f"a request broke: {error}")
            statuses[status] += 1
            time.sleep(0.15)

    clients = [threading.Thread(target=client, args=(number,)) for number in range(LOADS)]
    for one in clients:
        one.start()
    for one in clients:
        one.join()
    check(at.until.exists(), True, "replicas were replaced in time")
    check(set(statuses), {200}, f"answers while replicas are replaced ({dict(statuses)})")
    say(f"{statuses[200]} requests while both replicas were replaced, 0 failed")


def query(at: argparse.Namespace, expression: str) -> list[dict[str, Any]]:
    status, body = ask(f"{at.prometheus}/api/v1/query?{urllib.parse.urlencode({'query': expression})}")
    check(status, 200, f"the query {expression}")
    found: list[dict[str, Any]] = json.loads(body)["data"]["result"]
    return found


def metrics(at: argparse.Namespace) -> None:
    end = time.monotonic() + 60
    while len(found := query(at, 'up{job="sentopic"} == 1')) != 2 and time.monotonic() < end:
        time.sleep(1)
    check(len({one["metric"]["instance"] for one in found}), 2, "replicas that Prometheus reads")
    say("Prometheus found both replicas by their name, and reads them with its key")
    rules = json.loads(ask(f"{at.prometheus}/api/v1/rules")[1])["data"]["groups"][0]["rules"]
    check({rule["health"] for rule in rules} <= {"ok", "unknown"} and len(rules) == 7, True, "the alert rules")


def dashboard(at: argparse.Namespace) -> None:
    """Each query of each panel, as Grafana would ask it, has something to show."""
    targets = [
        (panel["title"], target["expr"])
        for panel in json.loads(at.dashboard.read_text())["panels"]
        for target in panel.get("targets", [])
    ]
    end = time.monotonic() + 60
    while targets and time.monotonic() < end:
        for _ in range(10):  # between two looks of Prometheus something must happen
            ask(f"{at.nginx}/predict/topic", at.key(PANELS), {"text": TEXTS["topic"]})
            ask(f"{at.nginx}/predict/sentiment", at.key(PANELS), {"text": "blorp film"})
            ask(f"{at.nginx}/predict/topic", at.key(COUNTED), {"text": "refused"})
            ask(f"{at.nginx}/predict/topic", at.key(PANELS), {"texts": []})
        time.sleep(3)
        targets = [(title, asked) for title, asked in targets if not _shows(at, asked)]
    check(targets, [], "panels without data")
    say("every query of the dashboard has data")


def _shows(at: argparse.Namespace, expression: str) -> bool:
    for variable, value in (("$__rate_interval", "2m"), ("$task", ".*"), ("$model", ".*")):
        expression = expression.replace(variable, value)
    return any(math.isfinite(float(one["value"][1])) for one in query(at, expression))


def main() -> None:
    parser = argparse.ArgumentParser()
    asked = {act.__name__: act for act in (answers, jobs, rates, load, metrics, dashboard)}
    parser.add_argument("what", choices=asked)
    parser.add_argument("--keys", type=Path, required=True)
    parser.add_argument("--until", type=Path, required=True)
    parser.add_argument("--nginx", required=True)
    parser.add_argument("--prometheus", required=True)
    parser.add_argument("--dashboard", type=Path, required=True)
    parser.add_argument("--replicas", nargs=2, required=True)
    at = parser.parse_args()
    at.key = at.keys.read_text().split().__getitem__
    asked[at.what](at)


if __name__ == "__main__":
    main()
