"""Bytes that come in an event loop, for a thread that reads them as a file. Bounded: who brings more must wait."""

import asyncio
import io
import threading
from typing import Final

MAX_HELD_BYTES: Final = 2**17
_IDLE_S: Final = 0.02


class Inflow:
    """A `Source` for one thread, filled by one coroutine."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._room = asyncio.Event()
        self._room.set()
        self._changed = threading.Condition()
        # Both sides' own, under the condition's lock.
        self._held = bytearray()
        self._ended = False
        self._error: BaseException | None = None

    async def put(self, data: bytes) -> None:
        """Waits until there is room, and then takes all of it."""
        await self._room.wait()
        with self._changed:
            self._held += data
            if len(self._held) >= MAX_HELD_BYTES:
                self._room.clear()
            self._changed.notify()

    def end(self, error: BaseException | None = None) -> None:
        """Nothing more comes. With an error, whoever reads gets that instead of what is left."""
        with self._changed:
            self._ended = True
            self._error = self._error or error
            self._changed.notify()

    def read(self, size: int) -> bytes:
        with self._changed:
            while not (self._held or self._ended):
                self._changed.wait()
            if self._error:
                raise self._error
            found = bytes(self._held[:size])
            del self._held[:size]
        self._loop.call_soon_threadsafe(self._room.set)
        return found

    def is_idle(self) -> bool:
        with self._changed:
            return not (self._held or self._ended or self._changed.wait(_IDLE_S))

    def seek(self, offset: int) -> None:
        raise io.UnsupportedOperation(str(offset))

    def close(self) -> None:
        pass
