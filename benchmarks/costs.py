"""What a rate of texts takes of cores, memory, network and money: reckoned from what was measured, and what is assumed.

It knows no page and no simulation. Figures of the autoscaler are read from deploy/kubernetes.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any, Final

import numpy as np

LARGEST_WAIT_MS: Final = 25.0
"""The p99, in the median round, that a core is loaded up to."""

CORE_HOUR: Final = 0.04
"""Assumed: dollars for a core and an hour, about what clouds ask for a virtual one on demand."""

TRAFFIC_GB: Final = 0.05
"""Assumed: dollars for a gigabyte that leaves a cloud; list prices begin there."""

FRAME_BYTES: Final = 66
"""Assumed: of Ethernet, IP and TCP for a request or an answer, which has one frame."""

MONTH_H: Final = 730
PORT_BITS: Final = 1e9

Row = Mapping[str, Any]


def setting(path: str, name: str) -> int:
    """The first such number in a manifest of deploy/kubernetes."""
    text = (Path(__file__).resolve().parents[1] / "deploy" / "kubernetes" / path).read_text(encoding="utf-8")
    found = re.search(rf"\b{name}: (\d+)", text)
    if not found:
        raise ValueError(f"{path} has no {name}")
    return int(found[1])


@dataclass(frozen=True, slots=True)
class Autoscaler:
    """`busy`: the share of the core that a Pod asks for at which it is held. `memory_gb`: what a Pod asks for."""

    busy: float
    least: int
    most: int
    memory_gb: float

    @classmethod
    def read(cls) -> "Autoscaler":
        scaler = "base/autoscaler.yaml"
        return cls(
            setting(scaler, "averageUtilization") / 100,
            setting(scaler, "minReplicas"),
            setting(scaler, "maxReplicas"),
            setting("deployment/deployment.yaml", "memory") * 2**20 / 1e9,
        )


@dataclass(frozen=True, slots=True)
class Costs:
    """`load`: the share of a core's most at which waiting is still short; `pod_load`: at which the autoscaler holds it.

    `each`, `batch_each`: what each of two cores did of what one did alone; more than two are reckoned so, too.
    """

    most_per_s: float
    batch_per_s: float
    load: float
    pod_load: float
    each: float
    batch_each: float
    nginx_ms: float
    redis_ms: float
    redis_factor: float
    request_bytes: float
    answer_bytes: float
    memory_mb: float
    scaler: Autoscaler

    @classmethod
    def of(cls, measured: Mapping[str, Row], *, generator_ms: float, memory_mb: float) -> "Costs":
        """`generator_ms`: of a core, what the load generator takes for a single text, where this run has not kept it;
        `memory_mb`: of one worker with all bundles, after load.
        """
        core, fronts, workers, sizes = (measured[name] for name in ("core", "fronts", "workers", "sizes"))
        scaler = Autoscaler.read()
        quick = [row["load"] for row in takewhile(lambda row: row["p99_ms"] <= LARGEST_WAIT_MS, core["arrivals"])]
        if not quick:
            raise ValueError(f"no load was measured with a p99 under {LARGEST_WAIT_MS:g} ms: nothing can be planned")
        busy, loads = zip(*((row["busy"], row["load"]) for row in core["arrivals"]), strict=True)
        singles = workers["two_singles_per_s"]
        generator = workers.get("two_singles_generator_cores", singles * generator_ms / 1e3)
        return cls(
            most_per_s=core["singles_per_s"],
            batch_per_s=core["batch_texts_per_s"],
            load=max(quick),
            pod_load=min(max(quick), float(np.interp(scaler.busy, busy, loads))),
            each=min(1.0, singles / (2 - generator) / core["singles_per_s"]),
            batch_each=min(1.0, workers["nginx_two_texts_per_s"] / (2 * core["batch_texts_per_s"])),
            nginx_ms=fronts["nginx_ms"],
            redis_ms=fronts["redis_ms"],
            redis_factor=max(1.0, fronts["service_with_redis_ms"] / fronts["service_ms"]),
            request_bytes=sizes["request_bytes"],
            answer_bytes=sizes["answer_bytes"],
            memory_mb=memory_mb,
            scaler=scaler,
        )

    @property
    def core_per_s(self) -> float:
        """Texts that one of several cores answers with short waits."""
        return self.most_per_s * self.load * self.each

    @property
    def pod_per_s(self) -> float:
        """Texts that a Pod of a core answers where the autoscaler holds it."""
        return self.most_per_s * self.pod_load * self.each

    @property
    def redis_per_s(self) -> float:
        """Requests that one Redis counts at the share that cores are planned with."""
        return self.load * 1e3 / self.redis_ms

    def front(self, rate: float) -> float:
        """nginx' cores."""
        return rate / self.front_per_s

    @property
    def front_per_s(self) -> float:
        """Texts that one core of nginx passes on."""
        return self.load * 1e3 / self.nginx_ms

    def batch_cores(self, rate: float) -> float:
        return rate / (self.batch_per_s * self.load * self.batch_each)

    def bought(self, rate: float) -> int:
        """Whole cores: the service's, one for the case that one is gone, nginx'."""
        return math.ceil(rate / self.core_per_s) + 1 + math.ceil(self.front(rate))

    def bought_with_redis(self, rate: float) -> tuple[int, int]:
        """The same where rates are counted in Redis; and how many of Redis."""
        cores = math.ceil(rate / self.core_per_s * self.redis_factor) + 1 + math.ceil(self.front(rate))
        return cores, math.ceil(rate / self.redis_per_s)

    def pods(self, rate: float) -> int:
        """As many as the autoscaler has at least, or wants; it is not asked whether it may."""
        return max(self.scaler.least, math.ceil(rate / self.pod_per_s))

    @property
    def last_pod_per_s(self) -> float:
        """Texts at which the autoscaler has all the Pods that it may have."""
        return (self.scaler.most - 1) * self.pod_per_s

    def answers_gb(self, rate: float) -> float:
        """That leave in a month."""
        return rate * self.answer_bytes * MONTH_H * 3600 / 1e9

    @property
    def port_full_per_s(self) -> float:
        """Texts at which nginx' port is full: it has requests and answers in each direction."""
        return PORT_BITS / 8 / (self.request_bytes + self.answer_bytes + 2 * FRAME_BYTES)


def month(cores: float) -> float:
    """Dollars."""
    return cores * CORE_HOUR * MONTH_H
