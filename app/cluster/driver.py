"""A program: `sentopic classify --cluster`'s part that has Ray in it. Parts of files become results through Ray Data.

Standard input: the request, a line of JSON; once the cluster is there, which is told, another line to begin; its end
ends the program, and with it the work on all machines. Standard output: a line of JSON for each part, and a last one
that says why it ended, if not because all is done.
"""

import json
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import IO, Any

from app.bundle import read_bundle
from app.cluster.cargo import Cargo, pack
from app.cluster.child import report
from app.cluster.link import MAX_RESTARTS, MAX_RETRIES, connect
from app.cluster.office import Office
from app.engines.base import EngineOptions


def answer_parts(request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """`ready`, and what is told of each part, in the order in which they are done. Raises ClusterError and others."""
    cargo = _load(request)
    ray = connect(request["address"])
    yield {"ready": True}
    data = import_module("ray.data")
    data.DataContext.get_current().enable_progress_bars = False
    parts = [{"part": json.dumps(one)} for one in request["parts"]]
    found = ray.cluster_resources()
    need = {"num_cpus": float(cargo.options.threads)}
    if cargo.engine == "keras" and found.get("GPU"):
        need["num_gpus"] = 1.0
    most = min(found.get(name.removeprefix("num_").rstrip("s").upper(), 0) // much for name, much in need.items())
    size = int(max(1, min(len(parts), request["engines"] or most)))
    told = data.from_items(parts, override_num_blocks=len(parts)).map_batches(
        Office,
        fn_constructor_args=(ray.put(cargo), request["errand"]),
        batch_size=1,
        compute=data.ActorPoolStrategy(size=size, max_tasks_in_flight_per_actor=1),
        max_restarts=MAX_RESTARTS,
        max_task_retries=MAX_RETRIES,
        **need,
    )
    for row in told.iter_rows():
        yield json.loads(row["told"])


def _load(request: dict[str, Any]) -> Cargo:
    bundle = read_bundle(Path(request["bundle"]), trusted=[request["seal"]])
    return pack(bundle, request["engine"], EngineOptions(**request["options"]), request["max_text_chars"])


def _read(source: IO[bytes]) -> dict[str, Any]:
    request: dict[str, Any] = json.loads(source.readline())
    return request


if __name__ == "__main__":
    report(_read, answer_parts)
