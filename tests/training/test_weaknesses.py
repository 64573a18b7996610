"""Where a model fails is found on held-out texts, and told."""

from typing import Any

import pytest

from training import weaknesses
from training.answers import answer
from training.datasets import Probe
from training.weaknesses import Weaknesses

GOOD = " ".join(["good"] * 40)


def find(
    mood: Any, held_out: Any, probes: tuple[Probe, ...] = (), *, quotable: bool = True, **engines: Any
) -> Weaknesses:
    judge, engine = engines.get("judge", mood.engine()), engines.get("engine", mood.engine())
    dataset = mood.dataset(held_out, mood.examples(["never shown"], [0]), probes=probes, quotable=quotable)
    manifest = mood.manifest()
    return weaknesses.find(manifest, judge, engine, dataset, held_out, answer(judge, manifest, dataset.words, held_out))


def test_mistakes_are_the_most_confident_wrong_answers_in_thirty_words(mood: Any) -> None:
    texts = ["good", "bad bad", "good good", GOOD, "bad", "good good good", "bad bad bad", "bad"]
    found = find(mood, mood.examples(texts, [1, 1, 0, 0, 1, 0, 1, 1])).mistakes
    assert [one.text for one in found] == [
        " ".join(["good"] * 30) + " ...", "good good good", "bad bad bad", "bad bad", "good good"
    ]  # fmt: skip
    assert (found[0].right, found[0].answer) == ("sad", "glad")
    assert (found[2].right, found[2].answer) == ("glad", "sad")
    assert [one.confidence for one in found[1:]] == [pytest.approx(share) for share in (4 / 5, 4 / 5, 3 / 4, 3 / 4)]


def test_model_without_a_mistake_has_none_to_show(mood: Any) -> None:
    assert find(mood, mood.examples(["good", "bad"], [1, 0])).mistakes == []


def test_short_texts_are_the_starts_of_the_held_out_ones(mood: Any) -> None:
    """Six words of praise, and then the verdict: the first five words mislead."""
    found = find(mood, mood.examples(["good " * 6 + "bad " * 34, "good good"], [0, 1])).by_length
    assert list(found) == ["the first 5", "the first 10", "the first 20", "the first 50", "all"]
    assert [part.accuracy for part in found.values()] == [0.5, 0.5, 1, 1, 1]
    assert {part.texts for part in found.values()} == {2}


def test_texts_are_grouped_by_the_share_of_words_known(mood: Any) -> None:
    texts = ["good good", "good " * 9 + "rare", "good rare rare", "bad"]
    found = find(mood, mood.examples(texts, [1, 1, 1, 1])).by_known_words
    assert {name: part.texts for name, part in found.items()} == {"less than 50%": 1, "90% to 95%": 1, "all": 2}
    assert found["less than 50%"].answered == 0
    assert found["all"].accuracy == 0.5


def test_published_model_answers_the_probes_and_the_judge_the_held_out_texts(mood: Any) -> None:
    probes = (Probe("praise", "good good good", "glad"), Probe("nothing", "zzz"))
    held_out = mood.examples(["good good good"], [1])
    found = find(mood, held_out, probes, judge=mood.engine(), engine=mood.engine(liked=4))
    assert found.by_length["all"].accuracy == 1
    assert [(one.answer, one.uncertain) for one in found.probes] == [("sad", False), ("sad", True)]
    assert [one.confidence for one in found.probes] == [pytest.approx(0.8), pytest.approx(0.7)]


def test_page_tells_of_every_weakness(mood: Any) -> None:
    probes = (Probe("praise", "good | good good", "sad"), Probe("nothing", "zzz"))
    held_out = mood.examples(["good good good"], [0])
    dataset = mood.dataset(held_out, held_out, quotable=True)
    page = "\n".join(weaknesses.describe(find(mood, held_out, probes), mood.manifest(), dataset, [[1, 0], [0, 1]]))
    assert "| the first 5 | 1 | 0.0% (0.0% to 79.3%) | 100.0% | 0.0% |" in page
    assert "| good good good | Sad | Glad | 0.800 |" in page
    assert "| praise | good \\| good good | Sad | Glad | 0.800 |" in page
    assert "| nothing | zzz | - | Sad | 0.700, uncertain |" in page
    assert "Of 1 with a right label 0 are answered right; of the 1 wrong answers 1, and of the 1" in page
    assert "mixes up" not in page


def test_private_texts_are_not_quoted_and_their_confident_mistakes_counted(mood: Any) -> None:
    held_out = mood.examples(["good good good", "bad bad bad", "good", "good"], [0, 1, 0, 1])
    found = find(mood, held_out, quotable=False)
    assert found.mistakes == []
    page = "\n".join(weaknesses.describe(found, mood.manifest(), mood.dataset(held_out, held_out), [[1, 0], [0, 1]]))
    assert "Of the held-out texts 2 are answered wrong without the mark `uncertain`." in page
    assert "sentopic-train evaluate BUNDLE --data FILE" in page
    assert "good good" not in page


def test_page_names_what_is_mixed_up_and_what_is_never_answered(mood: Any) -> None:
    held_out = mood.examples(["good"], [1])
    dataset = mood.dataset(held_out, held_out)
    dataset.labels["calm"] = "Calm"
    counts = [[5, 1, 0], [4, 6, 0], [0, 3, 0]]
    page = "\n".join(weaknesses.describe(find(mood, held_out), mood.manifest(), dataset, counts))
    rows = ["| Glad | Sad | 4 | 40% of 10 |", "| Calm | Glad | 3 | 100% of 3 |", "| Sad | Glad | 1 | 17% of 6 |"]
    assert "\n".join(rows) in page
    assert "Never answered on the test texts (in brackets: how many have the label): Calm (3)." in page
    assert "Written to try it" not in page
