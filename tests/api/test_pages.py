"""The pages are handed out whole, bound to this service, and only once."""

import re
from pathlib import Path

import httpx
import pytest

from app.api.pages import PAGES, WEB

TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
PARTS = sorted(path.name for path in WEB.iterdir() if path.suffix in TYPES)


@pytest.mark.parametrize("path", PAGES)
def test_page_may_ask_nobody_but_the_service_and_run_nothing_but_its_files(client: httpx.Client, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    policy = dict(part.split(" ", 1) for part in response.headers["content-security-policy"].split("; ") if " " in part)
    assert policy["default-src"] == "'none'"
    assert {policy[kind] for kind in ("script-src", "style-src", "connect-src")} == {"'self'"}
    assert policy["require-trusted-types-for"] == "'script'"
    assert "unsafe" not in response.headers["content-security-policy"]


@pytest.mark.parametrize("path", PAGES)
def test_page_names_only_files_that_there_are(client: httpx.Client, path: str) -> None:
    page = client.get(path).text
    named = re.findall(r'(?:href|src)="([^"#]+)"', page)
    assert named
    for name in named:
        assert not name.startswith(("http", "//", "/")), "behind a proxy the service may lie deeper"
        assert client.get(f"/{name.removeprefix('./')}").status_code == 200, name
    assert not re.search(r"\son\w+=|\sstyle=|<style|<script>", page), "the policy would refuse it"


@pytest.mark.parametrize("name", PARTS)
def test_part_has_its_type_and_imports_only_what_there_is(client: httpx.Client, name: str) -> None:
    response = client.get(f"/web/{name}")
    assert response.headers["content-type"] == TYPES[Path(name).suffix]
    assert response.headers["x-content-type-options"] == "nosniff"
    for other in re.findall(r'from "\./([^"]+)"', response.text):
        assert other in PARTS


def test_browser_that_has_a_file_gets_it_once(client: httpx.Client) -> None:
    for path in ("/", "/web/style.css"):
        first = client.get(path)
        assert first.headers["cache-control"] == "no-cache"
        tag = first.headers["etag"]
        for known in (tag, f"W/{tag}", f'"other", {tag}'):
            again = client.get(path, headers={"If-None-Match": known})
            assert (again.status_code, again.content) == (304, b"")
            assert again.headers["etag"] == tag
        assert client.get(path, headers={"If-None-Match": '"other"'}).content == first.content
        head = client.head(path)
        assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", tag)


@pytest.mark.parametrize(
    "path",
    ["/web/nothing.js", "/web/index.html", "/web/", "/web/../app/main.py", "/web/%2e%2e%2fmain.py", "/web/a/style.css"],
)
def test_nothing_else_is_handed_out(client: httpx.Client, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 404
    assert response.json()["code"] == "not_found"
