"""Jobs for the tests, and a bundle that answers them."""

import csv
import secrets
import time
from functools import cache
from pathlib import Path
from typing import Any

from app.answers import Interpreter
from app.bounds import Bounds
from app.bundle import Bundle, read_bundle
from app.engines.base import Engine
from app.engines.open import open_engine
from app.files.rows import Format
from app.jobs.folder import Folder
from app.jobs.job import Job
from app.jobs.store import JobStore
from app.jobs.work import Work
from app.settings import SHIPPED
from app.synthetic import make_texts

MODELS = [("topic", "gru")]
ROOM = Bounds(100)


class Free:
    """Locks that are as they are told to be; None as between machines that share none."""

    def __init__(self, answer: bool | None = None) -> None:
        self.answer, self.dropped = answer, list[str]()

    def take(self, _: Job) -> bool | None:
        return self.answer

    def drop(self, job_id: str) -> None:
        self.dropped.append(job_id)


@cache
def opened() -> tuple[Bundle, Interpreter, Engine]:
    bundle = read_bundle(SHIPPED / "topic" / "gru")
    interpreter = Interpreter(bundle.manifest, bundle.encoder(), max_text_chars=100_000)
    return bundle, interpreter, open_engine(bundle, "onnx")


def make_job(form: Format = "csv", **values: Any) -> Job:
    given: dict[str, Any] = {"owner": "", "text": None, "status": "waiting", "created": time.time(), "size": 1}
    return Job(secrets.token_hex(16), format=form, **{"task": "topic", "model": "gru", **given, **values})


def hand_in(store: JobStore, root: Path, data: bytes, form: Format = "csv", **values: Any) -> Job:
    job = make_job(form, size=len(data), **values)
    folder = Folder(root, job.id)
    folder.make()
    folder.input.write_bytes(data)
    assert store.add(job, ROOM)
    return job


def make_table(path: Path, rows: int) -> bytes:
    texts = make_texts(opened()[0].words, rows, 12)
    texts[rows // 2] = ""
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("id", "text"), *enumerate(texts)])
    return path.read_bytes()


def do(work: Work) -> None:
    """All of it, and puts the result in its place."""
    try:
        while chunk := work.read():
            work.finish(chunk, opened()[2].predict(chunk.ids))
        work.end()
    finally:
        work.close()
