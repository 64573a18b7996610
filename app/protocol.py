"""One connection, bounded: uvicorn's HTTP/1.1, for clients that are slow, silent, endless or ambiguous on purpose.

uvicorn closes a connection that is idle between two requests. It waits for ever for one that has not yet asked, or not
to the end, or does not read its answer; and it keeps whatever headers are sent.
"""

import fcntl
import struct
import termios
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.scope import UNHURRIED

_TOO_LARGE: Final = b"431 Request Header Fields Too Large"


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """`patience_s`: for a request to be sent, and for an answer to be read, from beginning to end; of a request that is
    unhurried, for any part of them.

    `keep_alive_s`: between an answer and the next request. `max_connections`: of one process.
    """

    patience_s: float
    keep_alive_s: float
    max_header_bytes: int
    max_connections: int


class BoundedProtocol(HttpToolsProtocol):
    """With `limits`; `sweep` must look at all of them every now and then."""

    limits: ConnectionLimits

    def __init__(self, *given: Any, **options: Any) -> None:
        super().__init__(*given, **options)
        self._asking_since: float | None = None
        self._unread_since: float | None = None
        self._header_bytes: int | None = None
        """Of the header that is being read, if one is."""
        self._status = b"400 Bad Request"
        self._unhurried = False
        """Whether the request that is being answered may take as long as something moves."""
        self._unsent = 0

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._asking_since = time.monotonic()
        if len(self.connections) > self.limits.max_connections:
            _choose_to_leave(self.connections, self).transport.abort()

    def data_received(self, data: bytes) -> None:
        if self.is_idle if self._asking_since is None else self._unhurried:
            self._asking_since = time.monotonic()
        super().data_received(data)
        if self._header_bytes is not None:
            self._header_bytes += len(data)
            if self._header_bytes > self.limits.max_header_bytes:
                self._refuse(_TOO_LARGE)

    def on_message_begin(self) -> None:
        if self._asking_since is None:
            self._asking_since = time.monotonic()
        self._header_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._header_bytes = None
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > self.limits.max_header_bytes:
            self._status = _TOO_LARGE
            raise _RefusedError
        hosts = sum(name == b"host" for name, _ in self.headers)
        if hosts != 1 and (hosts or self.parser.get_http_version() != "1.0"):
            raise _RefusedError
        self.scope[UNHURRIED] = self._let_it_take_long  # type: ignore[typeddict-unknown-key]
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._asking_since = None
        super().on_message_complete()

    def eof_received(self) -> None:
        """Its client has gone: what is being done for it need not be sent, nor could it be."""
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()

    def pause_writing(self) -> None:
        self._unread_since = time.monotonic()
        super().pause_writing()

    def resume_writing(self) -> None:
        self._unread_since = None
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - it is uvicorn's
        """Whatever the parser does not understand, or one of the above has refused."""
        self._refuse(self._status)

    def _let_it_take_long(self) -> None:
        self._unhurried = True

    def on_response_complete(self) -> None:
        self._unhurried = False
        super().on_response_complete()

    @property
    def is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    @property
    def idle_since(self) -> float | None:
        """When its client should have begun to ask, if it has not been answered meanwhile."""
        return (self._asking_since or 0.0) if self.is_idle else None

    def sweep(self, now: float) -> None:
        """Ends it if its client takes too long."""
        if self._unhurried:
            self._note_what_moves(now)
        if self._unread_since is not None and now - self._unread_since > self.limits.patience_s:
            self.transport.abort()
        elif self._asking_since is not None and now - self._asking_since > self.limits.patience_s:
            if self._header_bytes is None and self.is_idle:
                self.transport.abort()
            else:
                self._refuse(b"408 Request Timeout")

    def _note_what_moves(self, now: float) -> None:
        """What we do not read cannot move, which is no fault of the client; what it reads, the system need not send."""
        if self._asking_since is not None and self.flow.read_paused:
            self._asking_since = now
        unsent = self.transport.get_write_buffer_size() + _count_unsent(self.transport)
        if self._unread_since is not None and unsent != self._unsent:
            self._unread_since = now
        self._unsent = unsent

    def _refuse(self, status: bytes) -> None:
        """Says so and closes, unless an answer is on its way already: then it just closes."""
        self._asking_since = None
        if self.transport.is_closing():
            return
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            self.transport.write(b"HTTP/1.1 " + status + b"\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        self.transport.close()


def sweep(connections: Iterable[Any]) -> None:
    """Ends those whose clients take too long."""
    now = time.monotonic()
    for connection in list(connections):
        if isinstance(connection, BoundedProtocol):  # a connection that was upgraded is something else
            connection.sweep(now)


def _count_unsent(transport: Any) -> int:
    """Bytes that the system has taken, and the other side has not."""
    try:
        found = fcntl.ioctl(transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, bytes(4))
    except (OSError, AttributeError):
        return 0
    return int(struct.unpack("i", found)[0])


class _RefusedError(Exception):
    """Ends the parser's work on a request, which then calls `send_400_response`."""


def bounded(limits: ConnectionLimits) -> type[BoundedProtocol]:
    return type("BoundedProtocol", (BoundedProtocol,), {"limits": limits})


def _choose_to_leave(connections: Iterable[Any], newcomer: BoundedProtocol) -> BoundedProtocol:
    """Who makes room: the one that has been idle or asking for longest, or else the newcomer."""
    waiting = [(one.idle_since, one) for one in connections if one is not newcomer and one.idle_since is not None]
    return min(waiting, key=lambda pair: pair[0])[1] if waiting else newcomer
