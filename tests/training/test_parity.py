"""On all real data, the text contract gives exactly the ids of `imdb.npz` and `reuters.npz`."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pytest

from app.text import TextEncoder
from training.datasets import imdb, keras_files, reuters

NUM_WORDS = 10_000


def keras_rule(ranks: Iterable[int], num_words: int) -> list[int]:
    """What `keras.datasets` makes of a text's ranks: start_char=1, index_from=3, oov_char=2."""
    return [1, *(rank + 3 if rank + 3 < num_words else 2 for rank in ranks)]


def encoders(words: Sequence[str]) -> tuple[TextEncoder, TextEncoder]:
    """One that every word of the index has an id in, and one that cuts it."""
    return (
        TextEncoder(words, len(words) + 4, 100, "cover"),
        TextEncoder(words, NUM_WORDS, 100, "cover"),
    )


def packed(ids: list[int]) -> bytes:
    return np.array(ids, np.int32).tobytes()


def test_every_review_gives_the_ids_of_keras(real_data: Path) -> None:
    """As multisets of each part and label: the arrays hold the reviews in an order of their own."""
    words = keras_files.read_words(real_data / "imdb_word_index.json")
    whole, cut = encoders(words)
    found: Counter[tuple[str, int, bytes]] = Counter()
    found_cut: Counter[tuple[str, int, bytes]] = Counter()
    for part, kind, _, text in imdb.read_reviews(real_data):
        if kind != "unsup":
            label = int(kind == "pos")
            found[part, label, packed(whole.encode_all(text))] += 1
            found_cut[part, label, packed(cut.encode_all(text))] += 1

    arrays = keras_files.read_arrays(real_data / "imdb.npz", ("x_train", "y_train", "x_test", "y_test"))
    for part, x, y in (("train", *arrays[:2]), ("test", *arrays[2:])):
        for ranks, label in zip(x, y, strict=True):
            found[part, int(label), packed(keras_rule(ranks, len(words) + 4))] -= 1
            found_cut[part, int(label), packed(keras_rule(ranks, NUM_WORDS))] -= 1
        counts = np.bincount(y)
        print(f"\nIMDB {part}: {len(x):,} reviews in the arrays, negative and positive {counts.tolist()}")
        assert counts.tolist() == [12_500, 12_500]
    differences = sum(map(abs, found.values())), sum(map(abs, found_cut.values()))
    print(f"IMDB: {len(words):,} words; differences: {differences[0]}, with num_words={NUM_WORDS}: {differences[1]}")
    assert differences == (0, 0)


def test_every_newswire_gives_the_ids_of_keras(real_data: Path) -> None:
    """In the arrays' order, with the arrays' labels."""
    words = keras_files.read_words(real_data / "reuters_word_index.json")
    whole, cut = encoders(words)
    x, y = keras_files.read_arrays(real_data / "reuters.npz", ("x", "y"))
    names, differences = list(reuters.LABELS), Counter[str]()
    assert names == json.loads((real_data / "reuters_topics.json").read_text())
    newswires = list(reuters.read_newswires(real_data / "reuters21578.tar.gz"))
    for (topic, text), ranks, label in zip(newswires, x, y, strict=True):
        differences["label"] += names[label] != topic
        differences["ids"] += whole.encode_all(text) != keras_rule(ranks, len(words) + 4)
        differences["cut ids"] += cut.encode_all(text) != keras_rule(ranks, NUM_WORDS)
    print(
        f"\nReuters: {len(newswires):,} newswires, {len(set(y.tolist()))} topics, {len(words):,} words; {differences}"
    )
    assert len(newswires) == 11_228
    assert len(set(y.tolist())) == len(names) == 46
    assert not any(differences.values())


@pytest.mark.parametrize("name", ["imdb", "reuters"])
def test_arrays_joined_to_texts_give_their_own_ids(real_data: Path, name: str) -> None:
    """Texts that are words joined by spaces carry the very ranks that they were joined from."""
    words = keras_files.read_words(real_data / f"{name}_word_index.json")
    whole, _ = encoders(words)
    column = {"imdb": "x_test", "reuters": "x"}[name]
    (sequences,) = keras_files.read_arrays(real_data / f"{name}.npz", (column,))
    texts = keras_files.join_words(sequences[:5_000], words)
    assert all(
        whole.encode_all(text) == keras_rule(ranks, len(words) + 4)
        for text, ranks in zip(texts, sequences[:5_000], strict=True)
    )
