"""How short answers leave: header and body as one packet, and the answers of one turn of the event loop together."""

import asyncio
from collections.abc import Collection
from typing import Any, Final

_LARGE_BYTES: Final = 16_384
"""What is larger waits for nobody."""


class PairedTransport:
    """A transport that sends a header together with a body that is written right after it, and counts bytes.

    uvloop sends each piece as it is written. A packet more takes a tenth of a short request's time, and its client's.
    While others are answered too (`tasks`, of the whole process) it sends at the end of the event loop's turn, when
    they do: a client that waits for several answers, or a proxy, wakes up once for all of them, and asks again at once.
    """

    def __init__(self, transport: Any, loop: asyncio.AbstractEventLoop, tasks: Collection[Any]) -> None:
        self._transport, self._loop, self._tasks = transport, loop, tasks
        self._held: bytes | None = None
        """Written, and not sent."""
        self._is_pair = False
        self.written = 0

    def write(self, data: bytes) -> None:
        if not data or self._transport.is_closing():  # an answer that its client has not stayed for
            return
        self.written += len(data)
        if self._held is None:
            self._held, self._is_pair = data, False
            self._loop.call_soon(self.release)
            return
        self._held = b"".join((self._held, data))
        if self._is_pair or len(self._tasks) <= 1 or len(self._held) > _LARGE_BYTES:
            self.release()
        self._is_pair = True

    def release(self) -> None:
        """Sends what is held, if nothing that was written since has taken it along."""
        data, self._held = self._held, None
        if data is not None and not self._transport.is_closing():
            self._transport.write(data)

    @property
    def is_holding(self) -> bool:
        return self._held is not None

    def get_write_buffer_size(self) -> int:
        return int(self._transport.get_write_buffer_size()) + len(self._held or b"")

    def close(self) -> None:
        self.release()
        self._transport.close()

    def abort(self) -> None:
        self._held = None
        self._transport.abort()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
