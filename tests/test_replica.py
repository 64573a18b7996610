"""What Ray starts: the application with its settings, where replicas on several machines can keep to them.

Ray itself is not needed: `tests/container/cluster` has a real one.
"""

import asyncio
import importlib
from typing import Any

import pytest
import yaml

from app.errors import StartError
from app.replica import Replica, read_settings
from app.settings import SHIPPED


def test_deployment_names_what_there_is() -> None:
    config = yaml.safe_load((SHIPPED.parent / "deploy/ray/serve.yaml").read_text(encoding="utf-8"))
    (application,) = config["applications"]
    module, _, name = application["import_path"].partition(":")
    assert callable(getattr(importlib.import_module(module), name))
    assert [one["name"] for one in application["deployments"]] == ["Sentopic"]


def test_image_names_what_there_is() -> None:
    dockerfile = (SHIPPED.parent / "Dockerfile").read_text(encoding="utf-8")
    assert "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH=app.replica:middlewares" in dockerfile
    assert callable(importlib.import_module("app.replica").middlewares)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"RATE": "5/second"}, "SENTOPIC_RATE_STORAGE"),
        ({"DATABASE": "sqlite:///jobs.db"}, "SENTOPIC_DATABASE"),
        ({"JOBS": "/shared/jobs"}, "SENTOPIC_DATABASE"),
    ],
)
def test_what_replicas_cannot_share_is_refused(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], named: str
) -> None:
    monkeypatch.delenv("SENTOPIC_JOBS")
    for name, value in settings.items():
        monkeypatch.setenv(f"SENTOPIC_{name}", value)
    with pytest.raises(StartError, match=named):
        read_settings()


def test_jobs_are_only_where_they_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SENTOPIC_JOBS")
    monkeypatch.setenv("SENTOPIC_DATABASE", "postgresql+pg8000://host/jobs")
    assert not read_settings().jobs
    monkeypatch.setenv("SENTOPIC_JOBS", "/shared/jobs")
    assert read_settings().jobs == "/shared/jobs"


@pytest.mark.parametrize("status", [200, 503])
def test_replica_is_as_well_as_its_application_is_ready(status: int) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert (scope["method"], scope["path"]) == ("GET", "/health/ready")
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    replica = Replica()
    replica._application = app
    if status == 200:
        asyncio.run(replica.check_health())
    else:
        with pytest.raises(RuntimeError, match="503"):
            asyncio.run(replica.check_health())
