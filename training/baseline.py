"""What a user would otherwise pick, measured on the same test texts: linear models on words and pairs of words."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from app.text import Windows
from app.tokenizers import Tokenizer
from training.datasets import Dataset, Examples
from training.evaluate import wilson
from training.teacher import Split, Teacher, split_pairs

Answer = Callable[[list[str]], NDArray[np.int64]]
READINGS: Final[tuple[Windows, ...]] = ("first", "last", "cover")


@dataclass(frozen=True)
class Baseline:
    """Test accuracy of one linear model, with Wilson's 95% interval; seconds of training and answering."""

    model: str
    windows: Windows
    accuracy: float
    low: float
    high: float
    seconds: float


def measure(dataset: Dataset, maxlen: int = 100) -> Iterator[Baseline]:
    """Each model on the first and the last `maxlen` words, and on whole texts (`cover`). Nothing is chosen here."""
    for windows in READINGS:
        train, test = (_cut(part, windows, maxlen, dataset.tokenizer) for part in (dataset.train, dataset.test))
        for name, learn in MODELS.items():
            started = time.perf_counter()
            answers = learn(train, len(dataset.labels), dataset.tokenizer.split)(list(test.texts))
            seconds = time.perf_counter() - started
            hits = int((answers == test.labels).sum())
            yield Baseline(name, windows, hits / len(test), *wilson(hits, len(test)), seconds)


def _cut(examples: Examples, windows: Windows, maxlen: int, tokenizer: Tokenizer) -> Examples:
    if windows == "cover":
        return examples
    if windows == "first":
        return examples.first_words(maxlen, tokenizer)
    return Examples([tokenizer.last_words(text, maxlen) for text in examples.texts], examples.labels)


def _learn_svm(train: Examples, labels: int, split: Split) -> Answer:  # noqa: ARG001 - it finds the labels itself
    pairs = partial(split_pairs, split=split)
    vectorizer = TfidfVectorizer(analyzer=pairs, sublinear_tf=True, min_df=2, dtype=np.float32)
    answer: Answer = make_pipeline(vectorizer, LinearSVC(random_state=0)).fit(train.texts, train.labels).predict
    return answer


def _learn_teacher(train: Examples, labels: int, split: Split) -> Answer:
    teacher = Teacher(train, labels, split)
    return lambda texts: teacher.log_odds(texts).argmax(axis=1)


MODELS: Final[dict[str, Callable[[Examples, int, Split], Answer]]] = {
    "linear SVM, tf-idf": _learn_svm,
    "logistic regression, naive Bayes": _learn_teacher,
}
