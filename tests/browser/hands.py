"""What a person does on a page, and what they see there."""

import base64
import re
from collections.abc import Callable

from playwright.sync_api import FileChooser, Locator, Page


def answer(page: Page, model: str = "gru") -> Locator:
    return page.locator(f"section.answer[aria-labelledby=answer-{model}]")


def write(page: Page, text: str) -> None:
    """All of it at once, and asked about at once."""
    field = page.get_by_label("Text", exact=True)
    field.fill(text)
    field.press("Control+Enter")


def drop(page: Page, name: str, content: bytes, media_type: str = "text/plain") -> None:
    """Lets go of a file over the page."""
    transfer = page.evaluate_handle(
        """([name, content, type]) => {
            const bytes = Uint8Array.from(atob(content), (unit) => unit.charCodeAt(0));
            const transfer = new DataTransfer();
            transfer.items.add(new File([bytes], name, { type }));
            return transfer;
        }""",
        [name, base64.b64encode(content).decode(), media_type],
    )
    for event in ("dragenter", "dragover", "drop"):
        page.dispatch_event("main", event, {"dataTransfer": transfer})


def choose(page: Page, ask: Callable[[], None]) -> FileChooser:
    """The dialog that `ask` opens. The browser must have drawn what it has, and know by then who waits for a dialog."""
    with page.expect_file_chooser() as chooser:
        page.evaluate("() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))")
        ask()
    return chooser.value


def percent(element: Locator) -> float:
    found = re.search(r"([\d.]+)%", element.inner_text())
    assert found
    return float(found.group(1)) / 100


def crowded(page: Page) -> list[str]:
    """What of the charts' text is cut off by their edges, or runs into other text."""
    found: list[str] = page.locator(".plot svg").evaluate_all(
        """charts => charts.flatMap((chart) => {
            const edge = chart.getBoundingClientRect();
            const texts = [...chart.querySelectorAll("text")];
            const boxes = texts.map((text) => [text.textContent, text.getBoundingClientRect()]);
            const met = (one, other) =>
                Math.min(one.right, other.right) - Math.max(one.left, other.left) > 1 &&
                Math.min(one.bottom, other.bottom) - Math.max(one.top, other.top) > 4;
            return boxes.flatMap(([text, box], place) => {
                const cut = box.left < edge.left - 1 || box.right > edge.right + 1 ? [`${text} is cut off`] : [];
                const others = boxes.slice(place + 1).filter(([, other]) => met(box, other));
                return [...cut, ...others.map(([other]) => `${text} runs into ${other}`)];
            });
        })"""
    )
    return found
