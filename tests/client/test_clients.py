"""Both clients over real sockets: against the service, and against lines that break, trickle and refuse."""

import asyncio
import json
import pickle
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from sentopic.client import (
    Answer,
    AsyncClient,
    Client,
    Failure,
    InvalidRequestError,
    NotFoundError,
    TimedOutError,
    TooLargeError,
    UnauthorizedError,
    UnavailableError,
)
from tests.client.conftest import ANSWER, Make, Time

GOOD = "A wonderful film with a great cast. I loved every minute of it, and so will you."
BAD = "An awful film. The worst plot, terrible acting, boring from start to end. A waste of time."

Line = Callable[[socket.socket], None]


@contextmanager
def listening(*lines: Line) -> Iterator[str]:
    """The URL of a port where each connection in turn gets one of `lines`, the last one again and again."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            for number in range(1_000):
                try:
                    line, _ = server.accept()
                except OSError:
                    return
                with line:
                    lines[min(number, len(lines) - 1)](line)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}"
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join(5)


def answer(line: socket.socket) -> None:
    body = json.dumps(ANSWER).encode()
    line.recv(65_536)
    line.sendall(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))


def hang_up(line: socket.socket) -> None:
    line.recv(65_536)


def break_off(line: socket.socket) -> None:
    line.recv(65_536)
    line.sendall(b'HTTP/1.1 200 OK\r\ncontent-length: 400\r\n\r\n{"task": ')


def trickle(line: socket.socket) -> None:
    line.recv(65_536)
    line.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 400\r\n\r\n")
    try:
        for _ in range(100):
            line.sendall(b" ")
            time.sleep(0.05)
    except OSError:
        pass


def test_text_is_classified(make: Make, server: str) -> None:
    found = make(server).classify(GOOD, "sentiment", model="lstm")
    assert (found.task, found.model, found.label, found.uncertain) == ("sentiment", "lstm", "positive", False)
    assert [score.label for score in found.scores] == ["positive", "negative"]
    assert found.scores[0].score == found.confidence > 0.8
    assert found.tokens.known == found.tokens.total == 17
    assert make(server).classify("xqzzy", "sentiment").warnings[0].code == "no_known_words"


def test_words_are_explained_by_their_places(make: Make, server: str) -> None:
    text = f"😀 xqzzy. {GOOD}"
    found = make(server).classify(text, "sentiment", explain=True).explanation
    assert found.label == "positive"
    words = {text[word.start : word.end]: word for word in found.words}
    assert words["xqzzy"].status == "unknown"
    assert words["loved"].contribution > 0
    assert found.verdict[-1].score > 0.8
    assert make(server).classify(text, "sentiment").explanation is None


def test_service_and_tasks_are_described(make: Make, server: str) -> None:
    client = make(server)
    assert client.ready()
    assert [task.name for task in client.tasks()] == ["sentiment", "topic"]
    topic = client.task("topic")
    assert len(topic.labels) == 46
    assert topic.limits.max_batch_texts == 1_000
    assert {model.name for model in topic.models} == {"gru", "lstm"}


def test_many_texts_are_answered_in_order_as_one_by_one(make: Make, server: str) -> None:
    client = make(server)
    texts: list[Any] = [GOOD, BAD, " ", 7, "\ud800", "x" * 100_001, "a " * 5_000] * 5
    found = list(client.classify_many(texts, "sentiment", batch_size=9, concurrency=3))
    kinds = [result.label if isinstance(result, Answer) else result.code for result in found]
    assert kinds == ["positive", "negative", *["invalid_request"] * 3, "text_too_long", kinds[6]] * 5
    assert isinstance(found[6], Answer)
    assert found[0].confidence == pytest.approx(client.classify(GOOD, "sentiment").confidence, abs=2e-5)
    assert len({result.id for result in found if isinstance(result, Answer)}) == 15


def test_batch_as_large_as_the_service_takes_is_taken(make: Make, server: str) -> None:
    """Of 1,000,000 bytes, to the byte, as the client counts them."""
    texts = ["é" * 49_999] * 9 + ["é" * 49_988 + "a", "a film"]
    sizes = []
    client = make(server, transport=counting(make, sizes))
    found = list(client.classify_many(texts, "sentiment", batch_size=10_000))
    assert all(isinstance(result, Answer) for result in found)
    assert max(sizes) == 1_000_000


def counting(make: Make, sizes: list[int]) -> Any:
    """httpx' own transport, of the kind that `make` needs, which notes the sizes of bodies."""

    class Counting(httpx.HTTPTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            sizes.append(len(request.content))
            return super().handle_request(request)

    class CountingAsync(httpx.AsyncHTTPTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            sizes.append(len(request.content))
            return await super().handle_async_request(request)

    asynchronous = not isinstance(make(), Client)
    return CountingAsync() if asynchronous else Counting()


@pytest.mark.parametrize(
    ("given", "kind", "code"),
    [
        ((GOOD, "weather"), NotFoundError, "unknown_task"),
        ((GOOD, "topic", "bert"), NotFoundError, "unknown_model"),
        ((GOOD, "topic", None, 0), InvalidRequestError, "invalid_request"),
        ((" ", "topic"), InvalidRequestError, "invalid_request"),
        (("\ud800", "topic"), InvalidRequestError, "invalid_request"),
        (("x" * 100_001, "topic"), TooLargeError, "text_too_long"),
    ],
)
def test_what_the_service_refuses_is_an_error_of_its_kind(
    make: Make, server: str, given: tuple[Any, ...], kind: type[Exception], code: str
) -> None:
    with pytest.raises(kind) as caught:
        make(server).classify(*given)
    assert caught.value.code == code
    assert given[0] == " " or given[0] not in repr(caught.value)
    again = pickle.loads(pickle.dumps(caught.value))
    assert (type(again), str(again)) == (kind, str(caught.value))


def test_error_of_all_texts_is_raised_and_not_told_of_each(make: Make, server: str) -> None:
    with pytest.raises(NotFoundError):
        next(make(server).classify_many([GOOD], "weather"))
    with pytest.raises(InvalidRequestError, match="top_k"):
        next(make(server).classify_many([GOOD], "topic", top_k=0))


@pytest.mark.parametrize("broken", [hang_up, break_off])
def test_connection_that_breaks_is_opened_again(make: Make, broken: Line) -> None:
    with listening(broken, broken, answer) as url:
        assert make(url, time=Time()).classify("a", "topic").label == "earn"
    with listening(broken) as url, pytest.raises(UnavailableError, match="broke"):
        make(url, retries=1, time=Time()).classify("a", "topic")


def test_nobody_listens(make: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    assert make(url).ready() is False
    with pytest.raises(UnavailableError, match="no connection"):
        make(url, retries=1, time=Time()).classify("a", "topic")


def test_answer_that_trickles_in_ends_with_the_timeout(make: Make) -> None:
    with listening(trickle) as url:
        started = time.monotonic()
        with pytest.raises(TimedOutError):
            make(url, timeout=0.4).classify("a", "topic")
        assert 0.3 < time.monotonic() - started < 4


def test_answer_that_does_not_come_ends_with_the_timeout(make: Make) -> None:
    with listening(lambda line: time.sleep(0.6)) as url:
        started = time.monotonic()
        with pytest.raises(TimedOutError):
            make(url, timeout=0.2).classify("a", "topic")
        assert time.monotonic() - started > 0.15


def test_key_is_sent_and_never_shown(make: Make) -> None:
    def check(request: httpx.Request) -> httpx.Response:
        known = request.headers.get("x-api-key") == "snt_secret"
        return httpx.Response(200 if known else 401, json=ANSWER)

    client = make("http://service", "snt_secret", handler=check)
    assert client.classify("a", "topic").label == "earn"
    with pytest.raises(UnauthorizedError):
        make("http://service", "snt_other", handler=check).classify("a", "topic")
    shown = repr(getattr(client, "client", client))
    assert "http://service" in shown
    assert "secret" not in shown


class Held(httpx.MockTransport):
    """Answers one text at a time, each batch once `hold` has let it pass."""

    def __init__(self, hold: Callable[[str], None]) -> None:
        super().__init__(self._answer)
        self.hold, self.sent = hold, list[str]()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self._wait(request)
        return super().handle_request(request)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await asyncio.to_thread(self._wait, request)
        return await super().handle_async_request(request)

    def _wait(self, request: httpx.Request) -> None:
        if request.method == "POST":
            self.sent += json.loads(request.content)["texts"]
            self.hold(self.sent[-1])

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            limits = {"max_text_chars": 9, "max_batch_texts": 1, "max_body_bytes": 99, "deadline_s": 1}
            return httpx.Response(200, json={"name": "topic", "labels": [], "models": [], "limits": limits})
        busy = json.loads(request.content)["texts"][0].startswith("busy")
        return httpx.Response(503 if busy else 200, json={"results": [ANSWER]})


def test_batches_are_on_their_way_at_once(make: Make) -> None:
    """Answered only once three have come: one after the other, none ever would be."""
    barrier = threading.Barrier(3, timeout=20)
    client = make(transport=Held(lambda text: barrier.wait() and None))
    assert len(list(client.classify_many(map(str, range(6)), "topic", concurrency=3))) == 6


def test_no_more_batches_are_on_their_way_than_was_said(make: Make) -> None:
    running, most = [], []

    def hold(text: str) -> None:
        running.append(text)
        most.append(len(running))
        time.sleep(0.01)
        running.remove(text)

    assert len(list(make(transport=Held(hold)).classify_many(map(str, range(12)), "topic", concurrency=3))) == 12
    assert max(most) == 3


def test_nothing_more_is_sent_once_nobody_reads_on(make: Make) -> None:
    """The first text is answered once the second was tried, which is tried again and again."""
    tried = threading.Event()
    held = Held(lambda text: tried.set() if text == "busy 1" else tried.wait(20) and None)
    results = make(transport=held).classify_many(["first", *(f"busy {number}" for number in range(1, 50))], "topic")
    next(results)
    results.close()
    time.sleep(0.05)
    before = len(held.sent)
    time.sleep(0.5)  # a retry would come after 0.2 s at the latest
    assert 1 < len(held.sent) == before < 6


def test_download_that_breaks_leaves_nothing_behind(make: Make, tmp_path: Path) -> None:
    with listening(break_off) as url, pytest.raises(UnavailableError):
        make(url, retries=1, time=Time()).download("j", tmp_path / "result.csv")
    assert list(tmp_path.iterdir()) == []


def test_texts_may_come_asynchronously(server: str) -> None:
    async def texts() -> Any:
        for number in range(30):
            await asyncio.sleep(0)
            yield GOOD if number % 2 else BAD

    async def scene() -> list[str]:
        async with AsyncClient(server) as client:
            answers = client.classify_many(texts(), "sentiment", batch_size=4)
            return [answer.label async for answer in answers if not isinstance(answer, Failure)]

    assert asyncio.run(scene()) == ["negative", "positive"] * 15


def test_threads_share_a_client(server: str) -> None:
    found: list[str] = []
    with Client(server) as client:

        def ask() -> None:
            found.extend(client.classify(GOOD, "sentiment").label for _ in range(5))

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
    assert found == ["positive"] * 40
