"""What a process keeps of the memory that it no longer needs: Python's collector and glibc's heaps, set once."""

import contextlib
import ctypes
import gc
import os
from collections.abc import Collection
from typing import Final

GARBAGE_THRESHOLD: Final = 20_000
"""Objects more than before until Python looks for cycles. The default, 700, is a few requests in flight: it looked all
the time, and found none, for a twelfth of the event loop's time."""

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
"""In glibc's malloc.h."""

_LEAST_BYTES: Final = 4 * 2**20
_MOST_BYTES: Final = 16 * 2**20
"""Of a block that heaps keep, between which it may be. Each heap keeps two: more would be much memory, for ever."""


def settle(blocks: Collection[int] = (), *, inherited: bool = False) -> None:
    """Gives the system back what loading took; glibc would keep some 40 MB of it for ever.

    Heaps keep `blocks` of so many bytes, which runs take and give back all the time, unless they are too large: to have
    the system map and clear them anew makes a run 1.3 to 1.8 times as long.
    What is left stays for good: no later collection looks at it again. What a process has inherited is not even looked
    at now: the collector writes where it looks, and a page that is written to is no longer shared.
    """
    _bound_heaps(max((size for size in blocks if size <= _MOST_BYTES), default=0))
    if not inherited:
        gc.unfreeze()
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_THRESHOLD)
    trim()


def trim() -> None:
    """Gives the system back what is free in the heaps."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def _bound_heaps(block_bytes: int) -> None:
    """glibc gives nearly each thread a heap of its own, of which reloads under load leave more and more in use.

    And each keeps twice as much free as the largest block had that was ever given back: a model file, as it was read.
    """
    mapped = max(_LEAST_BYTES, block_bytes + block_bytes // 8)
    bounds = {
        _M_ARENA_MAX: max(2, os.cpu_count() or 1),
        _M_MMAP_THRESHOLD: mapped,
        _M_TRIM_THRESHOLD: 2 * mapped,  # free memory that a heap may keep at its end: two directions, two blocks
    }
    with contextlib.suppress(OSError, AttributeError):
        for option, value in bounds.items():
            ctypes.CDLL(None).mallopt(option, value)
