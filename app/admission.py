"""What requests may take together: whoever finds nothing left is refused at once, before any work is done for it."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from app.errors import OverloadedError


class Admission:
    """Permits for requests that are being answered, and room for bodies that are being read.

    Reading needs no permit, or clients that send slowly could have them all. Whoever only asks how the service is needs
    none either.
    """

    def __init__(self, permits: int, room_bytes: int) -> None:
        self.permits, self.room_bytes = permits, room_bytes
        """What is left of both."""
        self._rooms: dict[Room, None] = {}

    @contextmanager
    def permit(self, retry_after_s: int) -> Iterator[None]:
        """Raises OverloadedError, to try again after `retry_after_s`, if there is none."""
        if not self.permits:
            raise OverloadedError(retry_after_s)
        self.permits -= 1
        try:
            yield
        finally:
            self.permits += 1

    @contextmanager
    def incoming(self) -> Iterator["Room"]:
        """A body's room, by the task that reads it."""
        room = Room(self)
        self._rooms[room] = None
        try:
            yield room
        finally:
            self._rooms.pop(room, None)
            self.room_bytes += room.held

    def take_back(self, size: int, asker: "Room") -> None:
        """Makes room for so many bytes more: who has been sending for longest loses it, and is refused.

        Those who send slowly would have all of it otherwise, and others, who need it for a moment, none.
        """
        while size > self.room_bytes:
            oldest = next(iter(self._rooms))
            if oldest is asker:
                raise OverloadedError(retry_after_s=1)
            del self._rooms[oldest]
            oldest.give_up()


class Room:
    """What one body holds."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self.handler: asyncio.Task[Any] = asyncio.current_task()  # type: ignore[assignment] # in a coroutine
        self.held = 0
        self.taken = False

    def hold(self, size: int) -> None:
        """Raises OverloadedError if there is no room for so many bytes more, or if this room has been taken away."""
        if self.taken:
            raise OverloadedError(retry_after_s=1)
        self._admission.take_back(size, self)
        self._admission.room_bytes -= size
        self.held += size

    def give_up(self) -> None:
        self._admission.room_bytes += self.held
        self.held, self.taken = 0, True
        self.handler.cancel()
