"""Every setting once: its default, its unit and its reason. The only reader of the environment."""

import os
import re
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field, StringConstraints, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.bundle import Digest
from app.engines.base import EngineOptions, Precision
from app.engines.open import EngineName
from app.errors import SettingsError
from app.logs import LogFormat


def _check_network(value: str) -> str:
    if value != "*":
        ip_network(value)  # raises ValueError
    return value


Network = Annotated[str, AfterValidator(_check_network)]
Origin = Annotated[str, StringConstraints(pattern=r"^(\*|https?://[^/\s*]+)$")]

_PACKAGE = Path(__file__).resolve().parent
# An installed wheel has the shipped bundles inside the package, a checkout and the images beside it.
SHIPPED = _PACKAGE / "artifacts" if (_PACKAGE / "artifacts").is_dir() else _PACKAGE.parent / "artifacts"
SECRETS = Path("/run/secrets")
"""Where Docker and Podman mount them."""


class Settings(BaseSettings):
    """Set by `SENTOPIC_<NAME>` in the environment, in `.env`, or as a file of that name among the secrets: in this
    order; options of `sentopic serve` come before all.
    """

    model_config = SettingsConfigDict(
        env_prefix="SENTOPIC_", env_file=".env", extra="ignore", frozen=True, allow_inf_nan=False
    )

    host: str = Field(
        "127.0.0.1", min_length=1, description="Address to listen on. Loopback, so that nothing is open by accident."
    )
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 takes a free one and says which.")
    workers: int = Field(
        1, ge=1, le=256, description="Processes. One answers thousands of texts a second; more use more cores."
    )
    artifacts: Path = Field(SHIPPED, description="Directory of bundles, `<task>/<model>/`. Default: the shipped ones.")
    bundle: list[Path] = Field([], description="Serve just these bundle directories (a JSON list), not `artifacts`.")
    trusted_bundles: list[Digest] = Field(
        [], description="Seals (`sha256` in `bundle.json`, a JSON list) of the only bundles to serve; none: any bundle."
    )
    engine: EngineName = Field(
        "auto", description="`onnx`, `keras`, or `auto`: `keras` where TensorFlow and a GPU are found."
    )
    require_gpu: bool = Field(
        False, description="Do not start where the engine finds no GPU. Without, it runs on the CPU and says so."
    )
    engine_threads: int = Field(
        1, ge=1, le=256, description="Threads of the onnx engine; one, as a small model gains little from more."
    )
    engine_precision: Precision = Field(
        "float32", description="`float32`, or `int8` for LSTMs that answer sooner and a little less exactly."
    )
    max_body_bytes: int = Field(
        1_000_000, ge=1_000, description="Largest request body; a larger job goes in several batches."
    )
    max_json_depth: int = Field(
        16,
        ge=2,
        le=200,
        description="Deepest JSON of a body, in brackets; no request that fits the schema needs three.",
    )
    max_text_chars: int = Field(
        100_000, ge=1, description="Longest text: a short novel's chapter; it costs up to 501 windows."
    )
    max_explain_windows: int = Field(
        2_000,
        ge=16,
        description="Most windows run to explain one answer, about 0.4 s; of longer texts, the words that matter most.",
    )
    max_batch_texts: int = Field(1_000, ge=1, description="Most texts in one batch request.")
    max_batch_windows: int = Field(
        16, ge=1, le=1_024, description="Most windows that the engine is handed at once; more are no faster on a CPU."
    )
    max_queue_windows: int = Field(
        4_096, ge=1, description="Most windows that wait for one model, about a second's work; beyond, 503."
    )
    max_wait_s: float = Field(
        0.15,
        gt=0,
        description="Work that may wait in a queue that never gets empty, in seconds; bursts and batches may be more.",
    )
    max_requests: int = Field(
        1_024, ge=1, description="Most requests being answered at once; each holds its body and its results in memory."
    )
    max_streams: int = Field(
        32,
        ge=1,
        description="Most streams, files on their way and results being read at once; a stream has two threads.",
    )
    max_incoming_bytes: int = Field(
        64_000_000, ge=1_000, description="Most bytes of bodies that are still being sent, of all requests together."
    )
    max_connections: int = Field(
        10_000, ge=1, description="Most open connections of one process; beyond, the one idle for longest is closed."
    )
    max_header_bytes: int = Field(
        16_384, ge=1_024, description="Largest request line and headers together; a key and a few proxies' need 2 KB."
    )
    client_timeout_s: float = Field(
        10.0, gt=0, description="Longest time for a client to send its request, and to read its answer, in seconds."
    )
    keep_alive_s: float = Field(
        5.0,
        gt=0,
        description="Longest time that a connection may be idle between two requests, in seconds; at most one more.",
    )
    keys: str | None = Field(
        None,
        description="File or database URL of the keys that requests need (`sentopic keys`); without, none are needed.",
    )
    open_pages: bool = Field(
        True, description="With keys: the pages and the OpenAPI document need none; what the pages ask for does."
    )
    jobs: str = Field(
        "~/.local/state/sentopic/jobs",
        description="Directory of jobs' files, which services that share a database share too; empty: no jobs.",
    )
    jobs_cluster: str = Field(
        "", description="Address of a Ray cluster that answers jobs instead of this service's engines: `HOST:6379`."
    )
    database: str | None = Field(
        None, description="SQLAlchemy URL of jobs and feedback, `postgresql+pg8000://...`; SQLite in `jobs` without."
    )
    max_job_bytes: int = Field(1_000_000_000, ge=1, description="Largest file of a job; it is spooled to the disk.")
    max_jobs: int = Field(1_000, ge=1, description="Most jobs that are kept, finished ones too.")
    max_jobs_bytes: int = Field(
        20_000_000_000, ge=1, description="Most bytes on the disk of all jobs together, their results too."
    )
    max_feedback: int = Field(100_000, ge=0, description="Most answers whose right labels are kept; 0: no feedback.")
    max_feedback_bytes: int = Field(1_000_000_000, ge=0, description="Most bytes of texts that are kept with them.")
    max_key_share: float = Field(
        0.5, gt=0, le=1, description="Largest share of these four that one key may take, so that others find room."
    )
    keep_jobs_h: float = Field(72.0, gt=0, description="How long a finished job is kept, in hours.")
    rate: str = Field(
        "",
        description="Most requests of one key, or without keys of one address: `100/second;5000/hour`, say.",
    )
    rate_storage: str = Field(
        "memory://", description="Where they are counted. Several workers need one in common: `redis://host:6379`."
    )
    trusted_proxies: list[Network] = Field(
        [],
        description="Addresses or networks (a JSON list) whose `X-Forwarded-For` is believed; nobody else's is.",
    )
    allowed_hosts: list[str] = Field(
        [],
        description="Names by which jobs and feedback may be asked (a JSON list); none: any, but without keys "
        "on loopback only this machine's own, so that no page's name can be made to lead here.",
    )
    cors_origins: list[Origin] = Field(
        [], description="Origins (a JSON list, `https://shop.example`) whose pages may ask from a browser; `*`: all."
    )
    log_format: LogFormat = Field(
        "text", description="`text`, for people, or `json`, an object a line, for programs; both on stderr."
    )
    log_requests: bool = Field(
        False, description="A line for each request: its id, path, status and milliseconds. Metrics cost less."
    )
    log_texts: bool = Field(
        False, description="Texts, with what was answered. They may be private, so that nobody logs them by accident."
    )
    trace_endpoint: str = Field(
        "",
        pattern=r"^(https?://[\w.-]+(:\d+)?(/\S*)?|https?://\[[\da-f:.]+\](:\d+)?(/\S*)?)?$",
        description="Where traces go, by OTLP/HTTP: `http://localhost:4318/v1/traces`, say. Needs `sentopic[otel]`.",
    )
    trace_share: float = Field(
        1.0,
        ge=0,
        le=1,
        description="Share of requests that are traced, from 0 to 1; one that comes with a trace goes by its caller.",
    )
    deadline_s: float = Field(10.0, gt=0, description="Longest wait for an answer, in seconds; then 504.")

    @property
    def engine_options(self) -> EngineOptions:
        return EngineOptions(self.engine_threads, self.max_batch_windows, self.engine_precision)


def load_settings(**options: Any) -> Settings:
    """Settings from options (None: not given), environment, `.env` and secrets; raises SettingsError in one line."""
    try:
        return Settings(
            _secrets_dir=_find_secrets(), **{name: value for name, value in options.items() if value is not None}
        )
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        name = "_".join(str(step) for step in fault["loc"][:1]).upper()
        raise SettingsError(f"SENTOPIC_{name}: {fault['msg']}") from None
    except ValueError as error:  # a list that is not JSON, a secret that may not be read
        if isinstance(error.__cause__, OSError):
            raise SettingsError(_tell_file(error.__cause__)) from None
        field = re.search(r'field "(\w+)"', str(error))
        raise SettingsError(f"SENTOPIC_{field[1].upper()}: it must be a JSON list" if field else str(error)) from None
    except OSError as error:
        raise SettingsError(_tell_file(error)) from None


def _tell_file(error: OSError) -> str:
    return f"{error.filename}: {(error.strerror or str(error)).lower()}"


def _find_secrets() -> Path | None:
    named = os.environ.get("SENTOPIC_SECRETS_DIR")
    if named and not Path(named).is_dir():
        raise SettingsError(f"SENTOPIC_SECRETS_DIR: {named} is no directory")
    place = Path(named) if named else SECRETS
    return place if place.is_dir() else None
