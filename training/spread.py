"""A program: the part of `sentopic-train compare --cluster` that has Ray in it.

Standard input: the orders; its end ends the program, and with it the runs on all machines. Standard output: a line of
JSON for each run that has come back, and a last one that says why it ended, if not because all have.
"""

import json
import os
import pickle
import threading
from collections.abc import Iterator, Sequence
from functools import partial
from typing import IO, Any, Final

from app.cluster.child import take_pipes
from app.cluster.link import connect, explain
from app.errors import SentopicError
from training.away import Order, do, unpack

_RETRIES: Final = 3
"""Of a run whose machine or process is lost."""

_CORES: Final = 4
"""More are of little use to a small model."""


def run_orders(address: str, orders: Sequence[Order]) -> Iterator[str]:
    """What there is to say of each run that has come back, in whatever order. Raises ClusterError and others."""
    ray = connect(address)
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    need = {"num_cpus": max(1.0, min(_CORES, *(node.get("CPU", 1.0) for node in nodes), _CORES))}
    if any(node.get("GPU") for node in nodes):
        need["num_gpus"] = 1.0
    task = ray.remote(max_retries=_RETRIES, scheduling_strategy="SPREAD", **need)(do)
    waiting = {task.remote(order): order for order in orders}
    while waiting:
        (done,), _ = ray.wait(list(waiting), num_returns=1)
        order = waiting.pop(done)
        try:
            unpack(ray.get(done), order.folder)
        except ray.exceptions.RayTaskError as error:
            raise error.cause if isinstance(error.cause, SentopicError) else explain(error) from error
        yield f"{order.name}: trained on the cluster, {len(waiting)} runs left"


def main() -> None:
    source, out = take_pipes()
    told = partial(_say, out)
    size = int(source.readline())
    address, orders = pickle.loads(source.read(size))  # noqa: S301 - our parent's
    threading.Thread(target=_end_with, args=(source,), daemon=True).start()
    try:
        for line in run_orders(address, orders):
            told({"said": line})
    except SentopicError as error:
        told({"fault": str(error)})
    except Exception as error:  # noqa: BLE001 - Ray's, of whatever kind
        told({"fault": str(explain(error))})
    else:
        told({"end": True})
    os._exit(0)  # Ray ends what runs elsewhere when its driver is gone


def _end_with(parent: IO[bytes]) -> None:
    parent.read()
    os._exit(1)


def _say(out: IO[bytes], told: dict[str, Any]) -> None:
    out.write(json.dumps(told).encode() + b"\n")
    out.flush()


if __name__ == "__main__":
    main()
