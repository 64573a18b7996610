"""A job's result on its way out: as it lies there, in parts, or in another format."""

import importlib.util
import re
from pathlib import Path
from typing import Final

from fastapi import Request
from fastapi.responses import FileResponse, Response, StreamingResponse
from starlette.concurrency import iterate_in_threadpool, run_in_threadpool
from starlette.types import Receive, Scope, Send

from app.admission import Admission
from app.api.job_schemas import MEDIA_TYPES, ResultOptions
from app.errors import JobNotDoneError, NoParquetError, RangeError, UnknownJobError
from app.files.open import Shape
from app.files.rows import Format
from app.jobs.convert import convert
from app.jobs.job import Job
from app.scope import UNHURRIED

_ENDINGS: Final[dict[Format, str]] = {"csv": "csv", "jsonl": "jsonl", "parquet": "parquet", "lines": "txt"}
_ONE_RANGE: Final = re.compile(rb"bytes=(?:(\d{1,18})-(\d{1,18})?|-[1-9]\d{0,17})")


async def open_result(request: Request, options: ResultOptions, job: Job, path: Path, admission: Admission) -> Response:
    """Raises JobNotDoneError, UnknownJobError, NoParquetError or RangeError. `admission`: for what takes a thread."""
    shape, form = job.written_as, options.format or job.format
    if job.status != "done" and not (job.has_part and options.partial):
        raise JobNotDoneError(job.status, has_part=job.has_part)
    if form == "parquet":
        refuse_parquet_without_its_library()
    try:
        size = (await run_in_threadpool(path.stat)).st_size
    except OSError:
        raise UnknownJobError from None
    take_long(request)
    name = f"{job.task}-{job.id[:8]}{'' if job.status == 'done' else '-part'}.{_ENDINGS[form]}"
    if form == job.format or shape is None:
        _mend_range(request.scope, size)
        return FileResponse(path, media_type=MEDIA_TYPES[form], filename=name)
    return _Converted(path, shape, form, name, admission)


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
        elif first is not None and first >= size:
            raise RangeError(size)


class _Converted(StreamingResponse):
    """It costs a thread's time, so that there are no more of them at once than streams and uploads together."""

    def __init__(self, path: Path, shape: Shape, form: Format, name: str, admission: Admission) -> None:
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        super().__init__(iter(()), media_type=MEDIA_TYPES[form], headers=headers)
        self._from, self._shape, self._form, self._admission = path, shape, form, admission

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._admission.permit(retry_after_s=1):
            pieces = convert(self._from, self._shape, self._form)
            self.body_iterator = iterate_in_threadpool(pieces)
            await super().__call__(scope, receive, send)
