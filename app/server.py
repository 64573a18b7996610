"""One process that serves: uvicorn and the application that answers now; how both give way and lose no request."""

import asyncio
import logging
import math
import os
import signal
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any, Final

import uvicorn

from app.child import Lifeline
from app.errors import SentopicError
from app.protocol import ConnectionLimits, bounded, sweep
from app.scope import LEAVING

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]
Build = Callable[[], tuple[App, AbstractAsyncContextManager[Any], asyncio.Event]]
"""Gives an ASGI application, what must run around it, and what is set once it is to leave; raises SentopicError if
there is nothing to serve."""

_log = logging.getLogger("sentopic")
_TICKS_A_SECOND: Final = 10
_STOP_S: Final = 60.0
"""Longest time, beyond what clients have to send and to read, until a stop waits for no answer any more."""
_IDLE_S: Final = 0.5
"""Beyond what idle connections have anyway, so that whoever is about to ask is answered."""

_ENDING_S: Final = 5.0
"""What comes behind that: jobs are given back, files closed."""

_FORCED_S: Final = 1.0
"""The same, for whoever has said twice that it should end."""

_SILENT_S: Final = 15.0
"""After so long it is said that a reload does not come to its end."""

_TAKEN_S: Final = 0.05
"""Until a connection that has just been taken is known to be there: nobody would wait for its request."""

_CLOSE: Final = (b"connection", b"close")


class _Serving:
    """An application that runs, and how many requests it has."""

    def __init__(self, app: App, running: AbstractAsyncContextManager[Any], leaving: asyncio.Event) -> None:
        self.app, self._running, self.leaving = app, running, leaving
        self.requests = 0

    async def start(self) -> None:
        await self._running.__aenter__()

    async def stop(self) -> None:
        """Once nobody waits for its answer."""
        self.leaving.set()
        while self.requests:
            await asyncio.sleep(0.01)
        await self._running.__aexit__(None, None, None)


class Service:
    """The application that answers now. Another one takes its place when it is ready, and it ends what it has begun."""

    def __init__(self, build: Build) -> None:
        """Raises what `build` raises."""
        self._build = build
        self._serving = _Serving(*build())
        self._closing = False
        self._ending = set[asyncio.Task[None]]()
        """Applications that another one has replaced, until they have answered what they had begun."""

    @property
    def app(self) -> Any:
        return self._serving.app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        serving = self._serving
        serving.requests += 1
        scope[LEAVING] = serving.leaving
        try:
            await serving.app(scope, receive, _close_after(send) if self._closing else send)
        finally:
            serving.requests -= 1

    async def start(self) -> None:
        await self._serving.start()

    def close(self) -> None:
        """From now on answers ask their connection to close, and those without an end come to one."""
        self._closing = True
        self._serving.leaving.set()

    async def stop(self) -> None:
        await asyncio.gather(self._serving.stop(), *self._ending)

    async def reload(self) -> None:
        """Raises SentopicError, and goes on as before, if what should be served cannot be."""
        following = _Serving(*await asyncio.to_thread(self._build))
        await following.start()
        before, self._serving = self._serving, following
        if self._closing:
            following.leaving.set()
        ending = asyncio.create_task(before.stop())  # it may have answers that take long
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)


def longest_stop_s(connections: ConnectionLimits) -> float:
    """From SIGTERM until it has ended, whatever clients do: whoever gives it less may cut somebody off."""
    return _longest_wait_s(connections) + _ENDING_S


def _longest_wait_s(connections: ConnectionLimits) -> float:
    return connections.keep_alive_s + _IDLE_S + 2 * connections.patience_s + _STOP_S


def _close_after(send: Send) -> Send:
    async def closing(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), _CLOSE]
        await send(message)

    return closing


class Server(uvicorn.Server):
    """uvicorn that cuts nobody off. SIGTERM and SIGINT end it, SIGHUP reloads; a worker leaves the last two alone."""

    def __init__(self, service: Service, connections: ConnectionLimits, lifeline: Lifeline | None = None) -> None:
        config = uvicorn.Config(
            service,
            lifespan="off",
            http=bounded(connections),
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
        )
        super().__init__(config)
        self._connections = connections
        self._service, self._lifeline = service, lifeline
        self._hurry = self._asked = False
        self._reloading: asyncio.Task[None] | None = None

    def capture_signals(self) -> Any:
        return nullcontext()  # they are `heed_signals`' from before the first line is printed until the end

    def heed_signals(self) -> None:
        signal.signal(signal.SIGTERM, self._end)
        if self._lifeline is None:
            signal.signal(signal.SIGINT, self._end)
            signal.signal(signal.SIGHUP, self._ask)

    def _end(self, number: int, _: object) -> None:
        self.force_exit = self.should_exit and number == signal.SIGINT
        self._hurry = number == signal.SIGINT
        self.should_exit = True

    def _ask(self, *_: object) -> None:
        self._asked = True

    async def startup(self, sockets: Any = None) -> None:
        await self._service.start()
        await super().startup(sockets)
        if self._lifeline is not None:
            self._lifeline.tell_ready()

    async def on_tick(self, counter: int) -> bool:
        if counter % _TICKS_A_SECOND == 0:
            sweep(self.server_state.connections)
            if self._lifeline is not None and not self._lifeline.beat():
                self.should_exit = True
        if self._asked and self._reloading is None:
            self._asked = False
            self._reloading = asyncio.create_task(self._reload())
        return await super().on_tick(counter)

    async def _reload(self) -> None:
        reloading = asyncio.ensure_future(self._service.reload())
        try:
            await asyncio.wait({reloading}, timeout=_SILENT_S)
            if not reloading.done():
                _log.warning("bundles are still being read, after %g s: those before them go on", _SILENT_S)
            await reloading
        except SentopicError as error:
            _log.warning("nothing was reloaded: %s", error)
        except Exception:  # noqa: BLE001 - what is served is worth more than what is not
            _log.exception("nothing was reloaded")
        else:
            _log.info("reloaded")
        finally:
            self._reloading = None

    async def shutdown(self, sockets: Any = None) -> None:
        """Takes no more connections. Those there close with their next answer, or when they have been idle.

        Clients that still owe something, their request's end or to read, have as long for it as they always have.
        """
        beating = asyncio.create_task(self._beat())
        until = asyncio.get_running_loop().time() + longest_stop_s(self._connections)
        for server in self.servers:
            server.close()
        self._service.close()
        await asyncio.sleep(_TAKEN_S)
        left_s = await self._let_go()
        for connection in list(self.server_state.connections):  # they wait for an answer that does not come
            connection.transport.abort()
        self.config.timeout_graceful_shutdown = math.ceil(left_s) + 1
        await super().shutdown(sockets)
        for task in self.server_state.tasks:
            task.cancel()
        await self._end_with(asyncio.create_task(self._stop_service()), until)
        beating.cancel()

    async def _stop_service(self) -> None:
        if self._reloading is not None:
            await self._reloading
        await self._service.stop()

    async def _end_with(self, ending: asyncio.Task[None], until: float) -> None:
        """Waits for the last things to be done. One that hangs, on a share that does not answer say, holds nobody up.

        Then the process ends as if it had been killed, since Python would wait for each of its threads.
        """
        now = asyncio.get_running_loop().time
        while not ending.done() and now() < until:
            await asyncio.wait({ending}, timeout=0.1)
            if self.force_exit:
                until = min(until, now() + _FORCED_S)
        if not ending.done():
            names = sorted(thread.name for thread in threading.enumerate() if not thread.daemon)
            _log.error("ended although something hangs, among the threads %s", ", ".join(names))
            os._exit(1)
        await ending

    async def _beat(self) -> None:
        while self._lifeline is not None:
            self._lifeline.beat()
            await asyncio.sleep(1.0)

    async def _let_go(self) -> float:
        """Until all connections are closed, or in vain for too long; how many seconds are left."""
        now = asyncio.get_running_loop().time
        idle_until = now() + self._connections.keep_alive_s + _IDLE_S
        until = now() + _longest_wait_s(self._connections)
        while self.server_state.connections and not self.force_exit and now() < until:
            await asyncio.sleep(0.02)
            sweep(self.server_state.connections)
            if self._hurry or now() >= idle_until:
                for connection in list(self.server_state.connections):
                    connection.shutdown()
        return 0.0 if self.force_exit else max(0.0, until - now())
