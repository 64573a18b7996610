"""What an explanation costs beside the answer alone, by the text's length. `python -m benchmarks.explain`."""

import os

os.environ["OMP_NUM_THREADS"] = "1"

import asyncio
import statistics
import time

from app.batcher import Batcher
from app.bundle import read_bundle
from app.classifier import Classifier
from app.engines.open import open_engine
from app.metrics import ModelMetrics
from app.settings import SHIPPED, Settings
from app.stages import Stages
from app.synthetic import make_texts

ROUNDS = 9


async def main() -> None:
    settings = Settings()
    for task in ("sentiment", "topic"):
        bundle = read_bundle(SHIPPED / task / "gru")
        encoder = bundle.encoder()
        engine = open_engine(bundle, "onnx", encoder, settings.engine_options)
        metrics = ModelMetrics.alone(bundle.manifest)
        async with Batcher(
            engine, max_batch_windows=settings.max_batch_windows, max_queue_windows=settings.max_queue_windows
        ) as batcher:
            classifier = Classifier(
                bundle.manifest,
                encoder,
                engine,
                batcher,
                metrics,
                max_text_chars=settings.max_text_chars,
                max_explain_windows=settings.max_explain_windows,
            )
            for words in (10, 40, 100, 300, 1_000, 10_000):
                text = make_texts(bundle.words, 1, words)[0]
                plain, explained = list[float](), list[float]()
                for _ in range(ROUNDS):
                    started = time.perf_counter()
                    await classifier.classify(text, 60, Stages())
                    plain.append(time.perf_counter() - started)
                    started = time.perf_counter()
                    _, found = await classifier.explain(text, 60, Stages())
                    explained.append(time.perf_counter() - started)
                tried = sum(word.contribution is not None for word in found.words)
                alone, with_reasons = statistics.median(plain) * 1e3, statistics.median(explained) * 1e3
                costs = f"answer {alone:.2f} ms, explained {with_reasons:.1f} ms"
                print(f"{task} {words} words: {costs}; {tried} words tried, {len(found.verdict)} points", flush=True)


if __name__ == "__main__":
    asyncio.run(main())
