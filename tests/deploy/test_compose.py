"""The compose file: what it sets are settings, what it publishes is meant, and no secret is in it."""

import os
import re
import stat
import subprocess
from typing import Any

import pytest
import yaml

from app.keys import open_store
from app.settings import SHIPPED, Settings, load_settings

DEPLOY = SHIPPED.parent / "deploy"
TEXT = (DEPLOY / "compose.yaml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]


@pytest.mark.parametrize("name", SERVICES)
def test_container_can_do_little(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["logging"]["options"]["max-size"]
    assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}
    assert "build" in service or re.fullmatch(r"[\w./-]+:v?\d+\.\d+(\.\d+)?(-\w+)?", service["image"])
    assert "build" in service or {"healthcheck", "user"} <= set(service)  # the service's image says both


def test_only_nginx_is_published_beyond_this_machine() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published.pop("nginx") == ["${PUBLISH:-0.0.0.0:8000}:8080"]
    assert set(published) == {"prometheus", "grafana"}
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)


def test_service_and_databases_have_no_way_out() -> None:
    open_ones = {name for name, network in COMPOSE["networks"].items() if not network.get("internal")}
    assert {name for name in SERVICES if open_ones & set(SERVICES[name]["networks"])} == {
        "nginx",
        "prometheus",
        "grafana",
    }


@pytest.mark.parametrize("name", ["service", "service-gpu"])
def test_what_is_set_are_settings(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    service = SERVICES[name]
    targets = {secret["target"] for secret in service["secrets"]}
    for setting in {*service["environment"], *targets}:
        assert setting.lower().removeprefix("sentopic_") in Settings.model_fields
    assert not {target.upper() for target in targets} & set(service["environment"])  # which would come first
    for setting, value in service["environment"].items():
        monkeypatch.setenv(setting, re.sub(r"\$\{\w+:?-(.*?)\}", r"\1", value))
    settings = load_settings()
    assert settings.trusted_proxies == [
        re.sub(r".*:-(.*)\}", r"\1", COMPOSE["networks"]["edge"]["ipam"]["config"][0]["subnet"])
    ]
    assert settings.rate


def test_container_for_a_gpu_runs_on_no_cpu() -> None:
    """A regression: with a driver that is too old it was healthy, and many times slower than the one for CPUs."""
    overlay = yaml.safe_load((DEPLOY / "kubernetes" / "overlays" / "gpu" / "kustomization.yaml").read_text())
    literals = (one.split("=", 1) for generator in overlay["configMapGenerator"] for one in generator["literals"])
    wanted = {name: value for name, value in literals if name != "SENTOPIC_ENGINE"}  # which the image sets
    assert wanted["SENTOPIC_REQUIRE_GPU"] == "true"
    assert SERVICES["service-gpu"]["environment"] == SERVICES["service"]["environment"] | wanted


def test_stop_waits_as_long_as_the_service_may() -> None:
    """What it waits for, in docs/limits.md and `Server._let_go`."""
    settings = Settings()
    longest = settings.keep_alive_s + 0.5 + 2 * settings.client_timeout_s + 60 + 1
    assert longest < float(SERVICES["service"]["stop_grace_period"].removesuffix("s")) < longest + 10


def test_secrets_are_made_once_and_only_in_their_directory(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    made = tmp_path / "secrets"
    command = [DEPLOY / "new-secrets", made]
    assert subprocess.run(command, check=False, capture_output=True).returncode == 0
    assert stat.S_IMODE(made.stat().st_mode) == 0o700
    assert {path.name for path in made.iterdir()} == set(COMPOSE["secrets"])
    assert all(path.stat().st_mode & stat.S_IROTH for path in made.iterdir())  # containers are other users
    contents = {path.name: path.read_text() for path in made.iterdir()}
    again = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (again.returncode, again.stderr.count("\n")) == (1, 1)
    assert {path.name: path.read_text() for path in made.iterdir()} == contents
    assert contents["postgres_password"] in contents["database"]
    assert contents["redis_auth"].split()[1] in contents["rate_storage"]
    random = [contents[name] for name in ("postgres_password", "redis_auth", "grafana_password")]
    assert len(set(random)) == 3
    assert all(len(value.split()[-1]) == 48 for value in random)
    (made / "database").rename(made / "sentopic_database")
    monkeypatch.setenv("SENTOPIC_SECRETS_DIR", os.fspath(made))
    assert load_settings().database == contents["database"]
    open_store(contents["database"])  # the driver is one that SQLAlchemy finds


def test_no_secret_is_in_the_file_nor_ever_in_the_repository() -> None:
    assert all(set(secret) == {"file"} for secret in COMPOSE["secrets"].values())
    for service in SERVICES.values():
        for name in service.get("environment", {}):
            assert "PASSWORD" not in name or name.endswith("_FILE")
    assert "/deploy/secrets/" in (DEPLOY.parent / ".gitignore").read_text().splitlines()
