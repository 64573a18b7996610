"""Word vectors from unlabelled text: where words stand near each other, factorised.

Positive pointwise mutual information of words within a few places of each other, then a truncated singular
value decomposition with the singular values' square roots (Levy and Goldberg, 2014, "Neural word embedding as
implicit matrix factorization"). Needs no labels and no pretrained file.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.utils.extmath import randomized_svd

from app.errors import DataError
from app.text import INDEX_FROM

REACH = 5
"""Words to each side that count as near, the nearest most: 1, 4/5, ... 1/5."""
SMOOTHING = 0.75
"""Exponent on the contexts' counts: rare contexts would otherwise look too telling."""
_TOO_LITTLE = "the training texts are too few or too short to learn word vectors from"


def fit_vectors(sequences: Sequence[Sequence[int]], ids: int, size: int, seed: int) -> NDArray[np.float32]:
    """Vectors (ids, size) for the ids in `sequences`, scaled to a standard deviation of 0.05 as Keras starts them.

    An id that never stands near another gets zeros; so do the numbers beyond `ids`, where these are fewer. Raises
    DataError if no two words stand near each other.
    """
    counts = _count_neighbours(sequences, ids)
    if not counts.nnz:
        raise DataError(_TOO_LITTLE)
    total = counts.sum()
    words = np.asarray(counts.sum(axis=1)).ravel()
    contexts = words**SMOOTHING
    contexts *= total / contexts.sum()
    pairs = counts.tocoo()
    information = np.log(pairs.data * total / (words[pairs.row] * contexts[pairs.col]))
    positive = information > 0
    if not positive.any():
        raise DataError(_TOO_LITTLE)
    table = sparse.csr_matrix((information[positive], (pairs.row[positive], pairs.col[positive])), shape=(ids, ids))
    left, strengths, _ = randomized_svd(table, size, random_state=seed)
    vectors = left * np.sqrt(strengths)
    scaled: NDArray[np.float32] = (vectors * (0.05 / vectors[words > 0].std())).astype(np.float32)
    return np.pad(scaled, ((0, 0), (0, size - scaled.shape[1])))  # of fewer words than numbers


def _count_neighbours(sequences: Sequence[Sequence[int]], ids: int) -> sparse.csr_matrix:
    """Symmetric weighted counts (ids, ids) of pairs within REACH of each other in one sequence."""
    flat = np.concatenate([np.asarray(sequence) for sequence in sequences])
    owner = np.repeat(np.arange(len(sequences)), [len(sequence) for sequence in sequences])
    counts = sparse.csr_matrix((ids, ids))
    for distance in range(1, min(REACH, len(flat) - 1) + 1):
        together = owner[:-distance] == owner[distance:]
        one, other = flat[:-distance][together], flat[distance:][together]
        weights = np.full(len(one), 1 - (distance - 1) / REACH)
        counts += sparse.coo_matrix((weights, (one, other)), shape=(ids, ids)).tocsr()
    return counts + counts.T


def nearest(
    vectors: NDArray[np.float32], words: Sequence[str], *, among: slice = slice(100, 1_000, 90), count: int = 6
) -> list[tuple[str, list[str]]]:
    """Words and those whose vectors (ids, size) point most nearly the same way; `among`: the ranks of the words."""
    first = INDEX_FROM + 1
    known = vectors[first : first + len(words)]
    unit = known / np.maximum(np.linalg.norm(known, axis=1, keepdims=True), 1e-9)
    found = []
    for place in range(len(unit))[among]:
        order = np.argsort(-(unit @ unit[place]))
        found.append((words[place], [words[other] for other in order if other != place][:count]))
    return found
