"""The gates and states drawn are those that the model computes."""

from pathlib import Path

import numpy as np
import pytest

from app.bundle import read_bundle
from app.settings import SHIPPED
from training.anatomy import dissect

TEXT = "A quiet film that I loved. The zzqqx worst part is the end, but the actors are wonderful!"


@pytest.mark.parametrize("name", ["sentiment/lstm", "sentiment/gru", "topic/lstm", "topic/gru"])
def test_states_are_those_of_keras(name: str, tmp_path: Path) -> None:
    keras = pytest.importorskip("keras")
    bundle = read_bundle(SHIPPED / name)
    path = tmp_path / "model.keras"
    path.write_bytes(bundle.model_bytes)
    model = keras.saving.load_model(path, compile=False)
    found = dissect(bundle, TEXT)
    ids = bundle.encoder().encode(TEXT).windows[-1:]
    for trace in found.traces:
        layer = model.get_layer(trace.layer)
        answer = np.asarray(keras.Model(model.input, layer.output).predict(ids, verbose=0))[0]
        expected = trace.hidden if answer.ndim == 2 else trace.hidden[-1]
        np.testing.assert_allclose(answer, expected, atol=1e-5)


def test_words_stand_where_their_ids_do() -> None:
    found = dissect(read_bundle(SHIPPED / "sentiment" / "lstm"), TEXT)
    assert len(found.words) == 100
    assert found.words[-3:] == ("actors", "are", "wonderful")
    assert "zzqqx" not in found.words
    first = found.words.index("start")
    assert set(found.words[:first]) == {""}
    assert found.words[first + 1 : first + 4] == ("a", "quiet", "film")


def test_gates_are_between_shut_and_open_and_only_the_lstm_has_a_cell() -> None:
    lstm = dissect(read_bundle(SHIPPED / "sentiment" / "lstm"), TEXT).traces
    gru = dissect(read_bundle(SHIPPED / "sentiment" / "gru"), TEXT).traces
    assert [list(trace.gates) for trace in lstm] == [["input", "forget", "output"]] * 2
    assert [list(trace.gates) for trace in gru] == [["update", "reset"]]
    for trace in (*lstm, *gru):
        for gate in trace.gates.values():
            assert gate.shape == trace.hidden.shape
            assert gate.min() >= 0
            assert gate.max() <= 1
    assert lstm[0].cell is not None
    assert gru[0].cell is None


def test_command_draws_every_bundle_and_the_padding(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("keras")
    from training import cli

    bundles = [str(SHIPPED / "sentiment" / model) for model in ("lstm", "gru")]
    assert cli.main(["anatomy", *bundles, "--text", TEXT, "--out", str(tmp_path)]) == 0
    drawn = {path.name for path in tmp_path.iterdir() if path.read_bytes().startswith(b"\x89PNG")}
    assert drawn == {"gates-sentiment-lstm.png", "gates-sentiment-gru.png", "padding.png"}
    assert cli.main(["anatomy", str(tmp_path), "--text", TEXT, "--out", str(tmp_path)]) == 1
    assert "bundle.json: no such file" in capsys.readouterr().err
