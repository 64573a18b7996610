"""Measures this host: how many windows at once, and how many threads, answer most texts a second.

Each setting is tried on the service itself, in a process of its own, with as many askers at once as a busy one has.
Without HTTP the event loop would have time left, and engine threads that take its core would seem worth it.
"""

import asyncio
import json
import logging
import os
import re
import select
import shutil
import socket
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import uvicorn

from app import child, main
from app.askers import measure_answers
from app.bundle import Bundle
from app.engines.base import EngineOptions
from app.engines.open import choose as choose_engine
from app.errors import StartError
from app.protocol import ConnectionLimits
from app.server import Server, Service
from app.settings import Settings
from app.synthetic import make_texts

BATCHES: Final = (1, 4, 8, 16, 24, 32, 64, 128)
ASKERS: Final = 64
WORDS: Final = 80
_KEPT: Final = ("artifacts", "bundle", "trusted_bundles", "engine", "engine_precision")
"""Settings that each trial has; the others are those of a service that has nothing else to do."""

_PATIENT: Final = {"jobs": "", "max_feedback": 0, "deadline_s": 600.0, "max_wait_s": 600.0}
"""So is this: whatever is slow is to be measured, not to be refused."""

TIE: Final = 0.95
"""Share of the best texts a second from which a setting that asks for less is taken instead."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What one setting reached: texts a second, the harmonic mean over the bundles."""

    threads: int
    batch: int
    texts_per_s: float


def measure(settings: Settings, seconds: float, rounds: int, tell: Callable[[str], None]) -> list[Trial]:
    """Every setting in turn, `rounds` times for `seconds` with each bundle; the medians. Raises BundleError, or
    StartError if a service does not start.
    """
    plain = {name: field.get_default(call_default_factory=True) for name, field in Settings.model_fields.items()}
    kept = {name: getattr(settings, name) for name in _KEPT}
    settings = Settings.model_construct(**{**plain, **kept, **_PATIENT})
    options = [
        EngineOptions(threads, batch)
        for threads in (thread_counts() if choose_engine(settings.engine) == "onnx" else [1])
        for batch in BATCHES
    ]
    speeds: list[list[float]] = [[] for _ in options]
    shared = main.read_shared(settings)
    questions = [_make_requests(one.bundle) for one in shared.trained]
    for turn in range(rounds):
        for option, found in zip(options, speeds, strict=True):
            chosen = settings.model_copy(update={"engine_threads": option.threads, "max_batch_windows": option.batch})
            with _serve(chosen, shared) as port:
                found.append(statistics.harmonic_mean([_ask(port, requests, seconds) for requests in questions]))
            setting = f"threads {option.threads}, batch {option.batch}"
            tell(f"round {turn + 1} of {rounds}: {setting}: {found[-1]:,.0f} texts/s")
    return [Trial(one.threads, one.batch, statistics.median(found)) for one, found in zip(options, speeds, strict=True)]


def choose(trials: Sequence[Trial]) -> Trial:
    """The best; of those that come near it the one with the fewest threads, then the smallest batch."""
    best = max(trial.texts_per_s for trial in trials)
    near = [trial for trial in trials if trial.texts_per_s >= TIE * best]
    return min(near, key=lambda trial: (trial.threads, trial.batch))


def thread_counts() -> list[int]:
    """1, 2, 4, ... up to the cores that this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return [count for count in (1, 2, 4, 8, 16, 32, 64) if count <= cores]


def write(path: Path, values: dict[str, int]) -> None:
    """Sets `NAME=value` lines in a settings file, and leaves its other lines and who may read it as they are."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    kept = [line for line in lines if not any(re.match(rf"\s*(export\s+)?{name}\s*=", line) for name in values)]
    content = "".join(f"{line}\n" for line in [*kept, *(f"{name}={value}" for name, value in values.items())])
    target = path.resolve()
    aside = target.with_name(f"{target.name}.{os.getpid()}.tmp")
    aside.touch(mode=0o600)
    aside.write_text(content, encoding="utf-8")
    if target.exists():
        shutil.copymode(target, aside)
    aside.replace(target)


@contextmanager
def _serve(settings: Settings, shared: main.Shared) -> Iterator[int]:
    """A service in a process of its own; its port. Raises StartError."""
    with socket.create_server(("127.0.0.1", 0), backlog=2 * ASKERS) as listener:

        def live(lifeline: child.Lifeline) -> None:
            logging.getLogger("sentopic").setLevel(logging.ERROR)  # what a service has to say that stays
            app = main.create_app(settings, shared)
            limits = ConnectionLimits(
                settings.client_timeout_s, settings.keep_alive_s, settings.max_header_bytes, settings.max_connections
            )
            running = app, app.router.lifespan_context(app), app.state.leaving
            Server(Service(lambda: running), limits, lifeline).run(sockets=[listener])

        service = child.begin(live, 0, ())
        status = None
        try:
            while not service.ready:
                select.select([service.line], [], [], child.BEAT_S)
                service.listen()
                if (status := service.bury()) is not None:
                    raise StartError(service.why or f"the service ended with {child.describe(status)}")
                if time.monotonic() > service.silent_at:
                    raise StartError("the service does not start")
            yield listener.getsockname()[1]
        finally:
            if status is None:
                service.kill()
                os.waitpid(service.pid, 0)
                os.close(service.line)


def _make_requests(bundle: Bundle) -> list[bytes]:
    """One for each asker."""
    manifest = bundle.manifest
    bodies = [json.dumps({"text": text, "model": manifest.model}) for text in make_texts(bundle.words, ASKERS, WORDS)]
    head = f"POST /predict/{manifest.task} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    return [f"{head}content-length: {len(body)}\r\n\r\n{body}".encode() for body in bodies]


def _ask(port: int, requests: Sequence[bytes], seconds: float) -> float:
    with asyncio.Runner(loop_factory=uvicorn.Config("", log_config=None).get_loop_factory()) as runner:
        return runner.run(measure_answers(port, requests, ASKERS, seconds))
