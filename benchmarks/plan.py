"""Writes docs/scale.md and its figure from benchmarks/results/scale.json: what was measured, and what follows from it.

    python -m benchmarks.plan

The simulation is calibrated with three measured figures (the engine's runs, the most requests a second, the core's time
a request when hardly anybody comes) and then foretells waiting times that it was not told, beside those measured.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
import numpy as np

mpl.use("agg")

from matplotlib import pyplot as plt

from benchmarks.arrivals import draw
from benchmarks.report import describe_machine
from benchmarks.simulation import Times, simulate
from training.markdown import table

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "scale.json"
TEMPLATE = ROOT / "benchmarks" / "scale.page.md"
PAGE = ROOT / "docs" / "scale.md"
FIGURE = ROOT / "docs" / "benchmarks" / "waiting.png"

READ_SHARE: Final = 0.7
"""Of the event loop's time for a request, what comes before the engine: assumed, not measured."""

SECONDS: Final = 60.0
"""How long each load is simulated."""

RATES: Final = (1_000, 10_000, 100_000)
LARGEST_WAIT_MS: Final = 25.0
"""The p99 that a replica is loaded up to."""

POD_BUSY: Final = 0.65
"""Of the cores that Pods ask for: what deploy/kubernetes/base/autoscaler.yaml holds them at."""

CORE_HOUR: Final = 0.04
"""Dollars for a core and an hour: about what clouds ask for a virtual one on demand. Put in your own."""

MONTH_H: Final = 730
BILLION: Final = 1_000_000_000

Row = Mapping[str, Any]


def main() -> None:
    found = json.loads(RESULTS.read_text())
    machine = found.pop("machine")
    measured = {name: pick(part, "median") for name, part in found.items()}
    times = calibrate(measured["core"])
    foretold = foretell(times, measured["core"])
    FIGURE.parent.mkdir(exist_ok=True)
    draw_waits(measured["core"], foretold)
    costs = Costs.of(measured)
    parts = {
        "machine": describe_machine(machine),
        "measured": measured_table(found),
        "waits": waits_table(found["core"], measured["core"], foretold),
        "singles": plan_table(costs),
        "bulk": bulk_table(measured),
        "load": share(costs.load),
        "core_per_s": f"{costs.load * costs.most_per_s:,.0f}",
        "redis_most": f"{1_000 / costs.redis_ms:,.0f}",
        "alone_us": micro(times.read_s + times.answer_s + times.wake_s + times.engine_s(1)),
        "engine_us": micro(times.engine_s(1)),
        "wake_us": micro(times.wake_s),
        "batch_us": micro(times.engine_s(times.max_batch) / times.max_batch),
        "price": f"{CORE_HOUR}",
        "pod_load": share(costs.pod_load),
        "pod_per_s": f"{costs.pod_load * costs.most_per_s:,.0f}",
        "busy": share(max(row["busy"] for row in measured["core"]["arrivals"] if row["load"] == costs.load)),
        "single_scaling": f"{measured['workers']['two_singles_per_s'] / measured['core']['singles_per_s']:.2f}",
        "scaling": f"{measured['workers']['nginx_two_texts_per_s'] / measured['workers']['one_texts_per_s']:.2f}",
    }
    page = TEMPLATE.read_text(encoding="utf-8")
    for mark, text in parts.items():
        page = page.replace(f"{{{mark}}}", text)
    PAGE.write_text(page, encoding="utf-8")


def pick(value: Any, which: str) -> Any:
    """The same, with one of its three figures in place of each measurement."""
    if isinstance(value, list):
        return [pick(one, which) for one in value]
    if isinstance(value, dict):
        return value[which] if which in value else {name: pick(one, which) for name, one in value.items()}
    return value


def calibrate(core: Row) -> Times:
    """What a request costs.

    Of the time when the core answers most, what the engine does not take is the event loop's. What a request costs more
    when hardly anybody comes, and the engine has one text a run, is the waking up.
    """
    points = [tuple(point) for point in core["engine_s"]]
    bare = Times(0.0, 0.0, 0.0, points)
    a_run = core["texts_a_run"]
    loop_s = 1 / core["singles_per_s"] - bare.engine_s(a_run) / a_run
    least = core["arrivals"][0]
    wake_s = least["busy"] / least["rate_per_s"] - loop_s - bare.engine_s(1)
    return Times(READ_SHARE * loop_s, (1 - READ_SHARE) * loop_s, max(0.0, wake_s), points)


def foretell(times: Times, core: Row) -> list[dict[str, float]]:
    """The waiting times at the loads that were measured."""
    rows = []
    for row in core["arrivals"]:
        found = simulate(draw(row["rate_per_s"], SECONDS, seed=1), times)
        waits = {f"p{percent}_ms": found.wait_ms(percent) for percent in (10, 50, 90, 99)}
        rows.append({"load": row["load"], **waits, "texts_a_run": float(np.mean(found.batches))})
    return rows


@dataclass(frozen=True, slots=True)
class Costs:
    """What a request takes.

    `load`: the share of a core's most at which waiting is still short; `pod_load`: at which the autoscaler of
    deploy/kubernetes asks for another Pod.
    """

    most_per_s: float
    load: float
    pod_load: float
    batch_per_s: float
    nginx_ms: float
    redis_ms: float
    request_bytes: float
    answer_bytes: float
    memory_mb: float

    @classmethod
    def of(cls, measured: Mapping[str, Row]) -> "Costs":
        core, fronts = measured["core"], measured["fronts"]
        quick = [row["load"] for row in core["arrivals"] if row["p99_ms"] <= LARGEST_WAIT_MS]
        return cls(
            core["singles_per_s"],
            max(quick),
            float(np.interp(POD_BUSY, *zip(*((row["busy"], row["load"]) for row in core["arrivals"]), strict=True))),
            core["batch_texts_per_s"],
            fronts["nginx_ms"],
            fronts["redis_ms"],
            measured["sizes"]["request_bytes"],
            measured["sizes"]["answer_bytes"],
            core["memory_mb"],
        )


def measured_table(found: Mapping[str, Row]) -> str:
    core, fronts, workers, bulk = found["core"], found["fronts"], found["workers"], found["bulk"]
    rows: list[tuple[str, Row, float]] = [
        ("one worker, one core: requests/s with one text, 48 connections", core["singles_per_s"], 1),
        ("the same: texts/s in batches of 256", core["batch_texts_per_s"], 1),
        ("the same with eight connections in place of two", workers["one_texts_per_s"], 1),
        ("one worker's memory, MB", core["memory_mb"], 1),
        ("two workers, two cores: texts/s in batches of 256", workers["two_texts_per_s"], 1),
        ("the same: requests/s with one text, 48 connections", workers["two_singles_per_s"], 1),
        ("two services of a core each behind nginx: texts/s in batches of 256", workers["nginx_two_texts_per_s"], 1),
        ("core time of the service for a request, µs", fronts["service_ms"], 1e3),
        ("core time of nginx for a request, µs", fronts["nginx_ms"], 1e3),
        ("core time of Redis for a request whose rate is counted in it, µs", fronts["redis_ms"], 1e3),
        ("core time of the service for such a request, µs", fronts["service_with_redis_ms"], 1e3),
        ("`sentopic classify`, one core: rows/s", bulk["one_core_rows_per_s"], 1),
        ("`sentopic classify`, two cores: rows/s", bulk["two_cores_rows_per_s"], 1),
    ]  # fmt: skip
    if nodes := found.get("nodes"):
        rows += [
            ("`classify --cluster`, two Ray nodes of a core, one engine: rows/s", nodes["one_engine_rows_per_s"], 1),
            ("the same, two engines: rows/s", nodes["two_engines_rows_per_s"], 1),
        ]  # fmt: skip
    cells = [
        [name, *(f"{value[which] * unit:,.0f}" for which in ("median", "least", "most"))] for name, value, unit in rows
    ]
    return table(["80 words a text", "Median", "Least", "Most"], cells)


def waits_table(ranges: Row, core: Row, foretold: Sequence[Row]) -> str:
    rows = []
    for spread, row, told in zip(ranges["arrivals"], core["arrivals"], foretold, strict=True):
        pairs = [
            f"{row[key]:.1f} ({spread[key]['least']:.1f} to {spread[key]['most']:.1f})" for key in ("p50_ms", "p99_ms")
        ]
        rows.append(
            [
                f"{row['load']:.2f}", f"{row['rate_per_s']:,.0f}", pairs[0], f"{told['p50_ms']:.1f}",
                pairs[1], f"{told['p99_ms']:.1f}", f"{row['texts_a_run']:.1f}", f"{told['texts_a_run']:.1f}",
            ]
        )  # fmt: skip
    heads = ["Share of the most", "Requests/s", "p50, ms: measured", "foretold", "p99, ms: measured", "foretold"]
    return table([*heads, "Texts a run: measured", "foretold"], rows)


def draw_waits(core: Row, foretold: Sequence[Row]) -> None:
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    loads = [row["load"] for row in core["arrivals"]]
    for key, colour in (("p50_ms", "tab:blue"), ("p90_ms", "tab:green"), ("p99_ms", "tab:red")):
        name = key.removesuffix("_ms")
        axes.plot(loads, [row[key] for row in core["arrivals"]], "o-", color=colour, label=f"{name}, measured")
        axes.plot(loads, [row[key] for row in foretold], "x--", color=colour, label=f"{name}, foretold")
    axes.set(
        xlabel="load, as a share of the most that one core answers",
        ylabel="from the request to its answer, ms",
        yscale="log",
    )
    axes.grid(visible=True, which="both", alpha=0.3)
    axes.legend(ncols=3, fontsize=8)
    figure.savefig(FIGURE, dpi=120)
    plt.close(figure)


def plan_table(costs: Costs) -> str:
    """Cores and the like for each rate, one text a request and in batches."""
    rows = []
    for rate in RATES:
        cores, front = rate / (costs.most_per_s * costs.load), rate * costs.nginx_ms / 1e3 / costs.load
        bits = [f"{rate * size * 8 / 1e6:,.0f}" for size in (costs.request_bytes, costs.answer_bytes)]
        rows.append(
            [
                f"{rate:,}",
                shorten(cores),
                shorten(front),
                share(rate * costs.redis_ms / 1e3),
                shorten(np.ceil(cores) * costs.memory_mb / 1e3),
                " and ".join(bits),
                f"{np.ceil(cores + front) * CORE_HOUR * MONTH_H:,.0f}",
                f"{np.ceil(rate / (costs.most_per_s * costs.pod_load)):,.0f}",
                shorten(rate / (costs.batch_per_s * costs.load)),
            ]
        )
    heads = ["Texts/s", "Cores of the service", "Cores of nginx", "Redis' one thread", "Workers' memory, GB"]
    return table(
        [*heads, "Mbit/s in and out", "Dollars a month", "Pods of a core, autoscaled", "Cores in batches of 256"], rows
    )


def micro(seconds: float) -> str:
    return f"{seconds * 1e6:,.0f}"


def shorten(count: float) -> str:
    return f"{count:,.1f}" if count < 10 else f"{count:,.0f}"


def share(value: float) -> str:
    return f"{value * 100:,.0f} %"


def bulk_table(measured: Mapping[str, Row]) -> str:
    rate = measured["bulk"]["one_core_rows_per_s"]
    hours = BILLION / rate / 3600
    rows = [
        [
            "`sentopic classify`, one process on one core",
            f"{hours:,.0f} h",
            f"{hours:,.0f}",
            f"{hours * CORE_HOUR:,.2f}",
        ]
    ]
    if nodes := measured.get("nodes"):
        one, two = nodes["one_engine_rows_per_s"], nodes["two_engines_rows_per_s"]
        lost = two / (2 * one)
        for cores in (16, 128):
            hours = BILLION / (one * lost * cores) / 3600
            name = f"`--cluster`, {cores} engines of a core each, each at {lost:.2f} of one alone as measured with two"
            rows.append([name, f"{hours:,.1f} h", f"{hours * cores:,.0f}", f"{hours * cores * CORE_HOUR:,.2f}"])
    return table(["A billion texts of 80 words", "Time", "Core hours", "Dollars"], rows)


if __name__ == "__main__":
    main()
