"""Clients that ask a service until they are told to stop (SIGTERM), and ask again once: what fails then is lost.

Usage: load.py URL ARTIFACTS CLIENTS. Prints what came of it as JSON; each answer is held against the same text's alone.
Standard library only: it runs where nothing is installed.
"""

import collections
import http.client
import json
import random
import signal
import sys
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

PATIENCE_S = 15.0
"""Beyond the service's own deadline: what takes longer does not come."""

TEXTS = 200


def make_texts(artifacts: Path) -> list[str]:
    """Words that the model knows, in no order: short ones and some of several windows."""
    chance = random.Random(1)
    words = (artifacts / "sentiment/gru/words.txt").read_text(encoding="utf-8").split("\n")[:5_000]
    return [" ".join(chance.choices(words, k=chance.choice((8, 40, 80, 250)))) for _ in range(TEXTS)]


class Client:
    """One connection, opened anew after each failure."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._connection = http.client.HTTPConnection(address, timeout=PATIENCE_S)

    def ask(self, text: str) -> dict:
        """Raises OSError or HTTPException, or ValueError for an answer that is none."""
        body = json.dumps({"text": text}).encode()
        try:
            self._connection.request("POST", "/predict/sentiment", body, {"Content-Type": "application/json"})
            answer = self._connection.getresponse()
            content = answer.read()
            if answer.status != 200:
                raise ValueError(f"{answer.status} {json.loads(content).get('code')}")
            return json.loads(content)
        except BaseException:
            self._connection.close()
            self._connection = http.client.HTTPConnection(self._address, timeout=PATIENCE_S)
            raise


def differs(one: dict, other: dict) -> bool:
    """Beyond the last digit that is told."""
    scores, others = ({score["label"]: score["score"] for score in answer["scores"]} for answer in (one, other))
    return scores.keys() != others.keys() or any(abs(scores[label] - others[label]) > 2e-6 for label in scores)


class Load:
    def __init__(self, address: str, texts: list[str]) -> None:
        self._address, self._texts = address, texts
        alone = Client(address)
        self._alone = [alone.ask(text) for text in texts]
        self._lock = threading.Lock()
        self._failures = collections.Counter()
        self._lost = []
        self._seconds = []
        self._wrong = 0
        self.is_over = threading.Event()

    def run(self, seed: int) -> None:
        client, chance = Client(self._address), random.Random(seed)
        while not self.is_over.is_set():
            number = chance.randrange(len(self._texts))
            started = time.monotonic()
            answer = self._ask_twice(client, number)
            with self._lock:
                self._seconds.append(time.monotonic() - started)
                self._wrong += answer is not None and differs(answer, self._alone[number])

    def _ask_twice(self, client: Client, number: int) -> dict | None:
        for is_last in (False, True):
            try:
                return client.ask(self._texts[number])
            except (OSError, http.client.HTTPException, ValueError) as error:
                with self._lock:
                    why = f"{type(error).__name__}: {error}"
                    self._failures[why] += 1
                    if is_last:
                        self._lost.append(why)
                time.sleep(0.2)
        return None

    def tell(self) -> dict:
        seconds = sorted(self._seconds)
        return {
            "requests": len(seconds),
            "failures": dict(self._failures),
            "lost": len(self._lost),
            "wrong": self._wrong,
            "median_ms": round(1e3 * seconds[len(seconds) // 2], 1),
            "p99_ms": round(1e3 * seconds[len(seconds) * 99 // 100], 1),
            "longest_ms": round(1e3 * seconds[-1], 1),
        }


def main() -> None:
    url, artifacts, clients = sys.argv[1:]
    load = Load(urlsplit(url).netloc, make_texts(Path(artifacts)))
    signal.signal(signal.SIGTERM, lambda *_: load.is_over.set())
    threads = [threading.Thread(target=load.run, args=(seed,)) for seed in range(int(clients))]
    for thread in threads:
        thread.start()
    while not load.is_over.wait(0.2):
        pass
    for thread in threads:
        thread.join()
    print(json.dumps(load.tell()))


if __name__ == "__main__":
    main()
