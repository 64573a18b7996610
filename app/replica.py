"""One replica of a Ray Serve deployment: the same application, in a process that Ray starts, watches and ends.

Imported by Ray alone, by the name in deploy/ray/serve.yaml; Ray is imported only where it calls.
"""

import asyncio
import logging
import os
from collections.abc import MutableMapping
from typing import Any, Final

from app import logs
from app.errors import StartError
from app.ledger import Ledger
from app.metrics import Metrics
from app.settings import Settings, load_settings

TELL_S: Final = 2.0
"""How often a replica tells what it has counted: so old may be what another one says of it."""

_SLACK: Final = 64
"""Requests beyond those that the application refuses by itself: probes, descriptions, pages."""

_STREAMS_S: Final = 60.0
"""Beyond the deadline: how long a replica that is to end waits for streams."""

_READY: Final[dict[str, Any]] = {
    "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
    "path": "/health/ready", "raw_path": b"/health/ready", "root_path": "", "query_string": b"",
    "headers": [], "client": None, "server": None,
}  # fmt: skip
_LEDGER: Final = "ledger"
_log = logging.getLogger("sentopic")


def read_settings() -> Settings:
    """As `sentopic serve` has them, where replicas on several machines can keep to them. Raises SentopicError."""
    settings = load_settings()
    if settings.rate and settings.rate_storage.startswith("memory:"):
        raise StartError("replicas must count requests in one place: SENTOPIC_RATE_STORAGE=redis://...")
    if settings.database and settings.database.startswith("sqlite"):
        raise StartError("replicas on several machines share no SQLite: SENTOPIC_DATABASE=postgresql+pg8000://...")
    asked = "jobs" in settings.model_fields_set and settings.jobs
    if asked and not settings.database:
        raise StartError("replicas share jobs by SENTOPIC_DATABASE, and by a directory that all of them see")
    return settings if asked else settings.model_copy(update={"jobs": ""})


class Replica:
    """What Ray calls, by names of its own."""

    async def __serve_build_asgi_app__(self) -> Any:
        from app.main import create_app, read_shared

        settings = read_settings()
        logs.configure(settings.log_format, requests=settings.log_requests)
        shared = read_shared(settings)
        app = create_app(settings, shared)
        self._application = app
        self._telling = asyncio.create_task(_keep_telling(shared.metrics))
        return app

    async def check_health(self) -> None:
        """Raises if the application is not ready; Ray waits for it, and replaces a replica that says so three times."""
        status = 0

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            status = message.get("status", status)

        await self._application(_READY.copy(), receive, send)
        if status != 200:
            raise RuntimeError(f"GET /health/ready: {status}")


def build(_: dict[str, str] | None = None) -> Any:
    """The deployment, for `serve deploy`, which says how many replicas. Raises SentopicError."""
    import ray
    from ray import serve
    from ray.serve.config import DeploymentActorConfig

    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    settings = read_settings()
    ledger = DeploymentActorConfig(name=_LEDGER, actor_class=ray.remote(Ledger), actor_options={"num_cpus": 0})
    deployment = serve.deployment(
        serve.ingress()(Replica),
        name="Sentopic",
        # Ray would let requests wait where the application, which knows how long that takes, refuses them.
        max_ongoing_requests=settings.max_requests + settings.max_streams + _SLACK,
        max_queued_requests=settings.max_requests,  # while there is no replica
        health_check_period_s=5,
        health_check_timeout_s=10,
        graceful_shutdown_wait_loop_s=0.5,
        graceful_shutdown_timeout_s=settings.deadline_s + _STREAMS_S,
        deployment_actors=[ledger],
    )
    return deployment.bind()


def middlewares() -> Any:
    """For RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH: in Ray's proxies and, where it has none, in replicas."""
    from ray import serve
    from ray.serve.exceptions import RayServeException

    from app.api.gate import stand_before

    try:
        serve.get_replica_context()
        is_direct = os.environ.get("RAY_SERVE_THROUGHPUT_OPTIMIZED") == "1"  # all of it in one event loop
    except RayServeException:
        is_direct = False
    return stand_before(load_settings().max_incoming_bytes, is_direct=is_direct)


async def _keep_telling(metrics: Metrics) -> None:
    """Whichever replica is asked then tells the sum of all, as workers do that share memory."""
    from ray import serve
    from ray.exceptions import RayError

    who = serve.get_replica_context().replica_id.unique_id
    failing = False
    while True:
        try:
            ledger = serve.get_deployment_actor(_LEDGER)  # another one, if the last has gone
            heard = ledger.exchange.remote(metrics.layout, who, metrics.tell_own(), metrics.gauges)
            async with asyncio.timeout(5 * TELL_S):
                metrics.hear_others(await heard)
            failing = False
        except (RayError, ValueError, TimeoutError) as error:
            if not failing:
                _log.warning("metrics are this replica's own for now: %s", str(error).partition("\n")[0])
            failing = True
        await asyncio.sleep(TELL_S)
