"""A job's result on its way out: as it lies there, in parts, or in another format."""

import asyncio
import importlib.util
import os
import re
from collections.abc import AsyncIterator, Iterator
from itertools import chain
from pathlib import Path
from threading import Event
from typing import Final

from fastapi import Request
from fastapi.responses import FileResponse, Response, StreamingResponse
from starlette.concurrency import iterate_in_threadpool, run_in_threadpool
from starlette.types import Receive, Scope, Send

from app.api.job_schemas import MEDIA_TYPES, ResultOptions
from app.errors import JobNotDoneError, NoParquetError, RangeError, UnknownJobError
from app.files.open import Shape
from app.files.rows import Format
from app.jobs.convert import convert
from app.jobs.job import Job
from app.places import Place, Places
from app.scope import UNHURRIED

_ENDINGS: Final[dict[Format, str]] = {"csv": "csv", "jsonl": "jsonl", "parquet": "parquet", "lines": "txt"}
_ONE_RANGE: Final = re.compile(rb"bytes=(?:(\d{1,18})-(\d{1,18})?|-[1-9]\d{0,17})")


async def open_result(request: Request, options: ResultOptions, job: Job, path: Path, places: Places) -> Response:
    """Raises JobNotDoneError, UnknownJobError, NoParquetError or RangeError. `places`: for what takes a thread."""
    shape, form = job.written_as, options.format or job.format
    if job.status != "done" and not (job.has_part and options.partial):
        raise JobNotDoneError(job.status, has_part=job.has_part)
    if form == "parquet":
        refuse_parquet_without_its_library()
    take_long(request)
    name = f"{job.task}-{job.id[:8]}{'' if job.status == 'done' else '-part'}.{_ENDINGS[form]}"
    if form == job.format or shape is None:
        return await run_in_threadpool(_File, path, form, name)
    return _Converted(path, shape, form, name, places)


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


class _File(FileResponse):
    """It is open from the beginning: who deletes the job meanwhile takes nothing from whoever reads."""

    def __init__(self, path: Path, form: Format, name: str) -> None:
        """Raises UnknownJobError."""
        try:
            self._descriptor = os.open(path, os.O_RDONLY)
        except OSError:
            raise UnknownJobError from None
        found = os.fstat(self._descriptor)
        self._size = found.st_size
        super().__init__(f"/dev/fd/{self._descriptor}", media_type=MEDIA_TYPES[form], filename=name, stat_result=found)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            _mend_range(scope, self._size)
            await super().__call__(scope, receive, send)
        finally:
            os.close(self._descriptor)


class _Converted(StreamingResponse):
    """It costs a thread's time, so that there are no more of them at once than streams and uploads together."""

    def __init__(self, path: Path, shape: Shape, form: Format, name: str, places: Places) -> None:
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        super().__init__(iter(()), media_type=MEDIA_TYPES[form], headers=headers)
        self._from, self._shape, self._form, self._places = path, shape, form, places

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._places.take() as place:
            wanted = Event()
            wanted.set()
            pieces = convert(self._from, self._shape, self._form, wanted.is_set)
            watching = asyncio.create_task(_watch(receive, wanted))
            try:
                first = await self._begin(pieces, place)  # before anything is answered: it may be gone
                watching.cancel()
                self.body_iterator = _note(iterate_in_threadpool(chain([first], pieces)), place)
                await super().__call__(scope, receive, send)
            finally:
                watching.cancel()
                wanted.clear()

    async def _begin(self, pieces: Iterator[bytes], place: Place) -> bytes:
        try:
            with place.at_work():
                return await run_in_threadpool(next, pieces, b"")
        except OSError:
            raise UnknownJobError from None


async def _watch(receive: Receive, wanted: Event) -> None:
    """Until the client leaves: then its thread need not go on."""
    while (await receive())["type"] != "http.disconnect":
        pass
    wanted.clear()


async def _note(pieces: AsyncIterator[bytes], place: Place) -> AsyncIterator[bytes]:
    async for piece in pieces:
        place.note(len(piece))
        yield piece
