"""The sentences of docs/scale.md that are true of some figures and not of others."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from benchmarks.costs import LARGEST_WAIT_MS

Row = Mapping[str, Any]

SAME: Final = 1.1
"""Figures that differ by less are called the same."""

OVERLOAD_MS: Final = 100.0
"""A p99 beyond this is looked into."""

KEYS: Final = {"p10": "p10_ms", "p50": "p50_ms", "p99": "p99_ms", "texts a run": "texts_a_run"}


def rounds_of(figure: Row) -> list[float]:
    """Each round's, in their order; where a run has not kept them, what is known of three: their order is not."""
    return list(figure.get("each", (figure["least"], figure["median"], figure["most"])))


def headline(row: Row) -> str:
    """How long people wait at the planned load, and what the worst round had; `row` has all rounds."""
    waits, rates = rounds_of(row["p99_ms"]), rounds_of(row["rate_per_s"])
    over = sum(wait > LARGEST_WAIT_MS for wait in waits)
    told = f"p99 is {wait_text(row['p99_ms']['median'])} then, the median of {len(waits)} rounds"
    if not over:
        return f"{told}, and {wait_text(max(waits))} in the worst."
    more = percent(max(rates) / row["rate_per_s"]["median"] - 1)
    return (
        f"{told}; but in {over} of them it was {'up to ' * (over > 1)}{wait_text(max(waits))}. Each round asks for "
        f"this share of its own most, up to {max(rates):,.0f} requests/s: {more} more than planned, or a slower "
        "moment, is too much at times."
    )


def another_time(here: float, there: float, same_machine: bool) -> str:
    """`here`, `there`: texts/s of a core in batches, of this page and at the worst of times."""
    machine = "the same machine" if same_machine else "another machine"
    figures = f"{there:,.0f} texts/s of a core in batches, where here it is {here:,.0f}: [Benchmarks](benchmarks.md)"
    factor = here / there
    if factor >= SAME:
        return (
            f"**Another time {machine} did {factor:.1f} times less** ({figures}). A plan is no better than that: "
            f"measure on what you buy, or take {factor:.1f} times as many cores."
        )
    if factor <= 1 / SAME:
        return (
            f"Another time {machine} did {1 / factor:.1f} times as much ({figures}). A plan is no better than that: "
            "measure on what you buy."
        )
    return f"Another time {machine} did about the same ({figures}). Measure on what you buy all the same."


def slow_hours(hours: float, here: float, there: float) -> str:
    """`hours`: for the billion on one core, at the speed of this page."""
    return f"; at the speed of another time (In short) {hours * here / there:,.0f} h" if here / there >= SAME else ""


def slow_plan(here: float, there: float) -> str:
    """Beside the plan, so that nobody takes its cores for those of a slower time."""
    return f" At the speed of another time (In short) it is {here / there:.1f} times as much." * (here / there >= SAME)


def together(each: float) -> str:
    """`each`: what one of two cores did of what one did alone, without the load generator's part."""
    told = f"each core did {each:.2f} of what one did alone"
    return f"{told}, and why not more is not known" if each < 1 / SAME else told


def agreement(measured: Sequence[Row], foretold: Sequence[Row]) -> str:
    """How far off the simulation is, but for the least load, which it is calibrated with."""
    pairs = list(zip(measured, foretold, strict=True))[1:]
    off = {name: [told[key] / row[key] - 1 for row, told in pairs] for name, key in KEYS.items()}
    told = ", ".join(f"{name} {signed(min(each))} to {signed(max(each))} %" for name, each in off.items())
    factor = math.ceil(max(1 / (1 + each) for each in off["p99"]) * 10) / 10
    lines = [f"Foretold less measured, but for the first row, whose core time is the calibration: {told}."]
    if factor >= SAME:
        lines.append(f"Take a foretold p99 times {factor:.1f}.")
    if min(off["p10"]) > 0:
        lines.append(
            "Short waits are foretold too long: all that the core does for a request is reckoned as before its answer, "
            "where a part comes after it."
        )
    return " ".join(lines)


def overload(rows: Sequence[Row], seconds: float) -> str:
    """What the worst rounds had beyond what the core could do, and how much of it that explains."""
    slow = [row for row in rows if max(rounds_of(row["p99_ms"])) > OVERLOAD_MS]
    if not slow:
        return ""
    waits = " and ".join(f"{wait_text(row['p99_ms']['most'])} at {row['load']['median']:.2f}" for row in slow)
    worst = max(slow, key=lambda row: row["p99_ms"]["most"])
    busy, late = worst["busy"]["most"], wait_text(worst["generator_late_ms"]["most"])
    waited_s, explained_s = worst["p99_ms"]["most"] / 1e3, max(0.0, busy - 1) * seconds
    lines = [
        f"In the worst rounds p99 was {waits} of their own most. The load generator was up to {late} late, which "
        "counts as waiting.",
        f"The core had up to {busy:.2f} times the work that it can do in {seconds:g} s, which explains waits of "
        f"{wait_text(explained_s * 1e3)} at most.",
    ]
    if waited_s > SAME * explained_s:
        lines.append(
            "**What the rest was, was not found out**: whether something else took the core, connections were opened "
            "in vain and again, or a few starved while others were answered."
        )
    if all(row["answered"]["least"] == 1 for row in rows):
        lines.append("Nothing was refused: these waits came before the queue that the service bounds.")
    else:
        least = min(row["answered"]["least"] for row in rows)
        lines.append(f"Of the requests {least * 100:.1f} % were answered in the worst round, and the others refused.")
    return " ".join([*lines, "So watch the core, not only the queue."])


def uneven(texts_per_s: Row) -> str:
    """Of two workers on one port."""
    each = rounds_of(texts_per_s)
    if max(each) < 1.2 * min(each):
        return ""
    listed = ", ".join(f"{one:,.0f}" for one in each[:-1])
    return (
        f" Two workers on one port had {listed} and {each[-1]:,.0f} texts/s: eight connections are not always shared "
        "evenly between them, and a connection stays where it is."
    )


def wait_text(ms: float) -> str:
    return f"{ms / 1e3:.1f} s" if ms >= 1_000 else f"{ms:.0f} ms"


def signed(share: float) -> str:
    return f"{round(share * 100):+d}"


def micro(seconds: float) -> str:
    return f"{seconds * 1e6:,.0f}"


def shorten(count: float) -> str:
    return f"{count:,.1f}" if count < 10 else f"{count:,.0f}"


def percent(value: float) -> str:
    return f"{value * 100:,.0f} %"


def two_digits(value: float) -> float:
    """What is reckoned far beyond what was measured has no more than two."""
    return float(f"{value:.1e}")
