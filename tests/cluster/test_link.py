"""A cluster that is not there is said so in one line, at once."""

import importlib.util
import socket

import pytest

from app.cluster import link
from app.errors import ClusterError, StartError
from app.jobs.office import find_place
from app.settings import Settings


def free_port() -> int:
    with socket.socket() as line:
        line.bind(("127.0.0.1", 0))
        return int(line.getsockname()[1])


def test_address_where_nobody_listens_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "_has_ray", lambda: True)
    address = f"127.0.0.1:{free_port()}"
    with pytest.raises(ClusterError, match=f"^the cluster at {address} cannot be reached: connection refused$"):
        link.connect(address)


def test_missing_ray_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ClusterError, match=r"pip install 'sentopic\[ray\]'"):
        link.connect("127.0.0.1:6379")
    with pytest.raises(StartError, match=r"pip install 'sentopic\[ray\]'"):
        find_place(Settings(jobs_cluster="127.0.0.1:6379"))


def test_what_ray_raises_becomes_one_line() -> None:
    told = link.explain(RuntimeError("a worker said\nModuleNotFoundError: No module named 'app'\nand more"))
    assert str(told) == "a machine of the cluster has no sentopic: install the same release on all of them"
    told = link.explain(ValueError("Traceback (most recent call last):\n  File x\nKeyError: 'a'\n"))
    assert str(told) == "the cluster has failed: ValueError: KeyError: 'a'"
    assert "ersion mismatch: The cluster" in link._explain(
        RuntimeError("Version mismatch: The cluster was started\nwith")
    )
