"""What a process that was killed has left in a job's folder goes, and nothing else."""

import os
from pathlib import Path

from app.jobs.folder import Folder


def test_conversions_that_nobody_writes_at_any_more_are_dropped(tmp_path: Path) -> None:
    folder = Folder(tmp_path, "a")
    folder.make()
    for name, written in (("converted.1", 10), ("converted.2.parquet", 10), ("converted.3", 30), ("result.1", 10)):
        (folder.path / name).touch()
        os.utime(folder.path / name, (written, written))
    folder.drop_conversions(before=20)
    assert sorted(path.name for path in folder.path.iterdir()) == ["converted.3", "result.1"]
