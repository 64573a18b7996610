"""The pages for everybody: by keyboard alone, in both themes, on a phone, held against WCAG by axe."""

import itertools
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.conftest import Open
from tests.browser.hands import answer, crowded, drop, write

pytestmark = pytest.mark.browser
TEXT = "Zorblatt! I expected little: the poster is dull. But what a film! Superb, moving, wonderful."
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


def show_answer(page: Page) -> None:
    write(page, TEXT)
    expect(page.locator(".plot svg path").first).to_be_visible()
    page.get_by_text("The words as a table").first.click()


def show_doubt_and_dialog(page: Page) -> None:
    page.get_by_label("Side by side").check()
    write(page, "This is not a good film.")
    expect(page.locator("#agreement")).to_be_visible()
    answer(page).get_by_role("button", name="Was this wrong?").click()
    answer(page).get_by_role("button", name="As link, curl, Python").click()


def show_trouble(page: Page) -> None:
    page.route("**/predict/*", lambda route: route.abort())
    write(page, TEXT)
    expect(page.get_by_role("alert")).to_be_visible()


def show_models(page: Page) -> None:
    expect(page.locator("svg.confusion").last).to_be_visible()
    page.locator("details").evaluate_all("all => all.forEach((each) => { each.open = true; })")


def show_jobs(page: Page) -> None:
    drop(page, "reviews.csv", b'text\nA wonderful film.\nThe worst of all.\n" "\n', "")
    page.get_by_role("button", name="Classify this file").click()
    page.get_by_role("button", name="Show 1 failed row").click()
    expect(page.get_by_role("list", name="Rows that failed")).to_be_visible()
    drop(page, "broken.csv", b'text\nA wonderful film.\n"no end\nnor here\n', "")
    page.get_by_role("button", name="Classify this file").click()
    expect(page.get_by_role("link", name="Download the rows before that")).to_be_visible()
    drop(page, "more.parquet", b"PAR1", "")
    expect(page.get_by_placeholder("text, or the only one")).to_be_visible()
    drop(page, "more.jsonl", b'{"text": "A film."}\n', "")
    expect(page.get_by_label("The texts are in")).to_be_visible()


SCENES = {
    "answer": ("/", show_answer),
    "doubt": ("/", show_doubt_and_dialog),
    "trouble": ("/", show_trouble),
    "models": ("/models", show_models),
    "bulk": ("/bulk", show_jobs),
}


@pytest.mark.usefixtures("jobs")
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("scene", SCENES)
def test_page_keeps_to_wcag(open_page: Open, scene: str, theme: str) -> None:
    path, act = SCENES[scene]
    page = open_page(path, color_scheme=theme, bypass_csp=True, reduced_motion="reduce")  # axe is a script of its own
    act(page)
    found = Axe().run(page, options=RULES)
    assert found.violations_count == 0, found.generate_report()


@pytest.mark.usefixtures("jobs")
@pytest.mark.parametrize("width", [360, 768])
@pytest.mark.parametrize("scene", SCENES)
def test_nothing_sticks_out_sideways(open_page: Open, scene: str, width: int) -> None:
    path, act = SCENES[scene]
    page = open_page(path, viewport={"width": width, "height": 740})
    act(page)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    low = page.locator("button:visible, select:visible, .segments label:visible").evaluate_all(
        "all => all.filter(e => e.getBoundingClientRect().height < 24).map(e => e.textContent)"
    )
    assert not low, "a finger needs 24 px"


def test_everything_is_done_with_the_keyboard_alone(page: Page) -> None:
    focused = "document.activeElement.id || document.activeElement.className || document.activeElement.textContent"
    expect(page.get_by_role("button", name="Classify", exact=True)).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="To the text")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")  # the task
    expect(page.get_by_role("radio", name="Topic")).to_be_checked()
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("radio", name="Sentiment")).to_be_checked()
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")  # the model
    expect(page.get_by_role("radio", name="LSTM")).to_be_checked()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(page.get_by_label("Text", exact=True)).to_be_focused()
    page.keyboard.type("A wonderful film, superb and moving.")
    page.keyboard.press("Control+Enter")
    expect(answer(page, "lstm").locator(".label")).to_have_text("Positive")
    reached = []
    while "The words as a table" not in reached and len(reached) < 25:
        page.keyboard.press("Tab")
        reached.append(page.evaluate(focused))
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none", f"{reached[-1]} does not show that it has the focus"
    wanted = ["classify", "open", "clear", "chip", "As link, curl, Python", "quiet", "words", "The words as a table"]
    assert [name for name, _ in itertools.groupby(reached) if name in wanted] == wanted


def shown_theme(page: Page) -> Any:
    """How bright what stands behind everything is, from 0 to 255."""
    return page.evaluate("Number(getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0])")


@pytest.mark.parametrize("system", ["light", "dark"])
def test_theme_is_the_systems_until_another_one_is_chosen(open_page: Open, system: str) -> None:
    other = "dark" if system == "light" else "light"
    page = open_page("/", alone=True, color_scheme=system)
    bright = {"light": lambda: shown_theme(page) > 200, "dark": lambda: shown_theme(page) < 50}
    assert bright[system]()
    page.get_by_role("button", name=f"Use the {other} theme").click()
    assert bright[other]()
    page.reload()
    assert bright[other]()
    page.get_by_role("button", name=f"Use the {system} theme").click()
    assert bright[system]()
    assert page.evaluate("localStorage.length") == 0, "the system's own theme is no choice"
    page.emulate_media(color_scheme=other)
    assert bright[other]()


def test_nothing_moves_where_that_is_not_wanted(open_page: Open) -> None:
    page = open_page("/", reduced_motion="reduce")
    write(page, TEXT)
    expect(answer(page).locator(".filling").first).to_be_visible()
    assert page.locator(".filling").first.evaluate("e => getComputedStyle(e).transitionDuration") == "0s"


def test_page_says_so_where_scripts_are_off(open_page: Open) -> None:
    page = open_page("/", java_script_enabled=False)
    expect(page.get_by_text("This page needs JavaScript.")).to_be_visible()


@pytest.mark.parametrize("width", [320, 1280])
def test_text_of_charts_has_room(open_page: Open, width: int) -> None:
    """On phones labels once ran together and titles were cut; 100.0% lacked its first digit everywhere."""
    page = open_page("/models", viewport={"width": width, "height": 800})
    expect(page.locator(".plot svg text")).not_to_have_count(0)
    expect(page.get_by_text("100.0%", exact=True).first).to_be_attached()
    assert not crowded(page)
    page.goto(page.url.split("/models")[0])
    page.get_by_role("radio", name="Topic").check()
    write(page, "Shr 39 cts vs 50 cts. Net 1.3 mln vs 1.6 mln. Revs 24.8 mln vs 22.1 mln. Reuter")
    title = page.locator(".plot text").filter(has_text="Earnings and dividends,")
    expect(title).to_be_visible()
    assert not crowded(page)
    course, name = page.locator(".plot .verdict"), page.locator(".plot .level-name")
    assert not course.evaluate(
        """(course, name) => {
            const [box, edge] = [name.getBoundingClientRect(), course.ownerSVGElement.getBoundingClientRect()];
            return [...Array(400).keys()].some((part) => {
                const { x, y } = course.getPointAtLength((course.getTotalLength() * part) / 399);
                const [across, down] = [x + edge.left, y + edge.top];
                return across > box.left && across < box.right && down > box.top + 2 && down < box.bottom - 2;
            });
        }""",
        name.element_handle(),
    )
