"""What docs/scale.md says is bought for a rate of texts and for a billion of them: tables, and figures in its text."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from benchmarks.costs import CORE_HOUR, FRAME_BYTES, TRAFFIC_GB, Costs, month
from benchmarks.sentences import percent, rounds_of, shorten, slow_hours, two_digits
from training.markdown import table

RATES: Final = (1_000, 10_000, 100_000)
ENGINES: Final = (16, 128)
BILLION: Final = 1_000_000_000

Row = Mapping[str, Any]


def plan_parts(costs: Costs) -> dict[str, str]:
    """What stands under A thousand, ten thousand, a hundred thousand."""
    most, scaler = RATES[-1], costs.scaler
    bits = [f"{most * size * 8 / 1e6:,.0f}" for size in (costs.request_bytes, costs.answer_bytes)]
    with_redis, of_redis = costs.bought_with_redis(most)
    batches = [shorten(costs.batch_cores(rate)) for rate in RATES]
    traffic = costs.answers_gb(most) * TRAFFIC_GB
    return {
        "singles": plan_table(costs),
        "ceilings": ceilings(costs),
        "price": f"{CORE_HOUR:g}",
        "traffic_price": f"{TRAFFIC_GB:g}",
        "most_rate": f"{most:,}",
        "answers_tb": f"{costs.answers_gb(most) / 1e3:,.0f}",
        "traffic": f"{two_digits(traffic):,.0f}",
        "traffic_ratio": f"{traffic / month(costs.bought(most)):.1f}",
        "batch_cores": " and ".join([", ".join(batches[:-1]), batches[-1]]),
        "memory_mb": f"{costs.memory_mb:,.0f}",
        "pod_memory": f"{scaler.memory_gb:.2f}",
        "pods_memory": f"{costs.pods(most) * scaler.memory_gb:,.0f}",
        "pods": f"{costs.pods(most):,}",
        "pod_busy": percent(scaler.busy),
        "pod_load": percent(costs.pod_load),
        "pod_per_s": f"{two_digits(costs.pod_per_s):,.0f}",
        "least_pods": f"{scaler.least}",
        "most_pods": f"{scaler.most}",
        "last_pod": f"{two_digits(costs.last_pod_per_s):,.0f}",
        "pods_most": f"{two_digits(scaler.most * costs.core_per_s):,.0f}",
        "redis_most": f"{two_digits(costs.redis_per_s):,.0f}",
        "redis_factor": f"{costs.redis_factor:.2f}",
        "with_redis": f"{with_redis}",
        "without_redis": f"{costs.bought(most)}",
        "of_redis": f"{of_redis}",
        "bits": " and ".join(bits),
        "frame_bytes": f"{FRAME_BYTES}",
        "port_full": f"{two_digits(costs.port_full_per_s):,.0f}",
        "ports": f"{np.ceil(most / (costs.port_full_per_s * costs.load)):.0f}",
    }


def ceilings(costs: Costs) -> str:
    """What there is one of, or so many, and the rate at which that is not enough: the least first."""
    ends = [
        (costs.front_per_s, "the one core that `compose.yaml` gives nginx"),
        (costs.last_pod_per_s, "the autoscaler's last Pod"),
        (costs.redis_per_s, "one Redis that counts rates"),
        (costs.port_full_per_s, "a port of 1 Gbit/s at nginx"),
    ]
    return ", ".join(f"{name} at {two_digits(rate):,.0f}" for rate, name in sorted(ends))


def plan_table(costs: Costs) -> str:
    rows = []
    for rate in RATES:
        bought, pods = costs.bought(rate), costs.pods(rate)
        front = costs.front(rate)
        rows.append(
            [
                f"{rate:,}", shorten(rate / costs.core_per_s), shorten(front), f"{bought:,}", f"{month(bought):,.0f}",
                f"{pods:,}", f"{month(pods + np.ceil(front)):,.0f}",
                shorten((bought - np.ceil(front)) * costs.memory_mb / 1e3),
            ]
        )  # fmt: skip
    heads = ["Texts/s", "Cores of the service", "Cores of nginx", "Bought, with a spare", "Dollars a month"]
    return table([*heads, "Or Pods, autoscaled", "Dollars a month, with nginx", "The service's memory, GB"], rows)


def bulk_parts(found: Row, measured: Row, here: float, there: float) -> dict[str, str]:
    """`here`, `there`: texts/s of a core in batches at the time of this page and at another one."""
    bulk, sizes = measured["bulk"], measured["sizes"]
    alone_h = BILLION / bulk["one_core_rows_per_s"] / 3600
    rows = [("`sentopic classify`, one process on one core", alone_h, 1)]
    nodes_text = reads = ""
    if nodes := measured.get("nodes"):
        two, one = (rounds_of(found["nodes"][f"{name}_rows_per_s"]) for name in ("two_engines", "one_engine"))
        per_engine = nodes["two_engines_rows_per_s"] / 2
        factor = nodes["two_engines_rows_per_s"] / nodes["one_engine_rows_per_s"]
        nodes_text = (
            f" What stands for {ENGINES[0]} and {ENGINES[1]} is reckoned from two engines, on two Ray nodes of one "
            f"machine, which did {factor:.2f} times what one did on the same two nodes "
            f"({min(two) / max(one):.2f} to {max(two) / min(one):.2f} by the rounds). One node against two was not "
            "measured."
        )
        rows += [
            (f"`--cluster`, {n} engines of a core each, each as one of two", BILLION / (per_engine * n) / 3600, n)
            for n in ENGINES
        ]
        each = [f"{per_engine * count * sizes['row_bytes'] / 1e6:,.0f}" for count in ENGINES]
        reads = (
            f" {ENGINES[0]} engines read {each[0]} MB/s, and {ENGINES[1]} read {each[1]} MB/s, and write as much: ask "
            "it of the disk or the object store."
        )
    cells = [
        [name, f"{hours:,.1f} h", f"{hours * cores:,.0f}", f"{hours * cores * CORE_HOUR:,.2f}"]
        for name, hours, cores in rows
    ]
    return {
        "bulk": table(["A billion texts of 80 words", "Time", "Core hours", "Dollars"], cells),
        "slow_hours": slow_hours(alone_h, here, there),
        "rows": f"{bulk['rows']:,}",
        "rows_s": f"{bulk['rows'] / bulk['one_core_rows_per_s']:.0f}",
        "times": f"{BILLION / bulk['rows']:,.0f}",
        "text_tb": f"{BILLION * sizes['text_bytes'] / 1e12:.2f}",
        "parquet_tb": f"{BILLION * sizes['row_bytes'] / 1e12:.2f}",
        "nodes": nodes_text,
        "reads": reads,
    }
