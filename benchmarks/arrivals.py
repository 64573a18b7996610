"""Requests that come when they come, as from many people who know nothing of each other: a Poisson process.

wrk asks again when it has its answer, so a slow service is asked less, and what it made others wait for is never seen.
Here the moments are drawn beforehand, and each waiting time counts from its moment, whatever became of those before.
One thread that never sleeps, so give it a core of its own.
"""

import select
import socket
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

GRACE_S = 10.0
"""How long the last answers are waited for."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """`waits_s`: of requests answered with 200, in no order; `late_s`: the most that the generator itself was late."""

    waits_s: np.ndarray
    statuses: Counter[int]
    late_s: float
    seconds: float

    @property
    def answered_per_s(self) -> float:
        return len(self.waits_s) / self.seconds

    def wait_ms(self, percent: float) -> float:
        return float(np.percentile(self.waits_s, percent)) * 1e3


def draw(rate_per_s: float, seconds: float, seed: int) -> np.ndarray:
    """Moments of a Poisson process, in seconds from its start."""
    generator = np.random.default_rng(seed)
    gaps = generator.exponential(1 / rate_per_s, int(rate_per_s * seconds * 1.2) + 100)
    moments: np.ndarray = np.cumsum(gaps)
    return moments[moments < seconds]


def put_arrivals(port: int, path: str, bodies: Sequence[bytes], moments: np.ndarray) -> Arrived:
    """Sends a request at each moment, on a connection that nobody uses just then; opens one where all are used.

    Raises ConnectionError if the service hangs up, TimeoutError if it leaves a request without an answer.
    """
    head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: "
    requests = [f"{head}{len(body)}\r\n\r\n".encode() + body for body in bodies]
    poll = select.epoll()
    idle: list[socket.socket] = []
    open_: dict[int, tuple[socket.socket, float, bytes]] = {}
    waits: list[float] = []
    statuses: Counter[int] = Counter()
    late, next_, started = 0.0, 0, time.perf_counter()
    moments_s = moments.tolist()
    end = moments_s[-1] + GRACE_S
    try:
        while next_ < len(moments_s) or open_:
            now = time.perf_counter() - started
            if now > end:
                raise TimeoutError(f"{len(open_)} requests have no answer")
            if next_ < len(moments_s) and moments_s[next_] <= now:
                connection = idle.pop() if idle else _connect(port, poll)
                connection.send(requests[next_ % len(requests)])
                open_[connection.fileno()] = connection, moments_s[next_], b""
                late = max(late, now - moments_s[next_])
                next_ += 1
                continue
            for number, _ in poll.poll(0):
                if number not in open_:  # it has been idle for so long that the service closed it
                    next(one for one in idle if one.fileno() == number).close()
                    idle = [one for one in idle if one.fileno() >= 0]
                    continue
                connection, moment, got = open_[number]
                chunk = connection.recv(65_536)
                if not chunk:
                    raise ConnectionError("the service hung up")
                got += chunk
                if not _is_whole(got):
                    open_[number] = connection, moment, got
                    continue
                status = int(got[9:12])
                statuses[status] += 1
                if status == 200:
                    waits.append(time.perf_counter() - started - moment)
                del open_[number]
                idle.append(connection)
    finally:
        for connection in (*idle, *(connection for connection, _, _ in open_.values())):
            connection.close()
        poll.close()
    return Arrived(np.array(waits), statuses, late, float(moments_s[-1]))


def _connect(port: int, poll: select.epoll) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    poll.register(connection, select.EPOLLIN)
    return connection


def _is_whole(got: bytes) -> bool:
    head, found, body = got.partition(b"\r\n\r\n")
    if not found:
        return False
    length = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
    return len(body) >= int(length.split(b":")[1])
