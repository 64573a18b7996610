"""An explanation says what the service would answer to the text without a word, and to the text that ends after one."""

import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.bundle import Bundle, read_bundle
from app.engines.open import open_engine
from app.explain import Explanation, WordStatus, explain
from app.settings import SHIPPED
from app.synthetic import make_texts
from app.text import TextEncoder
from tests.test_classifier import CountingEngine, manifest
from training.datasets import imdb, reuters

MANY = 100_000
REVIEW = (
    "This film is not good. The acting was wonderful, but the zzxqy plot is a mess & I hated every minute. 😀 Mess!"
)


class Asked:
    """A shipped bundle: its explanations, and its answers to other texts."""

    def __init__(self, name: str) -> None:
        self.bundle: Bundle = read_bundle(SHIPPED / name)
        self.encoder = self.bundle.encoder()
        self._engine = open_engine(self.bundle, "onnx", self.encoder)
        self.windows_run = 0

    def scores(self, text: str) -> list[float]:
        encoded, about = self.encoder.encode(text), self.bundle.manifest
        if not encoded.known:
            return [label.share for label in about.labels]
        return about.scores(self._engine.predict(encoded.windows))

    def explain(self, text: str, max_windows: int = MANY) -> Explanation:
        steps = explain(self.encoder, self.bundle.manifest, text, max_windows)
        windows, self.windows_run = next(steps), 0
        try:
            while True:
                self.windows_run += len(windows)
                windows = steps.send(self._engine.predict(windows))
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]


@pytest.fixture(scope="module", params=["sentiment/gru", "topic/lstm"])
def asked(request: pytest.FixtureRequest) -> Asked:
    return Asked(request.param)


def cut_out(text: str, start: int, end: int) -> str:
    return text[:start] + text[end:]


@pytest.mark.parametrize("length", [1, 99, 100, 101, 250])
def test_every_contribution_is_that_of_the_text_without_the_word(asked: Asked, length: int) -> None:
    text = make_texts(asked.bundle.words, 1, length, seed=length)[0]
    found, scores = asked.explain(text), asked.scores(text)
    label = int(np.argmax(scores))
    assert found.label == label
    tried = [word for word in found.words if word.without is not None]
    assert len(tried) == min(length, 99 if asked.encoder.windows == "first" else length)
    for word in tried[:: max(1, length // 25)]:
        left = asked.scores(cut_out(text, word.start, word.end))[label]
        assert word.without == pytest.approx(left, abs=1e-5)
        fall = np.log(scores[label] / (1 - scores[label])) - np.log(left / (1 - left))
        assert word.contribution == pytest.approx(fall, abs=1e-2)


@pytest.mark.parametrize("length", [1, 99, 100, 101, 250])
def test_verdict_is_that_of_the_text_up_to_the_word(asked: Asked, length: int) -> None:
    text = make_texts(asked.bundle.words, 1, length, seed=length)[0]
    found = asked.explain(text)
    assert found.verdict[-1][1] == pytest.approx(asked.scores(text)[found.label], abs=1e-5)
    for end, score in found.verdict[:: max(1, length // 25)]:
        assert score == pytest.approx(asked.scores(text[:end])[found.label], abs=1e-5)


def test_words_stand_where_they_are_in_the_text_and_tell_what_they_are_to_the_model() -> None:
    found = Asked("sentiment/gru").explain(REVIEW)
    words = [(REVIEW[word.start : word.end], word.status) for word in found.words]
    assert [word for word, status in words if status is WordStatus.UNKNOWN] == ["zzxqy", "😀"]
    assert words[0] == ("This", WordStatus.KNOWN)
    assert words[-1] == ("Mess", WordStatus.KNOWN)
    assert all((word.contribution is None) == (word.status is WordStatus.UNKNOWN) for word in found.words)
    strongest = max((word for word in found.words if word.contribution is not None), key=lambda w: w.contribution or 0)
    assert REVIEW[strongest.start : strongest.end].lower() in {"mess", "hated", "not"}


def test_word_that_the_model_does_not_reach_is_unused(asked: Asked) -> None:
    found = asked.explain(make_texts(asked.bundle.words, 1, 150)[0])
    unused = [place for place, word in enumerate(found.words) if word.status is WordStatus.UNUSED]
    assert unused == (list(range(99, 150)) if asked.encoder.windows == "first" else [])


@pytest.mark.parametrize("text", ["", "zzxqy 你好", "!?"])
def test_text_without_a_known_word_has_no_reasons(asked: Asked, text: str) -> None:
    found = asked.explain(text)
    assert {word.status for word in found.words} <= {WordStatus.UNKNOWN}
    assert found.verdict == []
    assert asked.windows_run == 0


@pytest.mark.parametrize(("length", "most"), [(100, 400), (300, 400), (1_000, 400), (8_000, 2_000)])
def test_long_text_costs_no_more_than_is_allowed_and_the_words_that_matter_are_tried(length: int, most: int) -> None:
    asked = Asked("sentiment/gru")
    words = make_texts(asked.bundle.words[:30], 1, length)[0].split()  # which say little
    words[length // 2] = "abysmal"
    text = " ".join(words)
    found = asked.explain(text, most)
    assert asked.windows_run <= most + 3 * (length // 100 + 1)
    tried = [text[word.start : word.end] for word in found.words if word.contribution is not None]
    assert min(length, 150) <= len(tried) <= most
    assert "abysmal" in tried
    assert 50 <= len(found.verdict) <= most // 2
    assert found.verdict[-1][0] == len(text)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.sampled_from(["good", "bad", "rare", "unheard"]), max_size=14),
    st.sampled_from(["first", "last", "cover"]),
    st.sampled_from([4, 12, MANY]),
)
def test_every_text_is_explained_as_its_parts_are_answered(words: list[str], kind: str, most: int) -> None:
    encoder = TextEncoder(["bad", "good", "rare"], 6, 4, kind)  # type: ignore[arg-type]
    about, engine, text = manifest(), CountingEngine(), " ".join(words)

    def answer(text: str) -> list[float]:
        encoded = encoder.encode(text)
        shares = [label.share for label in about.labels]
        return about.scores(engine.predict(encoded.windows)) if encoded.known else shares

    steps = explain(encoder, about, text, most)
    windows = next(steps)
    try:
        while True:
            windows = steps.send(engine.predict(windows))
    except StopIteration as end:
        found: Explanation = end.value
    assert [text[word.start : word.end] for word in found.words] == words
    for word in found.words:
        if word.without is not None:
            assert word.without == pytest.approx(answer(cut_out(text, word.start, word.end))[found.label])
    for end_of_word, score in found.verdict:
        assert score == pytest.approx(answer(text[:end_of_word])[found.label])


@pytest.mark.parametrize(("task", "texts"), [("sentiment", 30), ("topic", 60)])
def test_removing_the_top_word_lowers_the_score_more_than_removing_a_random_one(
    task: str, texts: int, real_data: Path
) -> None:
    asked, chance = Asked(f"{task}/gru"), random.Random(6)
    data = imdb.load(real_data) if task == "sentiment" else reuters.load(real_data)
    lower, falls = 0, []
    for text in chance.sample(list(data.test.texts), texts):
        found = asked.explain(text)
        tried = [word for word in found.words if word.contribution is not None]
        whole = asked.scores(text)[found.label]
        top = max(tried, key=lambda word: word.contribution or 0)
        other = chance.choice(tried)
        fall = whole - asked.scores(cut_out(text, top.start, top.end))[found.label]
        other_fall = whole - asked.scores(cut_out(text, other.start, other.end))[found.label]
        falls.append((fall, other_fall))
        lower += fall > other_fall or top == other
    top_fall, random_fall = np.mean(falls, axis=0)
    print(f"\n{task}: top word {top_fall:.4f}, random word {random_fall:.4f}; more in {lower} of {texts}")
    assert lower >= 0.98 * texts
    assert top_fall > 3 * abs(random_fall)
