"""The page at /models: figures as they were sealed, drawn and in tables, whatever a bundle may bring."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from app.settings import SHIPPED
from tests.browser.conftest import Guard, Open

pytestmark = pytest.mark.browser
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def page(open_page: Open) -> Page:
    return open_page("/models")


def section(page: Page, name: str) -> Any:
    return page.get_by_role("region", name=name, exact=True)


def read(task: str, model: str, name: str) -> Any:
    return json.loads((SHIPPED / task / model / name).read_text("utf-8"))


def cells(page: Page, name: str, title: str) -> list[list[str]]:
    """A table of the section, opened if it is not."""
    details = section(page, name).locator("details", has_text=title)
    if details.get_attribute("open") is None:
        details.locator("summary").click()
    return [row.split("\t") for row in details.locator("tbody tr").evaluate_all(
        "rows => rows.map(row => [...row.children].map(cell => cell.textContent).join('\\t'))"
    )]  # fmt: skip


@pytest.mark.parametrize("task", ["sentiment", "topic"])
@pytest.mark.parametrize("model", ["gru", "lstm"])
def test_model_is_chosen_and_its_figures_are_those_it_was_sealed_with(page: Page, task: str, model: str) -> None:
    page.get_by_role("navigation", name="Models").locator("li", has_text=task.capitalize()).get_by_role(
        "link", name=model.upper()
    ).click()
    shown = page.locator(".summary")
    expect(shown.get_by_role("heading")).to_have_text(f"{task.capitalize()} / {model.upper()}")
    metrics, manifest = read(task, model, "bundle.json")["metrics"], read(task, model, "bundle.json")
    expect(shown).to_contain_text(f"{metrics['test_accuracy']:.2%}")
    expect(shown).to_contain_text(f"95%: {metrics['test_accuracy_low']:.2%} to {metrics['test_accuracy_high']:.2%}")
    expect(shown).to_contain_text(f"{manifest['parameters']:,}")
    expect(shown).to_contain_text(manifest["recipe"]["name"])
    assert page.url.endswith(f"#task={task}&model={model}")
    for name in ("Learning", "Reliability", "Risk and coverage", "Confusion matrix"):
        expect(section(page, name).locator("svg").first).to_be_visible()


def test_curves_and_their_tables_say_the_same(page: Page) -> None:
    figures = read("sentiment", "gru", "metrics.json")
    history = cells(page, "Learning", "The epochs as a table")
    assert [row[:3] for row in history] == [
        [str(epoch["epoch"]), f"{epoch['loss']:.4f}", f"{epoch['val_loss']:.4f}"] for epoch in figures["history"]
    ]
    expect(section(page, "Learning").locator("rect.spot")).to_have_count(2 * len(history))
    bins = cells(page, "Reliability", "The bins as a table")
    assert len(bins) == 30
    assert bins[15][2:4] == [f"{figures['reliability']['test'][0][part]:.1%}" for part in ("confidence", "accuracy")]
    expect(section(page, "Reliability").locator("circle.spot")).to_have_count(15)
    targets = cells(page, "Risk and coverage", "The thresholds as a table")
    assert [row[3] for row in targets] == [f"{t['test']['answered_accuracy']:.1%}" for t in figures["targets"]]


def test_points_lie_where_their_values_are(page: Page) -> None:
    """The reliability diagram's are on a common scale, so that the diagonal means what it says."""
    chart = section(page, "Reliability")
    expect(chart.locator("circle.spot")).to_have_count(15)
    spots = chart.locator("circle.spot").evaluate_all(
        "all => all.map(s => [Number(s.getAttribute('cx')), Number(s.getAttribute('cy'))])"
    )
    bins = read("sentiment", "gru", "metrics.json")["reliability"]["test"]
    (x0, y0), (x1, y1) = spots[0], spots[-1]
    for (x, y), found in zip(spots, bins, strict=True):
        share = (found["confidence"] - bins[0]["confidence"]) / (bins[-1]["confidence"] - bins[0]["confidence"])
        assert x == pytest.approx(x0 + share * (x1 - x0), abs=0.5)
        rise = (found["accuracy"] - bins[0]["accuracy"]) / (bins[-1]["accuracy"] - bins[0]["accuracy"])
        assert y == pytest.approx(y0 + rise * (y1 - y0), abs=0.5)


def test_each_cell_of_46_labels_is_told(open_page: Open) -> None:
    page = open_page("/models#task=topic&model=gru")
    chart = page.get_by_role("application", name="Confusion matrix of 46 labels.")
    manifest, figures = read("topic", "gru", "bundle.json"), read("topic", "gru", "metrics.json")
    matrix, names = figures["confusion"], [label["display_name"] for label in manifest["labels"]]
    order = sorted(range(46), key=lambda place: -sum(matrix[place]))
    expect(page.locator(".confusion.side text")).to_have_count(46)
    cell = chart.locator("rect.hit").first.bounding_box()
    assert cell
    assert cell["width"] >= 12
    chart.focus()
    readout = section(page, "Confusion matrix").locator(".readout")
    first, second = order[0], order[1]
    expect(readout).to_have_text(re.compile(rf"^{names[first]}: {matrix[first][first]} of {sum(matrix[first])} texts"))
    page.keyboard.press("ArrowRight")
    expect(readout).to_contain_text(f"{names[first]} answered as {names[second]}: {matrix[first][second]} of")
    chart.locator("rect.miss").nth(5).hover()
    expect(readout).to_contain_text("answered as")
    worst = max((matrix[a][b], names[a], names[b]) for a in range(46) for b in range(46) if a != b)
    assert cells(page, "Confusion matrix", "The most frequent confusions as a table")[0][:3] == [
        worst[1], worst[2], str(worst[0]),
    ]  # fmt: skip


LONG = ["Deliveries and their delay", "Questions about the invoice"]


def matrix_boxes(page: Page) -> dict[str, Any]:
    """Where everything of the confusion matrix is seen, as [left, top, right, bottom]."""
    expect(page.locator("svg.confusion rect.hit").first).to_be_visible()
    page.wait_for_function("document.fonts.ready.then(() => true)")
    boxes: dict[str, Any] = page.evaluate("""() => {
        const box = (node) => { const r = node.getBoundingClientRect(); return [r.left, r.top, r.right, r.bottom]; };
        const all = (path) => [...document.querySelectorAll(path)];
        return {
            matrix: box(all(".matrix")[0]),
            cells: all(".confusion .hit, .confusion .miss").map(box),
            numbers: all(".confusion .number").map(box),
            sizes: all(".confusion .number").map((node) => parseFloat(getComputedStyle(node).fontSize)),
            heads: all(".confusion:not(.side) > text:not(.number)").map(box),
            sides: all(".confusion.side text").map(box),
            names: all(".confusion > text:not(.number)").map((node) => node.textContent),
        };
    }""")
    return boxes


def apart(boxes: list[list[float]]) -> bool:
    return not any(
        a[0] < b[2] - 1 and b[0] < a[2] - 1 and a[1] < b[3] - 1 and b[1] < a[3] - 1
        for place, a in enumerate(boxes)
        for b in boxes[:place]
    )


@pytest.mark.parametrize("width", [320, 375, 1280])
@pytest.mark.parametrize("task", ["sentiment", "topic", "long"])
def test_confusion_matrix_can_be_read_on_any_screen(open_page: Open, task: str, width: int) -> None:
    """Every cell has its number, and no heading lies over another or is cut off; names are whole with few labels."""
    page = open_page("/docs", viewport={"width": width, "height": 800})
    if task == "long":
        page.route("**/tasks", lambda route: route.fulfill(json=rename_labels(route.fetch().json())))
    page.goto(page.url.replace("/docs", f"/models#task={task.replace('long', 'sentiment')}&model=gru"))
    found = matrix_boxes(page)
    assert len(found["numbers"]) == len(found["cells"])
    assert min(found["sizes"]) >= 9
    for number, cell in zip(found["numbers"], found["cells"], strict=True):
        assert cell[0] - 1 <= number[0]
        assert number[2] <= cell[2] + 1
    assert min(cell[2] - cell[0] for cell in found["cells"]) >= (18 if task == "topic" else 33)
    assert apart(found["heads"])
    assert apart(found["sides"])
    left, top, right, bottom = found["matrix"]
    assert all(left <= box[0] and top <= box[1] and box[3] <= bottom for box in [*found["heads"], *found["sides"]])
    if task != "topic" or width == 1280:
        assert all(box[2] <= right for box in [*found["heads"], *found["cells"]])
    if task == "sentiment" or (task == "long" and width > 320):
        assert sorted(found["names"]) == sorted((LONG if task == "long" else ["Negative", "Positive"]) * 2)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def rename_labels(described: Any) -> Any:
    (task,) = (task for task in described["tasks"] if task["name"] == "sentiment")
    for label, name in zip(task["labels"], LONG, strict=True):
        label["display_name"] = name
    return described


def test_cell_that_is_out_of_sight_comes_into_it(open_page: Open) -> None:
    page = open_page("/models#task=topic&model=gru", viewport={"width": 375, "height": 800})
    chart = page.get_by_role("application", name="Confusion matrix of 46 labels.")
    chart.focus()
    for key, times in (("ArrowRight", 45), ("ArrowLeft", 45)):
        for _ in range(times):
            page.keyboard.press(key)
            frame, side = chart.locator(".chosen").bounding_box(), page.locator(".confusion.side").bounding_box()
            assert frame
            assert side
            assert side["x"] + side["width"] - 2 <= frame["x"] <= 375 - frame["width"]


def test_labels_have_their_precision_and_recall(open_page: Open) -> None:
    page = open_page("/models#task=topic&model=lstm")
    rows = cells(page, "By label", "Labels")
    figures = read("topic", "lstm", "metrics.json")["per_label"]["earn"]
    assert len(rows) == 46
    assert rows[0] == [
        "Earnings and dividends",
        "813",
        *(f"{figures[part]:.3f}" for part in ("precision", "recall", "f1")),
    ]


@pytest.mark.parametrize(
    ("task", "model"), [("sentiment", "gru"), ("sentiment", "lstm"), ("topic", "gru"), ("topic", "lstm")]
)
def test_ladder_has_the_figures_of_the_page_on_quality(open_page: Open, task: str, model: str) -> None:
    quality = (ROOT / "docs" / "quality.md").read_text("utf-8")
    ladder = quality.split(f"## The ladder: {task}")[1].split("\n## ")[0]
    linear = quality.split("## Against a linear model")[1].split("\n## ")[0]
    page = open_page(f"/models#task={task}&model={model}")
    rungs = page.locator(".ladder li")
    expect(rungs.first).to_be_visible()
    told = rungs.evaluate_all(
        "all => all.map(r => [r.querySelector('b').textContent, r.querySelector('.share').textContent])"
    )
    assert len(told) >= 6
    for name, share in told[:-2]:
        version = re.fullmatch(r"Version (\d)", name)
        if name in {"Linear SVM", "Logistic regression, naive Bayes"}:
            rows = [row for row in linear.splitlines() if row.lower().startswith(f"| {name.lower()}")]
        else:
            start = f"`{task}-gru.v{version[1]}`" if version else name.lower()
            rows = [row for row in ladder.splitlines() if row.lower().startswith(f"| {start}")]
        assert len(rows) == 1, name
        assert f"{float(share[:-1]) / 100:.4f}" in rows[0], name
    metrics = read(task, model, "bundle.json")["metrics"]
    assert told[-1] == [model.upper(), f"{metrics['test_accuracy']:.2%}"]
    expect(section(page, "The ladder")).to_contain_text(
        f"most frequent label is right in {'50.0%' if task == 'sentiment' else '36.2%'}"
    )


def test_models_of_other_data_have_no_ladder_but_their_own(page: Page) -> None:
    def change(route: Route) -> None:
        manifest = route.fetch().json()
        manifest["data"]["sha256"] = "0" * 64
        route.fulfill(json=manifest)

    page.route("**/bundle.json", change)
    page.reload()
    expect(page.locator(".ladder li b")).to_have_text(["LSTM", "GRU"])


def test_card_is_shown_whole(page: Page) -> None:
    section(page, "The card").get_by_text("Read it", exact=True).click()
    card = page.locator(".markdown")
    source = (SHIPPED / "sentiment" / "gru" / "CARD.md").read_text("utf-8")
    headings = [re.sub(r"^#+ ", "", row) for row in source.splitlines() if row.startswith("#")]
    assert card.locator("h3, h4, h5").all_inner_texts() == headings
    expect(card.locator("tr")).to_have_count(
        sum(row.startswith("|") and "| ---" not in row for row in source.splitlines())
    )
    expect(card).not_to_contain_text("**")
    expect(card).not_to_contain_text("](")


def test_files_are_those_of_the_bundle(page: Page) -> None:
    for name in ("CARD.md", "confusion.png", "bundle.json"):
        with page.expect_download() as started:
            section(page, "Files").get_by_role("link", name=name).click()
        assert started.value.suggested_filename == f"sentiment-gru-{name}"
        assert started.value.path().read_bytes() == (SHIPPED / "sentiment" / "gru" / name).read_bytes()


HOSTILE_CARD = (
    """# <img src=x onerror=alert(1)> [click](javascript:alert(1))

<script>alert(1)</script> ![x](https://example.org/x.png) `<b>` **<i>bold</i>**

| a | <svg onload=alert(1)> |
| --- | --- |
| [out](https://example.org) | ![](//example.org/y.png) |

"""
    + "[" * 20_000
    + "*" * 20_000
    + "`" * 19_999
)
HOSTILE_FIGURES = [
    "not json",
    "[1, 2, 3]",
    '{"history": [{"epoch": "<b>", "loss": null}], "confusion": [[1]], "per_label": 7, "reliability": []}',
    '{"history": 5, "confusion": [[1, 2], [3, -4]], "reliability": {"test": [{"confidence": 9}]}, "targets": [null]}',
]


@pytest.mark.parametrize("figures", HOSTILE_FIGURES)
def test_hostile_papers_are_shown_as_text_or_not_at_all(open_page: Open, figures: str) -> None:
    """Guards find what they might load or run."""
    page = open_page("/docs")
    page.route("**/metrics.json", lambda route: route.fulfill(body=figures, content_type="application/json"))
    page.route("**/CARD.md", lambda route: route.fulfill(body=HOSTILE_CARD, content_type="text/markdown"))
    page.goto(page.url.replace("/docs", "/models"))
    for name in ("Learning", "Reliability", "Risk and coverage", "By label", "Confusion matrix"):
        expect(section(page, name)).to_contain_text("This bundle does not tell.")
    section(page, "The card").get_by_text("Read it", exact=True).click()
    card = page.locator(".markdown")
    expect(card).to_contain_text("<script>alert(1)</script>")
    assert card.locator("a, img, script, svg, b, i").count() == 0


def test_bundle_without_papers_is_shown_by_what_the_service_says(open_page: Open) -> None:
    page = open_page("/docs")

    def strip(route: Route) -> None:
        described = route.fetch().json()
        for task in described["tasks"]:
            for model in task["models"]:
                model |= {"papers": [], "metrics": {}}
        route.fulfill(json=described)

    page.route("**/tasks", strip)
    page.goto(page.url.replace("/docs", "/models"))
    expect(page.locator(".summary")).to_contain_text("1,354,625")
    expect(section(page, "The card")).to_contain_text("This bundle does not tell.")


def test_trouble_is_told_and_mended(open_page: Open, guard: Guard) -> None:
    guard.refused.add(503)
    page = open_page("/docs")
    page.route("**/metrics.json", lambda route: route.fulfill(status=503, json={}), times=1)
    page.goto(page.url.replace("/docs", "/models"))
    expect(page.get_by_role("alert")).to_contain_text("too much to do")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(".summary")).to_be_visible()


def test_model_on_show_can_be_tried(page: Page) -> None:
    page.get_by_role("link", name="Try it").click()
    expect(page.get_by_label("Text", exact=True)).to_be_visible()
    assert page.url.endswith("/#task=sentiment&model=gru")
