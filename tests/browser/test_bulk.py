"""The page at /bulk: a file goes in, is watched, and comes back with its answers, all of it by a real service."""

import csv
import gzip
import io
import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from playwright.sync_api import Dialog, Download, Locator, Page, Route, expect

from app.api.job_schemas import JobOut
from app.keys import create, open_store
from app.settings import SHIPPED
from tests.browser.conftest import Guard, Open
from tests.browser.hands import choose, drop
from tests.faults.conftest import Running, starting

pytestmark = pytest.mark.browser
PRAISE, BLAME = "A wonderful film, superb and moving.", "The worst film of the year: dull, loud and far too long."
TEXTS = [PRAISE, BLAME, "", PRAISE, 'He said: "great",\nand left.', BLAME, " "]
MISSING = "there is no text"
Jobs = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def page(open_page: Open, jobs: Jobs) -> Page:
    assert not jobs()
    return open_page("/bulk")


@pytest.fixture(scope="module")
def start_service() -> Iterator[Callable[..., Running]]:
    with starting() as serve:
        yield lambda **settings: serve("--bundle", str(SHIPPED / "sentiment" / "gru"), **settings)


def table(column: str = "text", delimiter: str = ",") -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter)
    writer.writerows([["id", column], *[[str(number), text] for number, text in enumerate(TEXTS)]])
    return out.getvalue().encode()


def arrow(column: str) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"id": [str(number) for number in range(len(TEXTS))], column: TEXTS}), sink)
    return bytes(sink.getvalue())


def job(page: Page) -> Locator:
    return page.locator(".job").first


def state(page: Page) -> Locator:
    return job(page).locator(".state-line")


def send(page: Page, name: str, content: bytes) -> Locator:
    drop(page, name, content, "")
    page.get_by_role("button", name="Classify this file").click()
    return job(page)


def load(page: Page, link: str = "Download the result") -> Download:
    with page.expect_download() as started:
        job(page).get_by_role("link", name=link).click()
    return started.value


def refuse(status: int, code: str, detail: str, **headers: str) -> dict[str, Any]:
    content = {"type": f"urn:sentopic:problem:{code}", "title": "x", "status": status, "code": code, "detail": detail}
    return {"status": status, "json": content, "headers": {"Content-Type": "application/problem+json", **headers}}


def tell(**values: Any) -> dict[str, Any]:
    """A job, as the service has them."""
    usual = {
        "id": "0" * 32, "task": "sentiment", "model": "gru", "format": "csv", "status": "waiting", "rows": None,
        "done": 0, "failed": 0, "rows_per_s": None, "seconds_left": None, "created": datetime.now(UTC), "error": None,
        "labels": {},
    }  # fmt: skip
    return JobOut.model_validate({**usual, **values}).model_dump(mode="json", exclude_none=False)


# From a file to its answers


def test_dropped_table_is_answered_and_comes_back(page: Page) -> None:
    sent = send(page, "reviews.csv", table())
    expect(state(page)).to_have_text("Done: 7 rows, 2 of them failed.")
    expect(page.get_by_role("status").and_(page.locator("#told"))).to_have_text(
        "reviews.csv: Done: 7 rows, 2 of them failed."
    )
    expect(sent.get_by_role("progressbar")).to_be_hidden()
    mix = sent.get_by_role("list", name="Answers by label").get_by_role("listitem")
    expect(mix).to_have_text(["Positive3 (60.0%)", "Negative2 (40.0%)"])
    found = load(page)
    assert found.suggested_filename == "reviews-sentiment-gru.csv"
    with found.path().open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["text"] for row in rows] == TEXTS
    assert [row["label"] for row in rows] == ["positive", "negative", "", "positive", "positive", "negative", ""]


FILES = {
    "reviews.csv": (table(), "csv"),
    "reviews.tsv": (table(delimiter="\t"), "csv"),
    "reviews.jsonl": ("".join(json.dumps({"text": text}) + "\n" for text in TEXTS).encode(), "jsonl"),
    "reviews.parquet": (arrow("text"), "parquet"),
    "reviews.txt": ("\n".join(text.replace("\n", " ") for text in TEXTS).encode() + b"\n", "lines"),
}


@pytest.mark.parametrize("name", FILES)
def test_failed_rows_are_told_one_by_one(page: Page, jobs: Jobs, name: str) -> None:
    content, read_as = FILES[name]
    sent = send(page, name, content)
    sent.get_by_role("button", name="Show 2 failed rows").click()
    unit = "Line" if read_as == "lines" else "Row"
    expect(sent.locator(".errors li")).to_have_text([f"{unit} 3: {MISSING}", f"{unit} 7: {MISSING}"])
    counted = {"csv": ["without the header and without empty lines"], "jsonl": ["without empty lines"]}
    expect(sent.locator(".errors .aside")).to_contain_text(counted.get(read_as, []))
    expect(sent.get_by_role("list", name="Rows that failed")).to_be_focused()
    assert [one["format"] for one in jobs()] == [read_as]


def test_result_comes_in_the_format_that_is_chosen(page: Page) -> None:
    sent = send(page, "reviews.csv", table())
    sent.get_by_label("as", exact=True).select_option("JSON lines")
    found = load(page)
    assert found.suggested_filename.endswith(".jsonl")
    assert [json.loads(line)["text"] for line in found.path().read_text(encoding="utf-8").splitlines()] == TEXTS
    sent.get_by_label("as", exact=True).select_option("Parquet")
    rows = pq.read_table(load(page).path()).to_pylist()
    assert [row["error"] for row in rows] == [None, None, MISSING, None, None, None, MISSING]


def test_column_of_parquet_can_be_named(page: Page) -> None:
    """Columns cannot be seen from here; without a name the service takes `text`, or the only one."""
    drop(page, "reviews.parquet", arrow("body"), "")
    page.get_by_label("The texts are in").fill("body")
    page.get_by_role("button", name="Classify this file").click()
    expect(state(page)).to_have_text("Done: 7 rows, 2 of them failed.")
    drop(page, "reviews.parquet", arrow("body"), "")
    page.get_by_label("The texts are in").fill("nothing")
    page.get_by_role("button", name="Classify this file").click()
    expect(state(page)).to_contain_text("Failed. ")
    expect(job(page).get_by_role("link")).to_have_count(0)


def test_column_task_and_model_are_chosen(page: Page, jobs: Jobs) -> None:
    page.get_by_role("radio", name="Topic").check()
    page.get_by_role("radio", name="LSTM").check()
    drop(page, "mails.csv", table("review", ";"), "")
    expect(page.get_by_label("Read it as")).to_have_value("csv")
    expect(page.get_by_label("The texts are in")).to_have_value("review")
    expect(page.locator("#preview")).to_contain_text("A wonderful film, superb and moving.")
    page.get_by_label("The texts are in").select_option("id")
    expect(page.locator("#preview .text").first).to_have_text("0")
    page.get_by_label("The texts are in").select_option("review")
    page.get_by_role("button", name="Classify this file").click()
    expect(job(page)).to_contain_text("Topic / LSTM")
    expect(state(page)).to_have_text("Done: 7 rows, 2 of them failed.")
    drop(page, "mails.csv", table("review", ";"), "")
    page.get_by_label("Read it as").select_option("lines")
    expect(page.get_by_label("The texts are in")).to_have_count(0)
    page.get_by_role("button", name="Classify this file").click()
    expect(page.locator(".job")).to_have_count(2)
    assert [(one["task"], one["model"], one["format"]) for one in jobs()] == [
        ("topic", "lstm", "lines"),
        ("topic", "lstm", "csv"),
    ]


def test_file_is_chosen_sent_and_taken_back_with_the_keyboard(page: Page) -> None:
    page.get_by_role("button", name="Choose a file").focus()
    choose(page, lambda: page.keyboard.press("Enter")).set_files(
        {"name": "reviews.txt", "mimeType": "text/plain", "buffer": f"{PRAISE}\n{BLAME}\n".encode()}
    )
    expect(page.get_by_role("button", name="Classify this file")).to_be_focused()
    page.keyboard.press("Enter")
    expect(state(page)).to_have_text("Done: 2 rows.")
    expect(job(page)).to_be_focused()
    page.keyboard.press("Tab")
    with page.expect_download() as started:
        page.keyboard.press("Enter")
    assert len(started.value.path().read_bytes().splitlines()) == 2
    page.keyboard.press("Tab")
    expect(job(page).get_by_label("as", exact=True)).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    expect(page.locator(".job")).to_have_count(0)
    expect(page.get_by_role("heading", name="Jobs")).to_be_focused()


def test_one_of_several_files_is_taken_and_that_is_told(page: Page) -> None:
    transfer = page.evaluate_handle(
        """() => {
            const transfer = new DataTransfer();
            for (const name of ["a.txt", "b.txt"]) transfer.items.add(new File(["fine\\n"], name));
            return transfer;
        }"""
    )
    page.dispatch_event("main", "drop", {"dataTransfer": transfer})
    expect(page.get_by_role("alert")).to_contain_text("One file at a time: a.txt was taken, the others were not.")
    expect(page.locator("#name bdi")).to_have_text("a.txt")


# While it is being answered


def test_long_job_says_how_far_it_is_and_can_be_cancelled(page: Page, jobs: Jobs) -> None:
    sent = send(page, "reviews.txt", f"{PRAISE}\n{BLAME}\n".encode() * 150_000)
    expect(state(page)).to_have_text(re.compile(r"^[\d,]+ rows, [\d,]+ rows a second, about .+ left\.$"))
    share = sent.get_by_role("progressbar").evaluate("bar => bar.position")
    assert 0 < share < 1
    expect(sent.get_by_role("list", name="Answers by label").get_by_role("listitem")).to_have_count(2)
    sent.get_by_role("button", name="Cancel").click()
    sent.get_by_role("button", name="Really cancel and delete?").click()
    expect(page.locator(".job")).to_have_count(0)
    assert not jobs()


@pytest.mark.parametrize(
    ("told", "said", "share"),
    [
        ({}, "Waiting for its turn.", -1),
        ({"status": "running"}, "It has begun.", -1),
        (
            {"status": "running", "rows": 8_000, "done": 2_000, "failed": 3, "rows_per_s": 812.4, "seconds_left": 7.4},
            "2,000 of 8,000 rows, 3 of them failed, 812 rows a second, about 7 seconds left.",
            0.25,
        ),
        (
            {"status": "running", "done": 3_000, "rows_per_s": 100.0, "seconds_left": 90.0},
            "3,000 rows, 100 rows a second, about 2 minutes left.",
            0.25,
        ),
        (
            {"status": "waiting", "done": 1, "rows_per_s": 100.0, "seconds_left": None},
            "Waiting for its turn again, after 1 row.",
            -1,
        ),
    ],
    ids=["waiting", "begun", "rows known", "rows unknown", "given back"],
)
def test_progress_and_time_left_are_told(
    open_page: Open, jobs: Jobs, told: dict[str, Any], said: str, share: float
) -> None:
    page = open_page("/health/live")
    page.route("**/jobs", lambda route: route.fulfill(json={"jobs": [tell(**told)], "next": None}))
    page.goto(page.url.replace("/health/live", "/bulk"))
    expect(state(page)).to_have_text(said)
    expect(job(page).get_by_role("progressbar")).to_have_js_property("position", share)


def test_jobs_are_there_again_when_the_page_is(page: Page, client: httpx.Client) -> None:
    send(page, "reviews.csv", table())
    expect(job(page)).to_be_visible()
    assert client.post("/jobs?task=topic&model=lstm&format=lines", content=b"Crude oil rose.\n").status_code == 202
    page.reload()
    expect(page.locator(".job h3")).to_have_text(["A file (lines)", "reviews.csv"])
    expect(state(page)).to_have_text("Done: 1 row.")


def test_page_keeps_looking_while_the_service_is_busy(page: Page, guard: Guard) -> None:
    guard.refused.add(503)
    expect(page.get_by_role("button", name="Choose a file")).to_be_visible()
    page.route("**/jobs?*", lambda route: route.fulfill(status=202, json=tell()), times=1)
    done = {"jobs": [tell(status="done", done=7, rows=7)], "next": None}
    page.route(re.compile(r"/jobs$"), lambda route: route.fulfill(json=done))
    page.route(
        re.compile(r"/jobs$"),
        lambda route: route.fulfill(**refuse(503, "job_store", "The list of jobs cannot be reached.")),
        times=1,
    )
    send(page, "reviews.csv", table())
    expect(page.get_by_role("alert")).to_contain_text("The list of jobs cannot be reached.")
    expect(state(page)).to_have_text("Done: 7 rows.")
    expect(page.get_by_role("alert")).to_have_count(0)


def test_job_that_is_deleted_elsewhere_goes_here_too(page: Page, client: httpx.Client, jobs: Jobs) -> None:
    send(page, "reviews.txt", f"{PRAISE}\n".encode() * 300_000)
    expect(job(page)).to_be_visible()
    client.delete(f"/jobs/{jobs()[0]['id']}")
    expect(page.locator(".job")).to_have_count(0)
    expect(page.get_by_text("No file has been sent yet.")).to_be_visible()


# What goes wrong, and what is not wanted any more


def test_broken_table_says_where_and_gives_the_rows_before_that(page: Page) -> None:
    sent = send(page, "reviews.csv", b"text,n\nA wonderful film.,1\n,2\nDull.,3\n" + b'"no end\nnor here\n')
    expect(state(page)).to_contain_text(
        re.compile(r"^Broke off after 3 rows, 1 of them failed\. Line 5: a quote .+\.$")
    )
    assert b"A wonderful film.,1,positive," in load(page, "Download the rows before that").path().read_bytes()
    sent.get_by_role("button", name="Show 1 failed row").click()
    expect(sent.locator(".errors li")).to_have_text([f"Row 2: {MISSING}"])


def test_file_that_is_no_text_is_told_for_what_it_is(page: Page) -> None:
    """A compressed table once got a column of zero bytes, and the service was said to find nothing but white space."""
    for content, said in (
        (gzip.compress(table()), "reviews.csv is compressed (gzip). Unpack it first."),
        (b"PK\x03\x04" + bytes(30), "reviews.csv is a zip archive, as Excel's files are."),
        (table().decode().encode("utf-16"), "reviews.csv is in UTF-16. Save it as UTF-8."),
    ):
        drop(page, "reviews.csv", content, "")
        expect(page.get_by_role("alert")).to_contain_text(said)
        expect(page.locator("#chosen")).to_be_hidden()
    send(page, "reviews.csv", b"\x7fELF" + bytes(2_000))
    expect(state(page)).to_have_text("Failed. Line 1: it is a program.")


def test_job_is_deleted_after_a_second_thought(page: Page, jobs: Jobs) -> None:
    sent = send(page, "reviews.csv", table())
    expect(sent.get_by_role("link", name="Download")).to_be_visible()
    sent.get_by_role("button", name="Delete").click()
    assert jobs()
    sent.get_by_role("button", name="Really delete?").click()
    expect(page.locator(".job")).to_have_count(0)
    expect(page.get_by_text("No file has been sent yet.")).to_be_visible()
    assert not jobs()


def test_upload_can_be_stopped(page: Page, jobs: Jobs) -> None:
    held = list[Route]()
    page.route("**/jobs?*", lambda route: held.insert(0, route))
    drop(page, "reviews.csv", table(), "")
    page.get_by_role("button", name="Classify this file").click()
    drop(page, "other.csv", table(), "")
    expect(page.get_by_role("alert")).to_contain_text("reviews.csv is still being sent. Wait until it is, or stop it.")
    warned = list[str]()

    def stay(dialog: Dialog) -> None:
        warned.append(dialog.type)
        dialog.dismiss()

    page.once("dialog", stay)
    page.evaluate("location.reload()")
    assert warned == ["beforeunload"]
    page.get_by_role("button", name="Stop sending").click()
    expect(page.get_by_role("button", name="Classify this file")).to_be_enabled()
    expect(page.get_by_role("button", name="Another file")).to_be_enabled()
    assert len(held) == 1
    assert not jobs()


@pytest.mark.parametrize(
    ("answered", "said"),
    [
        (refuse(429, "rate_limited", "x", **{"Retry-After": "40"}), "as often as is allowed for now"),
        (
            refuse(503, "overloaded", "x", **{"Retry-After": "20"}),
            "too much to do just now. Try again in 20 seconds.",
        ),
        (refuse(503, "job_store", "The list of jobs cannot be reached."), "The list of jobs cannot be reached."),
        (refuse(403, "strange_origin", "Pages of other sites may send no files."), "Pages of other sites may"),
        (refuse(415, "no_parquet", "Parquet needs pyarrow."), "Parquet needs pyarrow."),
    ],
    ids=lambda value: value["json"]["code"] if isinstance(value, dict) else "",
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


def test_empty_too_large_and_one_file_too_many_are_refused(
    open_page: Open, guard: Guard, start_service: Callable[..., Running]
) -> None:
    guard.refused |= {413, 422, 507}
    page = open_page("/bulk", base=start_service(max_job_bytes=1_000, max_jobs=1).url)
    send(page, "nothing.csv", b"")
    expect(page.get_by_role("alert")).to_contain_text("The file cannot be read: it is empty.")
    send(page, "large.txt", b"A fine film.\n" * 1_500_000)
    expect(page.get_by_role("alert")).to_contain_text("1000 bytes at most. Send less at once.")
    send(page, "first.txt", b"A fine film.\n")
    expect(state(page)).to_have_text("Done: 1 row.")
    send(page, "second.txt", b"A fine film.\n")
    expect(page.get_by_role("alert")).to_contain_text(
        "There is no room for the file or its result. Delete finished jobs"
    )
    job(page).get_by_role("button", name="Delete").click()
    job(page).get_by_role("button", name="Really delete?").click()
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(".job h3")).to_have_text("second.txt")


def test_result_that_cannot_be_had_is_told(page: Page, guard: Guard, client: httpx.Client, jobs: Jobs) -> None:
    guard.refused |= {404, 415}
    sent = send(page, "reviews.csv", table())
    expect(state(page)).to_contain_text("Done")
    page.route(
        "**/result?*format=parquet*", lambda route: route.fulfill(**refuse(415, "no_parquet", "Parquet needs pyarrow."))
    )
    sent.get_by_label("as", exact=True).select_option("Parquet")
    sent.get_by_role("link", name="Download the result").click()
    expect(sent.get_by_role("alert")).to_have_text("Parquet needs pyarrow.")
    client.delete(f"/jobs/{jobs()[0]['id']}")
    sent.get_by_label("as", exact=True).select_option("CSV")
    sent.get_by_role("link", name="Download the result").click()
    expect(sent.get_by_role("alert")).to_have_text("There is no such job.")


def test_hostile_names_and_rows_are_shown_as_text(page: Page) -> None:
    name = "<img src=x onerror=alert(1)>\u202efdp.csv"
    drop(page, name, b'text,"<b>x</b>"\n<script>alert(1)</script>,2\n,3\n', "")
    expect(page.locator("#name bdi")).to_have_text(name)
    expect(page.locator("#preview")).to_contain_text("<script>alert(1)</script>")
    page.get_by_role("button", name="Classify this file").click()
    expect(job(page).get_by_role("heading")).to_have_text(name)
    expect(job(page).get_by_role("link", name="Download the result")).to_be_visible()
    assert page.locator(".job img, .job script, #chosen b, #chosen script").count() == 0


def test_service_without_jobs_says_so(open_page: Open, start_service: Callable[..., Running]) -> None:
    page = open_page("/bulk", base=start_service(jobs="").url)
    expect(page.get_by_text("This service takes no files.")).to_be_visible()
    expect(page.locator("#page")).to_be_hidden()


def test_each_key_has_its_own_jobs(
    open_page: Open, guard: Guard, start_service: Callable[..., Running], tmp_path_factory: pytest.TempPathFactory
) -> None:
    guard.refused.add(401)
    store = str(tmp_path_factory.mktemp("keys") / "keys")
    mine, other = (create(open_store(store), name, ["predict"]) for name in ("mine", "other"))
    base = start_service(keys=store).url
    page = open_page("/bulk", base=base)
    page.get_by_role("dialog", name="A key, please").get_by_label("Key").fill(mine)
    page.keyboard.press("Enter")
    send(page, "reviews.csv", table())
    expect(state(page)).to_have_text("Done: 7 rows, 2 of them failed.")
    found = load(page)
    assert found.suggested_filename == "reviews-sentiment-gru.csv"
    assert len(list(csv.reader(io.StringIO(found.path().read_text(encoding="utf-8"))))) == 8
    page.evaluate("key => sessionStorage.setItem('sentopic-key', key)", other)
    page.reload()
    expect(page.get_by_text("No file has been sent yet.")).to_be_visible()


def test_preview_shows_no_empty_line_of_a_table_as_a_row(page: Page) -> None:
    drop(page, "letters.csv", b'text\r\none\r\n\r\n\n""\nthree\n', "")
    expect(page.locator("#preview .text")).to_have_text(["one", "(nothing)", "three"])


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
