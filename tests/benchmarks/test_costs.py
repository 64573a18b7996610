"""What is bought for a rate is whole, has a spare, and follows what was measured."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.buying import ceilings
from benchmarks.costs import CORE_HOUR, MONTH_H, Autoscaler, Costs, month

ROOT = Path(__file__).resolve().parents[2]

SCALER = Autoscaler(busy=0.65, least=2, most=20, memory_gb=0.5)
COSTS = Costs(
    most_per_s=4_000,
    batch_per_s=8_000,
    load=0.5,
    pod_load=0.25,
    each=1.0,
    batch_each=1.0,
    nginx_ms=0.05,
    redis_ms=0.02,
    redis_factor=1.5,
    request_bytes=500,
    answer_bytes=600,
    memory_mb=170,
    scaler=SCALER,
)


def measured(**workers: float) -> dict[str, dict[str, Any]]:
    arrivals = [
        {"load": 0.1, "busy": 0.2, "p99_ms": 1.0},
        {"load": 0.5, "busy": 0.8, "p99_ms": 9.0},
        {"load": 0.9, "busy": 1.0, "p99_ms": 90.0},
    ]
    return {
        "core": {"singles_per_s": 4_000, "batch_texts_per_s": 8_000, "arrivals": arrivals},
        "fronts": {"service_ms": 0.3, "service_with_redis_ms": 0.45, "nginx_ms": 0.05, "redis_ms": 0.02},
        "workers": {"two_singles_per_s": 6_000, "nginx_two_texts_per_s": 16_000, **workers},
        "sizes": {"request_bytes": 500, "answer_bytes": 600},
    }


@pytest.mark.parametrize(
    ("rate", "cores"), [(1, 1 + 1 + 1), (2_000, 1 + 1 + 1), (2_001, 2 + 1 + 1), (100_000, 50 + 1 + 10)]
)
def test_whole_cores_are_bought_and_one_to_spare(rate: int, cores: int) -> None:
    assert COSTS.bought(rate) == cores


def test_when_one_of_the_services_cores_is_gone_the_others_are_enough() -> None:
    for rate in range(100, 100_000, 777):
        left = COSTS.bought(rate) - 1 - COSTS.front(rate)
        assert left * COSTS.core_per_s >= rate


def test_rates_in_redis_cost_the_service_more_and_cores_of_its_own() -> None:
    assert COSTS.bought_with_redis(100_000) == (75 + 1 + 10, 4)


def test_pods_are_never_fewer_than_the_autoscaler_keeps() -> None:
    assert [COSTS.pods(rate) for rate in (1, 1_000, 2_001, 100_000)] == [2, 2, 3, 100]


def test_autoscaler_is_the_one_that_is_shipped() -> None:
    folder = ROOT / "deploy" / "kubernetes"
    scaler = yaml.safe_load((folder / "base" / "autoscaler.yaml").read_text())["spec"]
    pod = next(yaml.safe_load_all((folder / "deployment" / "deployment.yaml").read_text()))["spec"]["template"]["spec"]
    found = Autoscaler.read()
    assert (found.least, found.most) == (scaler["minReplicas"], scaler["maxReplicas"])
    busy = scaler["metrics"][0]["containerResource"]["target"]["averageUtilization"]
    assert found.busy == pytest.approx(busy / 100)
    asked = pod["containers"][0]["resources"]["requests"]
    assert asked["memory"] == f"{found.memory_gb * 1e9 / 2**20:.0f}Mi"
    assert asked["cpu"] == "1"


def test_cores_that_do_less_together_are_reckoned_so() -> None:
    """By 1.5 times from two cores, of which the load generator took a half, each did as much as one alone."""
    kept = Costs.of(measured(two_singles_generator_cores=0.5), generator_ms=9.0, memory_mb=1)
    less = Costs.of(measured(two_singles_generator_cores=0.0), generator_ms=9.0, memory_mb=1)
    not_kept = Costs.of(measured(), generator_ms=0.5 / 6, memory_mb=1)
    assert (kept.each, less.each) == (1.0, 0.75)
    assert not_kept.each == pytest.approx(1.0)
    assert less.core_per_s == pytest.approx(kept.core_per_s * 0.75)


def test_more_from_two_cores_than_twice_one_is_not_counted_on() -> None:
    found = Costs.of(measured(two_singles_per_s=9_000, nginx_two_texts_per_s=20_000), generator_ms=0, memory_mb=1)
    assert (found.each, found.batch_each) == (1.0, 1.0)


def test_planned_is_the_highest_load_with_short_waits() -> None:
    found = Costs.of(measured(), generator_ms=0.0, memory_mb=1)
    assert found.load == 0.5
    lucky = measured()
    lucky["core"]["arrivals"].append({"load": 0.95, "busy": 1.0, "p99_ms": 9.0})
    assert Costs.of(lucky, generator_ms=0.0, memory_mb=1).load == 0.5
    assert 0.1 < found.pod_load < 0.5


def test_nothing_is_planned_where_all_waits_were_long() -> None:
    slow = measured()
    for row in slow["core"]["arrivals"]:
        row["p99_ms"] = 1_000.0
    with pytest.raises(ValueError, match="nothing can be planned"):
        Costs.of(slow, generator_ms=0.0, memory_mb=1)


def test_what_ends_first_is_named_first() -> None:
    told = ceilings(COSTS)
    assert told.startswith(
        "the one core that `compose.yaml` gives nginx at 10,000, the autoscaler's last Pod at 19,000, one"
    )
    assert ceilings(replace(COSTS, nginx_ms=0.0001)).endswith("gives nginx at 5,000,000")


def test_port_has_requests_and_answers_in_each_direction() -> None:
    assert replace(COSTS, request_bytes=434, answer_bytes=684).port_full_per_s == pytest.approx(100_000)


def test_a_month_has_730_hours() -> None:
    assert month(2) == pytest.approx(2 * CORE_HOUR * MONTH_H)
    assert COSTS.answers_gb(100_000) == pytest.approx(600 * 100_000 * 730 * 3_600 / 1e9)
