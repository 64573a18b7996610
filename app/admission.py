"""What requests may take together: whoever finds nothing left is refused at once, before any work is done for it."""

from collections.abc import Iterator
from contextlib import contextmanager

from app.errors import OverloadedError


class Admission:
    """Permits for requests that are being answered, and room for bodies that are being read.

    Reading needs no permit, or clients that send slowly could have them all. Whoever only asks how the service is needs
    none either.
    """

    def __init__(self, permits: int, room_bytes: int) -> None:
        self.permits, self.room_bytes = permits, room_bytes
        """What is left of both."""

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

    def hold(self, size: int) -> None:
        """Takes room for so many bytes more, for `release` to give back. Raises OverloadedError if there is none."""
        if size > self.room_bytes:
            raise OverloadedError(retry_after_s=1)
        self.room_bytes -= size

    def release(self, size: int) -> None:
        self.room_bytes += size
