"""Wires the service: settings in, an application that can answer out. Imported by cli and deploy alone."""

import contextlib
import ctypes
import gc
import sys
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from fastapi import FastAPI

from app import __version__
from app.api import docs, errors, routes
from app.batcher import Batcher
from app.bundle import Bundle, find_bundles, read_bundle
from app.classifier import Catalog, Classifier
from app.engines.open import choose, open_engine
from app.errors import BundleError
from app.settings import Settings, load_settings
from app.text import TextEncoder

SWITCH_INTERVAL_S: Final = 0.0001
"""How long an engine's thread waits for Python's lock when it has answers. The default, 5 ms, is worth 20 texts."""

GARBAGE_THRESHOLD: Final = 20_000
"""Objects more than before until Python looks for cycles. The default, 700, is a few requests in flight: it looked all
the time, and found none, for a twelfth of the event loop's time."""

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
        bundle = read_bundle(directory, vocabularies)
        manifest = bundle.manifest
        if (manifest.task, manifest.model) in found:
            raise BundleError(directory, f"there is another bundle of {manifest.task}/{manifest.model}")
        found.add((manifest.task, manifest.model))
        key = f"{manifest.files['words.txt'].sha256} {manifest.text.model_dump_json()}"
        if key not in encoders:
            encoders[key] = bundle.encoder()
        yield Trained(bundle, encoders[key])


def share_bundles(settings: Settings) -> list[Trained]:
    """As `read_bundles`, for several processes that will be forked from this one: all that they need of the files."""
    trained = list(read_bundles(settings))
    if choose(settings.engine) == "onnx":
        trained = [replace(one, bundle=replace(one.bundle, model_bytes=b"")) for one in trained]  # it has been parsed
    _settle_memory()
    return trained


def create_app(settings: Settings | None = None, trained: Iterable[Trained] | None = None) -> FastAPI:
    """An application whose bundles are verified, warmed up and have reproduced their golden texts.

    Raises SentopicError, in one line, if any of that fails: there is no application that is half ready.
    """
    settings = settings or load_settings()
    catalog = _open_catalog(settings, read_bundles(settings) if trained is None else trained)
    _settle_memory(inherited=trained is not None)

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


def _open_catalog(settings: Settings, trained: Iterable[Trained]) -> Catalog:
    classifiers = list[Classifier]()
    for one in trained:
        engine = open_engine(one.bundle, settings.engine, one.encoder, settings.engine_options)
        batcher = Batcher(
            engine, max_batch_windows=settings.max_batch_windows, max_queue_windows=settings.max_queue_windows
        )
        manifest = one.bundle.manifest
        classifiers.append(Classifier(manifest, one.encoder, engine, batcher, max_text_chars=settings.max_text_chars))
    return Catalog(classifiers)


def _settle_memory(*, inherited: bool = False) -> None:
    """Gives the system back what loading took; glibc would keep some 40 MB of it for ever.

    What is left stays for good: no later collection looks at it again. What a process has inherited is not even looked
    at now: the collector writes where it looks, and a page that is written to is no longer shared.
    """
    if not inherited:
        gc.unfreeze()
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_THRESHOLD)
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
