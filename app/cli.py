"""`sentopic`: the service's command line."""

import argparse
import asyncio
import ipaddress
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app import __version__, keys, logs
from app.commands import classify
from app.errors import KeyStoreError, SentopicError, StartError, UsageError
from app.keys import SCOPES

if TYPE_CHECKING:
    from app.bundle import Manifest
    from app.settings import Settings

_log = logging.getLogger("sentopic")
_OTHER_FILES = 128
"""Open files of a process that are no connections."""
_FEWEST_CONNECTIONS = 16


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0 done, 1 failed, 2 wrong use, 130 interrupted."""
    options = _parser().parse_args(arguments)
    try:
        status: int = options.run(options)
    except KeyboardInterrupt:
        print("sentopic: interrupted", file=sys.stderr)
        return 130
    except SentopicError as error:
        print(f"sentopic: {error}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="sentopic", description="Text classification by small recurrent networks.")
    parser.add_argument("--version", action="version", version=f"sentopic {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    serve = commands.add_parser(
        "serve", help="answer over HTTP", description="Each option is also a setting, SENTOPIC_<NAME>."
    )
    serve.add_argument("--host", help="address to listen on (127.0.0.1)")
    serve.add_argument("--port", type=int, help="port to listen on (8000)")
    serve.add_argument("--workers", type=int, metavar="N", help="processes (1)")
    serve.add_argument("--artifacts", type=Path, metavar="DIR", help="directory of bundles (the shipped ones)")
    serve.add_argument("--bundle", type=Path, action="append", metavar="DIR", help="serve just this bundle; repeatable")
    serve.add_argument("--engine", choices=("auto", "onnx", "keras"), help="what runs the models (auto)")
    serve.set_defaults(run=_serve)
    classify.add(commands)
    keys = commands.add_parser("keys", help="make, list and revoke API keys").add_subparsers(
        required=True, metavar="COMMAND"
    )
    make = keys.add_parser("create", help="print a new key, once; kept is only its hash")
    make.add_argument("--name", required=True, help="whose it is")
    make.add_argument("--scope", action="append", choices=SCOPES, help="what it is good for (predict); repeatable")
    make.set_defaults(run=_create_key)
    show = keys.add_parser("list", help="all keys but their secrets")
    show.add_argument("--json", action="store_true", help="for programs")
    show.set_defaults(run=_list_keys)
    revoke = keys.add_parser("revoke", help="make a key useless")
    revoke.add_argument("id", help="as `list` shows it")
    revoke.set_defaults(run=_revoke_key)
    for command in (make, show, revoke):
        command.add_argument("--keys", metavar="PLACE", help="file or database URL (SENTOPIC_KEYS)")
    tune = commands.add_parser(
        "tune",
        help="measure this host and write what suits it",
        description="Takes some two minutes, longer with many cores. The machine should have nothing else to do.",
    )
    tune.add_argument("--artifacts", type=Path, metavar="DIR", help="directory of bundles (the shipped ones)")
    tune.add_argument(
        "--bundle", type=Path, action="append", metavar="DIR", help="measure with this bundle; repeatable"
    )
    tune.add_argument("--output", type=Path, default=Path(".env"), metavar="FILE", help="settings file to write (.env)")
    tune.add_argument("--seconds", type=float, default=0.5, help="of each measurement (0.5)")
    tune.add_argument("--rounds", type=int, default=3, metavar="N", help="measurements of each setting (3)")
    tune.add_argument("--quiet", action="store_true", help="no progress")
    tune.add_argument("--json", action="store_true", help="what was measured, for programs")
    tune.set_defaults(run=_tune)
    return parser


def _open_keys(options: argparse.Namespace) -> keys.KeyStore:
    from app.settings import load_settings

    place = options.keys or load_settings().keys
    if not place:
        raise UsageError("where are the keys? --keys PLACE or SENTOPIC_KEYS")
    return keys.open_store(place)


def _create_key(options: argparse.Namespace) -> int:
    print(keys.create(_open_keys(options), options.name, options.scope or ["predict"]))
    return 0


def _list_keys(options: argparse.Namespace) -> int:
    found = _open_keys(options).read()
    if options.json:
        told = [{name: value for name, value in asdict(key).items() if name != "sha256"} for key in found]
        print(json.dumps(told))
        return 0
    for key in found:
        line = f"{key.id}  {key.created}  {','.join(key.scopes):14}  {key.name}"
        print("".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in line))
    return 0


def _revoke_key(options: argparse.Namespace) -> int:
    if not _open_keys(options).remove(options.id):
        raise KeyStoreError(f"there is no key {options.id}")
    print(f"revoked {options.id}; running services know within {keys.REFRESH_S:g} s")
    return 0


def _tune(options: argparse.Namespace) -> int:
    # As in the service, and processes of several threads are not to be forked.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from app import tune
    from app.settings import load_settings

    if not 0 < options.seconds < float("inf") or options.rounds < 1:
        raise UsageError("--seconds and --rounds must be positive")
    if not os.access(options.output.parent, os.W_OK) or options.output.is_dir():
        raise StartError(f"cannot write {options.output}")
    settings = load_settings(artifacts=options.artifacts, bundle=options.bundle)
    _allow_connections(tune.ASKERS)

    def tell(line: str) -> None:
        if not options.quiet:
            print(line, file=sys.stderr, flush=True)

    trials = tune.measure(settings, options.seconds, options.rounds, tell)
    best = tune.choose(trials)
    values = {"SENTOPIC_ENGINE_THREADS": best.threads, "SENTOPIC_MAX_BATCH_WINDOWS": best.batch}
    tune.write(options.output, values)
    if options.json:
        print(json.dumps({"trials": [asdict(trial) for trial in trials], "chosen": asdict(best), "settings": values}))
    else:
        print("".join(f"{name}={value}\n" for name, value in values.items()), end="")
        print(f"written to {options.output}: {best.texts_per_s:,.0f} texts a second here, one a request")
    return 0


def _serve(options: argparse.Namespace) -> int:
    # The service multiplies no matrices in NumPy: its threads would only take memory, and forbid to fork.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from app.settings import load_settings

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))  # nothing is in flight yet
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # what there is will be read anyhow
    names = ("host", "port", "workers", "artifacts", "bundle", "engine")
    settings = load_settings(**{name: getattr(options, name) for name in names})
    logs.configure(settings.log_format, requests=settings.log_requests)
    if settings.workers > 1 and settings.rate and settings.rate_storage.startswith("memory:"):
        raise StartError("several workers must count requests in one place: SENTOPIC_RATE_STORAGE=redis://...")
    most = _allow_connections(settings.max_connections)
    listener = _listen(settings.host, settings.port)

    from app import main as service
    from app.child import Lifeline
    from app.protocol import ConnectionLimits
    from app.server import Server, Service, longest_stop_s
    from app.stores import look
    from app.supervisor import Supervisor

    found = look(settings)
    connections = ConnectionLimits(settings.client_timeout_s, settings.keep_alive_s, settings.max_header_bytes, most)

    def build(
        shared: service.Shared | None = None, place: int = 0
    ) -> tuple[Any, AbstractAsyncContextManager[Any], asyncio.Event]:
        app = service.create_app(settings, shared, place, found)
        return app, app.router.lifespan_context(app), app.state.leaving

    def work(shared: service.Shared, lifeline: Lifeline) -> None:
        server = Server(Service(lambda: build(shared, lifeline.place)), connections, lifeline)
        server.heed_signals()
        server.run(sockets=[listener])

    def tell(manifests: Iterable["Manifest"]) -> None:
        if not settings.keys and not _is_loopback(listener):  # not sooner: whoever cannot start has one thing to say
            where = f"{settings.host}:{listener.getsockname()[1]}"
            _log.warning("WARNING: whoever reaches %s can use this service; `sentopic keys create` makes keys", where)
        print(_first_line(settings, manifests, listener), flush=True)

    if settings.workers > 1:
        read = partial(service.read_shared, settings)
        flush_s = service.FLUSH_S if settings.trace_endpoint else 0
        supervisor = Supervisor(settings.workers, read, work, stop_s=longest_stop_s(connections) + flush_s)
        # Nobody may be put through to a service that has no one left to answer.
        return supervisor.run(
            lambda shared: tell(one.bundle.manifest for one in shared.trained), on_stop=listener.close
        )
    served = Service(build)
    server = Server(served, connections)
    server.heed_signals()
    tell(served.app.state.catalog.manifests)
    server.run(sockets=[listener])
    return 0


def _is_loopback(listener: socket.socket) -> bool:
    return ipaddress.ip_address(listener.getsockname()[0].partition("%")[0]).is_loopback


def _allow_connections(number: int) -> int:
    """How many of them the system lets a process have: its first limit on open files is often 1,024, and is raised.

    Raises StartError where that is hardly any.
    """
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = number + _OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    least = min(number, _FEWEST_CONNECTIONS)
    if soft != resource.RLIM_INFINITY and soft - _OTHER_FILES < least:
        raise StartError(f"too few open files are allowed: {soft}, of at least {_OTHER_FILES + least} (ulimit -n)")
    return number if soft == resource.RLIM_INFINITY else min(number, soft - _OTHER_FILES)


def _first_line(settings: "Settings", manifests: Iterable["Manifest"], listener: socket.socket) -> str:
    """Where it listens, with which engine and bundles, and whether keys are asked for."""
    from app.engines.open import choose

    host, port = listener.getsockname()[:2]
    where = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    bundles = ", ".join(sorted(f"{manifest.task}/{manifest.model}" for manifest in manifests))
    asked = "keys asked for" if settings.keys else "no keys asked for"
    return f"Sentopic {__version__} on {where} - engine {choose(settings.engine)} - {bundles} - {asked}"


def _listen(host: str, port: int) -> socket.socket:
    """Bound before anything is loaded, so that a taken port is told at once."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise StartError(f"cannot listen on {host}:{port}: {(error.strerror or str(error)).lower()}") from error


if __name__ == "__main__":
    sys.exit(main())
