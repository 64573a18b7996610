"""What a disk is asked for beyond reading and writing."""

import os
from pathlib import Path


def sync(path: str | Path) -> None:
    """Makes a file's bytes, or a directory's new names, survive a power cut. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
