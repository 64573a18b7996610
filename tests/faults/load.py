"""A load of requests whose every answer is known beforehand: none may be lost, doubled or swapped."""

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import uvloop

from app.bundle import read_bundle
from app.engines.open import open_engine
from app.settings import SHIPPED
from app.synthetic import make_texts

BATCH = 10
"""Texts of a batch."""

TOLERANCE = 2e-5
"""Scores are told to six places, and rows of another batch differ by less than 1e-5."""


@dataclass(frozen=True)
class Question:
    """A request as it is sent, and what must come back: a status, and of each text its label and score, in order."""

    sent: bytes
    status: int
    right: tuple[tuple[str, float], ...] = ()


def make_questions(texts: int = 500) -> list[Question]:
    """For both tasks of the shipped bundles; one in ten is a batch, one in fifty is bad."""
    found = []
    for task in ("sentiment", "topic"):
        bundle = read_bundle(SHIPPED / task / "gru")
        manifest, encoder, engine = bundle.manifest, bundle.encoder(), open_engine(bundle, "onnx")
        for words in (5, 20, 60):
            asked = make_texts(bundle.words, texts, words)
            right = []
            for text in asked:
                scores = manifest.scores(engine.predict(encoder.encode(text).windows))
                best = max(range(len(scores)), key=scores.__getitem__)
                right.append((manifest.labels[best].name, scores[best]))
                body = json.dumps({"text": text, "model": "gru"}).encode()
                found.append(Question(post(task, body), 200, (right[-1],)))
            for start in range(0, texts, BATCH):
                batch = slice(start, start + BATCH)
                body = json.dumps({"texts": asked[batch], "model": "gru"}).encode()
                found.append(Question(post(f"{task}/batch", body), 200, tuple(right[batch])))
    bad = [(b'{"text": 5}', 422), (b'{"text": ', 400), (b'{"text": "a", "model": "none"}', 404)]
    found += [Question(post("topic", body), status) for body, status in bad for _ in range(len(found) // 150)]
    return found


def post(task: str, body: bytes) -> bytes:
    head = f"POST /predict/{task} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


class Line(asyncio.Protocol):
    """A connection with one request at a time."""

    def __init__(self) -> None:
        self.transport: Any = None
        self.waiting: asyncio.Future[tuple[int, bytes]] | None = None
        self.closing = self.lost = False
        self.extra = 0
        self._buffer = bytearray()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self._buffer[:end]).lower()
        at = head.find(b"content-length: ") + 16
        size = int(head[at : (head + b"\r").find(b"\r", at)])
        if len(self._buffer) < end + 4 + size:
            return
        body = bytes(self._buffer[end + 4 : end + 4 + size])
        del self._buffer[: end + 4 + size]
        self.extra += len(self._buffer)
        self.closing = b"connection: close" in head
        if self.waiting is None or self.waiting.done():
            self.extra += 1
        else:
            self.waiting.set_result((int(head[9:12]), body))

    def connection_lost(self, _: Exception | None) -> None:
        self.lost = True
        if self.waiting is not None and not self.waiting.done():
            self.waiting.set_exception(ConnectionError())


@dataclass
class Load:
    """Clients that ask one question after the other, each over its own connection; one in 200 leaves before its answer.

    A request whose connection breaks is sent once more, over another one.
    """

    address: tuple[str, int]
    questions: list[Question]
    statuses: Counter[int] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    ids: set[bytes] = field(default_factory=set)
    lost = doubled = retried = left = asked = 0
    again = 0
    """Requests that are being sent again."""
    leaves = 0.005
    pause_s = 0.0
    """Before each request."""

    async def client(self, more: Callable[[], bool], seed: int) -> None:
        rng, line = random.Random(seed), None
        while more():
            if self.pause_s:
                await asyncio.sleep(self.pause_s)
            self.asked += 1
            question = rng.choice(self.questions)
            for last in (False, True):
                if line is None or line.lost or line.closing:
                    line = await self._connect()
                line.waiting = asyncio.get_running_loop().create_future()
                line.transport.write(question.sent)
                if rng.random() < self.leaves and not last:
                    await asyncio.sleep(rng.random() * 0.01)
                    line.waiting.cancel()
                    line.transport.abort()
                    self.left, line = self.left + 1, None
                    break
                try:
                    status, body = await asyncio.wait_for(line.waiting, 30)
                except (ConnectionError, TimeoutError) as error:
                    line.transport.abort()
                    line = None
                    self.retried += not last
                    self.again += 1 - 2 * last
                    self.lost += last
                    if isinstance(error, TimeoutError):
                        self.wrong.append("no answer in 30 s")
                    continue
                self.again -= last
                self.doubled += line.extra
                line.extra = 0
                self._check(question, status, body)
                break
        if line is not None:
            line.transport.abort()
            await asyncio.sleep(0.01)

    async def _connect(self) -> Line:
        loop = asyncio.get_running_loop()
        for _ in range(100):
            try:
                return (await loop.create_connection(Line, *self.address))[1]
            except OSError:
                await asyncio.sleep(0.05)
        raise AssertionError("nobody listens")

    def _check(self, question: Question, status: int, body: bytes) -> None:
        self.statuses[status] += 1
        if status == 503 and question.status == 200:
            return
        if status != question.status:
            self.wrong.append(f"{status} for {question.status}: {body[:200]!r}")
        elif status == 200:
            answer = json.loads(body)
            found = [(one["label"], one["confidence"]) for one in answer.get("results", [answer])]
            if len(found) != len(question.right) or not all(map(_agree, found, question.right)):
                self.wrong.append(f"{found} for {question.right}")
            if answer["id"] in self.ids:
                self.doubled += 1
            self.ids.add(answer["id"])


def _agree(found: tuple[str, float], right: tuple[str, float]) -> bool:
    return found[0] == right[0] and abs(found[1] - right[1]) <= TOLERANCE


def run(load: Load, more: Callable[[], bool], clients: int, disturb: Callable[[], Awaitable[None]]) -> float:
    """Seconds that requests were sent, as long as there are `more`, while `disturb` did its worst."""

    async def scene() -> float:
        started = time.monotonic()
        harm = asyncio.ensure_future(disturb())
        await asyncio.gather(*(load.client(lambda: more() and not harm.done(), seed) for seed in range(clients)))
        if harm.done():
            harm.result()  # which raises what went wrong
        harm.cancel()
        return time.monotonic() - started

    return uvloop.run(scene())
