"""Words and the running verdict: coloured, marked, and told by pointer, finger and keys."""

import re

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import Open
from tests.browser.hands import answer, percent, write

pytestmark = pytest.mark.browser
TEXT = "I expected little: the poster is dull. But what a film! Superb, moving, wonderful from start to end."


@pytest.fixture
def read(page: Page) -> Page:
    write(page, TEXT)
    expect(page.locator(".words .word")).to_have_count(18)
    return page


def word(page: Page, shown: str) -> object:
    return page.locator(".words .word").get_by_text(shown, exact=True)


def height(page: Page) -> float:
    """Where on its axis, from 0 to 1, the cursor on the line stands."""
    top, _, bottom = page.locator(".axes line").evaluate_all(
        "all => all.map(e => Number(e.getAttribute('y1'))).sort((a, b) => a - b)"
    )
    found: str = page.locator(".cursor circle").get_attribute("cy") or ""
    return float((bottom - float(found)) / (bottom - top))


def test_words_are_coloured_by_what_they_say(read: Page) -> None:
    expect(word(read, "wonderful")).to_have_class(re.compile(r"\bfor-\d\b"))
    expect(word(read, "dull")).to_have_class(re.compile(r"\bagainst-\d\b"))
    expect(read.locator(".words")).to_have_text(TEXT)
    styles = [
        word(read, shown).evaluate("e => getComputedStyle(e).textDecorationStyle") for shown in ("wonderful", "dull")
    ]
    assert styles == ["solid", "dashed"], "not by colour alone"


def test_unknown_rare_and_unused_words_are_marked_as_such(open_page: Open) -> None:
    page = open_page("/#task=topic")
    write(page, "Zorblatt and the crude oil of habe. " + "wheat " * 110)
    expect(word(page, "Zorblatt")).to_have_class(re.compile(r"\bunknown\b"))
    expect(page.locator(".words .word").last).to_have_class(re.compile(r"\bunused\b"))
    for told in ("unknown, skipped", "not read"):
        expect(page.locator(".legend")).to_contain_text(told)
    word(page, "Zorblatt").hover()
    expect(page.locator(".readout")).to_contain_text("unknown: the model skipped it")
    page.locator(".words").evaluate("e => e.scrollTo(0, e.scrollHeight)")
    page.locator(".words .word").last.hover()
    expect(page.locator(".readout")).to_contain_text("not read: it lies outside what the model reads")
    write(page, "wieder film")
    expect(page.locator(".words .word")).to_have_count(2)


def test_rare_word_is_told_from_an_unknown_one(page: Page) -> None:
    write(page, "Der Film ist wunderbar und ich komme wieder")
    expect(word(page, "wieder")).to_have_class(re.compile(r"\brare\b"))
    expect(page.locator(".legend")).to_contain_text("too rare to tell")


def test_hovered_word_tells_what_it_contributed_and_marks_the_verdict(read: Page) -> None:
    word(read, "dull").hover()
    expect(read.locator(".readout")).to_contain_text("dull (word 7 of 18): speaks against Positive (\u2212")
    expect(read.locator(".readout")).to_contain_text("without it")
    expect(read.locator(".readout")).to_contain_text("so far")
    expect(read.locator(".cursor circle")).to_have_count(1)
    expect(word(read, "wonderful")).to_have_class(re.compile(r"\blater\b"))
    read.get_by_role("heading", level=1).hover()
    expect(read.locator(".cursor circle")).to_have_count(0)
    expect(read.locator(".words .later")).to_have_count(0)


def test_hovered_verdict_marks_the_place_in_the_text(read: Page) -> None:
    chart = read.get_by_role("slider")
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    assert box
    left, right = box["x"] + 50, box["x"] + box["width"] - 14
    for place in (0, 6, 17):
        read.mouse.move(left + (right - left) * place / 17, box["y"] + 60)
        expect(read.locator(".words .selected")).to_have_attribute("data-place", str(place))
        told = float(re.search(r"Positive ([\d.]+)% so far", read.locator(".readout").inner_text())[1]) / 100  # type: ignore[index]
        assert height(read) == pytest.approx(told, abs=0.005)
    assert percent(answer(read).locator(".confidence")) == pytest.approx(
        float(re.search(r"Positive ([\d.]+)% so far", read.locator(".readout").inner_text())[1]) / 100  # type: ignore[index]
    )


def test_verdict_at_the_end_is_the_answer_and_it_changed_its_mind(read: Page) -> None:
    chart = read.get_by_role("slider")
    chart.focus()
    shares = []
    read.keyboard.press("Home")
    for _ in range(18):
        told = chart.get_attribute("aria-valuetext") or ""
        shares.append(float(re.search(r"Positive ([<>]?)([\d.]+)%", told)[2]))  # type: ignore[index]
        read.keyboard.press("ArrowRight")
    assert min(shares) < 25
    assert shares[-1] > 50
    assert shares[-1] == pytest.approx(100 * percent(answer(read).locator(".confidence")), abs=0.11)


def test_finger_selects_a_word_and_a_place_on_the_line(open_page: Open) -> None:
    page = open_page("/", viewport={"width": 375, "height": 812}, has_touch=True, is_mobile=True)
    write(page, TEXT)
    page.locator(".words .word").get_by_text("dull").tap()
    expect(page.locator(".readout")).to_contain_text("dull (word 7 of 18)")
    page.get_by_role("slider").tap(position={"x": 300, "y": 60})
    expect(page.locator(".readout")).not_to_contain_text("dull")
    expect(page.locator(".words .selected")).to_have_count(1)


def test_words_can_be_walked_by_keys(read: Page) -> None:
    read.locator(".words").focus()
    for key, shown in (
        ("Home", "I"),
        ("ArrowRight", "expected"),
        ("End", "end"),
        ("ArrowLeft", "to"),
        ("ArrowUp", "dull"),
    ):
        read.keyboard.press(key)
        expect(read.locator(".words .selected")).to_have_text(shown)
    read.keyboard.press("Escape")
    expect(read.locator(".words .selected")).to_have_count(0)


def test_table_says_the_same(read: Page) -> None:
    read.get_by_text("The words as a table").click()
    row = read.locator(".reasons tbody tr").filter(has=read.get_by_role("rowheader", name="wonderful"))
    expect(row.get_by_role("cell").nth(0)).to_have_text("known")
    expect(row.get_by_role("cell").nth(1)).to_contain_text("+")
    expect(row.get_by_role("cell").nth(3)).to_contain_text("%")


def test_same_word_is_marked_for_both_models(open_page: Open) -> None:
    page = open_page("/#beside=lstm")
    write(page, TEXT)
    expect(page.locator(".words")).to_have_count(2)
    page.locator(".words").first.get_by_text("dull", exact=True).hover()
    expect(page.locator(".words .selected")).to_have_text(["dull", "dull"])


@pytest.mark.parametrize(
    "text", ["🎬🍿 a wonderful film 🎉 dull end", "a\U00020000 wonderful 👩‍👩‍👧 film, é\u0301 dull"]
)
def test_characters_beyond_the_first_plane_shift_nothing(page: Page, text: str) -> None:
    """The service counts code points, JavaScript UTF-16 units."""
    write(page, text)
    expect(page.locator(".words")).to_have_text(text, use_inner_text=False)
    for shown in ("wonderful", "film", "dull"):
        expect(word(page, shown)).to_have_count(1)


def test_page_without_explanations_shows_the_answer_alone(page: Page) -> None:
    page.route("**/openapi.json", lambda route: route.fulfill(json={"paths": {}}))
    page.reload()
    write(page, TEXT)
    expect(answer(page).locator(".label")).to_have_text("Positive")
    expect(page.get_by_role("button", name="Was this wrong?")).to_have_count(0)


def test_answer_to_a_long_text_does_not_wait_for_its_explanation(page: Page) -> None:
    held = []
    page.route(
        "**/predict/*", lambda route: held.append(route) if "explain" in route.request.post_data else route.fallback()
    )
    write(page, TEXT * 30)
    expect(answer(page).locator(".label")).to_have_text("Positive")
    expect(page.locator(".reasons")).to_be_hidden()
    held[0].fallback()
    expect(page.locator(".words .word")).to_have_count(18 * 30)


def test_words_that_have_grown_together_are_shown_once(page: Page) -> None:
    """As Korean ones do: two stand in one place."""

    def grow(route: Route) -> None:
        response = route.fetch()
        told = response.json()
        for words in [told["explanation"]["words"]] if told.get("explanation") else []:
            words.insert(4, words[3])
        route.fulfill(response=response, json=told)

    page.route("**/predict/*", grow)
    write(page, TEXT)
    expect(page.locator(".words .word")).to_have_count(19)
    expect(page.locator(".words")).to_have_text(TEXT)
    page.locator(".words").focus()
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    expect(page.locator(".readout")).to_contain_text("the (word 5 of 19)")
