"""The client for threads. What it asks stands in `routes`, how often in `exchange`; here it is sent and waited for."""

import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from io import BytesIO
from os import PathLike
from pathlib import Path
from threading import Event
from types import TracebackType
from typing import Self, TypeVar

import httpx

from sentopic.client import routes, wire
from sentopic.client.batches import Item, Splitter, encode_options
from sentopic.client.exchange import Call, Flow, Outcome, Send
from sentopic.client.results import Answer, Failure, Job, Task
from sentopic.client.retry import Patience

Result = TypeVar("Result")


class Client:
    """Asks the service at `url`; threads may share one.

    `timeout` is in seconds, of a call with all its retries; where a file is sent or fetched, of each piece. `retries`
    are made only where a call may be repeated: after 429, 502, 503 and 504, and where a connection fails or breaks.
    `transport` replaces httpx' own, for other certificates, say, or for tests.
    """

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        timeout: float = 30.0,
        retries: int = 4,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._patience = Patience(timeout, retries)
        self._http = httpx.Client(**wire.set_up(url, key), transport=transport)

    def classify(
        self, text: str, task: str, model: str | None = None, top_k: int | None = None, explain: bool = False
    ) -> Answer:
        options = {"model": model, "top_k": top_k, "explain": explain or None}
        return self._run(routes.classify(task, text, options, self._patience))

    def classify_many(
        self,
        texts: Iterable[str],
        task: str,
        model: str | None = None,
        top_k: int | None = None,
        *,
        batch_size: int = routes.BATCH_SIZE,
        concurrency: int = routes.CONCURRENCY,
    ) -> Iterator[Answer | Failure]:
        """One result a text, in order, as they come: of `texts` no more than a few batches are held.

        A text that cannot be answered has a Failure in its place; an error that is none of a text's is raised, when
        its first text's turn comes. Batches keep within the service's limits, whatever `batch_size`.
        """
        routes.check_plan(texts, batch_size, concurrency)
        options = encode_options({"model": model, "top_k": top_k})
        splitter = Splitter(self.task(task).limits, options, batch_size)
        stop, pending = Event(), deque[Future[list[Answer | Failure]]]()
        pool = ThreadPoolExecutor(concurrency, "sentopic")
        try:
            for batch in _cut(texts, splitter):
                flow = routes.classify_batch(task, batch, options, self._patience)
                pending.append(pool.submit(self._run, flow, stop))
                while pending and (len(pending) > concurrency or pending[0].done()):
                    yield from pending.popleft().result()
            while pending:
                yield from pending.popleft().result()
        finally:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)

    def tasks(self) -> tuple[Task, ...]:
        return self._run(routes.tasks(self._patience))

    def task(self, name: str) -> Task:
        return self._run(routes.task(name, self._patience))

    def ready(self) -> bool:
        """Whether the service is there and ready to answer; asked once."""
        return self._run(routes.ready(self._patience))

    def submit_job(
        self,
        path: str | PathLike[str],
        task: str,
        model: str | None = None,
        format: str | None = None,
        text: str | None = None,
    ) -> Job:
        """Has a file's texts classified. `format`: csv, jsonl, parquet or lines, if its name does not tell.

        `text` names the column. A job is submitted again only where the first time cannot have made one.
        """
        return self._run(routes.submit_job(Path(path), task, model, format, text, self._patience))

    def jobs(self) -> tuple[Job, ...]:
        return self._run(routes.jobs(self._patience))

    def job(self, id: str) -> Job:
        return self._run(routes.job(id, self._patience))

    def wait(self, id: str, timeout: float | None = None) -> Job:
        """The job once it is done. Raises JobFailedError, or TimedOutError after `timeout` seconds."""
        return self._run(routes.wait(id, timeout, self._patience))

    def download(self, id: str, path: str | PathLike[str], partial: bool = False) -> Path:
        """A job's result, written to `path`, which is there only once it is whole.

        `partial`: of a job that has failed, the rows that were answered before that.
        """
        return self._run(routes.download(id, Path(path), partial, self._patience))

    def delete(self, id: str) -> None:
        """Ends a job and forgets its files."""
        return self._run(routes.delete(id, self._patience))

    def feedback(self, id: str, task: str, label: str, text: str | None = None) -> None:
        """Tells the right label of the answer `id`; with `text`, the service may learn from it."""
        return self._run(routes.feedback(id, task, label, text, self._patience))

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Client({str(self._http.base_url)!r})"

    def _run(self, flow: Flow[Result], stop: Event | None = None) -> Result:
        """What `flow` comes to; CancelledError once `stop` is set, before anything more is sent."""
        outcome: Outcome | None = None
        with closing(flow):
            while True:
                try:
                    step = flow.send(outcome)
                except StopIteration as end:
                    result: Result = end.value
                    return result
                if stop is not None and stop.is_set():
                    raise CancelledError
                if isinstance(step, Send):
                    outcome = self._send(step)
                else:
                    outcome = None
                    self._sleep(step.seconds) if stop is None else stop.wait(step.seconds)

    _sleep = staticmethod(time.sleep)

    def _send(self, step: Send) -> Outcome:
        call, until = step.call, time.monotonic() + step.timeout_s
        try:
            with _open_body(call) as content:
                request = self._http.build_request(**wire.describe(call, step.timeout_s), content=content)
                with closing(self._http.send(request, stream=True)) as response:
                    return _receive(response, call, until)
        except httpx.RequestError as error:
            return wire.lose(error)


def _receive(response: httpx.Response, call: Call, until: float) -> Outcome:
    into = call.into if response.is_success else None
    with into.open("wb") if into else BytesIO() as sink:
        for piece in response.iter_bytes():
            if not call.moves_a_file and time.monotonic() > until:
                return wire.too_late()
            sink.write(piece)
        return wire.take(response, sink.getvalue() if isinstance(sink, BytesIO) else b"")


@contextmanager
def _open_body(call: Call) -> Iterator[bytes | Iterator[bytes] | None]:
    if isinstance(call.body, Path):
        with call.body.open("rb") as file:
            yield iter(lambda: file.read(wire.PIECE_BYTES), b"")
    else:
        yield call.body


def _cut(texts: Iterable[str], splitter: Splitter) -> Iterator[list[Item]]:
    for text in texts:
        if batch := splitter.add(text):
            yield batch
    if rest := splitter.rest():
        yield rest
