"""The one way to a Ray cluster, and what is said where there is none. For processes of their own: see `child.py`."""

import importlib.util
import os
import socket
from typing import Any, Final

from app.errors import ClusterError

_LOOK_S: Final = 5.0
MAX_RESTARTS: Final = 20
"""Of one engine's process, wherever Ray starts it again. More, and its work may be what ends it."""

MAX_RETRIES: Final = -1
"""As often as it is restarted: until Ray has found out that a machine is gone, it tries there many times."""


def connect(address: str) -> Any:
    """Ray, connected. Raises ClusterError."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if address.startswith("ray://"):
        raise ClusterError(
            "ray:// is for clients from outside: run this on a machine of the cluster, and name HOST:PORT"
        )
    if not _has_ray():
        raise ClusterError("a cluster needs Ray: pip install 'sentopic[ray]'")
    _look(address)
    import ray

    try:
        ray.init(address=address, log_to_driver=False, configure_logging=False)
    except (Exception, SystemExit) as error:
        raise ClusterError(f"the cluster at {address} cannot be used: {_explain(error)}") from error
    return ray


def explain(error: BaseException) -> ClusterError:
    """What Ray raises while it works, in a line."""
    told = str(error)
    if "No module named 'app" in told:
        return ClusterError("a machine of the cluster has no sentopic: install the same release on all of them")
    lines = [line.strip() for line in told.splitlines() if line.strip()]
    why = lines[-1] if "Traceback" in told else lines[0] if lines else ""
    return ClusterError(f"the cluster has failed: {type(error).__name__}: {why}")


def _has_ray() -> bool:
    return importlib.util.find_spec("ray") is not None


def _look(address: str) -> None:
    """Ray itself takes minutes to find out that nobody is there."""
    host, colon, port = address.rpartition(":")
    if not (colon and port.isdigit()):
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), _LOOK_S).close()
    except (OSError, OverflowError) as error:
        why = (getattr(error, "strerror", None) or str(error)).lower()
        raise ClusterError(f"the cluster at {address} cannot be reached: {why}") from error


def _explain(error: BaseException) -> str:
    told = " ".join(str(error).split())
    if "ersion mismatch" in told:
        return told[told.find("ersion mismatch") - 1 :]
    if isinstance(error, ConnectionError | SystemExit):
        return "it does not let this process in (is it Ray's address, and RAY_AUTH_TOKEN its token?)"
    return told
