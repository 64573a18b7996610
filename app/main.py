"""Wires the service: settings in, an application that can answer out. Imported by cli and deploy alone."""

import contextlib
import ctypes
import gc
import sys
from collections.abc import AsyncIterator
from typing import Final

from fastapi import FastAPI

from app import __version__
from app.api import docs, errors, routes
from app.batcher import Batcher
from app.bundle import find_bundles, read_bundle
from app.classifier import Catalog, Classifier
from app.engines.open import open_engine
from app.errors import BundleError, SentopicError
from app.settings import Settings, load_settings
from app.text import TextEncoder

STARTUP_FAILURE: Final = 3
"""The exit status by which uvicorn's supervisor knows that a new worker would fail likewise."""

SWITCH_INTERVAL_S: Final = 0.0001
"""How long an engine's thread waits for Python's lock when it has answers. The default, 5 ms, is worth 20 texts."""

GARBAGE_THRESHOLD: Final = 20_000
"""Objects more than before until Python looks for cycles. The default, 700, is a few requests in flight: it looked all
the time, and found none, for a twelfth of the event loop's time."""

_ABOUT = (
    "Text classification by small recurrent networks. Scores are calibrated, and an answer that cannot be relied on "
    "says so."
)


def create_app(settings: Settings | None = None) -> FastAPI:
    """An application whose bundles are verified, warmed up and have reproduced their golden texts.

    Raises SentopicError, in one line, if any of that fails: there is no application that is half ready.
    """
    settings = settings or load_settings()
    catalog = load_catalog(settings)
    _settle_memory()

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        async with catalog:
            yield

    app = FastAPI(
        title="Sentopic", version=__version__, description=_ABOUT, docs_url=None, redoc_url=None, lifespan=lifespan
    )
    errors.install(app)
    routes.install(app, catalog, settings)
    docs.install(app)
    app.state.catalog = catalog
    return app


def create_worker_app() -> FastAPI:
    """As `create_app`, for one of several processes: a failure is one line, and an exit that ends the others too."""
    try:
        return create_app()
    except SentopicError as error:
        sys.stderr.write(f"sentopic: {error}\n")
        sys.exit(STARTUP_FAILURE)


def load_catalog(settings: Settings) -> Catalog:
    """Every bundle that the settings name, running. Models with one vocabulary share one encoder."""
    vocabularies: dict[str, tuple[str, ...]] = {}
    encoders: dict[str, TextEncoder] = {}
    found: dict[tuple[str, str], Classifier] = {}
    for directory in settings.bundle or find_bundles(settings.artifacts):
        bundle = read_bundle(directory, vocabularies)
        manifest = bundle.manifest
        key = f"{manifest.files['words.txt'].sha256} {manifest.text.model_dump_json()}"
        if key not in encoders:
            encoders[key] = bundle.encoder()
        encoder = encoders[key]
        if (manifest.task, manifest.model) in found:
            raise BundleError(directory, f"there is another bundle of {manifest.task}/{manifest.model}")
        engine = open_engine(bundle, settings.engine, encoder, settings.engine_options)
        batcher = Batcher(
            engine, max_batch_windows=settings.max_batch_windows, max_queue_windows=settings.max_queue_windows
        )
        found[manifest.task, manifest.model] = Classifier(
            manifest, encoder, engine, batcher, max_text_chars=settings.max_text_chars
        )
    return Catalog(list(found.values()))


def _settle_memory() -> None:
    """Gives the system back what loading took. What is left stays for good: no later collection looks at it again."""
    release_memory()
    gc.freeze()
    gc.set_threshold(GARBAGE_THRESHOLD)


def release_memory() -> None:
    """Gives the system back what is no longer used; glibc would keep some 40 MB of it for ever."""
    gc.unfreeze()
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
