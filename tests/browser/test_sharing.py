"""The request as a link, as curl and as Python: what is copied is run as it is."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Open
from tests.browser.hands import answer, percent, write

pytestmark = pytest.mark.browser
TEXTS = [
    "A quiet, patient film that trusts its actors.",
    """It's "great"; touch harmed; $(touch harmed) `touch harmed` \\' ' \\\\ & | > harmed ! * ~ #""",
    "two\nlines,\ta tab and the end\n'\nEND\n",
    "hidden \u202e turned \u200b marks \u2028 and 🎬 👩‍👩‍👧, Ein großartiger Film",
    "\U0001f3ac\U0001f3ac\U0001f3ac\U0001f3ac good film " * 6_600,  # more bytes than Linux lets an argument have
]


def copy(page: Page, name: str) -> str:
    page.get_by_role("button", name=f"Copy {name}").click()
    expect(page.get_by_role("dialog").get_by_text("Copied.").first).to_be_visible()
    copied: str = page.evaluate("navigator.clipboard.readText()")
    return copied


def share(page: Page) -> None:
    answer(page).get_by_role("button", name="As link, curl, Python").click()


@pytest.mark.parametrize("text", TEXTS, ids=["plain", "quotes", "lines", "hidden marks", "long"])
def test_copied_commands_get_the_answer_that_the_page_shows(page: Page, text: str, tmp_path: Path) -> None:
    write(page, text)
    confidence = percent(answer(page).locator(".confidence"))
    share(page)
    curl = subprocess.run(
        ["bash"], input=copy(page, "curl").encode(), capture_output=True, check=True, cwd=tmp_path
    ).stdout
    program = [sys.executable, "-c", copy(page, "Python")] if len(text) < 50_000 else None
    python = subprocess.run(program, capture_output=True, check=True, cwd=tmp_path).stdout if program else curl
    for told in (json.loads(curl), json.loads(python)):
        assert told["confidence"] == pytest.approx(confidence, abs=6e-4)
        assert told["model"] == "gru"
        assert told["tokens"]["total"] == int(
            answer(page).inner_text().split(" words read")[0].split()[-1].replace(",", "")
        )
    assert not list(tmp_path.iterdir()), "nothing in a text is run"


def test_command_shows_what_it_sends(page: Page) -> None:
    """Marks that cannot be seen, or that turn the direction of what follows, stand there as escapes."""
    write(page, TEXTS[3])
    expect(answer(page).locator(".label")).to_be_visible()
    share(page)
    for name, escaped in (("curl", "hidden \\u202e turned \\u200b marks"), ("Python", "hidden \\U0000202e turned")):
        copied = copy(page, name)
        assert escaped in copied
        assert "großartiger" in copied
        assert not {"\u202e", "\u200b", "\u2028"} & set(copied)


def test_link_has_the_text_only_if_it_is_wanted(page: Page, open_page: Open) -> None:
    text = "Crude oil & gas: prices rose 5% #today\nas OPEC said + done"
    page.get_by_role("radio", name="Topic").check()
    write(page, text)
    expect(answer(page).locator(".label")).to_be_visible()
    share(page)
    assert copy(page, "Link").endswith("/#task=topic&model=gru")
    page.get_by_label("with the text in it").check()
    link = copy(page, "Link")
    assert page.url.endswith("/#task=topic&model=gru")
    other = open_page("/" + link.split("/", 3)[3])
    expect(other.get_by_label("Text", exact=True)).to_have_value(text)
    expect(answer(other).locator(".label")).to_have_text(answer(page).locator(".label").inner_text())


def test_link_brings_the_models_side_by_side(page: Page) -> None:
    page.get_by_label("Side by side").check()
    write(page, TEXTS[0])
    expect(answer(page, "lstm").locator(".label")).to_be_visible()
    answer(page, "lstm").get_by_role("button", name="As link, curl, Python").click()
    assert copy(page, "Link").endswith("#task=sentiment&model=gru&beside=lstm")
    assert '"model":"lstm"' in copy(page, "curl")


def test_explanation_can_be_asked_for_elsewhere_too(page: Page) -> None:
    write(page, TEXTS[0])
    expect(answer(page).locator(".label")).to_be_visible()
    share(page)
    page.get_by_label("ask for the words' contributions too").check()
    assert '"explain":true' in copy(page, "curl")
    assert '"explain": True' in copy(page, "Python")


def test_dialog_is_left_by_key_and_gives_the_focus_back(page: Page) -> None:
    write(page, TEXTS[0])
    expect(answer(page).locator(".label")).to_be_visible()
    button = answer(page).get_by_role("button", name="As link, curl, Python")
    button.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog", name="This request, elsewhere")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(button).to_be_focused()


def test_where_browsers_give_no_clipboard_the_text_is_selected(page: Page) -> None:
    """They do so over HTTPS and on this machine alone."""
    page.evaluate(
        "void (navigator.clipboard.writeText = () => Promise.reject(new DOMException('', 'NotAllowedError')))"
    )
    write(page, TEXTS[0])
    expect(answer(page).locator(".label")).to_be_visible()
    share(page)
    page.get_by_role("button", name="Copy curl").click()
    expect(page.get_by_role("dialog")).to_contain_text("Selected: copy it with Ctrl+C.")
    assert page.evaluate("String(getSelection())").startswith("curl -s 'http://")
