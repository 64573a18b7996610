"""A real nginx with the very files of `deploy/nginx`: but for its ports, its directory and who is behind it."""

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

FILES = Path(__file__).resolve().parents[2] / "deploy" / "nginx"
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")

needs_nginx = pytest.mark.skipif(NGINX is None, reason="needs nginx")


def free_ports(number: int) -> list[int]:
    lines = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [line.getsockname()[1] for line in lines]
    for line in lines:
        line.close()
    return ports


def configure(directory: Path, services: Sequence[int], *, tls: bool = False) -> tuple[Path, int]:
    """The configuration's path, and the port where it listens. `tls`: there is a certificate and a key beside it."""
    own, health, secure = free_ports(3)
    main = (FILES / "nginx.conf").read_text()
    if tls:
        start = main.index("    # server {\n")
        main = main[:start] + re.sub(r"^    # ", "    ", main[start:], flags=re.MULTILINE)
        main = main.replace("/run/secrets/", "").replace("listen 8443", f"listen 127.0.0.1:{secure}")
        main = main.replace("ssl backlog", "ssl http2 backlog").replace(
            "http2 on;", ""
        )  # as nginx before 1.25.1 has it
    main = main.replace("listen 8080", f"listen 127.0.0.1:{own}").replace("127.0.0.1:8081", f"127.0.0.1:{health}")
    (directory / "nginx.conf").write_text(main.replace("/tmp/", f"{directory}/").replace("/dev/stdout", "access.log"))
    for name in ("routes.conf", "problems.conf"):
        shutil.copy(FILES / name, directory)
    servers = [f"server 127.0.0.1:{port} max_fails=0;" for port in services]  # those before 1.27.3 resolve no names
    upstream = (FILES / "upstream.conf").read_text().replace("include /tmp/resolver.conf;", "")
    (directory / "upstream.conf").write_text(re.sub(r"server service:8000.*", "\n".join(servers), upstream))
    return directory / "nginx.conf", secure if tls else own


@contextmanager
def running(directory: Path, services: Sequence[int], *, tls: bool = False) -> Iterator[int]:
    """Its port, as long as it runs."""
    assert NGINX is not None
    path, port = configure(directory, services, tls=tls)
    own = "daemon off; user root;" if os.geteuid() == 0 else "daemon off;"  # else it would become nobody
    command = [NGINX, "-p", str(directory), "-c", str(path), "-g", own]
    with (directory / "errors").open("wb") as errors, subprocess.Popen(command, stderr=errors) as process:
        try:
            _await_listener(process, port)
            yield port
        finally:
            process.terminate()


def _await_listener(process: "subprocess.Popen[bytes]", port: int) -> None:
    end = time.monotonic() + 10
    while True:
        assert process.poll() is None
        assert time.monotonic() < end
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            time.sleep(0.02)
        else:
            return
