"""`POST /predict/{task}/stream`: rows in, a line of JSON for each out, as they come and as fast as both sides go."""

import asyncio
import json
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any, Final, TypeVar

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import Response, StreamingResponse
from pydantic import Field
from pydantic_core import to_json
from starlette.types import Receive, Scope, Send

from app import logs
from app.answers import Answer
from app.api import errors, schemas
from app.api.direct import DirectRoute
from app.api.edge import ASKED, ID
from app.api.options import Options, parameter, read_options
from app.api.security import Visitors, name_client
from app.bulk import Bulk, Chunk, ChunkSize
from app.classifier import Catalog, Classifier
from app.engines.base import Probabilities
from app.errors import (
    ClientLeftError,
    FileError,
    LeavingError,
    OverloadedError,
    RequestError,
    UnauthorizedError,
    UnsupportedMediaTypeError,
)
from app.files.open import open_reader
from app.files.rows import Format, Reader, Row
from app.inflow import Inflow
from app.places import Place, Places
from app.scope import LEAVING, UNHURRIED
from app.settings import Settings

MEDIA_TYPES: Final[dict[str, Format]] = {
    "application/x-ndjson": "jsonl",
    "application/jsonl": "jsonl",
    "text/csv": "csv",
    "text/plain": "lines",
}
_ABOUT: Final = (
    "JSON lines (`text`, and `id` if it should come back), CSV or plain lines in. A line of JSON out for each row, "
    "in order, as soon as it is answered: `line`, where the row begins, and an answer, or an `error` of that row. "
    "Both sides may go on as long as something moves. Read while you send: whoever does not read is not read from. "
    "Where the rest cannot be answered, the last line has `last`, and the last `line` that was answered."
)
_ERRORS: Final = (403, 404, 415, 422, 503)
_ROWS: Final = 256
_LONGEST_ID: Final = 200
"""Characters of a row's own id."""
_SURROGATE: Final = re.compile("[\\ud800-\\udfff]")

Result = TypeVar("Result")


class StreamOptions(Options):
    model: schemas.ModelName = None
    text: Annotated[str | None, Field(min_length=1, max_length=1_000)] = None
    top_k: Annotated[int, Field(ge=1, le=10_000)] = schemas.DEFAULT_TOP_K


class Streams:
    """All of one service: so many at once, each with a thread that reads rows and one that writes answers."""

    def __init__(self, catalog: Catalog, settings: Settings, visitors: Visitors) -> None:
        self._visitors = visitors
        self.places = Places(settings.max_streams, settings.client_timeout_s)
        self._catalog, self._settings = catalog, settings
        self._threads = ThreadPoolExecutor(2 * settings.max_streams, "stream")

    async def __aenter__(self) -> "Streams":
        return self

    async def __aexit__(self, *failure: object) -> None:
        self._threads.shutdown(wait=False)

    def open(self, request: Request, task: str) -> "_Stream":
        """Raises the RequestError that says what the client should mend."""
        request.scope[ASKED] = task, "stream"
        headers = dict(request.scope["headers"])
        self._visitors.admit_origin(headers)
        media_type = headers.get(b"content-type", b"").decode("latin-1").partition(";")[0].strip().lower()
        if media_type not in MEDIA_TYPES or b"content-encoding" in headers:
            raise UnsupportedMediaTypeError(
                f"The body must be {', '.join(MEDIA_TYPES)}, in UTF-8, without a content encoding."
            )
        options = read_options(request, StreamOptions)
        classifier = self._catalog.find(task, options.model)
        return _Stream(self, classifier, MEDIA_TYPES[media_type], options, self._settings, self._threads)


class _Stream(StreamingResponse):
    """One of them. It is its own response, since it has none before it has read something."""

    def __init__(
        self,
        streams: Streams,
        classifier: Classifier,
        form: Format,
        options: StreamOptions,
        settings: Settings,
        threads: ThreadPoolExecutor,
    ) -> None:
        super().__init__(iter(()), media_type="application/x-ndjson", headers={"X-Accel-Buffering": "no"})
        self._streams, self._classifier, self._form, self._options = streams, classifier, form, options
        self._settings, self._threads = settings, threads
        self._began = False
        self._place: Place
        self._line = 0
        """The last one that is answered."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._streams.places.take(name_client(scope)) as place:
            self._place = place
            if UNHURRIED in scope:
                scope[UNHURRIED]()
            inflow = Inflow()
            work = asyncio.current_task()
            feeding = asyncio.create_task(self._feed(inflow, receive, work))
            ending = asyncio.create_task(self._heed_leaving(inflow, scope.get(LEAVING)))
            try:
                try:
                    await self._answer(inflow, scope, send)
                except asyncio.CancelledError:
                    if place.is_lost:
                        raise place.forgive() from None
                    if not feeding.done():
                        raise
                    work.uncancel()  # type: ignore[union-attr] # in a task
                    if not self._began:
                        raise ClientLeftError from None
            except (FileError, LeavingError, OverloadedError, UnauthorizedError) as error:
                if not self._began:
                    raise
                problem = {
                    "line": self._line,
                    "error": errors.describe(error).model_dump(exclude_none=True),
                    "last": True,
                }
                await self._send(send, to_json(problem) + b"\n")
                await self._end(send)
            finally:
                feeding.cancel()
                ending.cancel()
                inflow.end(LeavingError())

    async def _feed(self, inflow: Inflow, receive: Receive, work: "asyncio.Task[Any] | None") -> None:
        """The body into the inflow; ends the work when the client leaves."""
        while (message := await receive())["type"] != "http.disconnect":
            if message.get("body"):
                self._place.note(len(message["body"]))
                await inflow.put(message["body"])
            if not message.get("more_body"):
                inflow.end()
        if work:
            work.cancel()

    async def _heed_leaving(self, inflow: Inflow, leaving: asyncio.Event | None) -> None:
        if leaving:
            await leaving.wait()
            inflow.end(LeavingError())

    async def _answer(self, inflow: Inflow, scope: Scope, send: Send) -> None:
        limit = self._settings.max_body_bytes
        reader = await self._in_thread(self._open, inflow, limit)
        size = ChunkSize(rows=_ROWS, windows=self._classifier.batcher.group_windows, bytes=limit)
        bulk = Bulk(reader, self._classifier.interpreter, size)
        reading = self._in_thread(bulk.read)
        while chunk := await reading:
            reading = self._in_thread(bulk.read)
            probabilities = await self._classifier.predict_bulk(chunk.ids, background=False)
            answers, lines = await self._in_thread(self._write, bulk, chunk, probabilities, reader, scope[ID])
            self._classifier.count(answers)
            await self._send(send, lines)
            self._line = chunk.after.line
        await self._end(send)

    def _in_thread(self, work: Callable[..., Result], *given: Any) -> asyncio.Future[Result]:
        asked = asyncio.get_running_loop().run_in_executor(self._threads, work, *given)
        asked.add_done_callback(lambda one: one.cancelled() or one.exception())  # nobody may be left to hear of it
        return asked

    def _open(self, inflow: Inflow, limit: int) -> Reader:
        text = self._options.text or ("text" if self._form == "jsonl" else None)
        return open_reader(inflow, self._form, text, max_line_bytes=limit, goes_on=True)

    def _write(
        self, bulk: Bulk, chunk: Chunk, probabilities: Probabilities, reader: Reader, request_id: str
    ) -> tuple[Sequence[Answer | RequestError], bytes]:
        answers = bulk.answer(chunk, probabilities)
        lines = []
        for row, answer in zip(chunk.rows, answers, strict=True):
            name = _find_id(reader, row)
            content: dict[str, Any] = {"line": row.line}
            if isinstance(answer, Answer):
                named = f"{request_id}-{row.line}" if name is None else name
                content |= schemas.answer_out(self._classifier.manifest, answer, self._options.top_k, named)
            else:
                content |= {} if name is None else {"id": name}
                content["error"] = errors.describe(answer).model_dump(exclude_none=True)
            lines.append(to_json(content))
            if self._settings.log_texts:
                logs.tell_text(row.text, {**content, "id": f"{request_id}-{row.line}"})  # theirs may forge a line
        return answers, b"\n".join([*lines, b""])

    async def _send(self, send: Send, body: bytes) -> None:
        self._place.note(len(body))
        if not self._began:
            self._began = True
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": body, "more_body": True})

    async def _end(self, send: Send) -> None:
        await self._send(send, b"")
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _find_id(reader: Reader, row: Row) -> Any:
    """The row's own `id`, if it is a short text, which JSON can tell, or a whole number."""
    if reader.format == "lines":
        return None
    name = reader.values(row).get("id")
    if isinstance(name, str):
        return name if len(name) <= _LONGEST_ID and not _SURROGATE.search(name) else None
    return name if type(name) is int and abs(name) < 2**63 else None


def install(app: FastAPI, catalog: Catalog, streams: Streams) -> None:
    for task in catalog.tasks:
        _add_route(app.router, task, catalog, streams)

    @app.post("/predict/{task}/stream", include_in_schema=False)
    async def refuse_unknown_task(task: str) -> None:
        catalog.find(task)


def _add_route(router: APIRouter, task: str, catalog: Catalog, streams: Streams) -> None:
    async def predict_stream(request: Request) -> Response:
        return streams.open(request, task)

    texts = [golden.text.replace("\n", " ") for golden in catalog.find(task).manifest.golden]
    lines = [json.dumps({"id": number, "text": text}) for number, text in enumerate(texts, start=1)]
    quoted = [text.replace('"', '""') for text in texts]
    table = ["id,text", *(f'{number},"{text}"' for number, text in enumerate(quoted, start=1))]
    examples = {
        name: "".join(f"{line}\n" for line in {"jsonl": lines, "csv": table}.get(form, texts))
        for name, form in MEDIA_TYPES.items()
    }
    bodies = {name: {"schema": {"type": "string"}, "example": example} for name, example in examples.items()}
    answers = {"application/x-ndjson": {"schema": {"type": "string"}}}
    router.add_api_route(
        f"/predict/{task}/stream",
        predict_stream,
        methods=["POST"],
        tags=["predict"],
        route_class_override=DirectRoute,
        operation_id=f"predict_{task}_stream",
        summary=f"Classify a stream of texts: {task}",
        description=_ABOUT,
        response_class=Response,
        responses={200: {"description": "A line for each row.", "content": answers}, **errors.documented(*_ERRORS)},
        openapi_extra={
            "parameters": [
                parameter("model", {"type": "string", "enum": list(catalog.models(task))}, "Which model."),
                parameter("text", {"type": "string", "minLength": 1, "maxLength": 1_000}, "The column of texts."),
                parameter("top_k", {"type": "integer", "minimum": 1, "maximum": 10_000}, "How many labels to rank."),
            ],
            "requestBody": {"required": True, "content": bodies},
        },
    )
