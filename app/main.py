"""Wires the service: settings in, an application that can answer out. Imported by cli and deploy alone."""

import asyncio
import contextlib
import logging
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NamedTuple

from fastapi import FastAPI, dependencies
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from app import __version__, memory
from app.api import docs, errors, feedback, jobs, openapi, pages, papers, routes, security, stream
from app.api.application import Application
from app.api.direct import Shortcut
from app.api.edge import Edge
from app.api.questions import Questions
from app.api.traced import Traced
from app.batcher import Batcher
from app.bounds import Bounds
from app.bundle import Bundle, Manifest, find_bundles, read_bundle
from app.classifier import Catalog, Classifier
from app.engines.base import SWITCH_INTERVAL_S, Engine
from app.engines.open import choose, explain_no_gpu, open_engine
from app.errors import BundleError, StartError
from app.feedback import Book
from app.jobs.office import Office
from app.keys import REFRESH_S, Keyring
from app.known import Handed
from app.metrics import Metrics, ModelMetrics
from app.places import Places
from app.settings import Settings, load_settings
from app.stages import Stages, TimedStages
from app.stores import Stores, look
from app.text import TextEncoder
from app.threads import Threads

if TYPE_CHECKING:
    from fastapi.telemetry import TelemetryConfig

    from app.rates import Rates
    from app.tracing import Tracing

_SILENT_S: Final = 15.0
"""After so long it is said that the keys' store does not answer: longer than a database is waited for."""

FLUSH_S: Final = 2.0
"""How long traces that their collector does not take may delay a stop."""

_UNTOLD: "Final[TelemetryConfig]" = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}
"""FastAPI's own spans, which it makes wherever somebody has set up OpenTelemetry, have paths and queries in them."""

_log = logging.getLogger("sentopic")
_OWN_NAMES: Final = ("localhost", "127.0.0.1", "::1")
_ABOUT = (
    "Text classification by small recurrent networks. Scores are calibrated, and an answer that cannot be relied on "
    "says so."
)


@dataclass(frozen=True, slots=True)
class Trained:
    """A verified bundle, and its encoder, which bundles of one word index share."""

    bundle: Bundle
    encoder: TextEncoder


def read_bundles(settings: Settings) -> Iterator[Trained]:
    """Every bundle that the settings name. Raises BundleError."""
    vocabularies: dict[str, tuple[str, ...]] = {}
    encoders: dict[str, TextEncoder] = {}
    found = set[tuple[str, str]]()
    for directory in settings.bundle or find_bundles(settings.artifacts):
        bundle = read_bundle(directory, vocabularies, settings.trusted_bundles)
        manifest = bundle.manifest
        if (manifest.task, manifest.model) in found:
            raise BundleError(directory, f"there is another bundle of {manifest.task}/{manifest.model}")
        found.add((manifest.task, manifest.model))
        key = f"{manifest.files['words.txt'].sha256} {manifest.text.model_dump_json()}"
        if key not in encoders:
            encoders[key] = bundle.encoder()
        yield Trained(bundle, encoders[key])


@dataclass(frozen=True, slots=True)
class Shared:
    """What several processes have in common."""

    trained: list[Trained]
    metrics: Metrics


def read_shared(settings: Settings) -> Shared:
    """All that processes need of the bundles' files, for them to be forked from this one. Raises BundleError."""
    if settings.trace_endpoint:
        _import_tracing()  # code is shared too
    trained = list(read_bundles(settings))
    if choose(settings.engine) == "onnx":
        trained = [replace(one, bundle=replace(one.bundle, model_bytes=b"")) for one in trained]  # it has been parsed
    metrics = _open_metrics([one.bundle.manifest for one in trained], settings)
    memory.settle()
    return Shared(trained, metrics)


def _open_metrics(manifests: list[Manifest], settings: Settings) -> Metrics:
    return Metrics(manifests, choose(settings.engine), __version__, settings.workers)


def create_app(
    settings: Settings | None = None, shared: Shared | None = None, place: int = 0, found: Stores | None = None
) -> FastAPI:
    """An application whose bundles are verified, warmed up and have reproduced their golden texts.

    Raises SentopicError, in one line, if any of that fails: there is no application that is half ready. `place`: the
    number of this process among those that share. `found`: the stores of a service that has looked at them when it
    started; they may be away by now.
    """
    settings = settings or load_settings()
    found = found or look(settings)
    opened = [_open(one, settings) for one in (shared.trained if shared else read_bundles(settings))]
    _check_gpu(settings, place)  # it imports TensorFlow: for no bundle that is not to be trusted
    metrics = shared.metrics if shared else _open_metrics([one.manifest for one in opened], settings)
    metrics.take_row(place)
    catalog = Catalog([_employ(one, settings, metrics) for one in opened])
    visitors, questions = _open_visitors(settings), Questions(settings)
    streams = stream.Streams(catalog, settings, visitors)
    leaving = asyncio.Event()
    office = Office(settings, catalog, metrics, found.jobs, leaving) if found.jobs else None
    if found.no_jobs and place == 0:  # not sooner: whoever cannot start has one thing to say
        _log.info("there are no jobs, as they cannot be kept in %s", found.no_jobs)
    book = _open_book(settings, found.feedback) if found.feedback else None
    keyring = Keyring(Handed(found.keys)) if found.keys else None
    rates = _open_rates(settings)
    guard = security.Guard(keyring, rates, open_pages=settings.open_pages) if keyring or rates else None
    tracing = _open_tracing(settings)  # the last to open: it has a thread that only the lifespan ends
    memory.settle([one.engine.block_bytes for one in opened], inherited=shared is not None)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        async with (
            tracing or contextlib.nullcontext(),
            catalog,
            streams,
            office or contextlib.nullcontext(),
            book or contextlib.nullcontext(),
            _keep_fresh(keyring, streams.places),
        ):
            if rates:
                await rates.look()
            yield
        _forget_endpoints()
        await asyncio.to_thread(memory.trim)  # after a reload the process goes on, without these bundles

    app = Application(
        title="Sentopic",
        version=__version__,
        description=_ABOUT,
        license_info=openapi.LICENCE,
        openapi_tags=openapi.TAGS,
        generate_unique_id_function=openapi.name_operation,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # it would repeat what the client has written
        lifespan=lifespan,
        telemetry=_UNTOLD,
    )
    errors.install(app)
    routes.install(app, catalog, settings, metrics, TimedStages if tracing else Stages)
    stream.install(app, catalog, streams)
    jobs.install(app, catalog, office, streams.places, visitors, questions)
    feedback.install(app, catalog, book, settings, visitors, questions)
    papers.install(app, catalog)
    pages.install(app)
    docs.install(app)
    app.add_middleware(Shortcut, routes=app.router.routes)
    if guard is not None:
        app.add_middleware(security.Guarded, guard=guard)
    if settings.cors_origins:  # around the guard, whose refusals pages read too; browsers ask first, without a key
        security.open_to(app, settings.cors_origins)
    app.add_middleware(Edge, metrics=metrics)
    if tracing:
        app.add_middleware(Traced, tracing=tracing)
    security.document(app, keys=keyring is not None, rates=bool(settings.rate))
    openapi.install(app)
    if settings.trusted_proxies:
        app.add_middleware(ProxyHeadersMiddleware, trusted_hosts=settings.trusted_proxies)
    app.state.catalog, app.state.leaving = catalog, leaving
    return app


def _open_visitors(settings: Settings) -> security.Visitors:
    """Without keys, a service for this machine alone is asked by this machine's name, or by those it is given."""
    is_own = not settings.keys and settings.host in _OWN_NAMES
    hosts = [*_OWN_NAMES, *settings.allowed_hosts] if is_own or settings.allowed_hosts else None
    return security.Visitors(settings.cors_origins, hosts)


def _open_book(settings: Settings, database: str) -> Book:
    bounds = Bounds(settings.max_feedback, settings.max_feedback_bytes, settings.max_key_share)
    return Book(database, bounds, at_once=settings.database is not None)  # SQLite's file may never be wanted


def _check_gpu(settings: Settings, place: int) -> None:
    """Says so, once, where an engine for GPUs runs without one. Raises StartError where one is asked for."""
    why = explain_no_gpu(settings.engine)
    if why and settings.require_gpu:
        raise StartError(f"a GPU is asked for (SENTOPIC_REQUIRE_GPU), but {why}")
    if why and place == 0 and choose(settings.engine) == "keras":
        _log.warning("WARNING: %s: the keras engine runs on the CPU, where onnx is many times as fast", why)


def _open_rates(settings: Settings) -> "Rates | None":
    if not settings.rate:
        return None
    from app.rates import open_rates

    return open_rates(settings.rate, settings.rate_storage)


def _open_tracing(settings: Settings) -> "Tracing | None":
    if not settings.trace_endpoint:
        return None
    make = _import_tracing()
    try:
        return make(settings.trace_endpoint, settings.trace_share, __version__, FLUSH_S)
    except ValueError as error:  # of OpenTelemetry's own variables
        raise StartError(f"traces: {error}") from error


def _import_tracing() -> "type[Tracing]":
    try:
        from app.tracing import Tracing
    except ModuleNotFoundError as error:
        raise StartError("traces need OpenTelemetry: pip install 'sentopic[otel]'") from error
    return Tracing


@contextlib.asynccontextmanager
async def _keep_fresh(keyring: Keyring | None, places: Places) -> AsyncIterator[None]:
    """Reads the keys again and again, and turns out those that are revoked; while it cannot, the last ones count."""

    async def read_again(ring: Keyring) -> None:
        failing = False
        while True:
            try:
                asked = thread.run(ring.refresh)
                await asyncio.wait({asked}, timeout=_SILENT_S)
                if not asked.done() and not failing:
                    failing = True
                    _log.error("keys are as they were read last: their store does not answer")
                await asked
                places.keep(map(security.name_key, ring.ids))
                failing = False
            except Exception as error:  # noqa: BLE001 - whatever it was, what is revoked later counts
                if not failing:
                    _log.error("keys are as they were read last: %s", error)
                failing = True
            await asyncio.sleep(REFRESH_S)

    thread = Threads(1, "keys")
    reading = asyncio.create_task(read_again(keyring)) if keyring else None
    try:
        yield
    finally:
        if reading:
            reading.cancel()
        await thread.end()


class _Opened(NamedTuple):
    manifest: Manifest
    encoder: TextEncoder
    engine: Engine
    papers: dict[str, bytes]


def _open(trained: Trained, settings: Settings) -> _Opened:
    engine = open_engine(trained.bundle, settings.engine, trained.encoder, settings.engine_options)
    return _Opened(trained.bundle.manifest, trained.encoder, engine, trained.bundle.papers)


def _employ(opened: _Opened, settings: Settings, metrics: Metrics) -> Classifier:
    own = ModelMetrics(metrics, opened.manifest)
    batcher = Batcher(
        opened.engine,
        max_batch_windows=settings.max_batch_windows,
        max_queue_windows=settings.max_queue_windows,
        max_wait_s=settings.max_wait_s,
        observer=own,
    )
    manifest, encoder, engine, papers = opened
    return Classifier(
        manifest,
        encoder,
        engine,
        batcher,
        own,
        max_text_chars=settings.max_text_chars,
        max_explain_windows=settings.max_explain_windows,
        papers=papers,
    )


def _forget_endpoints() -> None:
    """FastAPI keeps what it has found out of the last thousands of functions, and by them whole applications."""
    for one in vars(dependencies.models).values():
        if hasattr(one, "cache_clear"):
            one.cache_clear()
