"""docs/scale.md says what its results say, and its sentences would change with them."""

import json
import re
from typing import Any

import pytest

from benchmarks import plan, sentences
from benchmarks.scale import middle


@pytest.fixture(scope="module")
def results() -> list[dict[str, Any]]:
    return [json.loads((plan.RESULTS / f"{name}.json").read_text()) for name in ("scale", "limit", "peers")]


@pytest.fixture(scope="module")
def parts(results: list[dict[str, Any]]) -> dict[str, str]:
    scale, limit, peers = results
    return plan.parts_of(scale, limit, peers, foretell(scale["core"]))


def foretell(core: dict[str, Any]) -> list[dict[str, Any]]:
    return plan.foretell(plan.calibrate(plan.pick(core, "median")), core)


def figure(*rounds: float) -> dict[str, Any]:
    found: dict[str, Any] = middle(list(rounds))
    return found


def arrived(load: float, p99_ms: list[float], *, busy: float = 0.9, answered: float = 1.0) -> dict[str, Any]:
    return {
        "load": figure(load),
        "rate_per_s": figure(2_000, 2_500, 2_100),
        "p99_ms": figure(*p99_ms),
        "busy": figure(busy),
        "answered": figure(answered),
        "generator_late_ms": figure(1.0),
    }


def test_page_is_made_of_its_results(parts: dict[str, str]) -> None:
    template = plan.TEMPLATE.read_text(encoding="utf-8")
    assert plan.fill_in(template, parts) == plan.PAGE.read_text(encoding="utf-8"), "python -m benchmarks.plan"
    assert set(re.findall(r"{(\w+)}", template)) == set(parts)


def test_page_can_be_made_of_a_run_that_kept_its_rounds_and_had_no_ray(results: list[dict[str, Any]]) -> None:
    def keep(value: Any) -> Any:
        if isinstance(value, list):
            return [keep(one) for one in value]
        if not isinstance(value, dict) or "median" not in value:
            return {name: keep(one) for name, one in value.items()} if isinstance(value, dict) else value
        return {**value, "each": [value["most"], value["least"], value["median"]]}

    scale, limit, peers = results
    found = {name: keep(part) for name, part in scale.items() if name != "nodes"}
    found["workers"]["two_singles_generator_cores"] = figure(0.0, 0.1, 0.2)
    parts = plan.parts_of(found, limit, peers, foretell(found["core"]))
    page = plan.fill_in(plan.TEMPLATE.read_text(encoding="utf-8"), parts)
    assert "Ray nodes" not in page
    assert "its part was measured" in page


def test_each_round_is_kept_in_its_order() -> None:
    found = middle([{"rate": 3.0}, {"rate": 1.0}, {"rate": 2.0}])["rate"]
    assert found == {"median": 2.0, "least": 1.0, "most": 3.0, "each": [3.0, 1.0, 2.0]}
    assert sentences.rounds_of(found) == [3.0, 1.0, 2.0]


def test_round_that_was_too_slow_is_in_the_headline() -> None:
    told = sentences.headline(arrived(0.7, [7.0, 480.0, 6.0]))
    assert "7 ms then, the median of 3 rounds; but in 1 of them it was 480 ms" in told
    assert "2,500 requests/s: 19 % more than planned" in told
    assert sentences.headline(arrived(0.7, [7.0, 9.0, 6.0])).endswith("and 9 ms in the worst.")


@pytest.mark.parametrize(
    ("here", "there", "told"),
    [(1_800, 1_000, "1.8 times less"), (1_000, 1_500, "1.5 times as much"), (1_000, 1_050, "about the same")],
)
def test_another_time_is_told_whichever_was_faster(here: float, there: float, told: str) -> None:
    sentence = sentences.another_time(here, there, same_machine=True)
    assert told in sentence
    assert "the same machine" in sentence
    assert ("as many cores" in sentence) == (sentences.slow_plan(here, there) != "") == (here == 1_800)


def test_long_waits_are_explained_by_too_much_work_only_as_far_as_that_goes() -> None:
    told = sentences.overload([arrived(0.85, [20.0, 5_500.0, 27.0], busy=1.38)], 5.0)
    assert "explains waits of 1.9 s at most" in told
    assert "not found out" in told
    assert "Nothing was refused" in told
    explained = sentences.overload([arrived(0.85, [20.0, 1_900.0, 27.0], busy=1.38, answered=0.99)], 5.0)
    assert "not found out" not in explained
    assert "99.0 % were answered" in explained
    assert sentences.overload([arrived(0.85, [20.0, 30.0, 27.0])], 5.0) == ""


def test_agreement_is_from_the_worst_to_the_best_without_what_it_is_calibrated_with() -> None:
    measured = [dict.fromkeys(sentences.KEYS.values(), value) for value in (1.0, 1.0, 2.0)]
    foretold = [dict.fromkeys(sentences.KEYS.values(), value) for value in (9.0, 1.5, 1.0)]
    told = sentences.agreement(measured, foretold)
    assert "p99 -50 to +50 %" in told
    assert "times 2.0" in told
    assert "Short waits" not in told


def test_workers_who_had_their_even_share_are_not_excused() -> None:
    assert "9,000, 15,000 and 10,000" in sentences.uneven(figure(9_000, 15_000, 10_000))
    assert sentences.uneven(figure(9_900, 10_100, 10_000)) == ""


def test_cores_that_did_as_much_together_have_nothing_to_explain() -> None:
    assert "not known" in sentences.together(0.8)
    assert "not known" not in sentences.together(1.0)


def test_mark_that_nothing_is_known_for_is_an_error() -> None:
    with pytest.raises(KeyError, match="unknown"):
        plan.fill_in("{unknown}", {})
