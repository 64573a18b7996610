"""Reuters from Keras' arrays and from the published archive: one shape, the same ids, Keras' split."""

import importlib
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.errors import DataError
from app.text import TextEncoder
from training.datasets import Dataset, Examples, reuters


def ids(dataset: Dataset, part: Examples, num_words: int = 1_000) -> list[list[int]]:
    encoder = TextEncoder(dataset.words, num_words, 100, "cover")
    return [encoder.encode_all(text) for text in part.texts]


def test_both_sources_give_the_same_shape_and_ids_in_the_same_order(layouts: Any, tmp_path: Path) -> None:
    arrays, archive = (reuters.load(layouts.newswires[kind](tmp_path / kind)) for kind in ("npz", "archive"))
    for dataset in (arrays, archive):
        assert (dataset.name, dataset.task, len(dataset.labels)) == ("reuters", "topic", 46)
        assert (len(dataset.train), len(dataset.test)) == (24, 7)
    assert archive.words == arrays.words
    for part, other in ((arrays.train, archive.train), (arrays.test, archive.test)):
        assert ids(arrays, part) == ids(archive, other)
        assert part.labels.tolist() == other.labels.tolist()


def test_split_order_and_ids_are_those_of_keras(layouts: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keras = pytest.importorskip("keras")
    layouts.newswires["npz"](tmp_path)
    asked: dict[str, list[tuple[str, str]]] = {"keras": [], "ours": []}

    def fetch(who: str) -> Any:
        return lambda fname, origin, file_hash: asked[who].append((origin, file_hash)) or str(tmp_path / fname)

    monkeypatch.setattr(importlib.import_module("keras.src.datasets.reuters"), "get_file", fetch("keras"))
    monkeypatch.setattr(keras.utils, "get_file", fetch("ours"))
    (x_train, y_train), (x_test, y_test) = keras.datasets.reuters.load_data(num_words=20)
    keras.datasets.reuters.get_word_index()
    dataset = reuters.load(None)
    assert asked["ours"] == asked["keras"]
    assert ids(dataset, dataset.train, 20) == list(x_train)
    assert ids(dataset, dataset.test, 20) == list(x_test)
    assert dataset.train.labels.tolist() == y_train.tolist()
    assert dataset.test.labels.tolist() == y_test.tolist()


def test_label_names_are_those_of_keras() -> None:
    keras = pytest.importorskip("keras")
    assert tuple(reuters.LABELS) == keras.datasets.reuters.get_label_names()


def test_newswire_counts_by_its_first_topic_if_that_has_fifteen(layouts: Any, tmp_path: Path) -> None:
    layouts.newswires["archive"](tmp_path)
    found = Counter(topic for topic, _ in reuters.read_newswires(tmp_path / "reuters21578.tar.gz"))
    assert found == {"earn": 16, "acq": 15}


def test_newswire_without_a_body_gets_what_keras_gave_it(layouts: Any, tmp_path: Path) -> None:
    """The next one's body, or, last in its file, that file's head: parity is worth more than a mended text."""
    bodies = "".join(layouts.mark_up(["tin"], f"Tin rose {n} pct.") for n in range(14))
    first = layouts.mark_up(["tin"], "") + bodies
    second = bodies + layouts.mark_up(["tin"], "")
    layouts.pack_newswires(tmp_path, first, second)
    texts = [text for _, text in reuters.read_newswires(tmp_path / "reuters21578.tar.gz")]
    assert len(texts) == 30
    assert texts[0] == texts[1] == "Tin rose 0 pct.\n&#3;"
    assert texts[-1].startswith('TYPE lewis SYSTEM "lewis.dtd">')


def test_newswires_that_bear_another_ones_label_are_told(layouts: Any, tmp_path: Path) -> None:
    """Each by itself: whether the label happens to be that of the text's owner makes no difference."""
    bodies = "".join(layouts.mark_up([topic], f"{topic} rose {n} pct.") for topic in ("tin", "zinc") for n in range(14))
    empty = layouts.mark_up(["tin"], "") + layouts.mark_up(["zinc"], "Zinc fell.") + layouts.mark_up(["zinc"], "")
    layouts.pack_newswires(tmp_path, empty + layouts.mark_up(["tin"], "Tin fell.") + bodies)
    train, test = reuters.load_newswires(tmp_path / "reuters21578.tar.gz")
    assert (len(train), len(test)) == (25, 7)
    without = [one for one in (*train, *test) if not one.own]
    assert sorted((one.text[:8], *one.topics) for one in without) == [("Tin fell", "zinc"), ("Zinc fel", "tin")]
    told = [(one.text, one.topics[0], not one.own) for one in train]
    assert reuters.load_mislabelled(tmp_path) == told
    assert reuters.load_mislabelled(tmp_path / "elsewhere") == reuters.load_mislabelled(None) == []


def test_no_test_label_tells_which_training_labels_are_another_ones(layouts: Any, tmp_path: Path) -> None:
    """A training newswire without a body, before a test newswire: whether the two labels agree makes no difference."""
    order = reuters.split(Examples([str(place) for place in range(40)], np.zeros(40, np.int64)))
    train, test = ({int(place) for place in part.texts} for part in order)
    empty = next(place for place in sorted(train) if place + 1 in test)
    told = []
    for topic in ("tin", "zinc"):
        topics = ["tin", "zinc"] * 20
        topics[empty], topics[empty + 1] = "tin", topic
        bodies = ["" if place == empty else f"Newswire {place}." for place in range(40)]
        (tmp_path / topic).mkdir()
        layouts.pack_newswires(tmp_path / topic, "".join(map(layouts.mark_up, map(list, zip(topics)), bodies)))
        told.append(reuters.load_mislabelled(tmp_path / topic))
    assert told[0] == told[1]
    assert [text for text, _, wrong in told[0] if wrong] == [f"Newswire {empty + 1}.\n&#3;"]


def test_one_newswire_in_twelve_has_no_text_of_its_own(real_data: Path) -> None:
    dataset = reuters.load(real_data).with_mislabelled(told := reuters.load_mislabelled(real_data))
    assert dataset.train.mislabelled is not None
    assert (len(dataset.train), dataset.train.mislabelled.sum()) == (len(told), 768) == (8_982, 768)
    assert sum(not one.own for one in reuters.load_newswires(real_data / reuters.ARCHIVE)[1]) == 207


def test_files_are_read_in_the_order_of_their_names_and_as_latin_1(layouts: Any, tmp_path: Path) -> None:
    sources = ["".join(layouts.mark_up(["tin"], f"caf\xe9 {place} {n}") for n in range(8)) for place in range(3)]
    layouts.pack_newswires(tmp_path, *sources)
    texts = [text for _, text in reuters.read_newswires(tmp_path / "reuters21578.tar.gz")]
    assert texts == [f"caf\xe9 {place} {n}\n&#3;" for place in range(3) for n in range(8)]


def test_words_are_ranked_by_the_training_texts_where_there_is_no_index(layouts: Any, tmp_path: Path) -> None:
    layouts.newswires["archive"](tmp_path)
    (tmp_path / "reuters_word_index.json").unlink()
    dataset = reuters.load(tmp_path)
    assert {"reuter", "dlrs", "shr"} <= set(dataset.words)
    assert "nothing" not in dataset.words


@pytest.mark.parametrize(
    ("source", "wanted"), [("auto", r"reuters\.npz or reuters21578"), ("npz", r"reuters\.npz"), ("raw", "reuters21578")]
)
def test_missing_files_are_named(source: str, wanted: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"has no {wanted}.*Put it there, or leave out --data"):
        reuters.load(tmp_path, source)


def test_unknown_topics_are_named(layouts: Any, tmp_path: Path) -> None:
    layouts.pack_newswires(tmp_path, layouts.mark_up(["rumours"], "Nothing is known.") * 15)
    with pytest.raises(DataError, match="topics that Reuters-21578 does not: rumours"):
        reuters.load(tmp_path)


def test_archive_without_newswires_is_refused(layouts: Any, tmp_path: Path) -> None:
    layouts.pack_newswires(tmp_path)
    with pytest.raises(DataError, match=r"the training part is empty\. Get the data anew"):
        reuters.load(tmp_path)
