"""The client for asyncio. A test holds its methods against those of `blocking`; what they do, both have in common."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from contextlib import aclosing, closing
from io import BytesIO
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import httpx

from sentopic.client import routes, wire
from sentopic.client.batches import Item, Splitter, encode_options
from sentopic.client.exchange import Call, Flow, Outcome, Send
from sentopic.client.results import Answer, Failure, Job, Task
from sentopic.client.retry import Patience

Result = TypeVar("Result")


class AsyncClient:
    """`Client`, with methods to be awaited; `texts` may be an asynchronous iterable too."""

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        timeout: float = 30.0,
        retries: int = 4,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._patience = Patience(timeout, retries)
        self._http = httpx.AsyncClient(**wire.set_up(url, key), transport=transport)

    async def classify(
        self, text: str, task: str, model: str | None = None, top_k: int | None = None, explain: bool = False
    ) -> Answer:
        options = {"model": model, "top_k": top_k, "explain": explain or None}
        return await self._run(routes.classify(task, text, options, self._patience))

    async def classify_many(
        self,
        texts: Iterable[str] | AsyncIterable[str],
        task: str,
        model: str | None = None,
        top_k: int | None = None,
        *,
        batch_size: int = routes.BATCH_SIZE,
        concurrency: int = routes.CONCURRENCY,
    ) -> AsyncIterator[Answer | Failure]:
        routes.check_plan(texts, batch_size, concurrency)
        options = encode_options({"model": model, "top_k": top_k})
        splitter = Splitter((await self.task(task)).limits, options, batch_size)
        turns, pending = asyncio.Semaphore(concurrency), deque[asyncio.Task[list[Answer | Failure]]]()

        async def answer(batch: list[Item]) -> list[Answer | Failure]:
            async with turns:
                return await self._run(routes.classify_batch(task, batch, options, self._patience))

        try:
            async for batch in _cut(texts, splitter):
                pending.append(asyncio.create_task(answer(batch)))
                await asyncio.sleep(0)  # it is on its way while the next one is made
                while pending and (len(pending) > concurrency or pending[0].done()):
                    for result in await pending.popleft():
                        yield result
            while pending:
                for result in await pending.popleft():
                    yield result
        finally:
            for one in pending:
                one.cancel()
            await asyncio.gather(*pending, return_exceptions=True)

    async def tasks(self) -> tuple[Task, ...]:
        return await self._run(routes.tasks(self._patience))

    async def task(self, name: str) -> Task:
        return await self._run(routes.task(name, self._patience))

    async def ready(self) -> bool:
        return await self._run(routes.ready(self._patience))

    async def submit_job(
        self,
        path: str | PathLike[str],
        task: str,
        model: str | None = None,
        format: str | None = None,
        text: str | None = None,
    ) -> Job:
        return await self._run(routes.submit_job(Path(path), task, model, format, text, self._patience))

    async def jobs(self) -> tuple[Job, ...]:
        return await self._run(routes.jobs(self._patience))

    async def job(self, id: str) -> Job:
        return await self._run(routes.job(id, self._patience))

    async def wait(self, id: str, timeout: float | None = None) -> Job:
        return await self._run(routes.wait(id, timeout, self._patience))

    async def download(self, id: str, path: str | PathLike[str], partial: bool = False) -> Path:
        return await self._run(routes.download(id, Path(path), partial, self._patience))

    async def delete(self, id: str) -> None:
        return await self._run(routes.delete(id, self._patience))

    async def feedback(self, id: str, task: str, label: str, text: str | None = None) -> None:
        return await self._run(routes.feedback(id, task, label, text, self._patience))

    async def close(self) -> None:
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"AsyncClient({str(self._http.base_url)!r})"

    async def _run(self, flow: Flow[Result]) -> Result:
        outcome: Outcome | None = None
        with closing(flow):
            while True:
                try:
                    step = flow.send(outcome)
                except StopIteration as end:
                    result: Result = end.value
                    return result
                if isinstance(step, Send):
                    outcome = await self._send(step)
                else:
                    outcome = None
                    await self._sleep(step.seconds)

    _sleep = staticmethod(asyncio.sleep)

    async def _send(self, step: Send) -> Outcome:
        call, until = step.call, time.monotonic() + step.timeout_s
        content = _read_pieces(call.body) if isinstance(call.body, Path) else call.body
        request = self._http.build_request(**wire.describe(call, step.timeout_s), content=content)
        try:
            async with aclosing(await self._http.send(request, stream=True)) as response:
                return await _receive(response, call, until)
        except httpx.RequestError as error:
            return wire.lose(error)


async def _receive(response: httpx.Response, call: Call, until: float) -> Outcome:
    into = call.into if response.is_success else None
    with into.open("wb") if into else BytesIO() as sink:
        async for piece in response.aiter_bytes():
            if not call.moves_a_file and time.monotonic() > until:
                return wire.too_late()
            if into:
                await asyncio.to_thread(sink.write, piece)
            else:
                sink.write(piece)
        return wire.take(response, sink.getvalue() if isinstance(sink, BytesIO) else b"")


async def _read_pieces(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while piece := await asyncio.to_thread(file.read, wire.PIECE_BYTES):
            yield piece


async def _cut(texts: Iterable[str] | AsyncIterable[str], splitter: Splitter) -> AsyncIterator[list[Item]]:
    if isinstance(texts, AsyncIterable):
        async for text in texts:
            if batch := splitter.add(text):
                yield batch
    else:
        for text in texts:
            if batch := splitter.add(text):
                yield batch
    if rest := splitter.rest():
        yield rest
