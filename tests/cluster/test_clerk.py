"""A part answered and put in its place: as `sentopic classify` has it, as a whole, and no other run's."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from app.cluster.clerk import Clerk, Errand, read_receipt
from app.cluster.place import Copy, Place
from app.cluster.plan import PLAN, Input, Part, Plan
from app.errors import ClusterError, FileError, LeaseLostError, OutputError, UsageError
from app.files.lines import Position
from app.files.parquet import ParquetReader
from tests.cluster.scenes import desk, read, write


@pytest.fixture(autouse=True)
def closed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    made: list[Clerk] = []
    start = Clerk.__init__
    monkeypatch.setattr(Clerk, "__init__", lambda self, *given: (made.append(self), start(self, *given))[1])
    yield
    for clerk in made:
        clerk.close()


def begin(tmp_path: Path, rows: int = 100) -> tuple[Clerk, Input, Place]:
    path, target = write(tmp_path / "in" / "a.parquet", rows), Place(str(tmp_path / "out"))
    target.make()
    source = Input(str(path), rows, path.stat().st_size, Place(str(path)).read_footer(str(path)).stamp)
    target.write(PLAN, Plan("run", {}, (source,), 40).to_json())
    return Clerk(Errand("run", str(tmp_path / "in"), target.url, "text"), desk()), source, target


@pytest.mark.parametrize("is_local", [True, False])
def test_a_part_has_its_rows_their_answers_and_a_receipt(tmp_path: Path, is_local: bool) -> None:
    clerk, source, target = begin(tmp_path)
    clerk._source.is_local = is_local
    for part in (Part(0, 0, 33), Part(0, 33, 67)):
        receipt, bad = clerk.answer(part, source)
        assert (receipt.rows, sum(receipt.labels.values()) + receipt.failed) == (part.rows, part.rows)
        assert bad == ([(10, "the text is missing")] if part.start == 0 else [])
        assert read_receipt(target, part.name) == receipt
    rows = read(tmp_path / "out")
    assert [row["id"] for row in rows] == list(range(100))
    assert [row["id"] for row in rows if row["label"] is None] == [9]
    assert {path.name for path in (tmp_path / "out").iterdir()} == {PLAN, Part(0, 0, 33).name, Part(0, 33, 67).name}


def test_a_row_group_of_an_object_store_is_fetched_once_and_no_other(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", 4_000, group=1_000)
    copy = Copy(Place(str(path)), str(path), tmp_path / "copy")
    copy.fetch(1_200, 2_100)
    whole, held = path.read_bytes(), copy.path.read_bytes()
    assert len(held) == len(whole)
    groups = [pq.read_metadata(path).row_group(number) for number in range(4)]
    for number, group in enumerate(groups):
        start = min(group.column(0).dictionary_page_offset, group.column(0).data_page_offset)
        end = start + group.column(0).total_compressed_size
        assert (held[start:end] == whole[start:end]) == (number in {1, 2})
    reader = ParquetReader(copy.path)
    reader.move(Position(1_200, 1_200))
    reader.end_before(2_100)
    assert [reader.values(row)["id"] for row in reader] == list(range(1_200, 2_100))
    reader.close()
    copy._file.close()
    copy.fetch(1_000, 3_000)  # nothing is asked for again


def test_another_file_than_the_plans_is_not_answered(tmp_path: Path) -> None:
    clerk, source, _ = begin(tmp_path)
    write(Path(source.path), 101)
    for is_local in (True, False):
        clerk._source.is_local = is_local
        with pytest.raises(ClusterError, match="not on all machines"):
            clerk.answer(Part(0, 0, 50), source)
    Path(source.path).unlink()
    clerk._source.is_local = True
    with pytest.raises(ClusterError, match="cannot read it"):
        clerk.answer(Part(0, 0, 50), source)


@pytest.mark.parametrize("is_local", [True, False])
def test_a_file_that_is_written_over_between_its_parts_is_mixed_with_nothing(tmp_path: Path, is_local: bool) -> None:
    clerk, source, target = begin(tmp_path, 4_000)
    clerk._source.is_local = is_local
    clerk.answer(Part(0, 0, 1_000), source)
    write(Path(source.path), 4_000, first=4_000)  # as long, and of the same layout
    assert Path(source.path).stat().st_size == source.size
    with pytest.raises(ClusterError, match="not on all machines"):
        clerk.answer(Part(0, 1_000, 1_000), source)
    assert target.list_names() == [PLAN, Part(0, 0, 1_000).name]


def test_a_file_that_is_written_over_while_it_is_read_is_mixed_with_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clerk, source, target = begin(tmp_path)
    fetch = Copy.fetch

    def fetch_late(self: Copy, start: int, end: int) -> None:
        write(Path(source.path), 100, first=100)
        fetch(self, start, end)

    clerk._source.is_local = False
    monkeypatch.setattr(Copy, "fetch", fetch_late)
    with pytest.raises(ClusterError, match="not on all machines"):
        clerk.answer(Part(0, 0, 50), source)
    assert target.list_names() == [PLAN]


def test_who_is_late_writes_nothing_into_another_runs_results(tmp_path: Path) -> None:
    clerk, source, target = begin(tmp_path)
    target.write(PLAN, Plan("another", {}, (source,), 40).to_json())
    with pytest.raises(LeaseLostError):
        clerk.answer(Part(0, 0, 50), source)
    target.remove(PLAN)
    with pytest.raises(LeaseLostError):
        clerk.answer(Part(0, 0, 50), source)
    assert target.list_names() == []


def test_a_part_that_is_broken_leaves_nothing(tmp_path: Path) -> None:
    clerk, source, target = begin(tmp_path, 4_000)
    data = bytearray(Path(source.path).read_bytes())
    data[4 : len(data) // 2] = bytes(len(data) // 2 - 4)
    Path(source.path).write_bytes(data)
    with pytest.raises(FileError, match="row 1: the file is broken here"):
        clerk.answer(Part(0, 0, 2_000), source)
    assert target.list_names() == [PLAN]
    clerk.answer(Part(0, 3_000, 1_000), source)


def test_what_cannot_be_written_is_told_and_leaves_no_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clerk, source, target = begin(tmp_path)

    class Full:
        def __getattr__(self, name: str) -> object:
            return getattr(target.system, name)

        def move(self, *_: str) -> None:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(clerk._target, "system", Full())
    with pytest.raises(OutputError, match="no space left"):
        clerk.answer(Part(0, 0, 50), source)
    left = [name for name in target.list_names() if name != PLAN]
    assert left
    assert all(map(target.is_partial, left))


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("nosuch://bucket/a", "nosuch://bucket/a: "),
        ("s3://", "s3:// names no bucket"),
        ("s3://me:secret@", "s3:// names no bucket"),
        ("s3://me:secret@bucket/a?wrong=1", "s3://bucket/a: unexpected query parameter"),
        ("s3://me:secret@bucket:wrong/a", "s3://bucket:wrong/a: it cannot be parsed"),
        ("s3://me:my/secret+x@bucket/a", "s3://bucket/a: it cannot be parsed"),
        ("s3://me:my?secret=@x@bucket/a?region=x", "s3://bucket/a: it cannot be parsed"),
    ],
)
def test_a_place_that_cannot_be_is_told_without_its_secret(url: str, why: str) -> None:
    with pytest.raises(UsageError) as told:
        Place(url)
    assert str(told.value).lower().startswith(why)
    assert "secret" not in str(told.value)


def test_a_store_that_is_not_aws_is_named_in_the_url_or_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    by_url = Place("s3://bucket/a?region=here&endpoint_override=http://127.0.0.1:9000")
    assert (by_url.name, by_url.path, by_url.is_local) == ("s3://bucket/a", "bucket/a", False)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9000")
    assert Place("s3://bucket/a?region=here").system == by_url.system
