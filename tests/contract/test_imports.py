"""Who may import whom: the direction in which the rooms of the house lie."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted([*ROOT.glob("app/**/*.py"), *ROOT.glob("sentopic/**/*.py"), *ROOT.glob("training/**/*.py")])
NAMES = {path: ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in FILES}

FASTAPI = {"fastapi", "starlette"}
DICTIONARIES = {"kiwipiepy", "sudachipy", "rjieba"}
TENSORFLOW = {"keras", "tensorflow", "h5py"}
ALLOWED_TO_TRAINING = {
    *("app.text", "app.tokenizers", "app.bundle", "app.engines", "app.errors", "app.model_file"),
    *("app.database", "app.feedback", "app.files.delimited", "app.files.unpack"),
    *("app.cluster.child", "app.cluster.link"),  # the one way to a cluster; `app` itself is its version
}

OVER_THE_WIRE = {f"sentopic.client.{name}" for name in ("asynchronous", "blocking", "wire")}


def imports(path: Path) -> Iterator[str]:
    """Every module that a file names, wherever in it the import stands."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            module = node.module or ""
            submodules = {f"{module}.{alias.name}" for alias in node.names} & set(NAMES.values())
            yield from submodules or {module}


@pytest.mark.parametrize("path", FILES, ids=NAMES.get)
def test_module_imports_only_what_lies_below_it(path: Path) -> None:
    name, wanted = NAMES[path], set(imports(path))
    tops = {module.split(".")[0] for module in wanted}
    if name.startswith("sentopic"):
        assert tops <= {*sys.stdlib_module_names, "httpx", "sentopic"}
        assert "httpx" not in tops or name in OVER_THE_WIRE
    elif name.startswith("app"):
        assert not tops & {"training", "sentopic"}
        assert not tops & TENSORFLOW or name == "app.engines.keras"
        assert not tops & FASTAPI or name == "app.main" or name.startswith("app.api")
        assert "opentelemetry" not in tops or name == "app.tracing"
        assert "app.main" not in wanted or name in {"app.cli", "app.replica", "app.tune"}
        assert "ray" not in tops or name == "app.replica" or name.startswith("app.cluster")
        outermost = ("app.api", "app.main", "app.replica")
        assert not any(module.startswith("app.api") for module in wanted) or name.startswith(outermost)
    else:
        inner = {module for module in wanted if module.split(".")[0] == "app"}
        strangers = {module for module in inner if not module.startswith(tuple(ALLOWED_TO_TRAINING))} - {"app"}
        assert not strangers
        assert not tops & FASTAPI
        assert "ray" not in tops
    assert not tops & DICTIONARIES or name == "app.tokenizers.libraries"
    if name == "app.text":
        assert tops <= {"collections", "dataclasses", "math", "re", "typing", "numpy", "app"}
        assert {module for module in wanted if module.startswith("app")} == {"app.rare"}


def test_there_is_no_cycle() -> None:
    graph = {NAMES[path]: {module for module in imports(path) if module in NAMES.values()} for path in FILES}
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join([*trail, name])
        if name not in done:
            for below in graph[name]:
                visit(below, (*trail, name))
            done.add(name)

    for name in graph:
        visit(name, ())


def test_no_module_is_called_utils() -> None:
    assert not [path for path in FILES if path.stem in {"utils", "helpers", "common", "misc"}]


def test_service_starts_without_tensorflow_training_or_what_sends_traces() -> None:
    """FastAPI imports OpenTelemetry's API by itself; what does something is beside it."""
    code = "import sys; from app.main import create_app; create_app(); print(*sys.modules, sep='\\n')"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    modules = set(ran.stdout.split())
    assert not {module.split(".")[0] for module in modules} & {*TENSORFLOW, "jax", "torch", "training", "requests"}
    assert not modules & {"app.tracing", *(f"opentelemetry.{part}" for part in ("sdk", "exporter", "proto"))}
