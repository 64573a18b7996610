"""Swagger UI as a person uses it."""

import json

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Open

pytestmark = pytest.mark.browser


@pytest.fixture
def page(open_page: Open) -> Page:
    return open_page("/docs", viewport={"width": 1100, "height": 1400})


@pytest.mark.parametrize(("task", "label"), [("sentiment", "positive"), ("topic", "earn")])
def test_try_it_out_answers_the_first_example(page: Page, task: str, label: str) -> None:
    block = page.locator(f"#operations-predict-predict_{task}")
    block.locator(".opblock-summary").click()
    block.locator("button.execute").click()
    response = block.locator(".live-responses-table .response").first
    expect(response.locator(".response-col_status")).to_contain_text("200")
    answer = json.loads(response.locator(".response-col_description code").first.inner_text())
    assert answer["label"] == label


def test_every_route_stands_on_the_page(page: Page, client: httpx.Client) -> None:
    routes = [method for told in client.get("/openapi.json").json()["paths"].values() for method in told]
    assert len(routes) > 10
    expect(page.locator(".opblock")).to_have_count(len(routes))
    expect(page.locator(".info .title")).to_contain_text("Sentopic")
