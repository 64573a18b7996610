"""A job's result on its way out: as it lies there, in parts, or in another format."""

import asyncio
import importlib.util
import logging
import os
import re
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from itertools import chain
from pathlib import Path
from threading import Event
from typing import Any, Final

from fastapi import Request
from fastapi.responses import FileResponse, Response, StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from app.api.job_schemas import MEDIA_TYPES, ResultOptions
from app.api.leaving import patient_until_left, while_there
from app.api.security import name_client
from app.errors import (
    JobFilesError,
    JobNotDoneError,
    JobsFullError,
    LeavingError,
    NoParquetError,
    OverloadedError,
    RangeError,
    UnauthorizedError,
    UnknownJobError,
)
from app.files.open import Shape
from app.files.rows import Format
from app.jobs.convert import convert
from app.jobs.folder import NO_ROOM
from app.jobs.job import Job
from app.jobs.office import Office
from app.places import Place, Places
from app.scope import ABORT, UNHURRIED
from app.threads import Threads

_ENDINGS: Final[dict[Format, str]] = {"csv": "csv", "jsonl": "jsonl", "parquet": "parquet", "lines": "txt"}
_ONE_RANGE: Final = re.compile(rb"bytes=(?:(\d{1,18})-(\d{1,18})?|-[1-9]\d{0,17})")
_CONVERTING: Final = 2
"""At once, each in a thread: Python's threads take turns, and others have to wait for theirs."""

_log = logging.getLogger("sentopic")


class Results:
    """All that are being read. Each has a place (`app.places`): it has files open, and may take a thread's time."""

    def __init__(self, office: Office, places: Places) -> None:
        self._office, self._places = office, places
        self._converting = asyncio.Semaphore(_CONVERTING)

    async def open(self, request: Request, options: ResultOptions, job: Job) -> Response:
        """Raises JobNotDoneError, UnknownJobError, JobFilesError, NoParquetError, or RangeError."""
        shape, form = job.written_as, options.format or job.format
        if job.status != "done" and not (job.has_part and options.partial):
            raise JobNotDoneError(job.status, has_part=job.has_part)
        if form == "parquet":
            refuse_parquet_without_its_library()
        take_long(request)
        name = f"{job.task}-{job.id[:8]}{'' if job.status == 'done' else '-part'}.{_ENDINGS[form]}"
        attached = f'attachment; filename="{name}"' if options.named else "attachment"
        path = self._office.result(job)
        if form == job.format:
            return await self._office.files.run(_File, path, form, attached, self._places, self._office.files)
        if shape is None:  # there is none to convert
            raise UnknownJobError
        lend = self._office.lend(job) if form == "parquet" else None
        return _Converted(path, shape, form, attached, self._places, self._office.files, self._converting, lend)


def refuse_parquet_without_its_library() -> None:
    if importlib.util.find_spec("pyarrow") is None:
        raise NoParquetError


def take_long(request: Request) -> None:
    if UNHURRIED in request.scope:
        request.scope[UNHURRIED]()


def _mend_range(scope: Scope, size: int) -> None:
    """Leaves a range that is one, and forgets others, as HTTP allows: a part is for going on where a load broke off."""
    for value in [value for name, value in scope["headers"] if name == b"range"]:
        found = _ONE_RANGE.fullmatch(value)
        first, last = (int(bound) if bound else None for bound in found.groups()) if found else (None, None)
        if not found or (first is not None and last is not None and last < first):
            scope["headers"] = [one for one in scope["headers"] if one[0] != b"range"]
        elif not size or (first is not None and first >= size):
            raise RangeError(size)


@asynccontextmanager
async def _sending(
    scope: Scope, send: Send, places: Places, is_there: Callable[[], Awaitable[bool]]
) -> AsyncIterator[tuple[Place, Send]]:
    """What is sent in it ends when its place is lost, a while after the service has begun to leave, or with the file.

    Then whoever reads is told why, or if the answer has begun, his connection is closed.
    """
    began = False

    async def sending(message: Message) -> None:
        nonlocal began
        began = True
        await send(message)
        place.note(len(message.get("body", b"")))

    try:
        with places.take(name_client(scope)) as place:
            async with patient_until_left(scope), while_there(is_there, UnknownJobError()):
                yield place, sending
    except (OverloadedError, UnauthorizedError, LeavingError, UnknownJobError, JobsFullError, JobFilesError):
        if not began or ABORT not in scope:
            raise
        scope[ABORT]()


@contextmanager
def _reading() -> Iterator[None]:
    """Raises UnknownJobError, JobsFullError or JobFilesError for what the system says of its files."""
    try:
        yield
    except FileNotFoundError:
        raise UnknownJobError from None
    except OSError as error:
        _log.error("a result cannot be given out: %s", error)
        raise (JobsFullError if error.errno in NO_ROOM else JobFilesError) from error


class _File(FileResponse):
    """It is open from the beginning: who deletes the job meanwhile takes nothing that has been promised."""

    def __init__(self, path: Path, form: Format, attached: str, places: Places, files: Threads) -> None:
        """Raises UnknownJobError or JobFilesError."""
        with _reading():
            self._descriptor = os.open(path, os.O_RDONLY)
        self._close = weakref.finalize(self, os.close, self._descriptor)  # whoever asked may have gone meanwhile
        self._places, self._files = places, files
        found = os.fstat(self._descriptor)
        self._size = found.st_size
        headers = {"Content-Disposition": attached}
        whole = f"/dev/fd/{self._descriptor}"
        super().__init__(whole, headers=headers, media_type=MEDIA_TYPES[form], stat_result=found)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            _mend_range(scope, self._size)
            async with _sending(scope, send, self._places, self._is_there) as (_, sending):
                with _reading():
                    await super().__call__(scope, receive, _late(sending))
        finally:
            self._close()

    async def _is_there(self) -> bool:
        """Nobody sees how much room a deleted file takes that is still open."""
        return (await self._files.run(os.fstat, self._descriptor)).st_nlink > 0


def _late(send: Send) -> Send:
    """Says that there is an answer when it has something of it: it is opened once more for that."""
    start: list[Message] = []

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            start.append(message)
            return
        while start:
            await send(start.pop())
        await send(message)

    return sending


class _Converted(StreamingResponse):
    """It costs a thread's time, a few of them at once."""

    def __init__(
        self,
        path: Path,
        shape: Shape,
        form: Format,
        attached: str,
        places: Places,
        files: Threads,
        converting: asyncio.Semaphore,
        lend: Any,
    ) -> None:
        """`lend`: an asynchronous context manager that has the room on the disk which it takes, if it takes any."""
        headers = {"Content-Disposition": attached}
        super().__init__(iter(()), media_type=MEDIA_TYPES[form], headers=headers)
        self._from, self._shape, self._form, self._places = path, shape, form, places
        self._files, self._converting, self._lend = files, converting, lend

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with _sending(scope, send, self._places, self._is_there) as (place, sending):
            if self._lend is None:
                await self._convert(scope, receive, sending, place)
                return
            async with self._lend:
                await self._convert(scope, receive, sending, place)

    async def _is_there(self) -> bool:
        return await self._files.run(self._from.exists)

    async def _convert(self, scope: Scope, receive: Receive, send: Send, place: Place) -> None:
        wanted = Event()
        wanted.set()
        pieces = convert(self._from, self._shape, self._form, wanted.is_set)
        watching = asyncio.create_task(_watch(receive, wanted))
        try:
            with place.at_work():
                first = await self._next(pieces)  # before anything is answered: it may be gone
            watching.cancel()
            self.body_iterator = self._iterate(chain([first] if first else [], pieces))
            await super().__call__(scope, receive, send)
        finally:
            watching.cancel()
            wanted.clear()

    async def _iterate(self, pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
        while piece := await self._next(pieces):
            yield piece

    async def _next(self, pieces: Iterator[bytes]) -> bytes:
        """Raises UnknownJobError, JobsFullError or JobFilesError."""
        with _reading():
            async with self._converting:
                return await self._files.run(_take, pieces)


def _take(pieces: Iterator[bytes]) -> bytes:
    """The next one that holds something; nothing at the end."""
    return next((piece for piece in pieces if piece), b"")


async def _watch(receive: Receive, wanted: Event) -> None:
    """Until the client leaves: then its thread need not go on."""
    while (await receive())["type"] != "http.disconnect":
        pass
    wanted.clear()
