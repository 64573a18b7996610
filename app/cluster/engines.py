"""A cluster's engines, asked from an event loop: the parent of a `relay.py`, started when it is needed."""

import asyncio
import json
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict
from itertools import count
from pathlib import Path
from typing import Any, Final

import numpy as np

from app.bundle import Manifest, find_bundles
from app.cluster.child import Child
from app.cluster.frames import read_frame, write_frame
from app.engines.base import Probabilities
from app.engines.open import choose
from app.errors import ClusterError
from app.settings import Settings
from app.text import Ids

_AHEAD: Final = 2
"""Chunks on their way for each engine: one that it has, and one that comes."""

_MOST_AHEAD: Final = 64
_IDLE_S: Final = 30.0
"""How long a way is kept open for the next job."""

_AGAIN_S: Final = 10.0
"""How long a cluster is left alone that could not be used."""


class RemoteEngines:
    """Engines of one bundle, once they are open. `window`: so many chunks are to be asked at once."""

    def __init__(self, labels: int) -> None:
        """In the event loop that will ask."""
        self._loop, self._labels = asyncio.get_running_loop(), labels
        self._child = Child("app.cluster.relay")
        self._numbers, self._waiting = count(1), dict[int, asyncio.Future[Any]]()
        self._lost: ClusterError | None = None
        self._writing = ThreadPoolExecutor(1, "relay")
        self._reading = threading.Thread(target=self._read, daemon=True)
        self.window = 1

    @property
    def is_lost(self) -> bool:
        return self._lost is not None

    def open(self, request: dict[str, Any]) -> None:
        """Takes seconds, in which machines open their engines, and as long as none is free. Raises ClusterError."""
        with suppress(OSError):  # it has ended: its answer says so
            self._child.stdin.write(json.dumps(request).encode() + b"\n")
            self._child.stdin.flush()
        told = json.loads(self._child.stdout.readline() or b"null")
        if told is None:
            raise self._child.explain()
        if "fault" in told:
            raise ClusterError(told["fault"])
        self.window = min(_MOST_AHEAD, _AHEAD * told["engines"])
        self._reading.start()

    async def predict(self, ids: Ids) -> Probabilities:
        """Windows (n, maxlen) -> probabilities (n, labels). Raises ClusterError."""
        if not len(ids):
            return np.empty((0, self._labels), np.float32)
        if self._lost:
            raise self._lost
        number = next(self._numbers)
        self._waiting[number] = answer = self._loop.create_future()
        try:
            await self._loop.run_in_executor(self._writing, self._send, number, ids)
            found: Probabilities = await answer
            return found
        finally:
            self._waiting.pop(number, None)

    def close(self) -> None:
        """Takes a moment: not for an event loop."""
        self._child.kill()
        self._writing.shutdown()
        if self._reading.is_alive():
            self._reading.join()
        self._child.close()

    def kill(self) -> None:
        """Whoever waits for them to open does no more."""
        self._child.kill()

    def _send(self, number: int, ids: Ids) -> None:
        with suppress(OSError, ValueError):  # it has ended: who reads from it says so
            write_frame(self._child.stdin, number, ids)

    def _read(self) -> None:
        with suppress(OSError, ValueError):
            while (told := read_frame(self._child.stdout, np.float32)) is not None:
                self._tell(self._settle, *told)
        self._tell(self._lose, self._child.explain())

    def _tell(self, what: Any, *given: Any) -> None:
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(what, *given)

    def _settle(self, number: int, found: Any) -> None:
        answer = self._waiting.get(number)
        if answer is None or answer.done():
            return
        if isinstance(found, str):
            answer.set_exception(ClusterError(found))
        else:
            answer.set_result(found)

    def _lose(self, why: ClusterError) -> None:
        self._lost = why
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(why)


class Cluster:
    """Finds a bundle's engines, and keeps them for the next one who asks."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._open: tuple[str, RemoteEngines] | None = None
        self._used = 0.0
        self._failed: tuple[float, ClusterError] | None = None

    async def find(self, manifest: Manifest) -> RemoteEngines:
        """Raises ClusterError; the same one again for a while, so that nobody knocks all the time."""
        if self._open and (self._open[0] != manifest.sha256 or self._open[1].is_lost):
            await self.close()
        if self._open is None:
            if self._failed and time.monotonic() - self._failed[0] < _AGAIN_S:
                raise self._failed[1]
            engines = RemoteEngines(len(manifest.labels))
            opening = asyncio.ensure_future(asyncio.to_thread(engines.open, self._request(manifest)))
            try:
                await asyncio.shield(opening)
            except BaseException as error:
                engines.kill()
                await asyncio.wait([opening])
                await asyncio.to_thread(engines.close)
                if isinstance(error, ClusterError):
                    self._failed = time.monotonic(), error
                raise
            self._open, self._failed = (manifest.sha256, engines), None
        self._used = time.monotonic()
        return self._open[1]

    async def tidy(self) -> None:
        """Lets go of engines that nobody has asked for long."""
        if self._open and time.monotonic() - self._used > _IDLE_S:
            await self.close()

    async def close(self) -> None:
        if self._open:
            (_, engines), self._open = self._open, None
            await asyncio.to_thread(engines.close)

    def _request(self, manifest: Manifest) -> dict[str, Any]:
        settings = self._settings
        directories: Sequence[Path] = settings.bundle or find_bundles(settings.artifacts)
        return {
            "address": settings.jobs_cluster,
            "bundles": [str(path.absolute()) for path in directories],
            "seal": manifest.sha256,
            "engine": choose(settings.engine),
            "options": asdict(settings.engine_options),
            "max_text_chars": settings.max_text_chars,
        }
