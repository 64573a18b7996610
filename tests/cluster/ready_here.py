"""A child's program that is ready, and then says what it was asked for."""

import json
from collections.abc import Iterator
from typing import Any

from app.cluster.child import report


def work(request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield {"ready": True}
    yield request


if __name__ == "__main__":
    report(lambda source: json.loads(source.readline()), work)
