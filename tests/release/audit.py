"""Tries the audit itself: `make audit` against a database of vulnerabilities that stands on this machine.

It must ask about everything that is locked, pass if nothing is known, and fail for what is vulnerable, wherever it is
locked, and where the database cannot say. The database speaks OSV's interface (https://google.github.io/osv.dev/api).
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
ID = "PYSEC-0000-0"
Pin = tuple[str, str]
"""A package's name and version."""


class Database(ThreadingHTTPServer):
    """Knows of the vulnerable, and notes whom it is asked about."""

    def __init__(self, vulnerable: Pin | None = None, status: int = 200) -> None:
        super().__init__(("127.0.0.1", 0), Query)
        self.vulnerable, self.status = vulnerable, status
        self.asked = set[Pin]()


class Query(BaseHTTPRequestHandler):
    server: Database

    def do_POST(self) -> None:
        query = json.loads(self.rfile.read(int(self.headers["content-length"])))
        pin = query["package"]["name"], query["version"]
        self.server.asked.add(pin)
        answer = {"vulns": [describe(*pin)]} if pin == self.server.vulnerable else {}
        self.send_response(self.server.status)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    def log_message(self, *_: object) -> None:
        """Nothing."""


def describe(name: str, version: str) -> dict[str, object]:
    package = {"name": name, "ecosystem": "PyPI"}
    return {"id": ID, "summary": "made up", "affected": [{"package": package, "versions": [version]}]}


@contextmanager
def serving(database: Database) -> Iterator[str]:
    """At this URL."""
    thread = Thread(target=database.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{database.server_port}/v1/query"
    finally:
        database.shutdown()
        thread.join()
        database.server_close()


def audit(url: str) -> tuple[bool, str]:
    """(whether it passed, what it said)."""
    told = {"PIP_AUDIT_VULNERABILITY_SERVICE": "osv", "PIP_AUDIT_OSV_URL": url, "PIP_AUDIT_PROGRESS_SPINNER": "off"}
    ran = subprocess.run(
        ["make", "audit"], check=False, cwd=ROOT, env=os.environ | told, capture_output=True, text=True
    )
    return ran.returncode == 0, ran.stdout + ran.stderr


def pins(lock: Path) -> set[Pin]:
    """What the lock file holds for this system and this Python."""
    lines = lock.read_text(encoding="utf-8").splitlines()
    wanted = [Requirement(line.rstrip("\\ ")) for line in lines if line and not line.startswith(("#", " "))]
    here = [one for one in wanted if one.marker is None or one.marker.evaluate()]
    return {(canonicalize_name(one.name), str(one.specifier).removeprefix("==")) for one in here}


def main() -> None:
    locks = {path: pins(path) for path in sorted((ROOT / "requirements").glob("*.txt"))}
    locked = set[Pin]().union(*locks.values())
    database = Database()
    with serving(database) as url:
        passed, said = audit(url)
    expect(passed, f"nothing is vulnerable, and it fails:\n{said}")
    expect(database.asked == locked, f"it does not ask about {sorted(locked ^ database.asked)}")
    for lock, own in locks.items():
        pin = min(own.difference(*(others for path, others in locks.items() if path != lock)) or own)
        with serving(Database(vulnerable=pin)) as url:
            passed, said = audit(url)
        expect(
            not passed and ID in said and pin[0] in said, f"{pin} of {lock.name} is vulnerable, and it says:\n{said}"
        )
    with serving(Database(status=500)) as url:
        expect(not audit(url)[0], "the database fails, and it passes")
    expect(not audit(url)[0], "nobody answers, and it passes")
    print(
        f"audit: asks about all {len(locked)} packages, and fails for one of each of {len(locks)} files, or unanswered"
    )


def expect(holds: bool, otherwise: str) -> None:
    if not holds:
        sys.exit(f"audit: FAILED: {otherwise}")


if __name__ == "__main__":
    main()
