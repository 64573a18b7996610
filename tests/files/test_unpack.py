"""What a Parquet file of some hundred bytes asks for is refused, or comes in pieces: never all of it into memory."""

import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app.errors import FileError
from app.files import unpack as unpack_module
from app.files.open import open_reader
from app.files.parquet import ParquetReader
from app.files.unpack import describe

ROOT = Path(__file__).resolve().parents[2]
ROWS = 1_024
MEASURE = """
import json, resource, sys
from pathlib import Path
import pyarrow.compute, pyarrow.parquet
from app.bulk import Bulk
from app.errors import FileError
from app.files.open import choose_shape, open_reader, open_writer
from app.files.rows import Told
from app.jobs.work import SIZE
from tests.jobs.scenes import opened

def highest():
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024

interpreter = opened()[1]
before, rows, why = highest(), 0, ""
reader = open_reader(Path(sys.argv[1]), "parquet")
bulk, writer = Bulk(reader, interpreter, SIZE), None
try:
    while rows < 40 and (chunk := bulk.read()):
        writer = writer or open_writer(reader, choose_shape(reader, chunk.rows, sys.argv[2]))
        writer.write(chunk.rows, [Told("a", 0.5, True, (), None)] * len(chunk.rows))
        rows += len(chunk.rows)
except FileError as error:
    why = str(error)
reader.close()
child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
print(json.dumps({"grown": highest() - before, "child": child, "rows": rows, "why": why}))
"""


def repeated(size: int) -> Any:
    return pa.DictionaryArray.from_arrays(pa.array([0] * ROWS, pa.int32()), pa.array(["a" * size]))


def write(path: Path, *, typed: bool = False, **columns: Any) -> Path:
    table = pa.table(columns)
    pq.write_table(table, path, compression="zstd", store_schema=typed, dictionary_pagesize_limit=2**30)
    assert path.stat().st_size < 20_000
    return path


def measure(path: Path, to: str = "parquet") -> dict[str, Any]:
    given = [sys.executable, "-c", MEASURE, str(path), to]
    told = subprocess.run(given, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    found: dict[str, Any] = json.loads(told.stdout)
    assert found["grown"] < 100, found
    assert found["child"] < 250, found
    return found


SHORT = ["a good film"] * ROWS
BOMBS = {
    "text": {"text": repeated(4_000_000)},
    "another column": {"text": SHORT, "x": repeated(4_000_000)},
    "dictionary": {"text": SHORT, "x": repeated(4_000_000), "typed": True},
}


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="is told by Linux")
@pytest.mark.parametrize("name", BOMBS)
def test_large_value_in_every_row_is_held_a_few_times(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / "bomb", **BOMBS[name])
    found = measure(path, "csv" if name == "another column" else "parquet")
    assert (found["rows"], found["why"]) == (40, "")


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="is told by Linux")
@pytest.mark.parametrize("bomb", ["list", "page"])
def test_row_that_takes_any_memory_is_refused(tmp_path: Path, bomb: str) -> None:
    columns: dict[str, Any] = {"text": ["a" * 400_000_000]}
    if bomb == "list":
        endless = pa.ListArray.from_arrays(pa.array([0, 50_000_000], pa.int32()), pa.repeat(7, 50_000_000))
        columns = {"text": ["a"], "x": endless}
    pq.write_table(pa.table(columns), tmp_path / "bomb", compression="zstd")
    assert measure(tmp_path / "bomb")["why"].startswith("row 1: it takes too much memory")


def test_row_that_is_too_long_is_where_the_file_ends(tmp_path: Path) -> None:
    texts = ["a", "b" * 9_000_000, "c", "d" * 10_000_001, "e"]
    for name, columns in (("text", {"text": texts}), ("x", {"text": list("abcde"), "x": texts})):
        reader = open_reader(write(tmp_path / name, **columns), "parquet")
        found = []
        with pytest.raises(FileError, match=r"^row 4: it is longer than 10000000 bytes$"):
            found.extend(row.line for row in reader)
        assert found == [1, 2, 3]
        reader.close()


def test_reader_that_is_closed_leaves_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[subprocess.Popen[bytes]] = []
    real = unpack_module._start
    monkeypatch.setattr(unpack_module, "_start", lambda *given: begun.append(real(*given)) or begun[-1])
    reader = ParquetReader(write(tmp_path / "in", text=repeated(20_000)))
    rows = iter(reader)
    next(rows)
    assert begun[-1].poll() is None
    reader.close()
    assert all(process.poll() is not None for process in begun)


def test_footer_that_lists_millions_of_things_is_not_unpacked_here(tmp_path: Path) -> None:
    """80 row groups of 25,000 columns' pieces each, of three bytes: Thrift's compact protocol."""
    name, pieces, groups = b"\x04text", 25_000, 80
    root, leaf = b"\x48\x01s\x15\x02\x00", b"\x15\x0c\x25\x02\x18" + name + b"\x00"
    group = b"\x19\xfc\xa8\xc3\x01" + b"\x26\x08\x00" * pieces + b"\x16\x00\x16\x00\x00"
    footer = b"\x15\x04\x19\x2c" + root + leaf + b"\x16\x00\x19\xfc" + bytes([groups]) + group * groups + b"\x00"
    path = tmp_path / "bomb.parquet"
    path.write_bytes(b"PAR1" + footer + len(footer).to_bytes(4, "little") + b"PAR1")
    before = peak_kb()
    with pytest.raises(FileError), path.open("rb") as file:
        describe(file)
    assert peak_kb() - before < 50_000


def peak_kb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
