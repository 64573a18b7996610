"""Clients on a service's own machine, each of which asks again as soon as it has its answer."""

import asyncio
import re
import time
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import cycle
from typing import Any, Final

from app.errors import StartError

_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_GOOD: Final = b"HTTP/1.1 200 "
_WARM_UP_S: Final = 0.1
_LONGEST_S: Final = 60.0
_ROUNDS: Final = 4
"""Answers that each asker should have, if that takes no longer than `_PATIENCE` times as long as was asked for."""

_PATIENCE: Final = 10


async def measure_answers(port: int, requests: Sequence[bytes], askers: int, seconds: float) -> float:
    """Answers a second from a service on loopback, to HTTP requests in turn, after some that do not count.

    Raises StartError if it cannot be reached, if it answers with anything but 200, or with nothing.
    """
    tally, asking = _Tally(cycle(requests)), list[asyncio.Transport]()
    connect = partial(asyncio.get_running_loop().create_connection, lambda: _Asker(tally), "127.0.0.1", port)
    try:
        async with asyncio.timeout(_LONGEST_S):
            for _ in range(askers):
                transport, _protocol = await connect()
                asking.append(transport)
        await tally.wait(_WARM_UP_S, 1, 1)
        before, since = tally.answers, tally.latest
        await tally.wait(seconds, askers, _ROUNDS * askers)
        return (tally.answers - before) / (tally.latest - since)  # whole batches, which are answered all at once
    except OSError as error:  # TimeoutError too
        raise StartError(f"the service to be measured cannot be reached ({error or 'it does not answer'})") from error
    finally:
        for transport in asking:
            transport.abort()


class _Tally:
    """What all askers have together."""

    def __init__(self, requests: Iterator[bytes]) -> None:
        self.requests = requests
        self.answers = 0
        self.latest = 0.0
        """When one came last."""
        self.fault = ""

    async def wait(self, seconds: float, least: int, most: int) -> None:
        """For so long; longer until there are at least so many answers, and somewhat longer until there are most.

        Raises StartError.
        """
        before, started = self.answers, time.perf_counter()
        while not self.fault:
            passed, answers = time.perf_counter() - started, self.answers - before
            if passed >= seconds and (answers >= most or (answers >= least and passed >= _PATIENCE * seconds)):
                return
            if passed > _LONGEST_S:
                self.fault = f"{answers} times in {_LONGEST_S:g} s"
            await asyncio.sleep(0.01)
        raise StartError(f"while it was measured the service answered {self.fault}")

    def add(self) -> None:
        self.answers += 1
        self.latest = time.perf_counter()


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
            self._tally.add()
            self._ask()

    def connection_lost(self, _: Exception | None) -> None:
        self._tally.fault = self._tally.fault or "no more"

    def _ask(self) -> None:
        self._transport.write(next(self._tally.requests))
