"""What is free goes back to the system, in processes of their own."""

import os
import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have no such heaps")


_ARENAS = """
import ctypes, os, sys, threading
from app import memory

if sys.argv[1] == "settled":
    memory.settle()
number = 20 + 3 * (os.cpu_count() or 1)
libc, all_there = ctypes.CDLL(None), threading.Barrier(number)
libc.malloc.restype = libc.fopen.restype = ctypes.c_void_p

def take() -> None:
    all_there.wait()
    libc.malloc(ctypes.c_size_t(100))
    all_there.wait()

threads = [threading.Thread(target=take) for _ in range(number)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
out = ctypes.c_void_p(libc.fopen(b"/dev/stdout", b"w"))
libc.malloc_info(0, out)
libc.fclose(out)
"""


def test_threads_share_the_memory_of_a_few() -> None:
    """Or reloads under load would leave more and more of each thread's own in use."""

    def count(how: str) -> int:
        command = [sys.executable, "-c", _ARENAS, how]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.count("<heap nr=")

    assert count("settled") <= max(2, os.cpu_count() or 1) < count("as it is")


_RUNS = """
import ctypes, resource, sys, threading
from pathlib import Path
from app import memory

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p

def take(number: int) -> list[int]:
    taken = [libc.malloc(ctypes.c_size_t(2**20)) for _ in range(number)]
    for block in taken:
        libc.memset(ctypes.c_void_p(block), 1, 2**20)
    return taken

def give_back(taken: list[int]) -> None:
    for block in reversed(taken):
        libc.free(ctypes.c_void_p(block))

def run() -> None:
    before = measure()
    give_back(take(20))
    print(measure() - before)

def measure() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() // 2**20

model_file = libc.malloc(ctypes.c_size_t(11 * 2**20))
libc.free(ctypes.c_void_p(model_file))
if sys.argv[1] == "settled":
    memory.settle()
thread = threading.Thread(target=run)
thread.start()
thread.join()
"""


def test_thread_keeps_little_of_what_it_once_took() -> None:
    def measure_mb(how: str) -> int:
        command = [sys.executable, "-c", _RUNS, how]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    assert measure_mb("as it is") > 15
    assert measure_mb("settled") < 10


_ENGINE = """
import resource, sys, threading
import numpy as np
from app import memory
from app.bundle import read_bundle
from app.engines.base import EngineOptions
from app.engines.onnx import OnnxEngine
from app.model_file import Layer, ModelFile
from app.settings import SHIPPED

def make_wide():
    draw = np.random.default_rng(1).normal
    def dense(name, reads, size, units, activation):
        weights = {"vars/0": draw(0, 0.1, (size, units)), "vars/1": draw(0, 0.1, units)}
        weights = {place: value.astype(np.float32) for place, value in weights.items()}
        return Layer("Dense", name, {"use_bias": True, "activation": activation}, (reads,), weights)
    table = draw(0, 1, (1_000, 64)).astype(np.float32)
    return ModelFile(SHIPPED, (
        Layer("InputLayer", "ids", {"batch_shape": [None, 100]}, (), {}),
        Layer("Embedding", "embedding", {}, ("ids",), {"vars/0": table}),
        dense("wide", "embedding", 64, 512, "silu"),
        Layer("GlobalMaxPooling1D", "pool", {}, ("wide",), {}),
        dense("labels", "pool", 512, 46, "softmax"),
    ), "labels")

how, kind, rows = sys.argv[1], sys.argv[2], int(sys.argv[3])
model = make_wide() if kind == "wide" else read_bundle(SHIPPED / kind).model
engine = OnnxEngine(model, 100, 46, EngineOptions(batch=rows))
windows = np.random.default_rng(1).integers(4, 1_000, (rows, 100), dtype=np.int32)
memory.settle([engine.block_bytes, 1] if how == "for the engine" else [])

def run() -> None:
    for _ in range(3):
        engine.predict(windows)
    before = resource.getrusage(resource.RUSAGE_THREAD).ru_minflt
    for _ in range(10):
        engine.predict(windows)
    faults = resource.getrusage(resource.RUSAGE_THREAD).ru_minflt - before
    print(faults / 10 * resource.getpagesize() / engine.block_bytes)

thread = threading.Thread(target=run)
thread.start()
thread.join()
"""


def measure_blocks(how: str, model: str, rows: int) -> float:
    """How much a run finds to be mapped anew."""
    command = [sys.executable, "-c", _ENGINE, how, model, str(rows)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def test_run_finds_its_memory_where_the_last_one_left_it() -> None:
    """Or the system clears all of it for each run, which takes about as long as the run."""
    assert measure_blocks("for anything", "topic/lstm", rows=64) > 0.9
    assert measure_blocks("for the engine", "topic/lstm", rows=64) < 0.1


def test_run_takes_no_block_for_many_numbers_that_are_not_there_at_once() -> None:
    """As the runtime's plans for a run do, one of which it keeps for each size that it has seen."""
    assert measure_blocks("for the engine", "wide", rows=16) < 1


def test_heaps_keep_no_more_than_a_service_can_spare() -> None:
    """Each keeps two blocks, also when nobody asks."""
    assert measure_blocks("for the engine", "topic/lstm", rows=128) > 0.9
