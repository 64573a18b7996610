"""A program: `sentopic classify --cluster`'s part that has Ray in it. Parts of files become results through Ray Data.

Standard input: the request, a line of JSON; its end ends the program, and with it the work on all machines. Standard
output: a line of JSON for each part, and a last one that says why it ended, if not because all is done.
"""

import json
import os
import threading
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import IO, Any

from app.bundle import read_bundle
from app.cluster.cargo import Cargo, pack
from app.cluster.child import take_pipes
from app.cluster.link import MAX_RESTARTS, MAX_RETRIES, connect, explain
from app.cluster.office import Office
from app.engines.base import EngineOptions
from app.errors import SentopicError, UsageError


def answer_parts(request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What is told of each part, in the order in which they are done. Raises ClusterError and others."""
    cargo = _load(request)
    ray = connect(request["address"])
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


def main() -> None:
    source, out = take_pipes()
    request = json.loads(source.readline())
    threading.Thread(target=_end_with, args=(source,), daemon=True).start()
    try:
        for told in answer_parts(request):
            _say(out, told)
    except SentopicError as error:
        _say(out, {"fault": str(error), "usage": isinstance(error, UsageError)})
    except Exception as error:  # noqa: BLE001 - Ray's, of whatever kind
        _say(out, {"fault": str(explain(error))})
    else:
        _say(out, {"end": True})
    os._exit(0)  # Ray ends what runs elsewhere when its driver is gone


def _end_with(parent: IO[bytes]) -> None:
    parent.read()
    os._exit(1)


def _say(out: IO[bytes], told: dict[str, Any]) -> None:
    out.write(json.dumps(told).encode() + b"\n")
    out.flush()


if __name__ == "__main__":
    main()
