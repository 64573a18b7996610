"""What people said of a service's answers, as labels to learn from. Where it stands, `app.feedback` knows.

A training text gets the label that was said last. Another text is learned beside the training part, so that no
choice is made and no figure measured on what people correct; one that is nearly the same as a held-out or a test text
is left out.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from app.database import FILE
from app.errors import DataError, FeedbackStoreError
from app.feedback import Feedback, FeedbackStore
from training.datasets import duplicates
from training.datasets.audit import Heard
from training.datasets.dataset import Dataset, Examples, Holdout


def read(place: str, task: str) -> list[Feedback]:
    """`place`: a database's URL, or the directory or the file that a service without one keeps. Raises DataError."""
    if "://" not in place:
        path = Path(place).expanduser()
        path = path / FILE if path.is_dir() else path
        if not path.is_file():
            raise DataError(f"{path}: there is no feedback")
        place = f"sqlite:///{path}"
    try:
        store = FeedbackStore(place)
        try:
            return store.read(task)
        finally:
            store.close()
    except FeedbackStoreError as error:
        raise DataError(f"feedback: {error.reason}") from error


def learn_from(dataset: Dataset, said: Sequence[Feedback], holdout: Holdout) -> Dataset:
    """`said`: the oldest first; the last word counts. `holdout`: what will be held out."""
    split, names = dataset.tokenizer.split, list(dataset.labels)
    last: dict[tuple[str, ...], tuple[str, str]] = {}
    told = [(one, tuple(split(one.text))) for one in said if one.text is not None]
    fit = [(one, words) for one, words in told if words and one.label in dataset.labels]
    for one, words in fit:
        assert one.text is not None  # noqa: S101 - see above
        last[words] = one.text, one.label
    labels = np.array(dataset.train.labels)
    agreed = changed = 0
    trained = set[tuple[str, ...]]()
    for place, text in enumerate(dataset.train.texts):
        words = tuple(split(text))
        if words in last:
            trained.add(words)
            right = names.index(last[words][1])
            agreed, changed = agreed + (labels[place] == right), changed + (labels[place] != right)
            labels[place] = right
    dataset = replace(dataset, train=replace(dataset.train, labels=labels))
    fresh = {words: found for words, found in last.items() if words not in trained}
    kept = _leave_out_checked(dataset, holdout, fresh)
    corrections = Examples([text for text, _ in kept], np.array([names.index(label) for _, label in kept], np.int64))
    heard = Heard(
        said=len(said),
        without_text=len(said) - len(told),
        overruled=len(fit) - len(last),
        strange=len(told) - len(fit),
        tested=len(fresh) - len(kept),
        agreed=int(agreed),
        changed=int(changed),
        added=len(kept),
    )
    return replace(dataset, corrections=corrections if kept else None, heard=heard)


def _leave_out_checked(
    dataset: Dataset, holdout: Holdout, fresh: dict[tuple[str, ...], tuple[str, str]]
) -> list[tuple[str, str]]:
    """Without texts that are nearly the same as one that is held out or tested."""
    if not fresh:
        return []
    _, held_out = dataset.parts(holdout)
    checked = [tuple(dataset.tokenizer.split(text)) for text in (*held_out.texts, *dataset.test.texts)]
    groups = duplicates.group([*checked, *fresh])
    theirs = set(groups[: len(checked)].tolist())
    mine = groups[len(checked) :].tolist()
    return [found for found, group in zip(fresh.values(), mine, strict=True) if group not in theirs]
