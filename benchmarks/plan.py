"""Writes docs/scale.md and its figure from what benchmarks.scale has left: what was measured, and what follows from it.

    python -m benchmarks.plan

The simulation is calibrated with three measured figures (the engine's runs, the most requests a second, the core's time
a request when hardly anybody comes) and then foretells waiting times that it was not told, beside those measured.
Of benchmarks.limit and benchmarks.peers it takes another time's speed, the load generator's share, and memory.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
import numpy as np

mpl.use("agg")

from matplotlib import pyplot as plt

from benchmarks import sentences
from benchmarks.arrivals import draw
from benchmarks.buying import bulk_parts, plan_parts
from benchmarks.costs import LARGEST_WAIT_MS, Costs
from benchmarks.report import OURS, describe_machine
from benchmarks.sentences import micro, percent, two_digits
from benchmarks.simulation import Foretold, Times, simulate
from training.markdown import table

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
TEMPLATE = ROOT / "benchmarks" / "scale.page.md"
PAGE = ROOT / "docs" / "scale.md"
FIGURE = ROOT / "docs" / "benchmarks" / "waiting.png"

READ_SHARE: Final = 0.7
"""Of the event loop's time for a request, what comes before the engine: assumed, not measured."""

OTHER_SHARES: Final = (0.5, 0.8)
"""What it might be as well."""

Row = Mapping[str, Any]


def main() -> None:
    found, limit, peers = (json.loads((RESULTS / f"{name}.json").read_text()) for name in ("scale", "limit", "peers"))
    measured = medians(found)
    times = calibrate(measured["core"])
    foretold = foretell(times, found["core"])
    FIGURE.parent.mkdir(exist_ok=True)
    draw_waits(measured["core"], foretold)
    PAGE.write_text(fill_in(TEMPLATE.read_text(encoding="utf-8"), parts_of(found, limit, peers, foretold)), "utf-8")


def fill_in(template: str, parts: Mapping[str, str]) -> str:
    """Raises KeyError for a mark that nothing is known for."""
    return re.sub(r"{(\w+)}", lambda mark: parts[mark[1]], template)


def parts_of(found: Row, limit: Row, peers: Row, foretold: Sequence[Row]) -> dict[str, str]:
    """The page's marks, and what stands in their places. `foretold`: as `foretell` has it."""
    measured = medians(found)
    costs = Costs.of(
        measured,
        generator_ms=limit["medians"]["wrk_core"] / limit["medians"]["predict_c64_per_s"] * 1e3,
        memory_mb=peers["peers"][OURS]["memory_mb"],
    )
    here, there = costs.batch_per_s, limit["slowest"]["one_core_batch_texts_per_s"]
    return {
        "machine": describe_machine(found["machine"]),
        "another_time": sentences.another_time(here, there, same_machine=limit["machine"] == found["machine"]),
        "slow_plan": sentences.slow_plan(here, there),
        "measured": measured_table(found),
        **scaling_parts(found, measured, costs),
        **waiting_parts(found["core"], measured["core"], costs, foretold),
        **plan_parts(costs),
        **bulk_parts(found, measured, here, there),
    }


def medians(found: Row) -> dict[str, Any]:
    return {name: pick(part, "median") for name, part in found.items() if name != "machine"}


def pick(value: Any, which: str) -> Any:
    """The same, with one of its figures in place of each measurement."""
    if isinstance(value, list):
        return [pick(one, which) for one in value]
    if isinstance(value, dict):
        return value[which] if which in value else {name: pick(one, which) for name, one in value.items()}
    return value


def calibrate(core: Row, read_share: float = READ_SHARE) -> Times:
    """What a request costs.

    Of the time when the core answers most, what the engine does not take is the event loop's. What a request costs more
    when hardly anybody comes, and the engine has one text a run, is taken for the waking up.
    """
    points = [tuple(point) for point in core["engine_s"]]
    bare = Times(0.0, 0.0, 0.0, points)
    a_run = core["texts_a_run"]
    loop_s = 1 / core["singles_per_s"] - bare.engine_s(a_run) / a_run
    least = core["arrivals"][0]
    wake_s = least["busy"] / least["rate_per_s"] - loop_s - bare.engine_s(1)
    return Times(read_share * loop_s, (1 - read_share) * loop_s, max(0.0, wake_s), points)


def foretell(times: Times, core: Row) -> list[dict[str, Any]]:
    """The waiting times at the loads that were measured, with the same rounds' random numbers and for as long."""
    rows = []
    for row in pick(core, "median")["arrivals"]:
        runs = [simulate(draw(row["rate_per_s"], core["seconds"], turn), times) for turn in range(core["rounds"])]
        waits = {f"p{share}_ms": spread([run.wait_ms(share) for run in runs]) for share in (10, 50, 90, 99)}
        rows.append({"load": row["load"], **waits, "texts_a_run": spread([texts_a_run(run) for run in runs])})
    return rows


def texts_a_run(run: Foretold) -> float:
    return float(np.mean(run.batches))


def spread(values: Sequence[float]) -> dict[str, float]:
    return {"median": float(np.median(values)), "least": min(values), "most": max(values)}


def measured_table(found: Row) -> str:
    core, fronts, workers, bulk = found["core"], found["fronts"], found["workers"], found["bulk"]
    rows: list[tuple[str, Row, float]] = [
        ("one worker, one core: requests/s with one text, 48 connections", core["singles_per_s"], 1),
        ("the same: texts/s in batches of 256", core["batch_texts_per_s"], 1),
        ("the same with eight connections in place of two", workers["one_texts_per_s"], 1),
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


def scaling_parts(found: Row, measured: Row, costs: Costs) -> dict[str, str]:
    workers, core = measured["workers"], measured["core"]
    two = workers["nginx_two_texts_per_s"]
    batches = sorted(two / one for one in (workers["one_texts_per_s"], core["batch_texts_per_s"]))
    generator = workers.get("two_singles_generator_cores")
    return {
        "rounds": f"{found['core']['rounds']}",
        "seconds": f"{found['core']['seconds']:g}",
        "uneven": sentences.uneven(found["workers"]["two_texts_per_s"]),
        "batch_scaling": " or ".join(f"{one:.2f}" for one in batches),
        "single_scaling": f"{workers['two_singles_per_s'] / core['singles_per_s']:.2f}",
        "generator": "its part was measured" if generator is not None else "its part is that of Benchmarks",
        "redis_measured": f"{two_digits(1e3 / measured['fronts']['service_with_redis_ms']):,.0f}",
        "together": sentences.together(costs.each),
        "each": f"{costs.each:.2f}",
        "batch_each": f"{costs.batch_each:.2f}",
        "batch_ratio": f"{core['batch_texts_per_s'] / core['singles_per_s']:.1f}",
    }


def waiting_parts(ranges: Row, core: Row, costs: Costs, foretold: Sequence[Row]) -> dict[str, str]:
    times = calibrate(core)
    row, busy = next((row, row["busy"]["median"]) for row in ranges["arrivals"] if row["load"]["median"] == costs.load)
    others = [foretell(calibrate(core, share), ranges) for share in OTHER_SHARES]
    some = {"half": len(foretold) // 2, "largest": len(foretold) - 1}
    return {
        "load": percent(costs.load),
        "core_per_s": f"{costs.load * costs.most_per_s:,.0f}",
        "busy": percent(busy),
        "headline": sentences.headline(row),
        "largest_wait": f"{LARGEST_WAIT_MS:g}",
        "waits": waits_table(ranges, core, foretold),
        "agreement": sentences.agreement(core["arrivals"], medians({"rows": foretold})["rows"]),
        "overload": sentences.overload(ranges["arrivals"], ranges["seconds"]),
        "read_share": f"{READ_SHARE:g}",
        "other_shares": " or ".join(f"{share:g}" for share in OTHER_SHARES),
        **{f"{name}_load": f"{foretold[place]['load']:.2f}" for name, place in some.items()},
        **{
            f"{name}_waits": " or ".join(f"{other[place]['p99_ms']['median']:.1f}" for other in others)
            for name, place in some.items()
        },
        "alone_us": micro(times.read_s + times.answer_s + times.wake_s + times.engine_s(1)),
        "engine_us": micro(times.engine_s(1)),
        "loop_us": micro(times.read_s + times.answer_s),
        "wake_us": micro(times.wake_s),
        "most_a_run": f"{core['texts_a_run']:.1f}",
        "most_us": micro(times.engine_s(core["texts_a_run"]) / core["texts_a_run"]),
    }


def waits_table(ranges: Row, core: Row, foretold: Sequence[Row]) -> str:
    rows = []
    for of_rounds, row, told in zip(ranges["arrivals"], core["arrivals"], foretold, strict=True):
        waits = [in_range(each[key]) for key in ("p50_ms", "p99_ms") for each in (of_rounds, told)]
        rows.append([f"{row['load']:.2f}", f"{row['rate_per_s']:,.0f}", *waits])
    heads = ["Share of the most", "Requests/s", "p50, ms: measured", "foretold", "p99, ms: measured", "foretold"]
    return table(heads, rows)


def in_range(figure: Row) -> str:
    return f"{figure['median']:,.1f} ({figure['least']:,.1f} to {figure['most']:,.1f})"


def draw_waits(core: Row, foretold: Sequence[Row]) -> None:
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    loads = [row["load"] for row in core["arrivals"]]
    for key, colour in (("p50_ms", "tab:blue"), ("p90_ms", "tab:green"), ("p99_ms", "tab:red")):
        name = key.removesuffix("_ms")
        told = [row[key]["median"] for row in foretold]
        axes.plot(loads, [row[key] for row in core["arrivals"]], "o-", color=colour, label=f"{name}, measured")
        axes.plot(loads, told, "x--", color=colour, label=f"{name}, foretold")
    axes.set(
        xlabel="load, as a share of the most that one core answers",
        ylabel="from the request to its answer, ms",
        yscale="log",
    )
    axes.grid(visible=True, which="both", alpha=0.3)
    axes.legend(ncols=3, fontsize=8)
    figure.savefig(FIGURE, dpi=120)
    plt.close(figure)


if __name__ == "__main__":
    main()
