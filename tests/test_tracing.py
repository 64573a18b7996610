"""What a collector is sent of a real service's requests, and what harm a dead one does."""

import asyncio
import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry import trace
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from app import __version__
from app.api.edge import ID
from app.api.traced import Traced
from app.main import create_app
from app.settings import SHIPPED, Settings
from app.tracing import Tracing

ROOT = Path(__file__).resolve().parents[1]
SECRET = "wheat secret7f3a"
STAGES = ["read", "encode", "queue", "engine", "answer"]
CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
UNKEPT = "1af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@dataclass
class Span:
    """As it was sent, in plain values."""

    name: str
    kind: int
    trace: str
    id: str
    parent: str
    begin: int
    end: int
    failed: bool
    attributes: dict[str, Any]


class Collector:
    """An HTTP server that keeps what it is sent."""

    def __init__(self) -> None:
        self.received: list[bytes] = []
        received = self.received

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                received.append(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1/traces"

    def __enter__(self) -> "Collector":
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    @property
    def resources(self) -> list[tuple[dict[str, Any], list[Span]]]:
        """What was sent by whom."""
        found = []
        for one in (one for body in self.received for one in ExportTraceServiceRequest.FromString(body).resource_spans):
            spans = [_plain(span) for scope in one.scope_spans for span in scope.spans]
            found.append((_values(one.resource.attributes), spans))
        return found

    @property
    def spans(self) -> list[Span]:
        return [span for _, spans in self.resources for span in spans]


def _plain(span: Any) -> Span:
    ids = span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex()
    times = span.start_time_unix_nano, span.end_time_unix_nano
    return Span(span.name, span.kind, *ids, *times, span.status.code == 2, _values(span.attributes))


def _values(attributes: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}


@contextmanager
def serving(*options: str, **settings: object) -> Iterator[tuple[subprocess.Popen[str], str]]:
    environment = {f"SENTOPIC_{name.upper()}": str(value) for name, value in settings.items()}
    command = [sys.executable, "-m", "app.cli", "serve", "--port", "0", "--bundle", str(SHIPPED / "topic" / "gru")]
    pipes: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    whole = {**os.environ, **environment}
    with subprocess.Popen([*command, *options], text=True, cwd=ROOT, env=whole, **pipes) as process:
        try:
            found = re.search(r"http://[\d.]+:\d+", process.stdout.readline())
            assert found
            yield process, found.group()
        finally:
            process.kill()


@dataclass
class Traffic:
    """Requests, what was answered, what was sent of them, and what the service said."""

    collector: Collector
    answers: dict[str, httpx.Response] = field(default_factory=dict)
    log: list[dict[str, Any]] = field(default_factory=list)

    def root(self, name: str) -> Span:
        """The request's span: there is one."""
        own = self.answers[name].headers["x-request-id"]
        [span] = [span for span in self.collector.spans if span.attributes.get("sentopic.request_id") == own]
        return span

    def below(self, name: str) -> list[Span]:
        parent = self.root(name)
        children = [span for span in self.collector.spans if (span.trace, span.parent) == (parent.trace, parent.id)]
        return sorted(children, key=lambda span: STAGES.index(span.name))


@pytest.fixture(scope="module")
def traffic() -> Iterator[Traffic]:
    with Collector() as collector:
        told = Traffic(collector)
        settings = {"log_requests": True, "log_format": "json", "max_incoming_bytes": 2_000}
        with serving("--workers", "2", trace_endpoint=collector.url, **settings) as (process, url):
            with httpx.Client(base_url=url, headers={"X-API-Key": SECRET, "User-Agent": SECRET}) as client:
                single, batch = f"/predict/topic?q={SECRET}", "/predict/topic/batch"
                called = {"traceparent": "-".join(("00", *CALLER, "01")), "tracestate": f"vendor={SECRET}"}
                unkept = {"traceparent": "-".join(("00", *UNKEPT, "00"))}
                told.answers = {
                    "called": client.post(single, json={"text": SECRET}, headers=called),
                    "unkept": client.post(single, json={"text": SECRET}, headers=unkept),
                    "batch": client.post(batch, json={"texts": [f"{SECRET} oil " * 70, "grain", 5]}),
                    "strange": client.get(f"/{SECRET}"),
                    "bad": client.post(single, json={"text": [SECRET]}),
                    "refused": client.post(single, json={"text": f"{SECRET} " * 120}),
                    "probe": client.get("/health/ready"),
                }
            process.send_signal(signal.SIGTERM)
            told.log = [json.loads(line) for line in process.communicate(timeout=20)[1].splitlines()]
            assert process.returncode == 0
        yield told


def test_request_is_a_span_of_its_callers_trace(traffic: Traffic) -> None:
    span = traffic.root("called")
    assert (span.name, span.kind, span.trace, span.parent) == ("POST /predict/topic", 2, *CALLER)
    assert not span.failed
    assert span.attributes == {
        "http.request.method": "POST",
        "http.response.status_code": 200,
        "http.route": "/predict/topic",
        "sentopic.model": "gru",
        "sentopic.request_id": traffic.answers["called"].json()["id"],
        "sentopic.task": "topic",
        "sentopic.windows": 1,
        "url.scheme": "http",
    }


@pytest.mark.parametrize(("name", "windows"), [("called", 1), ("batch", 2)])
def test_stages_are_spans_within_it(traffic: Traffic, name: str, windows: int) -> None:
    span, stages = traffic.root(name), traffic.below(name)
    assert [stage.name for stage in stages] == STAGES
    assert span.attributes["sentopic.windows"] == windows
    begins = [stage.begin for stage in stages]
    assert begins == sorted(begins)
    for stage in stages:
        assert span.begin - 1e6 <= stage.begin <= stage.end <= span.end + 1e6  # two clocks
        assert stage.kind == 1
    timing = dict(re.findall(r"(\w+);dur=([\d.]+)", traffic.answers[name].headers["server-timing"]))
    for stage in stages:
        assert stage.end - stage.begin >= float(timing[stage.name]) * 1e6 - 2e3
    engine = {"sentopic.task": "topic", "sentopic.model": "gru", "sentopic.windows": windows}
    assert [stage.attributes for stage in stages] == [engine if stage.name == "engine" else {} for stage in stages]


def test_trace_that_its_caller_does_not_keep_is_not_kept(traffic: Traffic) -> None:
    assert traffic.answers["unkept"].status_code == 200
    assert UNKEPT[0] not in {span.trace for span in traffic.collector.spans}


@pytest.mark.parametrize(
    ("name", "called", "status", "stages"),
    [
        ("strange", "GET", 404, []),
        ("bad", "POST /predict/topic", 422, ["read"]),
        ("refused", "POST /predict/topic", 503, ["read"]),
        ("batch", "POST /predict/topic/batch", 200, STAGES),
        ("probe", "GET /health/ready", 200, []),
    ],
)
def test_status_is_told_and_only_ours_are_errors(
    traffic: Traffic, name: str, called: str, status: int, stages: list[str]
) -> None:
    span = traffic.root(name)
    assert span.name == called
    assert span.attributes["http.response.status_code"] == status == traffic.answers[name].status_code
    assert span.failed == (status >= 500)
    assert span.attributes.get("error.type") == (str(status) if span.failed else None)
    assert [stage.name for stage in traffic.below(name)] == stages
    assert span.parent == ""


def test_nothing_that_a_client_wrote_is_sent(traffic: Traffic) -> None:
    assert traffic.collector.received
    for part in (*SECRET.encode().split(), b"user", b"httpx", b"oil"):
        assert not [body for body in traffic.collector.received if part in body]


def test_each_worker_says_who_it_is(traffic: Traffic) -> None:
    for resource, _ in traffic.collector.resources:
        assert (resource["service.name"], resource["service.version"]) == ("sentopic", __version__)


def test_lines_of_the_log_name_their_trace(traffic: Traffic) -> None:
    requests = {line["request"]: line for line in traffic.log if line["logger"] == "sentopic.requests"}
    assert len(requests) == len(traffic.answers)
    for name in ("called", "batch", "strange"):
        span = traffic.root(name)
        line = requests[span.attributes["sentopic.request_id"]]
        assert (line["trace_id"], line["span_id"]) == (span.trace, span.id)
    assert not [line for line in traffic.log if line["logger"].startswith("opentelemetry")]


def test_collector_that_is_not_there_harms_nobody() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with serving(trace_endpoint=f"http://127.0.0.1:{port}/v1/traces") as (process, url):
        with httpx.Client(base_url=url, timeout=2) as client:
            for _ in range(100):  # more than a batch of spans, so that one is sent at once
                assert client.post("/predict/topic", json={"text": SECRET}).status_code == 200
        process.send_signal(signal.SIGTERM)
        begin = time.monotonic()
        said = process.communicate(timeout=10)[1].splitlines()
        assert time.monotonic() - begin < 4
        assert process.returncode == 0
    assert len(said) == 1
    assert said[0].startswith("sentopic: traces: ")
    assert "refused" in said[0]


def ask(tracing: Tracing, app: Any, times: int = 1, *parents: bytes) -> None:
    """Requests of a strange method, to an application within the layer."""
    headers = [(b"traceparent", parent) for parent in parents]
    scope = {"type": "http", "method": "BREW", "headers": headers, ID: "1"}

    async def send(_: object) -> None: ...

    async def scene() -> None:
        async with tracing:
            for _ in range(times):
                await Traced(app, tracing)(dict(scope), None, send)  # type: ignore[arg-type]

    asyncio.run(scene())


async def fail(*_: object) -> None:
    raise KeyError(SECRET)


async def do_nothing(*_: object) -> None: ...


def test_defect_that_nobody_answered_is_an_error_of_its_kind_alone() -> None:
    with Collector() as collector:
        with pytest.raises(KeyError):
            ask(Tracing(collector.url, 1.0, "1", 2.0), fail)
        [span] = collector.spans
        assert (span.name, span.failed) == ("HTTP", True)
        assert span.attributes["error.type"] == "KeyError"
        assert span.attributes["http.request.method"] == "_OTHER"
        assert SECRET.encode() not in collector.received[0]


PARENT = "-".join(("00", *CALLER, "01")).encode()


@pytest.mark.parametrize("parents", [[PARENT, PARENT], [PARENT[:-1]], [b"\xff" * 2_000], [PARENT.upper()]])
def test_parent_that_is_none_begins_a_trace(parents: list[bytes]) -> None:
    with Collector() as collector:
        ask(Tracing(collector.url, 1.0, "1", 2.0), do_nothing, 1, *parents)
        [span] = collector.spans
        assert (span.trace == CALLER[0], span.parent) == (False, "")


def test_fastapi_makes_no_spans_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(kept))
    monkeypatch.setattr("opentelemetry.trace._TRACER_PROVIDER", provider)
    assert trace.get_tracer_provider() is provider

    async def scene() -> int:
        app = create_app(Settings(bundle=[SHIPPED / "topic" / "gru"]))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
            return (await client.get(f"/tasks?q={SECRET}")).status_code

    assert asyncio.run(scene()) == 200
    assert kept.get_finished_spans() == ()


def test_share_of_the_requests_is_traced() -> None:
    with Collector() as collector:
        ask(Tracing(collector.url, 0.25, "1", 2.0), do_nothing, times=400)
        assert 50 < len(collector.spans) < 150


def test_collector_that_never_answers_delays_the_end_no_longer_than_it_may() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        tracing = Tracing(f"http://127.0.0.1:{silent.getsockname()[1]}/v1/traces", 1.0, "1", 0.2)
        begin = time.monotonic()
        ask(tracing, do_nothing)
        assert 0.2 <= time.monotonic() - begin < 1
    for thread in threading.enumerate():
        if thread.name == "traces":
            thread.join(5)  # it gives up when the connection breaks, or it would write into another test's log
            assert not thread.is_alive()


def test_what_goes_wrong_with_sending_is_a_line_in_a_while(caplog: pytest.LogCaptureFixture) -> None:
    library = logging.getLogger("opentelemetry")
    library.handlers.clear()
    with Collector() as collector:
        ask(Tracing(collector.url, 1.0, "1", 2.0), do_nothing)
        ask(Tracing(collector.url, 1.0, "1", 2.0), do_nothing)  # as a reload does
    logging.getLogger("opentelemetry.trace.span").warning("a header: %s", SECRET)
    for number in range(100):
        logging.getLogger("opentelemetry.exporter.otlp").error("lost %s", number)
    assert caplog.messages == ["traces: lost 0"]


def test_missing_extra_is_told_in_a_line() -> None:
    code = "import sys; sys.modules['opentelemetry.sdk'] = None; from app.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "serve", "--port", "0", "--workers", "2"]
    environment = {**os.environ, "SENTOPIC_TRACE_ENDPOINT": "http://127.0.0.1:4318/v1/traces"}
    ran = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=30)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr == "sentopic: traces need OpenTelemetry: pip install 'sentopic[otel]'\n"
