"""The page at /bulk: a file goes in, is watched, and comes back with its answers."""

import csv
import io
import json
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.coming import Coming
from tests.browser.conftest import Guard, Open
from tests.browser.hands import drop

pytestmark = pytest.mark.browser
PRAISE, BLAME = "A wonderful film, superb and moving.", "The worst film of the year: dull, loud and far too long."
TEXTS = [PRAISE, BLAME, "", PRAISE, 'He said: "great",\nand left.', BLAME, " "]


@pytest.fixture
def page(open_page: Open) -> Page:
    return open_page("/bulk")


def table(column: str = "text", delimiter: str = ",") -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter)
    writer.writerows([["id", column], *[[str(number), text] for number, text in enumerate(TEXTS)]])
    return out.getvalue().encode()


def job(page: Page) -> Locator:
    return page.locator(".job").first


def send(page: Page, name: str, content: bytes) -> Locator:
    drop(page, name, content, "")
    page.get_by_role("button", name="Classify this file").click()
    return job(page)


def test_dropped_table_is_answered_and_comes_back(page: Page) -> None:
    sent = send(page, "reviews.csv", table())
    expect(sent.get_by_role("status").first).to_contain_text("3 of 7 rows, 800 rows a second, about 2 seconds left.")
    expect(sent.get_by_role("progressbar")).to_have_js_property("value", 3 / 7)
    expect(sent.get_by_role("status").first).to_have_text("Done: 7 rows, 2 of them failed.")
    expect(sent.get_by_role("progressbar")).to_be_hidden()
    mix = sent.get_by_role("list", name="Answers by label").get_by_role("listitem")
    expect(mix).to_have_text(["Positive3 (60.0%)", "Negative2 (40.0%)"])
    link = sent.get_by_role("link", name="Download the result")
    assert link.get_attribute("download") == "reviews-sentiment-gru.csv"
    assert (link.get_attribute("href") or "").endswith("/result")
    page.evaluate("sessionStorage.setItem('sentopic-key', 'x')")  # with a key the page fetches it itself
    with page.expect_download() as started:
        link.click()
    assert started.value.suggested_filename == "reviews-sentiment-gru.csv"
    with started.value.path().open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["text"] for row in rows] == TEXTS
    assert [row["label"] for row in rows][:2] == ["positive", "negative"]


@pytest.mark.parametrize(
    ("name", "content", "read_as"),
    [
        ("reviews.csv", table(), "csv"),
        ("reviews.jsonl", "".join(json.dumps({"text": text}) + "\n" for text in TEXTS).encode(), "jsonl"),
        ("reviews.txt", "\n".join(text.replace("\n", " ") for text in TEXTS).encode(), "lines"),
    ],
)
def test_failed_rows_are_told_one_by_one(page: Page, coming: Coming, name: str, content: bytes, read_as: str) -> None:
    sent = send(page, name, content)
    sent.get_by_role("button", name="Show 2 failed rows").click()
    failed = sent.locator(".errors li")
    expect(failed).to_have_text(["Row 3: there is no text", "Row 7: there is no text"])
    assert coming.asked[0]["format"] == read_as


def test_parquet_is_sent_as_it_is(page: Page, coming: Coming) -> None:
    """Its columns cannot be seen from here, so one is named."""
    drop(page, "reviews.parquet", b"PAR1...", "")
    page.get_by_label("The texts are in").fill("body")
    page.get_by_role("button", name="Classify this file").click()
    expect(job(page)).to_be_visible()
    assert coming.asked == [{"task": "sentiment", "model": "gru", "format": "parquet", "text": "body"}]


def test_column_task_and_model_are_chosen(page: Page, coming: Coming) -> None:
    page.get_by_role("radio", name="Topic").check()
    page.get_by_role("radio", name="LSTM").check()
    drop(page, "mails.csv", table("review", ";"), "")
    expect(page.get_by_label("Read it as")).to_have_value("csv")
    expect(page.get_by_label("The texts are in")).to_have_value("review")
    expect(page.locator("#preview")).to_contain_text("A wonderful film, superb and moving.")
    page.get_by_label("The texts are in").select_option("id")
    expect(page.locator("#preview .text").first).to_have_text("0")
    page.get_by_label("The texts are in").select_option("review")
    page.get_by_label("Read it as").select_option("lines")
    expect(page.get_by_label("The texts are in")).to_have_count(0)
    page.get_by_role("button", name="Classify this file").click()
    expect(job(page)).to_contain_text("Topic / LSTM")
    assert coming.asked == [{"task": "topic", "model": "lstm", "format": "lines"}]


def test_file_is_chosen_with_a_button(page: Page) -> None:
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose a file").click()
    chooser.value.set_files(
        {"name": "reviews.txt", "mimeType": "text/plain", "buffer": f"{PRAISE}\n{BLAME}\n".encode()}
    )
    expect(page.get_by_role("button", name="Classify this file")).to_be_focused()
    page.keyboard.press("Enter")
    expect(job(page).get_by_role("status").first).to_have_text("Done: 2 rows.")


def test_job_is_deleted_after_a_second_thought(page: Page, coming: Coming) -> None:
    sent = send(page, "reviews.csv", table())
    expect(sent.get_by_role("link", name="Download")).to_be_visible()
    sent.get_by_role("button", name="Delete").click()
    assert coming.jobs
    sent.get_by_role("button", name="Really delete?").click()
    expect(page.locator(".job")).to_have_count(0)
    expect(page.get_by_text("No file has been sent yet.")).to_be_visible()
    assert not coming.jobs


def test_running_job_is_cancelled(page: Page, coming: Coming) -> None:
    coming.halting = True
    sent = send(page, "reviews.csv", table())
    expect(sent.get_by_role("status").first).to_have_text("Waiting for its turn.")
    sent.get_by_role("button", name="Cancel").click()
    sent.get_by_role("button", name="Really cancel and delete?").click()
    expect(page.locator(".job")).to_have_count(0)
    assert not coming.jobs


def test_jobs_are_there_again_when_the_page_is(page: Page, coming: Coming) -> None:
    coming.halting = True
    send(page, "reviews.csv", table())
    expect(job(page)).to_be_visible()
    coming.add({"task": "topic", "model": "lstm", "format": "lines"}, b"Crude oil rose.\n")
    page.reload()
    expect(page.locator(".job h3")).to_have_text(["A file (lines)", "reviews.csv"])
    coming.halting = False
    expect(page.locator(".job").first.get_by_role("status").first).to_have_text("Done: 1 row.")


def test_failed_and_cancelled_jobs_say_so(open_page: Open, coming: Coming) -> None:
    first = coming.add({"task": "sentiment", "model": "gru", "format": "csv"}, table())
    first |= {"status": "failed", "done": 3, "error": {"detail": "Line 5: a quote is never closed."}}
    second = coming.add({"task": "sentiment", "model": "gru", "format": "csv"}, table())
    second |= {"status": "cancelled", "done": 1}
    page = open_page("/bulk")
    told = page.locator(".job .state-line")
    expect(told).to_have_text(["Cancelled after 1 row.", "Failed after 3 rows: Line 5: a quote is never closed."])
    expect(page.get_by_role("link", name="Download the result")).to_have_count(0)


def test_upload_can_be_stopped(page: Page, coming: Coming) -> None:
    held = list[Route]()
    page.route("**/jobs?*", lambda route: held.insert(0, route))
    drop(page, "reviews.csv", table(), "")
    page.get_by_role("button", name="Classify this file").click()
    page.get_by_role("button", name="Stop sending").click()
    expect(page.get_by_role("button", name="Classify this file")).to_be_enabled()
    expect(page.get_by_role("alert")).to_have_count(0)
    assert len(held) == 1
    assert not coming.jobs


@pytest.mark.parametrize(
    ("answered", "said"),
    [
        (
            {"status": 413, "json": {"code": "file_too_large", "detail": "A file may have 9 bytes at most."}},
            "9 bytes at most. Send less at once.",
        ),
        (
            {"status": 422, "json": {"code": "invalid_file", "detail": "There is no column text."}},
            "There is no column text.",
        ),
        (
            {"status": 503, "json": {}, "headers": {"Retry-After": "20"}},
            "too much to do just now. Try again in 20 seconds.",
        ),
    ],
    ids=["413", "422", "503"],
)
def test_refused_file_is_told_and_can_be_sent_again(
    page: Page, guard: Guard, answered: dict[str, Any], said: str
) -> None:
    guard.refused.add(answered["status"])
    page.route("**/jobs?*", lambda route: route.fulfill(**answered), times=1)
    drop(page, "reviews.csv", table(), "")
    page.get_by_role("button", name="Classify this file").click()
    expect(page.get_by_role("alert")).to_contain_text(said)
    page.get_by_role("button", name="Try again").click()
    expect(job(page)).to_be_visible()


def test_page_keeps_looking_while_the_service_is_busy(page: Page, guard: Guard) -> None:
    guard.refused.add(503)
    page.route("**/jobs/*", lambda route: route.fulfill(status=503, json={}), times=1)
    sent = send(page, "reviews.csv", table())
    expect(sent.get_by_role("alert")).to_be_visible()
    expect(sent.get_by_role("status").first).to_contain_text("Done: 7 rows")
    expect(sent.get_by_role("alert")).to_have_count(0)


def test_hostile_names_and_rows_are_shown_as_text(page: Page) -> None:
    name = "<img src=x onerror=alert(1)>\u202efdp.csv"
    drop(page, name, b'text,"<b>x</b>"\n<script>alert(1)</script>,2\n,3\n', "")
    expect(page.locator("#name bdi")).to_have_text(name)
    expect(page.locator("#preview")).to_contain_text("<script>alert(1)</script>")
    page.get_by_role("button", name="Classify this file").click()
    expect(job(page).get_by_role("heading")).to_have_text(name)
    expect(job(page).get_by_role("link", name="Download the result")).to_be_visible()
    assert page.locator(".job img, .job script, #chosen b, #chosen script").count() == 0


def test_service_without_jobs_says_so(open_page: Open, coming: Coming) -> None:
    coming.away = True
    page = open_page("/bulk")
    expect(page.get_by_text("This service takes no files.")).to_be_visible()
    expect(page.locator("#page")).to_be_hidden()


def test_reading_csv_is_what_python_does(page: Page) -> None:
    """Piece by piece, wherever the pieces are cut."""
    cells = [["a", "b,c", 'd"e'], ["", "line\nbreak", " x "], ["é🎬", '""', ","], ["last", "", ""]]
    out = io.StringIO()
    csv.writer(out).writerows(cells)
    for size in (1, 2, 3, 7, 1_000):
        read = page.evaluate(
            """async ([source, size]) => {
                const { CsvParser } = await import("/web/csv.js");
                const parser = new CsvParser(",");
                const rows = [];
                for (let start = 0; start < source.length; start += size) {
                    rows.push(...parser.feed(source.slice(start, start + size)));
                }
                return [...rows, ...parser.end()];
            }""",
            [out.getvalue(), size],
        )
        assert read == cells
