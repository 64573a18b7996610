"""The manifests and the service agree: ports, probes, settings, times; and none of them holds a secret."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from app.main import FLUSH_S
from app.protocol import ConnectionLimits
from app.server import longest_stop_s
from app.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
PLACE = ROOT / "deploy" / "kubernetes"
DOCS = ROOT / "docs" / "deployment-kubernetes.md"
KUBECTL = Path(sys.executable).with_name("kubectl")
SECRET = re.compile("password|passwd|secret|token|credential|private|api_?key", re.IGNORECASE)


def read(path: str) -> dict[str, Any]:
    (document,) = yaml.safe_load_all((PLACE / path).read_text("utf-8"))
    assert isinstance(document, dict)
    return document


def documents() -> dict[str, dict[str, Any]]:
    found = {str(path.relative_to(PLACE)): read(str(path.relative_to(PLACE))) for path in PLACE.rglob("*.yaml")}
    assert len(found) > 10
    return found


def entries(node: Any) -> Iterator[tuple[str, Any]]:
    """Every key with its value, however deep."""
    for name, value in node.items() if isinstance(node, dict) else ():
        yield name, value
    for value in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from entries(value)


def pod() -> dict[str, Any]:
    found: dict[str, Any] = read("deployment/deployment.yaml")["spec"]["template"]["spec"]
    return found


def container() -> dict[str, Any]:
    (found,) = pod()["containers"]
    return dict(found)


def settings() -> dict[str, dict[str, str]]:
    """By file: what each of them sets."""
    lines = {"deployment/settings.env": (PLACE / "deployment" / "settings.env").read_text("utf-8").splitlines()}
    for path, document in documents().items():
        for generator in document.get("configMapGenerator", ()):
            lines.setdefault(path, []).extend(generator.get("literals", ()))
    return {path: dict(line.split("=", 1) for line in found) for path, found in lines.items() if found}


def test_probes_ask_routes_that_need_no_key(client: httpx.Client) -> None:
    described = client.get("/openapi.json").json()["paths"]
    for probe, path in {"startup": "ready", "readiness": "ready", "liveness": "live"}.items():
        asked = container()[f"{probe}Probe"]["httpGet"]
        assert asked == {"path": f"/health/{path}", "port": "http"}
        assert client.get(asked["path"]).status_code == 200
        assert "401" not in described[asked["path"]]["get"]["responses"]


def test_ports_are_one() -> None:
    (port,) = container()["ports"]
    assert port == {"name": "http", "containerPort": int(settings()["deployment/settings.env"]["SENTOPIC_PORT"])}
    assert [one["targetPort"] for one in read("base/service.yaml")["spec"]["ports"]] == ["http"]
    assert read("base/network.yaml")["spec"]["ingress"][0]["ports"] == [{"protocol": "TCP", "port": "http"}]


def test_service_of_that_name_sets_no_setting() -> None:
    """A Service `sentopic` would put SENTOPIC_PORT=tcp://... into every container beside it."""
    assert pod()["enableServiceLinks"] is False


def test_stop_has_the_time_that_clients_may_take() -> None:
    default = Settings()
    limits = ConnectionLimits(
        default.client_timeout_s, default.keep_alive_s, default.max_header_bytes, default.max_connections
    )
    pause = container()["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pod()["terminationGracePeriodSeconds"] >= pause + longest_stop_s(limits) + FLUSH_S


def test_settings_are_settings() -> None:
    found = settings()
    assert len(found) == 3
    for path, values in found.items():
        options = {name.removeprefix("SENTOPIC_").lower(): value for name, value in values.items()}
        assert options.keys() <= Settings.model_fields.keys(), path
        Settings(**options)


def test_nothing_holds_a_secret() -> None:
    for path, document in documents().items():
        assert document.get("kind") != "Secret", path
        assert "secretGenerator" not in document, path
        for name, value in entries(document):
            assert not (SECRET.search(name) and isinstance(value, str)) or name == "secretName", (path, name)
            assert not (name == "name" and SECRET.search(str(value))) or value == "sentopic-secrets", (path, value)
    for path, values in settings().items():
        for name, value in values.items():
            assert not SECRET.search(name), (path, name)
            assert not re.search(r"://[^/\s]*@|snt_", value), (path, name)


def test_pods_may_do_nothing_that_they_need_not() -> None:
    assert pod()["automountServiceAccountToken"] is False
    assert pod()["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    assert container()["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    for path, document in documents().items():
        for name, value in entries(document):
            assert name not in {"hostNetwork", "hostPID", "hostPath", "privileged"}, (path, value)


def test_autoscaler_scales_what_is_stable() -> None:
    """A regression: with a canary of the same name beside it, it scaled the canary."""
    stable = (
        read("deployment/deployment.yaml")["metadata"]["name"] + read("base/stable/kustomization.yaml")["nameSuffix"]
    )
    assert read("base/autoscaler.yaml")["spec"]["scaleTargetRef"]["name"] == stable
    assert "cpu" in container()["resources"]["requests"]  # of which it takes its share


needs_kubectl = pytest.mark.skipif(not KUBECTL.exists(), reason="needs kubectl")


def built(directory: Path) -> dict[str, str]:
    """Each Deployment's image, as kustomize makes it."""
    ran = subprocess.run([KUBECTL, "kustomize", directory], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return {
        document["metadata"]["name"]: document["spec"]["template"]["spec"]["containers"][0]["image"]
        for document in yaml.safe_load_all(ran.stdout)
        if document["kind"] == "Deployment"
    }


def own(directory: Path, overlay: str, images: list[dict[str, str]]) -> Path:
    """A kustomization as the docs have it, beside a copy of the manifests."""
    if not (directory / "kubernetes").exists():
        shutil.copytree(PLACE, directory / "kubernetes")
    made = directory / "own" / overlay
    made.mkdir(parents=True)
    manifests = "../" * len(made.relative_to(directory).parts) + "kubernetes"
    (made / "kustomization.yaml").write_text(
        yaml.safe_dump({"resources": [f"{manifests}/{overlay}"], "images": images})
    )
    return made


@needs_kubectl
def test_images_are_those_that_one_s_own_kustomization_names(tmp_path: Path) -> None:
    """A regression: the overlay for GPUs ran the CPU's image, and the canary the old bundle."""
    (told,) = re.findall(r"# kustomization.yaml\n(.*?)```", DOCS.read_text("utf-8"), re.DOTALL)
    images = yaml.safe_load(told)["images"]
    names = {image["name"]: f"{image['newName']}:{image['newTag']}" for image in images}
    assert len(set(names.values())) == 3
    assert built(own(tmp_path, "base", images)) == {"sentopic-stable": names["sentopic"]}
    assert built(own(tmp_path, "overlays/volume", images)) == {"sentopic-stable": names["sentopic"]}
    assert built(own(tmp_path, "overlays/gpu", images)) == {"sentopic-stable": names["sentopic-gpu"]}
    assert built(own(tmp_path, "overlays/canary", images)) == {
        "sentopic-stable": names["sentopic"],
        "sentopic-canary": names["sentopic-canary"],
    }


@needs_kubectl
def test_images_are_those_that_are_named_in_the_files(tmp_path: Path) -> None:
    """What `kustomize edit set image` writes, where each file says that it does."""
    shutil.copytree(PLACE, tmp_path / "kubernetes")
    for path in sorted((tmp_path / "kubernetes").rglob("kustomization.yaml")):
        text = path.read_text("utf-8")
        for name, image, tag in re.findall(r"kustomize edit set image ([\w-]+)=(\S+):(\S+)", text):
            (entry,) = yaml.safe_load(text)["images"]
            assert entry["name"] == name
            content = yaml.safe_load(text) | {"images": [{"name": name, "newName": image, "newTag": tag}]}
            path.write_text(yaml.safe_dump(content))
    found = {name: built(tmp_path / "kubernetes" / name) for name in ("base", "overlays/gpu", "overlays/canary")}
    one, gpu, new = (f"registry.example/sentopic:0.1.0{end}" for end in ("", "-gpu", "-gru2"))
    assert found == {
        "base": {"sentopic-stable": one},
        "overlays/gpu": {"sentopic-stable": gpu},
        "overlays/canary": {"sentopic-stable": one, "sentopic-canary": new},
    }
