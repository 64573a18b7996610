"""Texts a second through the text contract, by length and by which windows are read; one core, one process.

Texts are made of the shipped vocabulary's words in their natural frequencies (Zipf), or, with
SENTOPIC_DATA, are the real IMDB reviews.
"""

import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from app.bundle import read_bundle
from app.settings import SHIPPED
from app.text import TextEncoder, Windows

READINGS: tuple[Windows, ...] = ("first", "last", "cover")
ROUNDS = 7


def main() -> None:
    words = read_bundle(SHIPPED / "sentiment" / "gru").words
    encoders = {windows: TextEncoder(words, 20_000, 100, windows) for windows in READINGS}
    print(f"{'texts':24}" + "".join(f"{windows:>14}" for windows in READINGS) + "   (texts/s, median of 7)")
    for name, texts in samples(words).items():
        row = [f"{speed(encoder.encode, texts):>14,.0f}" for encoder in encoders.values()]
        print(f"{name:24}" + "".join(row))


def samples(words: tuple[str, ...]) -> dict[str, list[str]]:
    generator = np.random.default_rng(1)
    shares = 1 / np.arange(1, 20_001)
    shares /= shares.sum()

    def make(length: int, count: int) -> list[str]:
        return [" ".join(words[i] for i in generator.choice(20_000, length, p=shares)) for _ in range(count)]

    made = {f"{length:,} words": make(length, max(3, 40_000 // length)) for length in (10, 80, 1_000, 100_000)}
    if data := os.environ.get("SENTOPIC_DATA"):
        from training.datasets import imdb

        reviews = (text for *_, text in imdb.read_reviews(Path(data)))
        made["IMDB reviews"] = [next(reviews) for _ in range(2_000)]
    return made


def speed(encode: Callable[[str], object], texts: list[str]) -> float:
    def once() -> float:
        started = time.perf_counter()
        for text in texts:
            encode(text)
        return len(texts) / (time.perf_counter() - started)

    return statistics.median(once() for _ in range(ROUNDS))


if __name__ == "__main__":
    main()
