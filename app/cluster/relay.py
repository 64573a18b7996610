"""A program: a service's way to a cluster's engines. Windows go in, probabilities come out, as soon as they are there.

Standard input: the request, a line of JSON; then frames of windows. Standard output: a line of JSON; then frames of
probabilities, each with its windows' number, in any order. Ray itself does again what was lost with a machine.
"""

import json
import os
import threading
from concurrent.futures import Future
from pathlib import Path
from typing import IO, Any

import numpy as np

from app.bundle import MANIFEST, Bundle, read_bundle
from app.cluster.cargo import pack
from app.cluster.child import take_pipes
from app.cluster.desk import predict
from app.cluster.frames import read_frame, write_frame
from app.cluster.link import connect, explain
from app.engines.base import EngineOptions
from app.errors import BundleError, SentopicError

_RETRIES = 20
"""Of one chunk, wherever: more, and it may be what ends its machine."""


def find_bundle(directories: list[str], seal: str) -> Bundle:
    """The one with this seal. Raises BundleError."""
    for directory in map(Path, directories):
        try:
            found = json.loads((directory / MANIFEST).read_bytes()).get("sha256")
        except (OSError, ValueError, AttributeError):
            continue
        if found == seal:
            return read_bundle(directory, trusted=[seal])
    raise BundleError(Path(directories[0]).parent, "the bundle that the service answers with is gone: reload it")


class Relay:
    """`ask` sends windows to some machine; what comes back is written from Ray's threads."""

    def __init__(self, request: dict[str, Any], out: IO[bytes]) -> None:
        """Raises ClusterError, BundleError and others."""
        bundle = find_bundle(request["bundles"], request["seal"])
        cargo = pack(bundle, request["engine"], EngineOptions(**request["options"]), request["max_text_chars"])
        ray = connect(request["address"])
        found, self._out, self._lock = ray.cluster_resources(), out, threading.Lock()
        need = {"num_cpus": float(cargo.options.threads)}
        if cargo.engine == "keras" and found.get("GPU"):
            need["num_gpus"] = 1.0
        self._predict = ray.remote(max_retries=_RETRIES, scheduling_strategy="SPREAD", **need)(predict)
        self._cargo = [ray.put(cargo)]  # in a list, Ray leaves it where it is
        empty = np.zeros((0, bundle.manifest.text.maxlen), np.int32)
        self._labels = len(bundle.manifest.labels)
        ray.get(self._predict.remote(self._cargo, cargo.seal, empty))  # whatever is wrong is told now
        self.engines = int(max(1, found.get("CPU", 1) // cargo.options.threads))
        self._seal = cargo.seal

    def ask(self, number: int, ids: Any) -> None:
        future = self._predict.remote(self._cargo, self._seal, ids).future()
        future.add_done_callback(lambda done: self._tell(number, done))

    def _tell(self, number: int, done: "Future[Any]") -> None:
        try:
            found = done.result()
        except BaseException as error:  # noqa: BLE001 - the service goes on with this in another way
            self._write(number, str(explain(error)))
        else:
            self._write(number, found)

    def _write(self, number: int, what: Any) -> None:
        with self._lock:
            try:
                write_frame(self._out, number, what)
            except OSError:
                os._exit(1)


def main() -> None:
    source, out = take_pipes()
    request = json.loads(source.readline())
    try:
        relay = Relay(request, out)
    except SentopicError as error:
        told: dict[str, Any] = {"fault": str(error)}
    except Exception as error:  # noqa: BLE001 - Ray's, of whatever kind
        told = {"fault": str(explain(error))}
    else:
        told = {"engines": relay.engines}
    out.write(json.dumps(told).encode() + b"\n")
    out.flush()
    if "fault" not in told:
        while (asked := read_frame(source, np.int32)) is not None:
            relay.ask(*asked)
    os._exit(0)


if __name__ == "__main__":
    main()
