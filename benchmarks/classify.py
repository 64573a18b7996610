"""`sentopic classify` beside the bare engine: the same rows, the time of each, and the memory that the command takes.

    python -m benchmarks.classify [--rows 1000000] [--words 80] [--task sentiment] [--format csv]

The engine gets windows that have been encoded beforehand, as many at once as the command gives it. Its first half runs
before the command and its second half behind, so that a machine whose speed drifts is fair to both.
"""

import argparse
import csv
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from app.bulk import ChunkSize
from app.bundle import Bundle, read_bundle
from app.engines.base import EngineOptions
from app.engines.open import open_engine
from app.settings import SHIPPED
from app.synthetic import make_texts
from app.text import PAD

_AT_ONCE = 10_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--words", type=int, default=80)
    parser.add_argument("--task", default="sentiment")
    parser.add_argument("--model", default="gru")
    parser.add_argument("--format", choices=("csv", "jsonl", "parquet", "lines"), default="csv")
    parser.add_argument("--bare", nargs=3, metavar=("FILE", "FROM", "TO"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    bundle = read_bundle(SHIPPED / options.task / options.model)
    if options.bare:
        run_bare(bundle, *options.bare)
        return
    with tempfile.TemporaryDirectory() as work:
        source, windows = Path(work) / "in.csv", Path(work) / "windows.npy"
        count = write(bundle, options.rows, options.words, source, windows)
        if options.format != "csv":
            source = convert(source, options.format)
        command = [sys.executable, "-m", "app.cli", "classify", source, "--quiet", "--task", options.task]
        command += ["--model", options.model, "--output", Path(work) / f"out{source.suffix}"]
        this = [sys.executable, "-m", "benchmarks.classify", "--task", options.task, "--model", options.model]
        before = float(subprocess.check_output([*this, "--bare", windows, "0", str(count // 2)]))
        seconds, megabytes = measure(command)
        behind = float(subprocess.check_output([*this, "--bare", windows, str(count // 2), str(count)]))
    bare = before + behind
    print(f"{options.rows:,} rows of {options.words} words ({options.format}), {count:,} windows")
    print(f"bare engine {bare:.1f} s ({before:.1f} + {behind:.1f}), classify {seconds:.1f} s: {seconds / bare:.3f}")
    print(f"{options.rows / seconds:,.0f} rows/s, at most {megabytes:.0f} MB resident")


def write(bundle: Bundle, rows: int, words: int, source: Path, windows: Path) -> int:
    """The file of rows, and their windows beside it; how many windows there are."""
    encoder, count = bundle.encoder(), 0
    with source.open("w", newline="", encoding="utf-8") as table, windows.with_suffix(".raw").open("wb") as raw:
        out = csv.writer(table)
        out.writerow(["id", "text"])
        for start in range(0, rows, _AT_ONCE):
            texts = make_texts(bundle.words, min(_AT_ONCE, rows - start), words, seed=start + 1)
            out.writerows(enumerate(texts, start=start))
            for text in texts:
                found = encoder.encode(text).windows
                count += len(found)
                raw.write(found.tobytes())
    windows.with_suffix(".raw").replace(windows)
    return count


def convert(source: Path, form: str) -> Path:
    """The same rows in another format: the command's own, with what it adds left out."""
    from app.files.open import choose_shape, open_reader, open_writer
    from app.files.parquet import ParquetWriter
    from app.files.rows import Told

    target = source.with_suffix({"jsonl": ".jsonl", "parquet": ".parquet", "lines": ".txt"}[form])
    reader = open_reader(source, "csv")
    if form == "lines":
        with target.open("w", encoding="utf-8") as file:
            file.writelines(f"{row.text}\n" for row in reader)
        return target
    rows, waiting = iter(reader), []
    shape = choose_shape(reader, [], form)  # type: ignore[arg-type]
    writer = open_writer(reader, shape)
    with source.with_suffix(".spool").open("wb") as spool:
        for row in rows:
            waiting.append(row)
            if len(waiting) == _AT_ONCE:
                spool.write(writer.write(waiting, [Told(None, None, None, (), None)] * len(waiting)))
                waiting.clear()
        if waiting:
            spool.write(writer.write(waiting, [Told(None, None, None, (), None)] * len(waiting)))
    if isinstance(writer, ParquetWriter):
        writer.join(source.with_suffix(".spool"), target)
    else:
        source.with_suffix(".spool").replace(target)
    return target


def measure(command: list[str | Path]) -> tuple[float, float]:
    """Seconds and the most megabytes resident of a process that must end well."""
    started = time.perf_counter()
    process = subprocess.Popen(command)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{command} ended with {process.returncode}")
    return time.perf_counter() - started, usage.ru_maxrss / 1024


def run_bare(bundle: Bundle, windows: str, first: str, last: str) -> None:
    """Prints the seconds that the engine takes for these windows."""
    engine = open_engine(bundle, "onnx", options=EngineOptions())
    maxlen = bundle.manifest.text.maxlen
    ids = np.memmap(windows, np.int32, "r").reshape(-1, maxlen)[int(first) : int(last)]
    size, seconds = ChunkSize().windows // 2, 0.0
    for start in range(0, len(ids), size):
        chunk = np.array(ids[start : start + size])
        assert (chunk[:, -1] != PAD).all()
        begun = time.perf_counter()
        engine.predict(chunk)
        seconds += time.perf_counter() - begun
    print(seconds)


if __name__ == "__main__":
    main()
