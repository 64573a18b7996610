"""What goes wrong is told in a sentence that says what to do; hostile texts stay texts; keys are asked for."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from app.keys import create, open_store
from app.settings import SHIPPED
from tests.browser.conftest import Guard, Open
from tests.browser.hands import answer, write
from tests.faults.conftest import starting

pytestmark = pytest.mark.browser
PRAISE = "A quiet, patient film that trusts its actors. I loved every minute of it."


def problem(status: int, code: str, detail: str, **headers: str) -> dict[str, Any]:
    content = {"type": f"urn:sentopic:problem:{code}", "title": "x", "status": status, "code": code, "detail": detail}
    return {"status": status, "json": content, "headers": {"Content-Type": "application/problem+json", **headers}}


@pytest.mark.parametrize(
    ("answered", "said"),
    [
        (
            problem(429, "rate_limited", "x", **{"Retry-After": "40"}),
            "You have asked as often as is allowed for now. Try again in 40 seconds.",
        ),
        (
            problem(503, "overloaded", "x", **{"Retry-After": "1"}),
            "The service has too much to do just now. Try again in 1 second.",
        ),
        (problem(504, "deadline_exceeded", "x"), "No answer came in time. Try again, or try a shorter text."),
        (
            problem(413, "body_too_large", "A request body may have 9 bytes at most."),
            "A request body may have 9 bytes at most. Send less at once.",
        ),
        (problem(403, "forbidden", "x"), "Your key may not do this."),
        (problem(500, "internal", "x"), "The service failed to answer. Try again"),
        ({"status": 502, "body": "<html><script>alert(1)</script>"}, "The service failed to answer. Try again"),
        ({"status": 404, "body": ""}, "The service refused (404)."),
    ],
    ids=lambda value: str(value["status"]) if isinstance(value, dict) else "",
)
def test_error_is_one_sentence_and_mended_by_trying_again(
    page: Page, guard: Guard, answered: dict[str, Any], said: str
) -> None:
    guard.refused.add(answered["status"])
    page.route("**/predict/*", lambda route: route.fulfill(**answered), times=1)
    write(page, PRAISE)
    expect(page.get_by_role("alert")).to_contain_text(said)
    page.get_by_role("button", name="Try again").click()
    expect(answer(page).locator(".label")).to_have_text("Positive")
    expect(page.get_by_role("alert")).to_have_count(0)


def test_busy_service_is_asked_again_by_itself_when_it_said(page: Page, guard: Guard) -> None:
    guard.refused.add(503)
    page.route(
        "**/predict/*", lambda route: route.fulfill(**problem(503, "overloaded", "x", **{"Retry-After": "1"})), times=1
    )
    write(page, PRAISE)
    expect(page.get_by_role("alert")).to_contain_text("by itself in 1 second")
    expect(answer(page).locator(".label")).to_have_text("Positive")


def test_service_out_of_reach_is_told(page: Page, guard: Guard) -> None:
    page.route("**/predict/*", lambda route: route.abort(), times=1)
    write(page, PRAISE)
    expect(page.get_by_role("alert")).to_contain_text(
        "The service cannot be reached. See that it runs and that you are connected"
    )
    page.get_by_role("button", name="Try again").click()
    expect(answer(page).locator(".label")).to_have_text("Positive")


def test_page_that_finds_no_service_can_begin_again(page: Page) -> None:
    page.route("**/tasks", lambda route: route.abort(), times=1)
    page.reload()
    expect(page.get_by_role("alert")).to_contain_text("The service cannot be reached.")
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("button", name="Classify")).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)


def test_one_of_two_models_may_fail_alone(open_page: Open, guard: Guard) -> None:
    guard.refused.add(503)
    page = open_page("/#beside=lstm")

    def fail_one(route: Route) -> None:
        if '"model":"lstm"' in (route.request.post_data or ""):
            route.fulfill(**problem(503, "overloaded", "x"))
        else:
            route.fallback()

    page.route("**/predict/*", fail_one)
    write(page, PRAISE)
    expect(answer(page, "gru").locator(".label")).to_have_text("Positive")
    expect(answer(page, "lstm").get_by_role("alert")).to_contain_text("too much to do")
    expect(page.locator("#agreement")).to_be_hidden()


def test_text_that_is_too_long_is_told_before_and_after_it_is_sent(page: Page, guard: Guard) -> None:
    guard.refused.add(413)
    write(page, "film " * 20_001)
    expect(page.locator("#length")).to_have_text("100,005 of 100,000 characters")
    expect(page.locator("#length.over")).to_be_visible()
    expect(page.get_by_role("alert")).to_contain_text("A text may have 100000 characters at most. Shorten it.")


HOSTILE = {
    "elements": "<img src=x onerror=\"document.title='ran'\"><script>document.title='ran'</script><b>bold</b> film",
    "attributes": "\"><svg onload=document.title='ran'> ' onmouseover='document.title=1' film",
    "directions": "\u202e\u0645\u0631\u062d film\u202c \u05e9\u05dc\u05d5 \u2066wonderful\u2069 \u200f film",
    "zalgo and emoji": "f\u0301\u0302\u0303\u0304\u0305ilm 🏳️‍🌈👩🏽‍🚀 \ud83d film \ufeff\u0000",
    "one long word": "a" * 5_000,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_text_is_shown_as_the_text_it_is(page: Page, text: str) -> None:
    """Guards find what it might run, ask for or break; here, that it stands there, and pushes nothing aside."""
    page.evaluate("text => { document.getElementById('text').value = text; }", text)
    page.get_by_role("button", name="Classify", exact=True).click()
    expect(answer(page).locator(".label")).to_be_visible()
    shown = text.replace("\ud83d", "\ufffd")
    assert page.locator(".words").evaluate("e => e.textContent") == shown
    assert page.locator(".words :not(span, bdi)").count() == 0
    page.get_by_text("The words as a table").click()
    answer(page).get_by_role("button", name="As link, curl, Python").click()
    assert page.title() != "ran"
    assert page.evaluate("document.documentElement.scrollWidth") == 1280


def test_text_of_100000_characters_is_answered_and_can_be_walked(page: Page) -> None:
    text = ("The first half was dull, the second one wonderful. " * 2_000)[:100_000]
    write(page, text)
    expect(answer(page).locator(".label")).to_be_visible()
    expect(page.locator(".words .word")).to_have_count(len(text.split()))
    page.get_by_role("slider").focus()
    for key in ("End", "ArrowLeft", "Home"):
        page.keyboard.press(key)
    expect(page.locator(".readout")).to_contain_text("The (word 1 of ")
    page.get_by_text("The words as a table").click()
    expect(page.locator(".reasons tbody tr")).to_have_count(200)
    page.get_by_role("button", name="Show 200 more").click()
    expect(page.locator(".reasons tbody tr")).to_have_count(400)


# Keys


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """A service that asks for keys, and a key."""
    place = str(tmp_path_factory.mktemp("keys") / "keys")
    token = create(open_store(place), "page", ["predict"])
    with starting() as serve:
        yield serve("--bundle", str(SHIPPED / "sentiment" / "gru"), keys=place).url, token


def test_key_is_asked_for_and_kept_for_this_tab_alone(open_page: Open, guard: Guard, keyed: tuple[str, str]) -> None:
    base, token = keyed
    guard.refused.add(401)
    page = open_page("/", base=base)
    dialog = page.get_by_role("dialog", name="A key, please")
    dialog.get_by_label("Key").fill("snt_wrong_key")
    dialog.get_by_role("button", name="Use it").click()
    expect(dialog).to_contain_text("That key was not accepted.")
    dialog.get_by_label("Key").fill(token)
    page.keyboard.press("Enter")
    write(page, PRAISE)
    expect(answer(page).locator(".label")).to_have_text("Positive")
    answer(page).get_by_role("button", name="As link, curl, Python").click()
    expect(page.get_by_role("dialog")).to_contain_text("X-API-Key: $SENTOPIC_KEY")
    assert token not in page.content()
    assert page.evaluate("JSON.stringify(localStorage) + document.cookie + location.href").find(token) < 0
    page.reload()
    write(page, PRAISE)
    expect(answer(page).locator(".label")).to_have_text("Positive")
    other = page.context.new_page()
    other.goto(base)
    expect(other.get_by_role("dialog", name="A key, please")).to_be_visible()


def test_files_are_fetched_with_the_key(open_page: Open, guard: Guard, keyed: tuple[str, str]) -> None:
    base, token = keyed
    guard.refused.add(401)
    page = open_page("/models", base=base)
    page.get_by_role("dialog").get_by_label("Key").fill(token)
    page.keyboard.press("Enter")
    with page.expect_download() as started:
        page.get_by_role("link", name="CARD.md").click()
    assert started.value.suggested_filename == "sentiment-gru-CARD.md"
    assert started.value.path().read_bytes() == (SHIPPED / "sentiment" / "gru" / "CARD.md").read_bytes()


def test_who_has_no_key_is_told_so(open_page: Open, guard: Guard, keyed: tuple[str, str]) -> None:
    guard.refused.add(401)
    page = open_page("/", base=keyed[0])
    page.get_by_role("dialog").get_by_role("button", name="Not now").click()
    expect(page.get_by_role("alert")).to_contain_text("This service needs a key. Enter one to go on.")
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("dialog", name="A key, please")).to_be_visible()
