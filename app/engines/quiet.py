"""Keeps TensorFlow's native start-up messages off the terminal: they cannot be switched off, and no user needs them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def native_stderr_muted() -> Iterator[None]:
    """What native code writes to standard error is dropped; Python's exceptions come through as ever."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
