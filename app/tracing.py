"""Requests as OpenTelemetry spans, sent to a collector in batches. Knows no HTTP but the collector's.

Imported only where it matters: what sends takes megabytes. Nothing here is global, so that a reload has its own beside
the one before, and the thread that sends is made by the process that answers, never by one that forks.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Mapping
from typing import Final

from opentelemetry import context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio
from opentelemetry.trace import (
    Span,
    SpanKind,
    StatusCode,
    Tracer,
    format_span_id,
    format_trace_id,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

Attributes = dict[str, str | int | float]

QUIET_S: Final = 60.0
"""A collector that takes nothing is worth a line in so much time."""

_PARENTS: Final = TraceContextTextMapPropagator()
_SENDING: Final = ("opentelemetry.exporter", "opentelemetry.sdk")
_log = logging.getLogger("sentopic")


class Tracing:
    """Where spans go. An asynchronous context manager, whose end sends what is left."""

    def __init__(self, endpoint: str, share: float, version: str, flush_s: float) -> None:
        """`share`: of the requests that come without a trace, those that are kept. `flush_s`: the longest end."""
        self._flush_s = flush_s
        self._exporter: SpanExporter = OTLPSpanExporter(endpoint)
        self._provider = TracerProvider(
            ParentBasedTraceIdRatio(share),
            Resource.create({"service.name": "sentopic", "service.version": version}),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter))
        self._tracer = self._provider.get_tracer("sentopic", version)
        _say_seldom()
        for handler in logging.getLogger().handlers:
            handler.addFilter(_name_trace)

    def begin(self, traceparent: str) -> "Trace":
        """`traceparent`: the header that says whose trace it belongs to (https://www.w3.org/TR/trace-context/)."""
        return Trace(self._tracer, traceparent)

    async def __aenter__(self) -> "Tracing":
        return self

    async def __aexit__(self, *failure: object) -> None:
        # It would wait for half a minute, and keeps no process from its end.
        ending = threading.Thread(target=self._provider.shutdown, name="traces", daemon=True)
        ending.start()
        await asyncio.to_thread(ending.join, self._flush_s)
        if ending.is_alive():
            self._exporter.shutdown()  # no more attempts


class Trace:
    """A request's span, current until its end, for the log's lines to name it."""

    __slots__ = ("_span", "_token", "_tracer")

    def __init__(self, tracer: Tracer, traceparent: str) -> None:
        parent = _PARENTS.extract({"traceparent": traceparent}, context.Context())
        self._tracer = tracer
        self._span: Span = tracer.start_span("HTTP", parent, SpanKind.SERVER)
        self._token = context.attach(set_span_in_context(self._span, parent))

    @property
    def is_kept(self) -> bool:
        """Whether what is told of it is sent to anybody."""
        return self._span.is_recording()

    def describe(self, name: str, attributes: Attributes, *, failed: bool) -> None:
        self._span.update_name(name)
        self._span.set_attributes(attributes)
        if failed:
            self._span.set_status(StatusCode.ERROR)

    def add_stages(self, stages: Mapping[str, tuple[float, float]], engine: Attributes) -> None:
        """Spans below it, which has not ended yet.

        `stages`: when each began and ended, by `time.perf_counter`; `engine`: the attributes of that one.
        """
        zero = time.time() - time.perf_counter()
        for name, (begin, end) in stages.items():
            attributes = engine if name == "engine" else None  # with them a span costs twice as much
            span = self._tracer.start_span(name, attributes=attributes, start_time=int((zero + begin) * 1e9))
            span.end(int((zero + end) * 1e9))

    def end(self) -> None:
        self._span.end()
        context.detach(self._token)


class _Seldom(logging.Handler):
    """Passes on what is said about sending, a line in a while. What else is said is of a header that a client sent."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._quiet_until = 0.0

    def emit(self, record: logging.LogRecord) -> None:
        if record.name.startswith(_SENDING) and time.monotonic() > self._quiet_until:
            self._quiet_until = time.monotonic() + QUIET_S
            _log.warning("traces: %s", record.getMessage())


def _say_seldom() -> None:
    library = logging.getLogger("opentelemetry")
    library.propagate = False
    if not library.handlers:
        library.addHandler(_Seldom())


def _name_trace(record: logging.LogRecord) -> bool:
    """Gives lines as JSON the ids by which their trace is found."""
    here = get_current_span().get_span_context()
    if here.is_valid:
        record.trace_id, record.span_id = format_trace_id(here.trace_id), format_span_id(here.span_id)
    return True
