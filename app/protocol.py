"""One connection, bounded: uvicorn's HTTP/1.1, for clients that are slow, silent, endless or ambiguous on purpose.

uvicorn closes a connection that is idle between two requests. It waits for ever for one that has not yet asked, or not
to the end, or does not read its answer; and it keeps whatever headers are sent.
"""

import asyncio
import fcntl
import struct
import termios
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from app.paired import PairedTransport
from app.scope import ABORT, ON_DEPARTURE, UNHURRIED

REFUSED: Final = "sentopic.refused"
"""Where in a scope its Refusal stands, if the request is none that can be answered: the application says what it is."""

_BAD, _TOO_LATE, _TOO_LARGE = 400, 408, 431


_OFFERS: Final = (b"upgrade", b"http2-settings")


@dataclass(frozen=True, slots=True)
class Refusal:
    """`is_told`: the request was begun before it was refused, so that it has another scope too, whose answer nobody
    gets, and which counts it.
    """

    status: int
    is_told: bool


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
    transport: Any

    def __init__(self, *given: Any, **options: Any) -> None:
        super().__init__(*given, **options)
        self._asking_since: float | None = None
        self._answered_at = 0.0
        self._at_work: RequestResponseCycle | None = None
        """What is being answered, or was last; `cycle` is what has been asked last."""
        self._debt: _Debt | None = None
        """What its client has to read, while there is something."""
        self._header_bytes: int | None = None
        """Of the header that is being read, if one is."""
        self._read = self._read_before = 0
        """Bytes at once, and how many of them may be of the request before: no later one's header counts them."""
        self._idle_bytes = 0
        """Since the last piece of a body: what frames it, sizes of chunks, their extensions and trailers."""
        self._offered = b""
        """A header that offered another protocol, without the offer, until a parser reads it."""
        self._status = _BAD
        self._refused = self._in_body = False
        self._unhurried = False
        """Whether the request that is being answered may take as long as something moves."""
        self._unsent = 0

    def connection_made(self, transport: Any) -> None:
        super().connection_made(PairedTransport(transport, self.loop, self.tasks))  # type: ignore[arg-type]
        self._asking_since = time.monotonic()
        if len(self.connections) > self.limits.max_connections:
            _choose_to_leave(self.connections, self).transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        if self.is_idle if self._asking_since is None else self._unhurried:
            self._asking_since = time.monotonic()
        self._idle_bytes += len(data)
        self._read, self._read_before = len(data), 0
        self._feed(data)
        if self._header_bytes is not None:
            self._header_bytes += len(data)
            if self._header_bytes > self.limits.max_header_bytes:
                self._refuse(_TOO_LARGE)
        elif self._idle_bytes > self.limits.max_header_bytes:
            self._refuse(_TOO_LARGE)

    def _feed(self, data: bytes) -> None:
        """As uvicorn's, but whoever offers another protocol is declined by being ignored (RFC 9110, 7.8)."""
        rest: memoryview | None = memoryview(data)
        try:
            while rest is not None:
                rest = self._decline_offer(rest)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._refuse(self._status)

    def _decline_offer(self, data: memoryview) -> memoryview | None:
        """What is left to be read behind a header with an offer, if there is one. The parser would leave all of it to
        the other protocol, the request's body too: so another parser begins with the same header, without the offer.
        """
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            if not self._offered:  # it is CONNECT
                raise
            header, self._offered = self._offered, b""
            self.parser = httptools.HttpRequestParser(self)
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
            self.parser.feed_data(header)
            return data[offer.args[0] :]
        return None

    def on_message_begin(self) -> None:
        if self._asking_since is None:
            self._asking_since = time.monotonic()
        self._header_bytes = -self._read_before
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._header_bytes is not None:  # what comes behind a body, nobody asked for: no header grows by it
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._header_bytes = None
        self._idle_bytes = 0
        self._in_body = True
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > self.limits.max_header_bytes:
            self._status = _TOO_LARGE
            raise _RefusedError
        hosts = sum(name == b"host" for name, _ in self.headers)
        if hosts != 1 and (hosts or self.parser.get_http_version() != "1.0"):
            raise _RefusedError
        codings = [value.strip(b" \t").lower() for name, value in self.headers if name == b"transfer-encoding"]
        if codings and codings != [b"chunked"]:  # the parser undoes no other, and does not say that there is one
            raise _RefusedError
        if self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT":
            self._offered = self._header_without_offer()
        else:
            self.scope[UNHURRIED] = self._let_it_take_long  # type: ignore[typeddict-unknown-key]
            self.scope[ABORT] = self.transport.abort  # type: ignore[typeddict-unknown-key]
            self.scope[ON_DEPARTURE] = None  # type: ignore[typeddict-unknown-key]
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._idle_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self._offered:
            return
        self._asking_since = None
        self._in_body = False
        self._idle_bytes = 0
        self._read_before = self._read
        super().on_message_complete()
        if self.is_idle:  # it was answered before
            self._answered_at = time.monotonic()
        if not self.pipeline:  # a large body has stopped it, and nobody would see its client leave
            self.flow.resume_reading()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._at_work = cycle
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        """As uvicorn's, but without a timer for each answer: `sweep` sees who is idle."""
        self._unhurried = False
        self._answered_at = time.monotonic()
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())

    def _let_it_take_long(self) -> None:
        self._unhurried = True

    def eof_received(self) -> None:
        """Its client has gone: what is being done for it need not be sent, nor could it be. What is done can be."""
        self.transport.release()
        self._tell_departure()

    def connection_lost(self, exc: Exception | None) -> None:
        self._tell_departure()
        super().connection_lost(exc)
        # They hold each other, and what has been read of a body: it would stay until Python looks for cycles.
        self.cycle = self._at_work = self._debt = None  # type: ignore[assignment]
        self.pipeline.clear()

    def _tell_departure(self) -> None:
        """To whoever reads the request, or is at work for it."""
        cycle = self._at_work
        if cycle is None or cycle.response_complete:
            return
        cycle.disconnected = True
        cycle.message_event.set()
        scope: Any = cycle.scope
        if end := scope.get(ON_DEPARTURE):
            end()

    @property
    def is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    @property
    def idle_since(self) -> float | None:
        """When it was answered, or its client should have begun to ask, if nothing is on its way."""
        if not self.is_idle or self.transport.is_holding:
            return None
        return self._answered_at if self._asking_since is None else self._asking_since

    def sweep(self, now: float) -> None:
        """Ends it if its client takes too long."""
        self._settle(now)
        if self._unhurried:
            self._note_what_moves(now)
        if self._debt is not None and now - self._debt.since > self.limits.patience_s:
            self.transport.abort()
        elif self._asking_since is not None and now - self._asking_since > self.limits.patience_s:
            if self._header_bytes is None and self.is_idle:
                self.transport.abort()
            else:
                self._refuse(_TOO_LATE)
        elif self._has_nothing_to_do and now - self._answered_at > self.limits.keep_alive_s:
            self.transport.close()

    @property
    def _has_nothing_to_do(self) -> bool:
        return self.is_idle and self._asking_since is None and self._debt is None

    def _header_without_offer(self) -> bytes:
        version = self.parser.get_http_version().encode()
        lines = [self.parser.get_method() + b" " + self.url + b" HTTP/" + version]
        for name, value in self.headers:
            kept = value
            if name == b"connection":
                kept = b",".join(one for one in value.split(b",") if one.strip().lower() not in _OFFERS)
            if name not in _OFFERS:
                lines.append(name + b": " + kept)
        return b"\r\n".join([*lines, b"", b""])

    def _settle(self, now: float) -> None:
        """A debt is one answer's, or those of all that were there when it began: it ends when these have been read, not
        when some of it has. What is added afterwards is another one's, unless it is the same answer's.
        """
        unread = self.transport.get_write_buffer_size()
        written = self.transport.written
        if not unread:
            self._debt = None
        elif self._debt is None or written - unread >= self._debt.until:
            self._debt = _Debt(now, written, self.cycle)
        elif self._debt.cycle is self.cycle:
            self._debt.until = written

    def _note_what_moves(self, now: float) -> None:
        """What we do not read cannot move, which is no fault of the client; what it reads, the system need not send."""
        if self._asking_since is not None and self.flow.read_paused:
            self._asking_since = now
        unsent = self.transport.get_write_buffer_size() + _count_unsent(self.transport)
        if self._debt is not None and unsent != self._unsent:
            self._debt.since = now
        self._unsent = unsent

    def _refuse(self, status: int) -> None:
        """Has the application say so and closes, unless an answer is on its way already: then it just closes."""
        self._asking_since = None
        if self._refused or self.transport.is_closing():
            return
        self._refused = True
        cycle = self.cycle
        if self.pipeline or (cycle is not None and cycle.response_started and self._is_within_answer):
            self.transport.close()
            return
        is_begun = not self.is_idle
        if is_begun:
            cycle.scope[REFUSED] = Refusal(status, is_told=False)  # type: ignore[typeddict-unknown-key]
            self._tell_departure()
        self._ask_for_refusal(Refusal(status, is_told=is_begun))

    @property
    def _is_within_answer(self) -> bool:
        """Whether what has been answered, or is being, is the request that is still being read."""
        return not self.cycle.response_complete or self._in_body

    def _ask_for_refusal(self, refusal: Refusal) -> None:
        super().on_message_begin()
        scope: Any = self.scope
        scope |= {"method": "", "path": "", "raw_path": b"", "query_string": b"", REFUSED: refusal}
        self.cycle = RequestResponseCycle(
            scope=self.scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=False,
            keep_alive=False,
            on_response=self.on_response_complete,
        )
        self._start_asgi_task(self.cycle, self.app)


@dataclass(slots=True)
class _Debt:
    """Owed since then, and read once that many bytes are; `cycle`: the answer that is being written, as it began."""

    since: float
    until: int
    cycle: Any


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
    """Ends the parser's work on a request, with `_status`."""


def bounded(limits: ConnectionLimits) -> type[BoundedProtocol]:
    return type("BoundedProtocol", (BoundedProtocol,), {"limits": limits})


def _choose_to_leave(connections: Iterable[Any], newcomer: BoundedProtocol) -> BoundedProtocol:
    """Who makes room: the one that has been idle or asking for longest, or else the newcomer."""
    waiting = [(one.idle_since, one) for one in connections if one is not newcomer and one.idle_since is not None]
    return min(waiting, key=lambda pair: pair[0])[1] if waiting else newcomer
