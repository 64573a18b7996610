"""Rows are answered a chunk at a time, each by its own windows, whatever is wrong with its neighbours."""

from collections.abc import Iterator

import numpy as np
import pytest

from app.answers import Interpreter
from app.bulk import Bulk, Chunk, ChunkSize, Tally
from app.engines.base import Probabilities
from app.errors import FileError, RequestError
from app.files.open import open_reader
from app.files.rows import Told
from app.settings import SHIPPED
from app.text import Ids, TextEncoder
from tests.files.reading import Memory
from tests.test_classifier import WORDS, CountingEngine, manifest


def bulk(data: bytes, size: ChunkSize = ChunkSize(), limit: int = 10_000) -> Bulk:  # noqa: B008 - it is frozen
    about = manifest()
    encoder = TextEncoder(WORDS, about.text.num_words, about.text.maxlen, about.text.windows)
    reader = open_reader(Memory(data, 100), "lines", max_line_bytes=limit)
    return Bulk(reader, Interpreter(about, encoder, max_text_chars=60), size)


def predict(ids: Ids) -> Probabilities:
    return CountingEngine().predict(ids)


def answer(work: Bulk) -> Iterator[tuple[Chunk, list[Told]]]:
    for chunk in work:
        yield chunk, work.tell(work.answer(chunk, predict(chunk.ids)))


def test_every_row_has_its_own_answer_and_bad_ones_their_error() -> None:
    texts = [b"good good good", b"", b"bad bad bad", b"xx", b"good " * 11, b"x" * 61, b"bad"]
    [(chunk, told)] = answer(bulk(b"\n".join(texts)))
    assert [one.label for one in told] == ["glad", None, "sad", "sad", "glad", None, "sad"]
    assert told[0] == Told("glad", 0.8, False, [], None)
    assert told[1] == Told(None, None, None, (), "there is no text")
    assert told[3] == Told("sad", 0.7, True, ["no_known_words"], None)
    assert told[5].error == "A text may have 60 characters at most."
    assert len(chunk.ids) == 1 + 1 + 3 + 1  # none for the bad ones, nor for a text without a known word


@pytest.mark.parametrize(
    ("size", "rows"),
    [
        (ChunkSize(rows=3), [3, 3, 2]),
        (ChunkSize(windows=5), [5, 3]),
        (ChunkSize(bytes=30), [3, 3, 2]),
        (ChunkSize(), [8]),
    ],
)
def test_chunk_ends_with_the_row_that_fills_it(size: ChunkSize, rows: list[int]) -> None:
    found = list(answer(bulk(b"good good\n" * 8, size)))
    assert [len(chunk.rows) for chunk, _ in found] == rows
    assert found[0][0].after == (10 * rows[0], rows[0])


def test_rows_before_a_fault_are_answered_before_it_is_told() -> None:
    work = bulk(b"good\nbad\n" + b"x" * 200, limit=100)
    chunk = work.read()
    assert chunk
    assert (len(chunk.rows), chunk.after) == (2, (9, 2))
    for _ in range(2):
        with pytest.raises(FileError, match="line 3"):
            work.read()


def test_tally_counts_rows_failures_and_labels() -> None:
    tally = Tally()
    for _, told in answer(bulk(b"good\n\nbad\nbad\n")):
        tally.add(told)
    assert (tally.rows, tally.failed, tally.labels) == (4, 1, {"glad": 1, "sad": 2})


def test_chunk_without_anything_for_the_engine_has_no_windows() -> None:
    [(chunk, told)] = answer(bulk(b"xx\n\n"))
    assert chunk.ids.shape[0] == 0
    assert [one.error for one in told] == [None, "there is no text"]


def test_shipped_bundles_answer_as_the_service_does() -> None:
    """The service's own way of many texts, and this one."""
    import asyncio

    from app.batcher import Batcher
    from app.bundle import read_bundle
    from app.classifier import Classifier
    from app.engines.open import open_engine
    from app.metrics import ModelMetrics
    from app.stages import Stages

    bundle = read_bundle(SHIPPED / "sentiment" / "gru")
    encoder, engine = bundle.encoder(), open_engine(bundle, "onnx")
    texts = [golden.text * times for golden in bundle.manifest.golden for times in (1, 3)] + ["", "zzzz"]

    async def ask() -> list[object]:
        batcher = Batcher(engine, max_batch_windows=16, max_queue_windows=100)
        metrics = ModelMetrics.alone(bundle.manifest)
        service = Classifier(
            bundle.manifest, encoder, engine, batcher, metrics, max_text_chars=100_000, max_explain_windows=100
        )
        async with batcher:
            return list(await service.classify_many(texts, 30, Stages()))

    lines = "\n".join(text.replace("\n", " ") for text in texts).encode()
    work = Bulk(
        open_reader(Memory(lines, 10_000), "lines"), Interpreter(bundle.manifest, encoder, max_text_chars=100_000)
    )
    chunk = work.read()
    assert chunk
    found = work.answer(chunk, engine.predict(chunk.ids))
    for here, there in zip(found, asyncio.run(ask()), strict=True):
        if isinstance(here, RequestError):
            assert str(here) == "there is no text"  # which HTTP refuses before it comes so far
        else:
            assert here.ranking == there.ranking  # type: ignore[attr-defined]
            assert np.allclose(here.scores, there.scores, atol=1e-5)  # type: ignore[attr-defined]
            assert here.warnings == there.warnings  # type: ignore[attr-defined]
