"""One connection, bounded: uvicorn's HTTP/1.1, for clients that are slow, silent, endless or ambiguous on purpose.

uvicorn closes a connection that is idle between two requests. It waits for ever for one that has not yet asked, or not
to the end, or does not read its answer; and it keeps whatever headers are sent.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_TOO_LARGE: Final = b"431 Request Header Fields Too Large"


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """`patience_s`: for a request to be sent, and for an answer to be read, from beginning to end.

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
        self._idle_bytes = 0
        """Since the last piece of a body: what frames it, sizes of chunks, their extensions and trailers."""
        self._status = b"400 Bad Request"

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._asking_since = time.monotonic()
        if len(self.connections) > self.limits.max_connections:
            _choose_to_leave(self.connections, self).transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._asking_since is None and self.is_idle:
            self._asking_since = time.monotonic()
        self._idle_bytes += len(data)
        super().data_received(data)
        if self._header_bytes is not None:
            self._header_bytes += len(data)
            if self._header_bytes > self.limits.max_header_bytes:
                self._refuse(_TOO_LARGE)
        elif self._idle_bytes > self.limits.max_header_bytes:
            self._refuse(_TOO_LARGE)

    def on_message_begin(self) -> None:
        if self._asking_since is None:
            self._asking_since = time.monotonic()
        self._header_bytes = 0
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._header_bytes is not None:  # what comes behind a body, nobody asked for: no header grows by it
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._header_bytes = None
        self._idle_bytes = 0
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > self.limits.max_header_bytes:
            self._status = _TOO_LARGE
            raise _RefusedError
        hosts = sum(name == b"host" for name, _ in self.headers)
        if hosts != 1 and (hosts or self.parser.get_http_version() != "1.0"):
            raise _RefusedError
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._idle_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._asking_since = None
        self._idle_bytes = 0
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

    @property
    def is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    @property
    def idle_since(self) -> float | None:
        """When its client should have begun to ask, if it has not been answered meanwhile."""
        return (self._asking_since or 0.0) if self.is_idle else None

    def sweep(self, now: float) -> None:
        """Ends it if its client takes too long."""
        if self._unread_since is not None and now - self._unread_since > self.limits.patience_s:
            self.transport.abort()
        elif self._asking_since is not None and now - self._asking_since > self.limits.patience_s:
            if self._header_bytes is None and self.is_idle:
                self.transport.abort()
            else:
                self._refuse(b"408 Request Timeout")

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


class _RefusedError(Exception):
    """Ends the parser's work on a request, which then calls `send_400_response`."""


def bounded(limits: ConnectionLimits) -> type[BoundedProtocol]:
    return type("BoundedProtocol", (BoundedProtocol,), {"limits": limits})


def _choose_to_leave(connections: Iterable[Any], newcomer: BoundedProtocol) -> BoundedProtocol:
    """Who makes room: the one that has been idle or asking for longest, or else the newcomer."""
    waiting = [(one.idle_since, one) for one in connections if one is not newcomer and one.idle_since is not None]
    return min(waiting, key=lambda pair: pair[0])[1] if waiting else newcomer
