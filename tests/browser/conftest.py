"""A real Chromium that reaches this machine alone; what it asks of others or complains of fails a test."""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, ConsoleMessage, Error, Page, Request, Response, expect, sync_playwright

Open = Callable[..., Page]
PATIENCE_MS = 15_000
expect.set_options(timeout=PATIENCE_MS)
USUAL = {"viewport": {"width": 1280, "height": 900}, "permissions": ["clipboard-read", "clipboard-write"]}
NOWHERE = {"server": "http://127.0.0.1:9", "bypass": "127.0.0.1"}
"""A proxy that is not there."""


@dataclass
class Guard:
    """Watches a test's tabs. `refused`: statuses that it means to get; any other one from 400 on is a defect."""

    bases: list[str]
    refused: set[int] = field(default_factory=set)
    strangers: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def note_request(self, request: Request) -> None:
        if not request.url.startswith((*self.bases, "data:", "blob:")):
            self.strangers.append(request.url)

    def note_response(self, response: Response) -> None:
        if response.status >= 400 and response.status not in self.refused:
            self.complaints.append(f"{response.status} {response.url}")

    def note_message(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not message.text.startswith("Failed to load resource"):
            self.complaints.append(message.text)


class Tab:
    """A browser of its own, with one page. It is used by one test after the other: to begin takes a browser longest."""

    def __init__(self, browser: Browser, options: dict[str, Any]) -> None:
        self.guard: Guard | None = None
        context = browser.new_context(**{**USUAL, **options})
        context.set_default_timeout(PATIENCE_MS)
        context.on("request", lambda request: self.guard and self.guard.note_request(request))
        context.on("response", lambda response: self.guard and self.guard.note_response(response))
        context.on("console", lambda message: self.guard and self.guard.note_message(message))
        context.on("weberror", lambda error: self.guard and self.guard.complaints.append(str(error.error)))
        self.context, self.page = context, context.new_page()

    def leave(self) -> None:
        """As if nobody had been here."""
        self.guard = None
        self.page.unroute_all(behavior="ignoreErrors")  # what is still being answered, nobody waits for
        for other in self.context.pages[1:]:
            other.close()
        self.page.evaluate("() => { localStorage.clear(); sessionStorage.clear(); }")
        self.page.goto("about:blank")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert chromium, "browser tests need Chromium on the PATH"
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=arguments, proxy=NOWHERE)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def idle(browser: Browser) -> dict[str, list[Tab]]:
    """Tabs that no test uses, by their options."""
    return {}


@pytest.fixture
def guard(server: str) -> Iterator[Guard]:
    guard = Guard([server])
    yield guard
    assert not guard.strangers
    assert not guard.complaints


@pytest.fixture
def jobs(client: httpx.Client) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """Gives the service's jobs, the newest first; there are none at first, and at the end."""

    def find() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = client.get("/jobs").json()["jobs"]
        return found

    def clear() -> None:
        for job in find():
            client.delete(f"/jobs/{job['id']}")

    clear()
    yield find
    clear()


@pytest.fixture
def open_page(browser: Browser, idle: dict[str, list[Tab]], guard: Guard) -> Iterator[Open]:
    """Opens a path of the service, or of another one. Options are those of Playwright's contexts.

    `alone`: in a browser that no other test gets, as something will be done to it that cannot be undone.
    """
    used = list[tuple[str, Tab]]()

    def open_one(path: str = "/", base: str | None = None, *, alone: bool = False, **options: Any) -> Page:
        guard.bases += [base] if base else []
        kind = "" if alone else repr(sorted(options.items()))
        tab = idle[kind].pop() if idle.get(kind) else Tab(browser, options)
        used.append((kind, tab))
        tab.guard = guard
        tab.page.goto(f"{base or guard.bases[0]}{path}")
        return tab.page

    yield open_one
    for kind, tab in used:
        if kind and _leave(tab):
            idle.setdefault(kind, []).append(tab)
        else:
            tab.context.close()


def _leave(tab: Tab) -> bool:
    """Whether it can be used again."""
    try:
        tab.leave()
    except Error:
        return False
    return True


@pytest.fixture
def page(open_page: Open) -> Page:
    """The page at /."""
    return open_page("/")
