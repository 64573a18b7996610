"""Swagger UI as a person uses it, in a real Chromium with every address but the service's cut off."""

import json
import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, Route, expect, sync_playwright

pytestmark = pytest.mark.browser


@pytest.fixture
def page(server: str) -> Iterator[Page]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert chromium, "browser tests need Chromium on the PATH"
    strangers: list[str] = []
    complaints: list[str] = []

    def only_the_service(route: Route) -> None:
        if route.request.url.startswith((server, "data:")):
            route.continue_()
        else:
            strangers.append(route.request.url)
            route.abort()

    with sync_playwright() as playwright:
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=chromium, args=arguments)
        page = browser.new_page(viewport={"width": 1100, "height": 1400})
        page.route("**/*", only_the_service)
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(f"{server}/docs")
        yield page
        browser.close()
    assert not strangers
    assert not complaints


@pytest.mark.parametrize(("task", "label"), [("sentiment", "positive"), ("topic", "earn")])
def test_try_it_out_answers_the_first_example(page: Page, task: str, label: str) -> None:
    block = page.locator(f"#operations-predict-predict_{task}")
    block.locator(".opblock-summary").click()
    block.locator("button.execute").click()
    response = block.locator(".live-responses-table .response").first
    expect(response.locator(".response-col_status")).to_contain_text("200")
    answer = json.loads(response.locator(".response-col_description code").first.inner_text())
    assert answer["label"] == label


def test_every_route_stands_on_the_page(page: Page) -> None:
    expect(page.locator(".opblock")).to_have_count(9)
    expect(page.locator(".info .title")).to_contain_text("Sentopic")
