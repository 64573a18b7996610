"""Sentopic beside its peers: one model, one machine, the same requests. `python -m benchmarks.peers [--rounds N]`.

Each peer is set up as its documentation recommends, with its batching on, in a virtual environment of its own. All
are measured in turn, and that several times. Writes benchmarks/results/peers.json.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from app.bundle import Bundle, read_bundle
from app.engines.compile import compile_graph
from app.engines.open import open_engine
from app.settings import SHIPPED
from app.synthetic import make_texts
from benchmarks import machine
from benchmarks.load import put_load
from benchmarks.processes import ask, serve

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results" / "peers.json"
PORT = 8765
CONNECTIONS = (1, 8, 64, 256)
WORDS, BATCH = 80, 256
FULL = 99
"""Words that fill a window: nobody can leave any step out."""
TOLERANCE = 1e-4

Make = Callable[[list[str]], dict[str, Any]]


@dataclass(frozen=True)
class Peer:
    """How a peer is installed (nothing: our own environment), started and asked."""

    name: str
    packages: tuple[str, ...]
    command: tuple[str, ...]
    route: str
    single: Make = lambda texts: {"text": texts[0]}
    batch_route: str | None = None
    batch: Make = lambda texts: {"texts": texts}
    environment: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    """The least to measure for, where answers take seconds."""


def _infer(texts: list[str]) -> dict[str, Any]:
    return {"inputs": [{"name": "text", "shape": [len(texts)], "datatype": "BYTES", "data": texts}]}


_RUNTIME = ("onnxruntime==1.31.1", "numpy==2.4.6")
_UVICORN = ("-m", "uvicorn", "--port", str(PORT), "--log-level", "warning", "--no-access-log")
_SERVE = ("-m", "app.cli", "serve", "--port", str(PORT))
_OURS = "/predict/sentiment"
_LOCKED = ("--require-hashes", "-r", "requirements/serve.txt")
PEERS = (
    Peer("Sentopic", _LOCKED, _SERVE, _OURS, batch_route=f"{_OURS}/batch"),
    Peer("Sentopic, 2 workers", _LOCKED, (*_SERVE, "--workers", "2"), _OURS, batch_route=f"{_OURS}/batch"),
    Peer(
        "mosec",
        ("mosec==0.9.8", *_RUNTIME),
        ("-m", "benchmarks.peers.mosec_server", "--port", str(PORT), "--log-level", "warning"),
        "/predict",
    ),
    Peer("LitServe", ("litserve==0.2.19", *_RUNTIME), ("-m", "benchmarks.peers.litserve_server"), "/predict"),
    Peer(
        "BentoML",
        ("bentoml==1.4.39", *_RUNTIME),
        ("-m", "bentoml", "serve", "benchmarks.peers.bentoml_service:Sentiment", "--port", str(PORT)),
        "/predict",
        single=lambda texts: {"texts": texts},
        batch_route="/predict",
        environment={"BENTOML_DO_NOT_TRACK": "True"},
    ),
    Peer(
        "MLServer",
        ("mlserver==1.7.1", "uvloop==0.21.0", *_RUNTIME),  # with uvloop 0.22 and later its workers do not start
        ("-c", "from mlserver.cli import main; main()", "start", str(Path(__file__).parent / "mlserver")),
        "/v2/models/sentiment/infer",
        single=_infer,
        batch_route="/v2/models/sentiment/infer",
        batch=_infer,
        environment={"MLSERVER_HTTP_PORT": str(PORT), "MLSERVER_DEBUG": "false"},
    ),
    Peer(
        "Ray Serve",
        ("ray[serve]==2.60.0", *_RUNTIME),
        ("-m", "benchmarks.peers.ray_serve"),
        "/predict",
        batch_route="/predict",
        environment={"RAY_USAGE_STATS_ENABLED": "0"},
    ),
    Peer(
        "FastAPI + tf.function",
        (),
        (*_UVICORN, "benchmarks.peers.fastapi_function:app"),
        "/predict",
        batch_route="/batch",
    ),
    Peer(
        "FastAPI + model.predict",
        (),
        (*_UVICORN, "benchmarks.peers.fastapi_predict:app"),
        "/predict",
        batch_route="/batch",
        seconds=10,
    ),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3, help="of each measurement")
    parser.add_argument("--only", nargs="*", help="names of peers")
    parser.add_argument("--work", type=Path, default=ROOT / ".bench", help="environments and logs")
    options = parser.parse_args()
    work: Path = options.work.resolve()
    bundle = read_bundle(SHIPPED / "sentiment" / "gru")
    prepare(bundle, work / "model")
    peers = [peer for peer in PEERS if not options.only or peer.name in options.only]
    pythons = {peer.name: install(peer, work) for peer in peers}
    found: dict[str, list[dict[str, Any]]] = {peer.name: [] for peer in peers}
    for turn in range(options.rounds):
        for peer in peers[turn % len(peers) :] + peers[: turn % len(peers)]:  # nobody is always the first
            print(f"round {turn + 1}: {peer.name} ... ", end="", flush=True)
            found[peer.name].append(measure(peer, pythons[peer.name], bundle, work, options.seconds))
            print(json.dumps(found[peer.name][-1]), flush=True)
    summary = {
        "machine": machine.describe(),
        "model": {"words": WORDS, "batch": BATCH, "recipe": bundle.manifest.recipe["name"]},
        "rounds": options.rounds,
        "rows": found,
        "peers": {
            peer.name: summarise(found[peer.name])
            | {"installed_mb": size(pythons[peer.name]), "versions": peer.packages}
            for peer in peers
        },
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(summary, indent=1) + "\n")


def prepare(bundle: Bundle, folder: Path) -> None:
    """The bundle's model and words for the peers: whole windows, as any ONNX export would have them."""
    folder.mkdir(parents=True, exist_ok=True)
    spec = bundle.manifest.text
    compiled = compile_graph(bundle.model, spec.maxlen, len(bundle.manifest.labels), streaming=False)
    model = onnx.ModelProto.FromString(compiled.graph)
    for tensor in model.graph.initializer:
        if tensor.data_location == TensorProto.EXTERNAL:
            tensor.CopyFrom(numpy_helper.from_array(compiled.weights[tensor.name], tensor.name))
    onnx.save(model, folder / "model.onnx")
    (folder / "model.keras").write_bytes(bundle.model_bytes)
    (folder / "words.txt").write_text("\n".join(bundle.words) + "\n", encoding="utf-8")
    (folder / "model.json").write_text(json.dumps({"num_words": spec.num_words, "maxlen": spec.maxlen}))


def install(peer: Peer, work: Path) -> Path:
    """The Python that runs it."""
    if not peer.packages:
        return Path(sys.executable)
    place = work / peer.name.lower().replace(" ", "-")
    python = place / "bin" / "python"
    if not (place / "done").exists():
        print(f"installing {', '.join(peer.packages)}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", place], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *peer.packages], check=True)
        (place / "done").touch()
    return python


def size(python: Path) -> float | None:
    """Megabytes of what a peer's environment holds; ours is known only where serving alone is installed."""
    if python == Path(sys.executable):
        return None
    files = (path for path in (python.parents[1] / "lib").rglob("*") if path.is_file() and not path.is_symlink())
    return round(sum(path.stat().st_size for path in files) / 1e6)


def measure(peer: Peer, python: Path, bundle: Bundle, work: Path, seconds: float) -> dict[str, Any]:
    texts = make_texts(bundle.words, BATCH, WORDS)
    singles = [json.dumps(peer.single([text])).encode() for text in texts[:64]]
    long = [json.dumps(peer.single([text])).encode() for text in make_texts(bundle.words, 64, FULL)]
    environment = {
        "PORT": str(PORT),
        "PYTHONPATH": str(ROOT),
        "SENTOPIC_PEER_MODEL": str(work / "model"),
        "CUDA_VISIBLE_DEVICES": "",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        **peer.environment,
    }
    url = f"http://127.0.0.1:{PORT}"
    seconds = max(seconds, peer.seconds)
    log = work / f"{peer.name.lower().replace(' ', '-')}.log"
    with serve([python, *peer.command], environment, url + peer.route, singles[0], log) as running:
        check(url + peer.route, singles, texts, bundle)
        row: dict[str, Any] = {"start_s": running.start_s}
        for connections in CONNECTIONS:
            row[f"c{connections}"] = asdict(put_load(url + peer.route, singles, connections, seconds))
        row["full"] = asdict(put_load(url + peer.route, long, 64, seconds))
        if peer.batch_route:
            body = json.dumps(peer.batch(texts)).encode()
            row["texts_per_s"] = put_load(url + peer.batch_route, [body], 2, seconds).requests_per_s * BATCH
        row["memory_mb"] = running.megabytes()
    return row


def check(url: str, bodies: list[bytes], texts: list[str], bundle: Bundle) -> None:
    """The answers must be the model's: ours are calibrated, the peers' its bare probabilities."""
    encoder, engine = bundle.encoder(), open_engine(bundle, "onnx")
    for body, text in zip(bodies, texts, strict=False):
        found, bare = ask(url, body), engine.predict(encoder.encode(text).windows)
        if isinstance(found, list):
            found = found[0]
        if "outputs" in found:
            found = json.loads(found["outputs"][0]["data"][0])
        if "scores" in found:
            label, score = found["label"], found["confidence"]
            shares = bundle.manifest.scores(bare)
        else:
            label, score = found["label"], found["score"]
            shares = bare[0]
        place = int(np.argmax(shares))
        if label != bundle.manifest.labels[place].name or abs(score - float(shares[place])) > TOLERANCE:
            raise SystemExit(f"{url} answers {label} {score}, not {bundle.manifest.labels[place].name} {shares[place]}")


def summarise(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The median over the rounds of each figure."""
    first = rows[0]
    return {
        key: summarise([row[key] for row in rows])
        if isinstance(first[key], dict)
        else statistics.median(row[key] for row in rows)
        for key in first
    }


if __name__ == "__main__":
    os.chdir(ROOT)
    main()
