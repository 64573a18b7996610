"""What stands on the page about an answer: label, confidence, doubt with its reasons, labels, models side by side."""

import json
import re
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, Route, expect

from app.settings import SHIPPED
from tests.browser.conftest import Open
from tests.browser.hands import answer, percent, write
from tests.faults.conftest import starting

pytestmark = pytest.mark.browser
PRAISE = "A quiet, patient film that trusts its actors. I loved every minute of it."


def test_answer_is_the_services(page: Page, client: httpx.Client) -> None:
    write(page, PRAISE)
    expect(answer(page).locator(".label")).to_have_text("Positive")
    served = client.post("/predict/sentiment", json={"text": PRAISE, "model": "gru"}).json()
    assert percent(answer(page).locator(".confidence")) == pytest.approx(served["confidence"], abs=6e-4)
    expect(answer(page)).to_contain_text("14 words read, 13 known.")
    expect(answer(page).locator(".state")).to_contain_text("Sure enough. Of the test texts answered like this, 97.6%")


def test_uncertain_answer_says_why(page: Page) -> None:
    write(page, "This is not a good film.")
    expect(answer(page).locator(".state")).to_contain_text("Uncertain: do not rely on it.")
    expect(answer(page).locator(".state li")).to_have_count(1)
    expect(answer(page).locator(".state li")).to_contain_text("Its confidence is under 86.2%")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Qwzxv brrglp thwompfk.", "The model knows no word of the text"),
        ("Qwzxv brrglp thwompfk film.", "The model knows less than half of the words"),
    ],
)
def test_unknown_words_are_a_reason_of_their_own(page: Page, text: str, reason: str) -> None:
    write(page, text)
    expect(answer(page).locator(".state.unsure li").first).to_contain_text(reason)


def test_reason_that_does_not_hold_is_not_given(page: Page) -> None:
    def claim(route: Route) -> None:
        served = route.fetch().json()
        warning = {
            "code": "mostly_unknown_words",
            "detail": "The model knows less than half of the words that it read.",
        }
        route.fulfill(json=served | {"confidence": 0.97, "uncertain": True, "warnings": [warning]})

    page.route("**/predict/*", claim)
    write(page, PRAISE)
    expect(answer(page).locator(".state.unsure li")).to_have_text([re.compile("less than half of the words")])


def test_cut_text_is_told(open_page: Open) -> None:
    page = open_page("/#task=topic")
    write(page, "Crude oil prices rose again. " * 60)
    expect(answer(page).locator(".remark")).to_contain_text("longer than what the model reads")


def test_labels_are_ranked_and_all_can_be_seen(open_page: Open) -> None:
    page = open_page("/#task=topic")
    write(page, "Crude oil prices rose as producers cut output.")
    rows = answer(page).locator(".bars li")
    expect(rows).to_have_count(5)
    answer(page).get_by_role("button", name="All 46 labels").click()
    expect(rows).to_have_count(46)
    widths = [
        float(width)
        for width in rows.locator(".filling").evaluate_all("bars => bars.map(b => parseFloat(b.style.width))")
    ]
    assert widths == sorted(widths, reverse=True)
    assert sum(widths) == pytest.approx(100, abs=0.1)
    answer(page).get_by_role("button", name="The first 5").click()
    expect(rows).to_have_count(5)


def test_task_is_switched_and_the_text_stays(page: Page) -> None:
    write(page, "Shr 39 cts vs 50 cts. Net 1.3 mln vs 1.6 mln. Reuter")
    page.get_by_role("radio", name="Topic").check()
    expect(answer(page).locator(".label")).to_have_text("Earnings and dividends")
    expect(page.get_by_role("radio", name="Topic")).to_be_focused()
    expect(page.get_by_role("group", name="Examples to try")).to_contain_text("Earnings")


def test_model_is_switched(page: Page, client: httpx.Client) -> None:
    write(page, PRAISE)
    expect(answer(page, "gru").locator(".label")).to_be_visible()
    page.get_by_role("radio", name="LSTM").check()
    expect(answer(page, "lstm").locator(".label")).to_have_text("Positive")
    expect(answer(page, "gru")).to_have_count(0)
    served = client.post("/predict/sentiment", json={"text": PRAISE, "model": "lstm"}).json()
    assert percent(answer(page, "lstm").locator(".confidence")) == pytest.approx(served["confidence"], abs=6e-4)


def test_models_stand_side_by_side_and_disagree_in_words(page: Page) -> None:
    page.get_by_label("Side by side with LSTM").check()
    write(page, "This is not a good film.")
    expect(page.locator("#agreement")).to_contain_text("They disagree: Positive (GRU 52")
    expect(page.locator("#agreement")).to_contain_text("Neither is sure.")
    left, right = answer(page, "gru").bounding_box(), answer(page, "lstm").bounding_box()
    assert left
    assert right
    assert left["y"] == right["y"]
    assert left["x"] + left["width"] <= right["x"]
    write(page, PRAISE)
    expect(page.locator("#agreement")).to_contain_text("Both say Positive (GRU 9")
    page.get_by_label("Side by side").uncheck()
    expect(page.locator("#agreement")).to_be_hidden()
    expect(answer(page, "lstm")).to_have_count(0)


def test_models_side_by_side_are_stacked_on_a_phone(open_page: Open) -> None:
    page = open_page("/#beside=lstm", viewport={"width": 360, "height": 740})
    write(page, PRAISE)
    expect(answer(page, "lstm").locator(".label")).to_be_visible()
    first, second = answer(page, "gru").bounding_box(), answer(page, "lstm").bounding_box()
    assert first
    assert second
    assert first["x"] == second["x"]
    assert first["y"] + first["height"] < second["y"]


def test_answer_is_told_to_those_who_hear_the_page(page: Page) -> None:
    write(page, "This is not a good film.")
    expect(page.get_by_role("status").first).to_have_text("Positive, 52.3%, uncertain")


def report(page: Page, label: str, *, text: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the page sends, and what the service says that it keeps."""
    answer(page).get_by_role("button", name="Was this wrong?").click()
    answer(page).get_by_label("It should be").select_option(label)
    answer(page).get_by_label("send the text too; the service keeps it").set_checked(text)
    with page.expect_response("**/feedback") as sent:
        answer(page).get_by_role("button", name="Send").click()
    expect(answer(page)).to_contain_text(f"Thank you. Noted: {label}.")
    assert sent.value.status == 202
    return json.loads(sent.value.request.post_data or ""), sent.value.json()


def test_wrong_answer_is_reported_without_the_text_unless_it_is_given(page: Page) -> None:
    write(page, "This is not a good film.")
    said, kept = report(page, "Negative", text=False)
    assert said.keys() == {"id", "task", "label"}
    assert kept == said | {"label": "negative", "has_text": False}
    write(page, "This was not a good film.")
    expect(page.locator(".words")).to_contain_text("was")
    said, kept = report(page, "Positive", text=True)
    assert said["text"] == "This was not a good film."
    assert kept == {"id": said["id"], "task": "sentiment", "label": "positive", "has_text": True}


def test_who_reports_nothing_is_back_where_that_began(page: Page) -> None:
    """Whoever uses the keyboard was once dropped at the page's beginning."""
    write(page, "This is not a good film.")
    answer(page).get_by_role("button", name="Was this wrong?").press("Enter")
    answer(page).get_by_role("button", name="Never mind").press("Enter")
    expect(answer(page).get_by_role("button", name="Was this wrong?")).to_be_focused()


def test_what_was_reported_can_be_taken_back(page: Page, client: httpx.Client) -> None:
    write(page, "This is not a good film.")
    said, _ = report(page, "Negative", text=True)
    answer(page).get_by_role("button", name="Take it back").click()
    expect(answer(page)).to_contain_text("It is taken back")
    expect(answer(page).get_by_role("button", name="Was this wrong?")).to_be_focused()
    assert client.delete(f"/feedback/{said['id']}").status_code == 404, "it is gone"


def test_service_that_takes_no_feedback_is_not_offered_any(open_page: Open) -> None:
    with starting() as serve:
        page = open_page("/", base=serve("--bundle", str(SHIPPED / "sentiment" / "gru"), max_feedback=0).url)
        write(page, "This is not a good film.")
        expect(answer(page).locator(".label")).to_be_visible()
        expect(answer(page).get_by_role("button", name="Was this wrong?")).to_have_count(0)
