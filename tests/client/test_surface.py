"""What programs rely on: names, signatures, and that the client comes without the service."""

import inspect
import json
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import app
import sentopic
from sentopic import client
from sentopic.client import AsyncClient, Client

ROOT = Path(__file__).resolve().parents[2]

SURFACE = """
__init__(url: str, key: str | None = None, *, timeout: float = 30.0, retries: int = 4, transport: httpx.BaseTransport | None = None)
classify(text: str, task: str, model: str | None = None, top_k: int | None = None, explain: bool = False) -> Answer
classify_many(texts: Iterable[str], task: str, model: str | None = None, top_k: int | None = None, *, batch_size: int = 100, concurrency: int = 2) -> Iterator[Answer | Failure]
close()
delete(id: str)
download(id: str, path: str | os.PathLike[str], partial: bool = False) -> Path
feedback(id: str, task: str, label: str, text: str | None = None)
job(id: str) -> Job
jobs() -> tuple[Job, ...]
ready() -> bool
submit_job(path: str | os.PathLike[str], task: str, model: str | None = None, format: str | None = None, text: str | None = None) -> Job
task(name: str) -> Task
tasks() -> tuple[Task, ...]
wait(id: str, timeout: float | None = None) -> Job
"""  # noqa: E501


def surface(kind: type) -> list[str]:
    """Every public method as it is called."""
    lines = []
    for name, method in sorted(inspect.getmembers(kind, inspect.isfunction)):
        if name == "__init__" or not name.startswith("_"):
            text = f"{name}{inspect.signature(method)}".replace("(self, ", "(").replace("(self)", "()")
            for module in ("sentopic.client.results.", "collections.abc.", "pathlib._local.", "pathlib."):
                text = text.replace(module, "")
            lines.append(text.removesuffix(" -> None"))
    return lines


def test_methods_are_those_that_programs_call() -> None:
    assert surface(Client) == SURFACE.strip().splitlines()


def test_both_clients_have_the_same_methods() -> None:
    wanted = "\n".join(surface(Client)).replace("-> Iterator[", "-> AsyncIterator[")
    wanted = wanted.replace("texts: Iterable[str]", "texts: Iterable[str] | AsyncIterable[str]")
    assert surface(AsyncClient) == wanted.replace("httpx.BaseTransport", "httpx.AsyncBaseTransport").splitlines()


def test_names_are_those_that_programs_import() -> None:
    assert client.__all__ == [
        "Answer", "AnswerWarning", "AsyncClient", "Client", "DeadlineError", "Explanation", "Failure", "Fault",
        "ForbiddenError", "InvalidRequestError", "Job", "JobFailedError", "Label", "Limits", "Model", "NotFoundError",
        "OverloadedError", "RateLimitedError", "RequestRefusedError", "Score", "SentopicError", "ServiceFailedError",
        "Task", "TimedOutError", "Tokens", "TooLargeError", "UnauthorizedError", "UnavailableError",
        "UnexpectedAnswerError", "Verdict", "Word",
    ]  # fmt: skip
    assert all(hasattr(client, name) for name in client.__all__)


def test_client_brings_httpx_and_nothing_of_the_service() -> None:
    code = "import json, sys, sentopic.client; print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    brought = set(json.loads(ran.stdout)) - sys.stdlib_module_names
    assert {"sentopic", "httpx"} <= brought
    assert not brought & {"app", "training", "fastapi", "h5py", "numpy", "onnxruntime", "pydantic", "uvicorn"}


def test_client_is_a_distribution_of_its_own(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT / "client", check=True, capture_output=True)
    (path,) = tmp_path.iterdir()
    with zipfile.ZipFile(path) as wheel:
        packed = {name for name in wheel.namelist() if ".dist-info/" not in name}
        metadata = wheel.read(f"sentopic_client-{sentopic.__version__}.dist-info/METADATA").decode().splitlines()
    sources = {str(path.relative_to(ROOT)) for path in ROOT.glob("sentopic/**/*.py")}
    assert packed == sources | {"sentopic/py.typed", "sentopic/LICENSE"}
    assert [line for line in metadata if line.startswith("Requires-Dist")] == ["Requires-Dist: httpx>=0.28"]


def test_one_version_is_told_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert sentopic.__version__ == app.__version__ == project["project"]["version"]
    assert "sentopic" in project["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"]
