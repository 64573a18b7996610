"""What is said of an answer is kept once, as it was said last, and only its owner can change it."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from app.bounds import Bounds
from app.errors import FeedbackFullError, FeedbackStoreError, UnknownFeedbackError
from app.feedback import Book, Feedback, FeedbackStore

SAID = Feedback("", "8a487d1a49989cc3", "sentiment", "negative", "Not half as bad.", 1.0)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'jobs.db'}"


@pytest.fixture
def store(url: str) -> Iterator[FeedbackStore]:
    store = FeedbackStore(url)
    yield store
    store.close()


def test_what_was_said_last_counts(store: FeedbackStore) -> None:
    store.put(SAID, Bounds(1))
    store.put(replace(SAID, label="positive", text=None, created=2.0), Bounds(1))
    assert store.read("sentiment") == [replace(SAID, label="positive", text=None, created=2.0)]
    assert store.read("topic") == []


def test_nobody_changes_what_another_key_has_said(store: FeedbackStore) -> None:
    store.put(replace(SAID, owner="a"), Bounds(9))
    store.put(replace(SAID, owner="b", label="positive", created=2.0), Bounds(9))
    assert [(said.owner, said.label) for said in store.read("sentiment")] == [("a", "negative"), ("b", "positive")]
    assert not store.remove("c", SAID.id)
    assert store.remove("b", SAID.id)
    assert [said.owner for said in store.read("sentiment")] == ["a"]


def test_no_more_is_kept_than_there_is_room_for(store: FeedbackStore) -> None:
    for number in range(3):
        store.put(replace(SAID, id=f"{number:016x}"), Bounds(3))
    with pytest.raises(FeedbackFullError):
        store.put(SAID, Bounds(3))
    store.put(replace(SAID, id=f"{1:016x}", label="positive"), Bounds(3))
    assert len(store.read("sentiment")) == 3


def test_no_more_bytes_of_texts_are_kept_than_there_is_room_for(store: FeedbackStore) -> None:
    store.put(replace(SAID, text="ä" * 40), Bounds(9, 100))
    with pytest.raises(FeedbackFullError):
        store.put(replace(SAID, id=f"{1:016x}", text="a" * 21), Bounds(9, 100))
    store.put(replace(SAID, id=f"{1:016x}", text=None), Bounds(9, 100))
    store.put(replace(SAID, id=f"{2:016x}", text="a" * 20), Bounds(9, 100))
    store.put(replace(SAID, text=None), Bounds(9, 100))
    store.put(replace(SAID, id=f"{3:016x}", text="a" * 80), Bounds(9, 100))


@pytest.mark.parametrize("text", ["", "a\N{REPLACEMENT CHARACTER}b", "한국어 🎬 '; drop table", "x" * 100_000])
def test_text_is_kept_as_it_is(store: FeedbackStore, text: str) -> None:
    store.put(replace(SAID, text=text.replace("\N{REPLACEMENT CHARACTER}", "\0")), Bounds(1))
    assert store.read("sentiment")[0].text == text


def test_same_answer_told_by_many_at_once_is_one_row(url: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        stores = list(pool.map(lambda _: FeedbackStore(url), range(8)))
        list(
            pool.map(lambda number: stores[number % 8].put(replace(SAID, created=float(number)), Bounds(9)), range(40))
        )
        assert len(stores[0].read("sentiment")) == 1
        for store in stores:
            store.close()


def test_database_that_cannot_be_reached_is_told_without_where(tmp_path: Path) -> None:
    with pytest.raises(FeedbackStoreError) as caught:
        FeedbackStore(f"sqlite:///{tmp_path}/none/jobs.db")
    assert str(tmp_path) not in str(caught.value)
    assert "unable to open database file" in caught.value.reason


def test_book_notes_and_withdraws(url: str) -> None:
    async def scene() -> None:
        async with Book(url, Bounds(5)) as book:
            await asyncio.gather(*(book.note(replace(SAID, id=f"{number:016x}")) for number in range(5)))
            with pytest.raises(FeedbackFullError):
                await book.note(SAID)
            await book.withdraw("", f"{3:016x}")
            with pytest.raises(UnknownFeedbackError):
                await book.withdraw("", f"{3:016x}")

    asyncio.run(scene())
    store = FeedbackStore(url)
    assert len(store.read("sentiment")) == 4
    store.close()


def test_one_key_leaves_room_for_others(store: FeedbackStore) -> None:
    bounds = Bounds(4, 100, share=0.5)
    for number in range(2):
        store.put(replace(SAID, owner="a", id=f"{number:016x}", text="a" * 25), bounds)
    with pytest.raises(FeedbackFullError):
        store.put(replace(SAID, owner="a"), bounds)
    with pytest.raises(FeedbackFullError):
        store.put(replace(SAID, owner="a", id=f"{0:016x}", text="a"), bounds)
    store.put(replace(SAID, owner="b", text="a" * 50), bounds)
    store.put(replace(SAID, owner="", text=None), bounds)
