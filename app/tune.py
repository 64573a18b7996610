"""Measures this host: how many windows at once, and how many threads, answer most texts a second.

Each setting is tried on the service's own encoder, queue and engine, with as many askers at once as a busy service has;
HTTP alone is left out, which costs the same with all of them.
"""

import asyncio
import os
import re
import shutil
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from app import memory
from app.batcher import Batcher
from app.bundle import Bundle
from app.classifier import Classifier
from app.engines.base import EngineOptions
from app.engines.open import choose as choose_engine
from app.engines.open import open_engine
from app.metrics import ModelMetrics
from app.settings import Settings
from app.stages import Stages
from app.synthetic import make_texts

BATCHES: Final = (1, 4, 8, 16, 24, 32, 64, 128)
ASKERS: Final = 64
WORDS: Final = 80
TIE: Final = 0.95
"""Share of the best texts a second from which a setting that asks for less is taken instead."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What one setting reached: texts a second, the harmonic mean over the bundles."""

    threads: int
    batch: int
    texts_per_s: float


def measure(
    bundles: Sequence[Bundle], settings: Settings, seconds: float, rounds: int, tell: Callable[[str], None]
) -> list[Trial]:
    """Every setting in turn, `rounds` times for `seconds` each; the medians."""
    options = [
        EngineOptions(threads, batch, settings.engine_precision)
        for threads in (thread_counts() if choose_engine(settings.engine) == "onnx" else [1])
        for batch in BATCHES
    ]
    speeds: list[list[float]] = [[] for _ in options]
    for turn in range(rounds):
        for option, found in zip(options, speeds, strict=True):
            each = [asyncio.run(_ask(_build(bundle, option, settings), bundle, seconds)) for bundle in bundles]
            found.append(statistics.harmonic_mean(each))
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


def _build(bundle: Bundle, options: EngineOptions, settings: Settings) -> Classifier:
    encoder = bundle.encoder()
    engine = open_engine(bundle, settings.engine, encoder, options)
    memory.settle([engine.block_bytes])  # as the service has it
    batcher = Batcher(engine, max_batch_windows=options.batch, max_queue_windows=settings.max_queue_windows)
    metrics = ModelMetrics.alone(bundle.manifest)
    return Classifier(
        bundle.manifest,
        encoder,
        engine,
        batcher,
        metrics,
        max_text_chars=settings.max_text_chars,
        max_explain_windows=settings.max_explain_windows,
    )


async def _ask(classifier: Classifier, bundle: Bundle, seconds: float) -> float:
    """Texts answered a second, to askers who each ask again when they have their answer, and once at least."""
    texts, answered, end = make_texts(bundle.words, ASKERS, WORDS), 0, 0.0

    async def ask(text: str) -> None:
        nonlocal answered
        while True:
            await classifier.classify(text, 60, Stages())
            answered += 1
            if time.perf_counter() >= end:
                return

    async with classifier.batcher:
        started = time.perf_counter()
        end = started + seconds
        await asyncio.gather(*map(ask, texts))
        return answered / (time.perf_counter() - started)
