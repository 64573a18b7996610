"""Texts to measure with are the same in every run, and have frequent words more often."""

from collections import Counter

from app.synthetic import make_texts

WORDS = [f"word{rank}" for rank in range(1, 31)]


def test_texts_are_the_same_in_every_run_and_others_with_another_seed() -> None:
    assert make_texts(WORDS, 3, 5) == make_texts(WORDS, 3, 5)
    assert make_texts(WORDS, 3, 5) != make_texts(WORDS, 3, 5, seed=2)


def test_each_text_has_its_length_in_words_of_the_index() -> None:
    texts = make_texts(WORDS, 40, 7)
    assert [len(text.split()) for text in texts] == [7] * 40
    assert set(" ".join(texts).split()) <= set(WORDS)


def test_words_are_as_frequent_as_their_rank_says() -> None:
    counts = Counter(make_texts(WORDS, 1, 30_000)[0].split())
    assert 1.8 < counts["word1"] / counts["word2"] < 2.2
    assert 8 < counts["word1"] / counts["word10"] < 12
