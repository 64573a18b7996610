"""What a bundle tells of itself comes out as it was sealed, and does nothing where it arrives."""

import hashlib
import json
import shutil
from pathlib import Path

import httpx
import pytest

from app.bundle import MAX_PAPER_BYTES, PAPERS, read_bundle
from app.settings import SHIPPED


def test_papers_are_the_files_that_were_sealed(client: httpx.Client) -> None:
    described = client.get("/tasks/topic").json()["models"]
    assert [model["papers"] for model in described] == [["bundle.json", *PAPERS]] * 2
    manifest = client.get("/tasks/topic/gru/bundle.json").json()
    assert manifest["sha256"] == next(model["sha256"] for model in described if model["name"] == "gru")
    for name in PAPERS:
        content = client.get(f"/tasks/topic/gru/{name}").content
        assert hashlib.sha256(content).hexdigest() == manifest["files"][name]["sha256"]


@pytest.mark.parametrize(
    ("name", "media_type"),
    [("bundle.json", "application/json"), ("CARD.md", "text/markdown; charset=utf-8"), ("confusion.png", "image/png")],
)
def test_paper_can_run_nothing_in_a_browser(client: httpx.Client, name: str, media_type: str) -> None:
    headers = client.get(f"/tasks/sentiment/lstm/{name}").headers
    assert headers["content-type"] == media_type
    assert headers["content-disposition"] == f'attachment; filename="sentiment-lstm-{name}"'
    assert headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "name", ["model.keras", "words.txt", "nothing", "%2e%2e%2fgru%2fCARD.md", "CARD.md%00", "card.md"]
)
def test_no_other_file_is_handed_out(client: httpx.Client, name: str) -> None:
    response = client.get(f"/tasks/topic/gru/{name}")
    assert response.status_code == 404
    assert response.json()["code"] in {"unknown_paper", "not_found"}


def test_unknown_task_and_model_are_told_as_elsewhere(client: httpx.Client) -> None:
    assert client.get("/tasks/nothing/gru/CARD.md").json()["code"] == "unknown_task"
    assert client.get("/tasks/topic/nothing/CARD.md").json()["code"] == "unknown_model"


def test_bundle_may_lack_papers_and_a_huge_one_stays_on_the_disk(tmp_path: Path) -> None:
    directory = Path(shutil.copytree(SHIPPED / "topic" / "gru", tmp_path / "gru"))
    manifest = json.loads((directory / "bundle.json").read_text("utf-8"))
    del manifest["sha256"]
    for name in ("confusion.png", "risk_coverage.png"):
        (directory / name).unlink()
        del manifest["files"][name]
    huge = b"#" * (MAX_PAPER_BYTES + 1)
    picture = b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"
    for name, content in (("CARD.md", huge), ("picture.svg", picture)):
        (directory / name).write_bytes(content)
        manifest["files"][name] = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
    digest = hashlib.sha256(json.dumps(manifest, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    (directory / "bundle.json").write_text(json.dumps({**manifest, "sha256": digest}), "utf-8")
    assert set(read_bundle(directory).papers) == {
        "bundle.json",
        "metrics.json",
        "learning_curves.png",
        "reliability.png",
    }
