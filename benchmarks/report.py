"""Writes docs/benchmarks.md and its figures from what the benchmarks have left in benchmarks/results."""

import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl

mpl.use("agg")

from matplotlib import pyplot as plt

from training.markdown import table

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
TEMPLATE = ROOT / "benchmarks" / "page.md"
PAGE = ROOT / "docs" / "benchmarks.md"
FIGURES = ROOT / "docs" / "benchmarks"
OURS: Final = "Sentopic"
CONNECTIONS: Final = ("c1", "c8", "c64", "c256")

Results = Mapping[str, Any]


def main() -> None:
    names = ("peers", "limit", "growth", "training", "start")
    peers, limit, growth, training, start = (json.loads((RESULTS / f"{name}.json").read_text()) for name in names)
    FIGURES.mkdir(exist_ok=True)
    draw_peers(peers["peers"])
    draw_growth(growth)
    page = TEMPLATE.read_text(encoding="utf-8")
    parts = {
        "{machine}": describe_machine(peers["machine"]),
        "{peers}": peers_table(peers["peers"]),
        "{ratios}": ratios_table(peers),
        "{bars}": bars_table(peers, limit, start),
        "{limit}": limit_table(limit),
        "{growth}": growth_table(growth),
        "{training}": training_table(training),
    }
    for mark, text in parts.items():
        page = page.replace(mark, text)
    PAGE.write_text(page, encoding="utf-8")


def describe_machine(machine: Results) -> str:
    kept = {name: value for name, value in machine.items() if name not in ("processor", "cores", "memory", "system")}
    versions = ", ".join(f"{name} {value}" for name, value in kept.items())
    return (
        f"{machine['cores']} cores of an {machine['processor']}, {machine['memory']}, {machine['system']}; {versions}"
    )


def peers_table(peers: Results) -> str:
    heads = [
        "",
        "1: p50, p99, ms",
        "8: p50, p99, ms",
        "64: p50, p99, ms",
        "256: p50, p99, ms",
        "64: requests/s",
        "256: requests/s",
    ]
    heads += ["texts/s in batches of 256", "Memory, MB", "To the first answer, s", "Installed, MB"]
    rows = []
    for name, found in peers.items():
        one, eight, many, most = (found[key] for key in CONNECTIONS)
        installed = found["installed_mb"]
        rows.append(
            [
                f"**{name}**" if name == OURS else name,
                f"{one['p50_ms']:.2f}, {one['p99_ms']:.2f}",
                f"{eight['p50_ms']:.1f}, {eight['p99_ms']:.1f}",
                f"{many['p50_ms']:.0f}, {many['p99_ms']:.0f}",
                f"{most['p50_ms']:.0f}, {most['p99_ms']:.0f}" if most["requests_per_s"] else "no answer in 10 s",
                f"{many['requests_per_s']:,.0f}",
                f"{most['requests_per_s']:,.0f}",
                f"{found['texts_per_s']:,.0f}" if "texts_per_s" in found else "-",
                f"{found['memory_mb']:.0f}",
                f"{found['start_s']:.1f}",
                f"{installed:,.0f}" if installed else "-",
            ]
        )
    return table(heads, rows)


def round_ratios(peers: Results, name: str, key: str, what: str, *, ours_first: bool = True) -> list[float]:
    """Ours over another's (or the other way round) in each round."""
    pairs = zip(peers["rows"][OURS], peers["rows"][name], strict=True)
    values = [(own[key][what], other[key][what]) for own, other in pairs]
    return [a / b if b else float("inf") for a, b in (values if ours_first else [(b, a) for a, b in values])]


def spread(values: Sequence[float], digits: int = 2) -> str:
    if float("inf") in values:
        return "it gave no answer"
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def ratios_table(peers: Results) -> str:
    rows = []
    for name in peers["peers"]:
        if not name.startswith(OURS):
            cells = [spread(round_ratios(peers, name, key, "requests_per_s")) for key in (*CONNECTIONS, "full")]
            rows.append([name, *cells, spread(round_ratios(peers, name, "c1", "p50_ms"))])
    heads = ["Ours over", "1", "8", "64", "256 connections", "64, texts of 99 words", "p50 of one connection"]
    return table(heads, rows)


def bars_table(peers: Results, limit: Results, start: Results) -> str:
    tutorial = "FastAPI + model.predict"
    others = [name for name in peers["peers"] if not name.startswith((OURS, "FastAPI"))]
    speeds = {name: round_ratios(peers, name, "c64", "requests_per_s") for name in (*others, tutorial)}
    nearest = min((name for name in others if name != "mosec"), key=lambda name: statistics.median(speeds[name]))
    quickest = min(others, key=lambda name: peers["peers"][name]["c1"]["p50_ms"])

    def limited(name: str) -> list[float]:
        return [limit["ranges"][name][0], limit["medians"][name], limit["ranges"][name][1]]

    rows: list[tuple[str, float, float, list[float], int]] = [
        (f"requests/s, 64 connections, against {tutorial}", 100, 200, speeds[tutorial], 1),
        (f"the same against LitServe, BentoML, MLServer, Ray Serve, each; {nearest}", 2, 4, speeds[nearest], 1),
        ("the same against mosec", 1.0, 1.5, speeds["mosec"], 1),
        ("requests/s, 64 connections, as a share of an empty FastAPI route with the same request and answer models",
         0.5, 0.75, limited("requests_share_of_fastapi"), 1),
        ("a stricter reading: of an empty route without what ours leave out of FastAPI", 0.5, 0.75,
         limited("requests_share_of_empty"), 1),
        (f"p50 of one connection, against the best peer, {quickest}", 0.5, 0.25,
         round_ratios(peers, quickest, "c1", "p50_ms"), -1),
        ("p50 of one connection, less the empty route's, against one bare encode + engine call", 1.5, 1.2,
         limited("latency_over_bare"), -1),
        ("texts/s through `/batch`, as a share of the bare encode + engine loop, one core each", 0.8, 0.95,
         limited("batch_share_of_bare"), 1),
        ("a 10-word text against a 100-word text, engine time", 0.35, 0.15, limited("short_over_long"), -1),
        ("the same against a text that fills one window (99 words)", 0.35, 0.15, limited("short_over_window"), -1),
        ("start to ready, s", 1.5, 0.7, start["start_s"], -1),
        ("memory, one worker, all models, MB: resident, after an answer of each", 150, 110, start["memory_mb"], -1),
        ("the same after 256 connections and large batches, proportional set size", 150, 110,
         [peers["peers"][OURS]["memory_mb"]], -1),
    ]  # fmt: skip
    cells = []
    for name, must, goal, values, sign in rows:
        measured = spread(values, 3) if len(values) > 1 else f"{values[0]:.3g}"
        cells.append([name, f"{must:g}", f"{goal:g}", measured, grade(statistics.median(values), must, goal, sign)])
    return table(["", "Must", "Goal", "Measured: median (range)", ""], cells)


def grade(value: float, must: float, goal: float, sign: int) -> str:
    reached = value * sign
    return "goal met" if reached >= goal * sign else "met" if reached >= must * sign else "**missed**"


def limit_table(limit: Results) -> str:
    names = {
        "empty_c1_p50_ms": "empty route, one connection: p50, ms",
        "predict_c1_p50_ms": "`/predict/sentiment`, one connection: p50, ms",
        "bare_one_ms": "one bare encode + engine call, ms",
        "fastapi_c64_per_s": "empty route as FastAPI documents it, 64 connections: requests/s",
        "empty_c64_per_s": "empty route, 64 connections: requests/s",
        "predict_c64_per_s": "`/predict/sentiment`, 64 connections: requests/s",
        "wrk_core": "share of a core that the load generator takes meanwhile",
        "bare_texts_per_s": "bare encode + engine loop, one thread: texts/s",
        "batch_texts_per_s": "`/batch`, 256 texts, two connections: texts/s",
        "encode_us": "encoding one text, µs",
        "engine_10_words_ms": "engine, a text of 10 words, ms",
        "engine_99_words_ms": "engine, a text of 99 words (one full window), ms",
        "engine_100_words_ms": "engine, a text of 100 words (two windows), ms",
        "one_core_bare_texts_per_s": "the bare loop on one core: texts/s",
        "one_core_batch_texts_per_s": "`/batch` with one core for the whole service: texts/s",
        "engine_batch_ms": "engine, a full window in a batch, ms",
        "model_mmacs": "multiply-adds of a full window, millions",
        "peak_gmacs": "the core's peak in a matrix product, thousand millions of multiply-adds a second",
        "engine_share_of_peak": "the engine's share of that peak",
    }
    rows = [
        [what, f"{limit['medians'][name]:.4g}", "{:.4g} to {:.4g}".format(*limit["ranges"][name])]
        for name, what in names.items()
    ]
    return table(["", "Median", "Range"], rows)


def growth_table(growth: Results) -> str:
    names = {
        "text_ms": "ms for one text, by words",
        "batch_ms": "ms for a batch of 80-word texts, by texts",
        "connections_ms": "p50 in ms, by connections",
        "connections_per_s": "requests/s, by connections",
        "models_start_s": "seconds to ready, by loaded models",
        "models_mb": "memory in MB, by loaded models",
        "models_ms": "ms for one text, by loaded models",
    }
    rows = [
        [
            what,
            ", ".join(f"{x:,.0f}: {_short(y)}" for x, y in growth["series"][name]),
            f"{growth['exponents'][name]:.2f}",
        ]
        for name, what in names.items()
    ]
    return table(["", "Measured", "Exponent"], rows)


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 1_000 else f"{value:.3g}"


def training_table(training: Results) -> str:
    rows = [
        [f"`{name}`", f"{found['ours_s']:.2f}", f"{found['fit_s']:.2f}", f"{found['ratio']:.2f}"]
        for name, found in training["recipes"].items()
    ]
    return table(["Recipe", "Ours, s", "`model.fit`, s", "Times as long"], rows)


def draw_peers(peers: Results) -> None:
    """Requests a second and the median wait, on logarithmic axes: 200 times is otherwise not to be seen."""
    names = list(reversed(peers))
    figure, axes = plt.subplots(1, 2, figsize=(10, 4), sharey=True, layout="constrained")
    for axis, title, values in (
        (axes[0], "requests/s, 64 connections", [peers[name]["c64"]["requests_per_s"] for name in names]),
        (axes[1], "p50 of one connection, ms", [peers[name]["c1"]["p50_ms"] for name in names]),
    ):
        colours = ["#1f5fa8" if name.startswith(OURS) else "#b0b7c0" for name in names]
        bars = axis.barh(names, values, color=colours)
        axis.bar_label(bars, [f"{value:,.0f}" if value >= 10 else f"{value:.2f}" for value in values], padding=3)
        axis.set_xscale("log")
        axis.set_xlim(right=max(values) * 4)
        axis.set_title(title)
        axis.spines[["top", "right"]].set_visible(False)
    save(figure, "peers")


def draw_growth(growth: Results) -> None:
    shown: Sequence[tuple[str, str, str]] = (
        ("text_ms", "words in the text", "ms"),
        ("batch_ms", "texts in the batch", "ms"),
        ("connections_ms", "connections", "p50, ms"),
        ("models_mb", "loaded models", "memory, MB"),
    )
    figure, axes = plt.subplots(1, 4, figsize=(13, 3.2), layout="constrained")
    for axis, (name, x_title, y_title) in zip(axes, shown, strict=True):
        xs, ys = zip(*growth["series"][name], strict=True)
        axis.plot(xs, ys, marker="o", color="#1f5fa8", label="measured")
        axis.plot(xs, [ys[-1] * x / xs[-1] for x in xs], linestyle=":", color="#888", label="linear")
        axis.set(xscale="log", yscale="log", xlabel=x_title, title=y_title)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].legend(frameon=False)
    save(figure, "growth")


def save(figure: Any, name: str) -> None:
    figure.savefig(FIGURES / f"{name}.png", dpi=110)
    plt.close(figure)


if __name__ == "__main__":
    main()
