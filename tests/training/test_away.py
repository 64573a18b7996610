"""A run on another machine: trained from the same texts, and here as if it had been trained here."""

import dataclasses
import io
import json
import pickle
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("keras")

from app.cluster.child import Child
from app.errors import ClusterError, DataError
from training import away, cli, recipes
from training.away import Order, do, pack, unpack
from training.commands import compare as command
from training.commands import options
from training.compare import folder_of, run_trials


@pytest.fixture
def order(tiny: Any, monkeypatch: pytest.MonkeyPatch) -> Order:
    dataset = tiny.dataset(2)
    monkeypatch.setattr(options, "load", lambda *_, **__: dataset)
    return Order(tiny.recipe(epochs=1), 1, Path("/run-1"), None, "auto", None, dataset.sha256)


def test_what_comes_back_passes_for_a_run_of_this_machine(order: Order, tiny: Any, tmp_path: Path) -> None:
    sent = pickle.loads(pickle.dumps(order))
    unpack(do(sent), folder_of(tmp_path, order.recipe, 1))
    said: list[str] = []
    (trial,) = run_trials([(order.recipe, 1)], lambda _: tiny.dataset(2), tmp_path, said.append)
    assert not said
    assert len(trial.history) == 1


def test_other_texts_or_another_release_are_not_trained_with(order: Order, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="other texts"):
        do(dataclasses.replace(order, sha256="other"))
    monkeypatch.setattr(away, "__version__", "9.9")
    with pytest.raises(ClusterError, match=r"has sentopic 9\.9"):
        do(order)


def test_a_folder_is_there_as_a_whole_or_not(tmp_path: Path) -> None:
    (tmp_path / "made" / "deep").mkdir(parents=True)
    (tmp_path / "made" / "deep" / "a").write_text("b")
    packed = pack(tmp_path / "made")
    unpack(packed, tmp_path / "out" / "run-1")
    assert (tmp_path / "out" / "run-1" / "deep" / "a").read_text() == "b"
    with pytest.raises(OSError, match="not empty"):
        unpack(packed, tmp_path / "out" / "run-1")
    with pytest.raises((OSError, EOFError)):
        unpack(packed[: len(packed) // 2], tmp_path / "out" / "run-2")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["run-1"]


class _Spread:
    """A child that has all orders done, or fails."""

    told: bytes
    orders: Any

    def __init__(self, _: str) -> None:
        self.stdin, self.stdout = io.BytesIO(), io.BytesIO(self.told)

    def explain(self) -> ClusterError:
        return ClusterError("the cluster is lost")

    def close(self) -> None:
        _, _, sent = self.stdin.getvalue().partition(b"\n")
        type(self).orders = pickle.loads(sent)


@pytest.mark.parametrize("told", [{"fault": "it burns"}, None])
def test_only_runs_that_are_not_here_go_away_and_what_fails_is_one_line(
    tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any, told: Any
) -> None:
    recipe = tiny.recipe(epochs=1)
    monkeypatch.setattr(recipes, "find", lambda _: recipe)
    monkeypatch.setattr(options, "load", lambda *_, **__: tiny.dataset(2))
    monkeypatch.setattr(_Spread, "told", json.dumps(told).encode() if told else b"", raising=False)
    monkeypatch.setattr(command, "Child", _Spread)
    folder_of(tmp_path, recipe, 2).mkdir()
    arguments = ["compare", "tiny", "--seeds", "3", "--out", str(tmp_path), "--cluster", "head:6379"]
    assert cli.main(arguments) == 1
    address, orders = _Spread.orders
    assert (address, [order.seed for order in orders]) == ("head:6379", [1, 3])
    assert orders[1].folder == folder_of(tmp_path, recipe, 3)
    why = "it burns; the same command goes on with the runs that are left" if told else "the cluster is lost"
    assert capsys.readouterr().err == f"sentopic-train: {why}\n"


def test_a_program_that_spreads_says_where_nobody_is() -> None:
    child = Child("training.spread")
    sent = pickle.dumps(("127.0.0.1:1", []))
    child.stdin.write(b"%d\n" % len(sent) + sent)
    child.stdin.flush()
    told = json.loads(child.stdout.readline())
    child.close()
    assert told["fault"].startswith(("the cluster at 127.0.0.1:1 cannot be reached", "a cluster needs Ray"))
