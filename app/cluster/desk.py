"""A machine's side of jobs on a cluster: an engine that stays in its process as long as Ray keeps that."""

from typing import Any

from app.cluster.cargo import Desk, unpack
from app.engines.base import Probabilities
from app.text import Ids

_open: dict[str, Desk] = {}
"""By seal: one, as a process answers for one service after the other."""


def predict(cargo: list[Any], seal: str, ids: Ids) -> Probabilities:
    """Windows (n, maxlen) -> probabilities (n, labels). `cargo`: a reference to it, in a list."""
    if seal not in _open:
        import ray

        desk = unpack(ray.get(cargo[0]))
        _open.clear()
        _open[seal] = desk
    if not len(ids):
        return ids.astype("float32")
    return _open[seal].engine.predict(ids)
