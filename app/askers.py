"""Clients on a service's own machine, each of which asks again as soon as it has its answer."""

import asyncio
import re
import time
from collections.abc import Iterator, Sequence
from itertools import cycle
from typing import Any, Final

from app.errors import StartError

_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_GOOD: Final = b"HTTP/1.1 200 "
_WARM_UP_S: Final = 0.1
_LONGEST_S: Final = 60.0


async def measure_answers(port: int, requests: Sequence[bytes], askers: int, seconds: float) -> float:
    """Answers a second from a service on loopback, to HTTP requests in turn, after some that do not count.

    Raises StartError if it answers with anything but 200, or with nothing.
    """
    tally = _Tally(cycle(requests))
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(_LONGEST_S):
        asking = [await loop.create_connection(lambda: _Asker(tally), "127.0.0.1", port) for _ in range(askers)]
    try:
        await tally.wait(_WARM_UP_S)
        before, started = tally.answers, time.perf_counter()
        await tally.wait(seconds)
        return (tally.answers - before) / (time.perf_counter() - started)
    finally:
        for transport, _ in asking:
            transport.abort()


class _Tally:
    """What all askers have together."""

    def __init__(self, requests: Iterator[bytes]) -> None:
        self.requests = requests
        self.answers = 0
        self.fault = ""

    async def wait(self, seconds: float) -> None:
        """For so long, and for one answer at least. Raises StartError."""
        before, longest = self.answers, time.perf_counter() + _LONGEST_S
        await asyncio.sleep(seconds)
        while self.answers == before and not self.fault:
            if time.perf_counter() > longest:
                self.fault = f"nothing for {_LONGEST_S:g} s"
            await asyncio.sleep(0.01)
        if self.fault:
            raise StartError(f"while it was measured the service answered {self.fault}")


class _Asker(asyncio.Protocol):
    def __init__(self, tally: _Tally) -> None:
        self._tally = tally
        self._read = b""
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._ask()

    def data_received(self, data: bytes) -> None:
        self._read += data
        head, end, body = self._read.partition(b"\r\n\r\n")
        if not end:
            return
        length = _LENGTH.search(head)
        if not head.startswith(_GOOD) or not length:
            self._tally.fault = repr(head.partition(b"\r\n")[0].decode("latin-1"))
            self._transport.abort()
        elif len(body) >= int(length[1]):
            self._read = b""
            self._tally.answers += 1
            self._ask()

    def connection_lost(self, _: Exception | None) -> None:
        self._tally.fault = self._tally.fault or "no more"

    def _ask(self) -> None:
        self._transport.write(next(self._tally.requests))
