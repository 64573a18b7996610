"""A real Chromium with every address but the service's cut off; what it complains of fails the test."""

import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Route, expect, sync_playwright

from tests.browser.coming import Coming

Open = Callable[..., Page]
PATIENCE_MS = 15_000
expect.set_options(timeout=PATIENCE_MS)


@dataclass
class Guard:
    """`refused`: statuses that a test means to get; any other one from 400 on is a defect."""

    bases: list[str]
    refused: set[int] = field(default_factory=set)
    over: bool = False
    strangers: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def watch(self, context: BrowserContext) -> None:
        ours = "|".join(re.escape(base) for base in [*self.bases, "data:", "blob:"])
        context.route(re.compile(f"^(?!{ours})"), self._refuse_stranger)
        context.on("console", self._note)
        context.on("weberror", lambda error: self.complaints.append(str(error.error)))
        context.on("response", self._check)

    def _refuse_stranger(self, route: Route) -> None:
        self.strangers.append(route.request.url)
        route.abort()

    def _note(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not message.text.startswith("Failed to load resource"):
            self.complaints.append(message.text)

    def _check(self, response: Any) -> None:
        if not self.over and response.status >= 400 and response.status not in self.refused:
            self.complaints.append(f"{response.status} {response.url}")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert chromium, "browser tests need Chromium on the PATH"
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def guard(server: str) -> Iterator[Guard]:
    guard = Guard([server])
    yield guard
    assert not guard.strangers
    assert not guard.complaints


@pytest.fixture
def coming(server: str) -> Coming:
    return Coming(server)


@pytest.fixture
def open_page(browser: Browser, guard: Guard, coming: Coming) -> Iterator[Open]:
    """Opens a path of the service, or of another one, in a browser of its own; options: of Playwright's contexts."""
    contexts = list[BrowserContext]()

    def open_one(path: str = "/", base: str | None = None, **options: Any) -> Page:
        guard.bases += [base] if base else []
        given = {"viewport": {"width": 1280, "height": 900}, "permissions": ["clipboard-read", "clipboard-write"]}
        context = browser.new_context(**{**given, **options})
        contexts.append(context)
        context.set_default_timeout(PATIENCE_MS)
        guard.watch(context)
        coming.install(context)
        page = context.new_page()
        page.goto(f"{base or guard.bases[0]}{path}")
        return page

    yield open_one
    guard.over = True
    for context in contexts:
        context.unroute_all(behavior="ignoreErrors")  # what is still being answered, nobody waits for
        context.close()


@pytest.fixture
def page(open_page: Open) -> Page:
    """The page at /."""
    return open_page("/")
