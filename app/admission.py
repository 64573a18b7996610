"""What requests may take together: whoever finds nothing left is refused at once, before any work is done for it."""

import asyncio
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
        self.rooms: dict[Room, None] = {}
        """Who reads, the oldest first."""

    def permit(self, retry_after_s: int) -> "Permit":
        """To be had while a request is answered. Raises OverloadedError, to try again after `retry_after_s`."""
        return Permit(self, retry_after_s)

    def incoming(self) -> "Room":
        """A body's room, while it is read, by the task that reads it."""
        return Room(self)

    def take_back(self, size: int, asker: "Room") -> None:
        """Makes room for so many bytes more: who has been sending for longest loses it, and is refused.

        Those who send slowly would have all of it otherwise, and others, who need it for a moment, none.
        """
        while size > self.room_bytes:
            oldest = next(iter(self.rooms))
            if oldest is asker:
                raise OverloadedError(retry_after_s=1)
            del self.rooms[oldest]
            oldest.give_up()


class Permit:
    """A context manager, which gives back what it has taken."""

    __slots__ = ("_admission", "_retry_after_s")

    def __init__(self, admission: Admission, retry_after_s: int) -> None:
        self._admission, self._retry_after_s = admission, retry_after_s

    def __enter__(self) -> None:
        if not self._admission.permits:
            raise OverloadedError(self._retry_after_s)
        self._admission.permits -= 1

    def __exit__(self, *failure: object) -> None:
        self._admission.permits += 1


class Room:
    """What one body holds: a context manager, which gives all of it back."""

    __slots__ = ("_admission", "handler", "held", "taken")

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self.handler: asyncio.Task[Any] = asyncio.current_task()  # type: ignore[assignment] # in a coroutine
        self.held = 0
        self.taken = False

    def __enter__(self) -> "Room":
        self._admission.rooms[self] = None
        return self

    def __exit__(self, *failure: object) -> None:
        self._admission.rooms.pop(self, None)
        self._admission.room_bytes += self.held

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
