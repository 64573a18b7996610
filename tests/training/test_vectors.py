"""Word vectors put words together that keep the same company."""

import numpy as np
import pytest

from app.errors import DataError
from training.vectors import _count_neighbours, fit_vectors, nearest


def companies() -> list[list[int]]:
    """Ids 1 and 2 stand among 10 to 13, ids 3 and 4 among 20 to 23, never mixed."""
    generator = np.random.default_rng(3)
    made = []
    for _ in range(300):
        for words, others in (((1, 2), (10, 11, 12, 13)), ((3, 4), (20, 21, 22, 23))):
            left, right = generator.choice(others, 3), generator.choice(others, 3)
            made.append([*left.tolist(), int(generator.choice(words)), *right.tolist()])
    return made


def likeness(vectors: np.ndarray, one: int, other: int) -> float:
    a, b = vectors[one], vectors[other]
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


def test_words_in_the_same_company_are_alike() -> None:
    vectors = fit_vectors(companies(), 30, 4, seed=1)
    assert vectors.shape == (30, 4)
    assert vectors.dtype == np.float32
    assert likeness(vectors, 1, 2) > 0.9
    assert likeness(vectors, 3, 4) > 0.9
    assert likeness(vectors, 1, 3) < 0.3


def test_words_never_seen_get_zeros_and_the_others_keras_scale() -> None:
    vectors = fit_vectors(companies(), 30, 4, seed=1)
    assert not vectors[29].any()
    assert vectors[[1, 2, 3, 4, *range(10, 14), *range(20, 24)]].std() == pytest.approx(0.05, rel=0.01)


def test_fewer_words_than_numbers_leave_zeros() -> None:
    """As in a small table of a user's own; another start would not fit the embedding."""
    vectors = fit_vectors(companies(), 30, 40, seed=1)
    assert vectors.shape == (30, 40)
    assert vectors[1, :20].any()
    assert not vectors[:, 30:].any()


def test_same_seed_gives_the_same_vectors() -> None:
    assert (fit_vectors(companies(), 30, 4, seed=1) == fit_vectors(companies(), 30, 4, seed=1)).all()


def test_near_words_count_most_and_sequences_do_not_run_into_each_other() -> None:
    counts = _count_neighbours([[1, 2, 3], [4, 1]], 5).toarray()
    assert counts[1, 2] == counts[2, 1] == 1
    assert counts[1, 3] == 0.8
    assert counts[3, 4] == 0
    assert counts[4, 1] == 1


@pytest.mark.parametrize("sequence", [[1], [1, 1]])
def test_texts_without_two_words_near_each_other_are_too_little(sequence: list[int]) -> None:
    with pytest.raises(DataError, match="too few or too short"):
        fit_vectors([sequence] * 3, 5, 2, seed=1)


def test_nearest_words_keep_the_same_company() -> None:
    """Ids begin behind those that name no word."""
    vectors = fit_vectors([[place + 3 for place in line] for line in companies()], 33, 4, seed=1)
    words = [f"w{place}" for place in range(1, 30)]
    found = nearest(vectors, words, among=slice(0, 4), count=1)
    assert found == [("w1", ["w2"]), ("w2", ["w1"]), ("w3", ["w4"]), ("w4", ["w3"])]
