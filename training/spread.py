"""A program: the part of `sentopic-train compare --cluster` that has Ray in it.

Standard input: the orders; its end ends the program, and with it the runs on all machines. Standard output: a line of
JSON for each run that has come back, and a last one that says why it ended, if not because all have.
"""

import pickle
from collections.abc import Iterator, Sequence
from typing import IO, Final

from app.cluster.child import report
from app.cluster.link import connect, explain
from app.errors import SentopicError
from training.away import Order, do, unpack

_RETRIES: Final = 3
"""Of a run whose machine or process is lost."""

_CORES: Final = 4
"""More are of little use to a small model."""


def run_orders(request: tuple[str, Sequence[Order]]) -> Iterator[dict[str, str]]:
    """What there is to say of each run that has come back, in whatever order. Raises ClusterError and others."""
    address, orders = request
    ray = connect(address)
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    need = {"num_cpus": max(1.0, min([_CORES, *(node.get("CPU", 1.0) for node in nodes)]))}
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
        yield {"said": f"{order.name}: trained on the cluster, {len(waiting)} runs left"}


def _read(source: IO[bytes]) -> tuple[str, Sequence[Order]]:
    size = int(source.readline())
    request: tuple[str, Sequence[Order]] = pickle.loads(source.read(size))  # noqa: S301 - our parent's
    return request


if __name__ == "__main__":
    report(_read, run_orders)
