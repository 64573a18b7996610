"""Stands in for routes that the service is about to have: feedback and jobs. Remove it when they are there.

Jobs are answered by the running service; each look at a job finds it a step further.
"""

import csv
import io
import itertools
import json
import re
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
from playwright.sync_api import Route

ROUTES = {
    re.compile(r"/openapi\.json$"): "describe",
    re.compile(r":\d+/feedback$"): "take_feedback",
    re.compile(r":\d+/jobs(\?|$)"): "list_or_take",
    re.compile(r":\d+/jobs/[^/]+$"): "tell_job",
    re.compile(r":\d+/jobs/[^/]+/result$"): "give_result",
}
NAMES = ["label", "confidence", "uncertain", "warnings", "error"]


class Coming:
    """Answers for browsers; `feedback` is what was said. `away`: the service is as if it had none of these routes.

    `halting`: jobs stay where they are.
    """

    def __init__(self, base: str) -> None:
        self.base, self.away, self.halting = base, False, False
        self.feedback = list[dict[str, Any]]()
        self.jobs = dict[str, dict[str, Any]]()
        self.results = dict[str, bytes]()
        self.asked = list[dict[str, str]]()
        self._numbers = itertools.count(1)

    def describe(self, route: Route) -> None:
        answer = route.fetch()
        if self.away or not answer.ok:
            route.fulfill(response=answer)
            return
        document = answer.json()
        document["paths"] |= {"/feedback": {"post": {}}, "/jobs": {"post": {}}}
        route.fulfill(json=document)

    def take_feedback(self, route: Route) -> None:
        self.feedback.append(json.loads(route.request.post_data or "{}"))
        route.fulfill(status=202, json={})

    def list_or_take(self, route: Route) -> None:
        if route.request.method == "GET":
            route.fulfill(json={"jobs": list(self.jobs.values())})
            return
        query = {name: values[0] for name, values in parse_qs(urlsplit(route.request.url).query).items()}
        self.asked.append(query)
        job = self.add(query, route.request.post_data_buffer or b"")
        route.fulfill(status=202, json=job)

    def add(self, query: dict[str, str], body: bytes) -> dict[str, Any]:
        number = f"job{next(self._numbers)}"
        result, told = answer(self.base, query, body)
        labels: dict[str, int] = {}
        for row in told:
            if row["label"]:
                labels[row["label"]] = labels.get(row["label"], 0) + 1
        self.results[number] = result
        self.jobs[number] = {
            "id": number, "task": query["task"], "model": query["model"], "format": query["format"],
            "status": "waiting", "rows": None, "done": 0, "failed": 0, "rows_per_s": None, "seconds_left": None,
            "created": datetime.now(UTC).isoformat(), "error": None, "labels": {},
            "then": {"rows": len(told), "failed": sum(row["error"] is not None for row in told), "labels": labels},
        }  # fmt: skip
        return self.jobs[number]

    def tell_job(self, route: Route) -> None:
        number = urlsplit(route.request.url).path.split("/")[2]
        job = self.jobs.get(number)
        if job is None:
            route.fulfill(status=404, json={"code": "unknown_job", "detail": "There is no such job.", "status": 404})
            return
        if route.request.method == "DELETE":
            del self.jobs[number]
            route.fulfill(status=204)
            return
        then = job["then"]
        if self.halting:
            pass
        elif job["status"] == "waiting":
            done = then["rows"] // 2
            job |= {"status": "running", "rows": then["rows"], "done": done, "rows_per_s": 800.0, "seconds_left": 2.0}
        elif job["status"] == "running":
            job |= {"status": "done", "done": then["rows"], "seconds_left": None, **then}
        route.fulfill(json=job)

    def give_result(self, route: Route) -> None:
        number = urlsplit(route.request.url).path.split("/")[2]
        route.fulfill(
            body=self.results[number],
            headers={"Content-Disposition": "attachment", "Content-Type": "application/octet-stream"},
        )


def answer(base: str, query: dict[str, str], body: bytes) -> tuple[bytes, list[dict[str, Any]]]:
    column, form = query.get("text", "text"), query["format"]
    if form == "csv":
        rows = list(csv.DictReader(io.StringIO(body.decode())))
        texts = [row[column] for row in rows]
    elif form == "jsonl":
        rows = [json.loads(line) for line in body.decode().splitlines()]
        texts = [row.get(column, "") for row in rows]
    else:
        texts = body.decode("utf-8", "replace").splitlines()
        rows = [{} for _ in texts]
    told = [tell(one) for one in ask(base, query, texts)]
    out = io.StringIO()
    if form == "csv":
        writer = csv.DictWriter(out, [*rows[0], *NAMES], lineterminator="\n")
        writer.writeheader()
        writer.writerows({**row, **one} for row, one in zip(rows, told, strict=True))
    elif form == "jsonl":
        out.writelines(f"{json.dumps({**row, **one})}\n" for row, one in zip(rows, told, strict=True))
    else:
        for text, one in zip(texts, told, strict=True):
            note = f"error: {one['error']}" if one["error"] else ""
            out.write(f"{one['label'] or ''}\t{one['confidence'] or ''}\t{note}\t{text}\n")
    return out.getvalue().encode(), told


def ask(base: str, query: dict[str, str], texts: list[str]) -> list[dict[str, Any]]:
    body = {"texts": texts, "model": query["model"], "top_k": 1}
    answered = httpx.post(f"{base}/predict/{query['task']}/batch", json=body, timeout=30).json()
    results: list[dict[str, Any]] = answered["results"]
    return results


def tell(result: dict[str, Any]) -> dict[str, Any]:
    if "error" in result:
        return dict.fromkeys(NAMES[:4]) | {"error": "there is no text"}
    return {name: result.get(name) for name in NAMES[:3]} | {"warnings": None, "error": None}
