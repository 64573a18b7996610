"""A text gets onto the page: typed, pasted, dropped, opened, as an example or by a link."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import Open
from tests.browser.hands import answer, choose, drop, write

pytestmark = pytest.mark.browser
PRAISE = "A quiet, patient film that trusts its actors. I loved every minute of it."
BLAME = "The worst film of the year: dull, loud and far too long."


def test_typed_text_is_answered_without_a_click(page: Page) -> None:
    page.get_by_label("Text", exact=True).click()
    page.keyboard.type("A wonderful film, superb and moving.")
    expect(answer(page).locator(".label")).to_have_text("Positive")


def test_only_the_last_of_many_texts_counts(page: Page) -> None:
    """Each key asks anew, and an answer that comes late does not replace a later one's."""
    held = []
    page.route(
        "**/predict/*", lambda route: held.append(route) if "worst" in route.request.post_data else route.fallback()
    )
    write(page, BLAME)
    page.wait_for_timeout(500)
    assert len(held) == 1
    write(page, PRAISE)
    expect(answer(page).locator(".label")).to_have_text("Positive")
    held[0].fallback()
    page.wait_for_timeout(300)
    expect(answer(page).locator(".label")).to_have_text("Positive")


def test_control_and_enter_ask_at_once(open_page: Open) -> None:
    page = open_page("/", alone=True)
    field = page.get_by_label("Text", exact=True)
    page.clock.install()  # so that no pause ends by itself
    field.fill(PRAISE)
    field.press("Control+Enter")
    expect(answer(page).locator(".label")).to_have_text("Positive")


def test_pasted_text_is_answered(page: Page) -> None:
    page.evaluate("text => navigator.clipboard.writeText(text)", BLAME)
    page.get_by_label("Text", exact=True).press("Control+v")
    expect(answer(page).locator(".label")).to_have_text("Negative")


def test_dropped_file_is_answered(page: Page) -> None:
    drop(page, "review.txt", PRAISE.encode())
    expect(page.get_by_label("Text", exact=True)).to_have_value(PRAISE)
    expect(answer(page).locator(".label")).to_have_text("Positive")


def test_opened_file_is_answered(page: Page, tmp_path: Path) -> None:
    (tmp_path / "review.txt").write_text(f"\ufeff{BLAME}", encoding="utf-8")
    choose(page, page.get_by_role("button", name="Open a file").click).set_files(tmp_path / "review.txt")
    expect(page.get_by_label("Text", exact=True)).to_have_value(BLAME)
    expect(answer(page).locator(".label")).to_have_text("Negative")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("photo.jpg", b"\xff\xd8\xff\xe0 nothing to read", "photo.jpg is no text in UTF-8."),
        ("program", b"zero\0bytes", "program is no text in UTF-8."),
        ("reviews.csv", b"text\ngood\n", "Drop it on the bulk page."),
        ("large.txt", b"x" * 2_000_001, "large.txt has 2.0 MB; a text may have 100,000 characters."),
    ],
)
def test_file_that_is_no_text_is_refused_in_one_sentence(page: Page, name: str, content: bytes, said: str) -> None:
    drop(page, name, content)
    expect(page.get_by_role("alert")).to_contain_text(said)
    expect(page.get_by_label("Text", exact=True)).to_have_value("")


def test_text_can_be_cleared(page: Page) -> None:
    write(page, PRAISE)
    expect(answer(page).locator(".label")).to_be_visible()
    page.get_by_role("button", name="Clear", exact=True).click()
    expect(answer(page)).to_contain_text("Write a text")
    expect(page.get_by_label("Text", exact=True)).to_be_focused()
    expect(page.locator(".reasons")).to_be_hidden()


def test_blank_text_asks_nothing(page: Page) -> None:
    asked = []
    page.on("request", lambda request: asked.append(request.url) if "/predict/" in request.url else None)
    write(page, "  \n\t ")
    page.get_by_role("button", name="Classify").click()
    page.wait_for_timeout(400)
    assert not asked


@pytest.mark.parametrize(("task", "examples"), [("sentiment", 6), ("topic", 5)])
def test_every_example_is_answered(open_page: Open, task: str, examples: int) -> None:
    page = open_page(f"/#task={task}")
    buttons = page.get_by_role("group", name="Examples to try").get_by_role("button")
    expect(buttons).to_have_count(examples)
    for number in range(examples):
        with page.expect_response("**/predict/*") as answered:
            buttons.nth(number).click()
        assert answered.value.status == 200
        expect(answer(page).locator(".label")).to_be_visible()


def test_link_brings_task_models_and_text_with_it(open_page: Open) -> None:
    page = open_page(
        "/#task=topic&model=lstm&beside=gru&text=Crude+oil+prices+fell+to+17+dlrs+a+barrel+as+OPEC+output+rose."
    )
    expect(page.get_by_role("radio", name="Topic")).to_be_checked()
    expect(page.get_by_role("radio", name="LSTM")).to_be_checked()
    expect(page.get_by_label("Text", exact=True)).to_have_value(
        "Crude oil prices fell to 17 dlrs a barrel as OPEC output rose."
    )
    expect(answer(page, "lstm").locator(".label")).to_have_text("Crude oil")
    expect(answer(page, "gru").locator(".label")).to_have_text("Crude oil")


def test_address_never_has_the_text_by_itself(page: Page) -> None:
    write(page, "a very private text")
    expect(answer(page).locator(".label")).to_be_visible()
    assert "private" not in page.url
    page.get_by_role("radio", name="Topic").check()
    assert page.url.endswith("#task=topic&model=gru")
    assert "private" not in page.url


def test_unknown_names_in_a_link_are_passed_over(open_page: Open) -> None:
    page = open_page("/#task=nothing&model=gpt&beside=gru")
    expect(page.get_by_role("radio", name="Sentiment")).to_be_checked()
    write(page, PRAISE)
    expect(answer(page).locator(".label")).to_have_text("Positive")


def test_file_that_is_dropped_too_early_waits_for_the_page(page: Page) -> None:
    held = list[Route]()
    page.route("**/tasks", lambda route: held.insert(0, route))
    page.reload()
    drop(page, "review.txt", PRAISE.encode())
    held[0].fallback()
    expect(answer(page).locator(".label")).to_have_text("Positive")
