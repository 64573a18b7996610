"""A bundle is loaded exactly as it was sealed, or not at all."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.bundle import (
    Calibration,
    Golden,
    Label,
    Manifest,
    Seal,
    TextSpec,
    find_bundles,
    format_words,
    read_bundle,
)
from app.engines.open import open_engine
from app.errors import BundleError
from app.settings import SHIPPED


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A copy of a shipped bundle, to be spoilt."""
    return Path(shutil.copytree(SHIPPED / "topic" / "gru", tmp_path / "topic" / "gru"))


def edit(bundle: Path, change: Callable[[dict[str, Any]], None], *, seal: bool = True) -> None:
    path = bundle / "bundle.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    del manifest["sha256"]
    change(manifest)
    content = json.dumps(manifest, sort_keys=True, separators=(",", ":"))
    manifest["sha256"] = hashlib.sha256(content.encode()).hexdigest() if seal else "0" * 64
    path.write_text(json.dumps(manifest), encoding="utf-8")


def reseal(bundle: Path, name: str) -> None:
    data = (bundle / name).read_bytes()
    seal = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
    edit(bundle, lambda manifest: manifest["files"].update({name: seal}))


def refuse(bundle: Path, file: str, why: str) -> None:
    """The error names the file and the reason, in one line."""
    with pytest.raises(BundleError) as refused:
        open_engine(read_bundle(bundle), "onnx")
    message = str(refused.value)
    assert message.startswith(str(bundle / file))
    assert why in message
    assert "\n" not in message


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*/*")), ids=lambda path: f"{path.parent.name}-{path.name}")
def test_shipped_bundle_is_whole_and_reproduces_its_golden_texts(path: Path) -> None:
    bundle = read_bundle(path)
    assert (bundle.manifest.task, bundle.manifest.model) == (path.parent.name, path.name)
    assert open_engine(bundle, "onnx").name == "onnx"


def test_shipped_bundles_are_four_and_take_no_more_than_fifty_megabytes() -> None:
    names = {f"{path.parent.name}/{path.name}" for path in SHIPPED.glob("*/*")}
    assert names == {"sentiment/gru", "sentiment/lstm", "topic/gru", "topic/lstm"}
    assert sum(path.stat().st_size for path in SHIPPED.rglob("*") if path.is_file()) <= 50e6


@pytest.mark.parametrize("name", ["model.keras", "words.txt", "CARD.md"])
def test_altered_file_is_named(bundle: Path, name: str) -> None:
    data = bytearray((bundle / name).read_bytes())
    data[len(data) // 2] ^= 1
    (bundle / name).write_bytes(data)
    refuse(bundle, name, "SHA-256 differs")


def test_missing_file_is_named(bundle: Path) -> None:
    (bundle / "model.keras").unlink()
    refuse(bundle, "model.keras", "no such file")


def test_missing_manifest_is_named(bundle: Path) -> None:
    (bundle / "bundle.json").unlink()
    refuse(bundle, "bundle.json", "no such file")


def test_longer_file_is_refused_unread(bundle: Path) -> None:
    with (bundle / "words.txt").open("ab") as stream:
        stream.write(b"x" * 100)
    refuse(bundle, "words.txt", "more than the")


def test_file_that_is_not_sealed_is_refused(bundle: Path) -> None:
    (bundle / "extra.py").write_text("print(1)")
    refuse(bundle, "extra.py", "not sealed")


def test_link_is_refused_and_its_target_unread(bundle: Path, tmp_path: Path) -> None:
    (bundle / "words.txt").rename(tmp_path / "elsewhere.txt")
    (bundle / "words.txt").symlink_to(tmp_path / "elsewhere.txt")
    refuse(bundle, "words.txt", "it is a link")


@pytest.mark.parametrize("name", ["../words.txt", "/etc/passwd", "a/b", ".hidden"])
def test_path_outside_the_bundle_is_refused(bundle: Path, name: str) -> None:
    edit(bundle, lambda manifest: manifest["files"].update({name: {"sha256": "0" * 64, "size": 1}}))
    refuse(bundle, "bundle.json", "pattern")


def test_unknown_key_is_refused(bundle: Path) -> None:
    edit(bundle, lambda manifest: manifest.update(surprise=1))
    refuse(bundle, "bundle.json", "surprise")


def test_other_schema_version_is_refused(bundle: Path) -> None:
    edit(bundle, lambda manifest: manifest.update(schema_version=2))
    refuse(bundle, "bundle.json", "schema_version")


def test_other_text_contract_is_refused(bundle: Path) -> None:
    edit(bundle, lambda manifest: manifest["text"].update(index_from=2))
    refuse(bundle, "bundle.json", "text.index_from")


def declare(bundle: Path, **tokenizer: Any) -> None:
    edit(bundle, lambda manifest: manifest["text"].update(tokenizer={"version": 1, **tokenizer}))


def test_bundle_without_a_tokenizer_has_the_text_contracts_and_names_none(bundle: Path) -> None:
    manifest = read_bundle(bundle).manifest
    assert manifest.text.tokenizer is None
    assert "tokenizer" not in manifest.model_dump()["text"]


def test_declared_tokenizer_finds_the_words(bundle: Path) -> None:
    """The golden texts hold nothing but ASCII, and no apostrophe between quotes: their words are the same."""
    declare(bundle, name="unicode", libraries={})
    found = read_bundle(bundle)
    assert open_engine(found, "onnx").name == "onnx"
    assert found.encoder().encode("\uff2f\uff29\uff2c Oil\u00a0OIL").known == 3
    assert read_bundle(SHIPPED / "topic" / "gru").encoder().encode("\uff2f\uff29\uff2c Oil\u00a0OIL").known == 0


def test_tokenizer_of_another_version_is_refused_with_what_to_install(bundle: Path) -> None:
    declare(bundle, name="chinese", libraries={"rjieba": "0.0.1"})
    refuse(bundle, "bundle.json", "its words are those of rjieba 0.0.1; installed: ")
    refuse(bundle, "bundle.json", "pip install 'rjieba==0.0.1'")


@pytest.mark.parametrize(
    ("tokenizer", "why"),
    [
        ({"name": "klingon", "libraries": {}}, "text.tokenizer.name"),
        ({"name": "unicode", "libraries": {}, "version": 2}, "text.tokenizer.version"),
        ({"name": "unicode", "libraries": {"os": "1.0"}}, "the unicode tokenizer needs nothing, not os"),
        ({"name": "chinese", "libraries": {}}, "the chinese tokenizer needs rjieba, not nothing"),
        ({"name": "chinese", "libraries": {"rjieba": "1' && rm '"}}, "text.tokenizer.libraries.rjieba"),
        ({"name": "unicode", "libraries": {}, "path": "/tmp/x"}, "text.tokenizer.path"),
    ],
)
def test_tokenizer_that_there_is_not_is_refused(bundle: Path, tokenizer: dict[str, Any], why: str) -> None:
    declare(bundle, **tokenizer)
    refuse(bundle, "bundle.json", why)


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"\xff", b'{"schema_version": NaN}'])
def test_manifest_that_is_no_json_object_is_refused(bundle: Path, text: bytes) -> None:
    (bundle / "bundle.json").write_bytes(text)
    refuse(bundle, "bundle.json", "")


def test_golden_text_that_is_not_reproduced_is_refused(bundle: Path) -> None:
    def spoil(manifest: dict[str, Any]) -> None:
        manifest["golden"][1]["scores"][0] += 0.001

    edit(bundle, spoil)
    refuse(bundle, "bundle.json", "golden text 2 is not reproduced")


def test_bundle_that_is_not_trusted_is_refused_with_its_seal_before_its_files_are_read(bundle: Path) -> None:
    sha256 = read_bundle(bundle).manifest.sha256
    assert read_bundle(bundle, trusted=["0" * 64, sha256]).manifest.sha256 == sha256
    for path in bundle.iterdir():
        if path.name != "bundle.json":
            path.unlink()
    with pytest.raises(BundleError, match=f"bundle.json: its SHA-256 is {sha256}, which is not among the trusted"):
        read_bundle(bundle, trusted=["0" * 64])


def swap_labels(manifest: dict[str, Any]) -> None:
    one, other = manifest["labels"][0], manifest["labels"][3]
    one["name"], other["name"] = other["name"], one["name"]


@pytest.mark.parametrize(
    "change",
    [
        swap_labels,
        lambda manifest: manifest.update(task="sentiment"),
        lambda manifest: manifest["calibration"].update(uncertain_below=0),
        lambda manifest: manifest["labels"][0].update(share=1.0),
        lambda manifest: manifest["metrics"].update(held_out_accuracy=1.0),
    ],
    ids=["labels", "task", "threshold", "share", "metrics"],
)
def test_altered_manifest_is_refused(bundle: Path, change: Callable[[dict[str, Any]], None]) -> None:
    edit(bundle, change, seal=False)
    refuse(bundle, "bundle.json", "its own SHA-256 differs")


def test_vocabulary_larger_than_the_embedding_is_refused(bundle: Path) -> None:
    edit(bundle, lambda manifest: manifest["text"].update(num_words=31_000))
    refuse(bundle, "model.keras", "it knows 20000 ids, the text contract 31000")


def test_hidden_files_of_a_file_manager_do_no_harm(bundle: Path) -> None:
    (bundle / ".DS_Store").write_bytes(b"x")
    assert read_bundle(bundle).manifest.task == "topic"


def test_directory_without_its_manifest_is_not_passed_over(bundle: Path, tmp_path: Path) -> None:
    shutil.copytree(SHIPPED / "topic" / "lstm", tmp_path / "topic" / "lstm")
    (tmp_path / "runs" / "topic-gru.v1-1").mkdir(parents=True)
    (tmp_path / "topic" / ".hidden").mkdir()
    (bundle / "bundle.json").unlink()
    found = find_bundles(tmp_path)
    assert found == [bundle, tmp_path / "topic" / "lstm"]
    refuse(found[0], "bundle.json", "no such file")


def test_shuffled_vocabulary_is_caught_by_the_golden_texts(bundle: Path) -> None:
    words = (bundle / "words.txt").read_bytes().split(b"\n")[:-1]
    (bundle / "words.txt").write_bytes(b"\n".join([*words[1:], words[0], b""]))
    reseal(bundle, "words.txt")
    refuse(bundle, "bundle.json", "is not reproduced")


@pytest.mark.parametrize("data", [b"the\nthe\n", b"the\n\nof\n", b"the", b"\xff\xfe\n"])
def test_broken_vocabulary_is_refused(bundle: Path, data: bytes) -> None:
    (bundle / "words.txt").write_bytes(data)
    reseal(bundle, "words.txt")
    refuse(bundle, "words.txt", "")


def test_words_may_hold_any_mark_but_a_line_feed() -> None:
    words = ["a\rb", "\x85", "\u2028", "\ud800", "naïve"]
    assert format_words(words).decode("utf-8", "surrogatepass").split("\n") == [*words, ""]


def manifest(temperature: float) -> Manifest:
    labels = [Label(name=name, display_name=name, share=0.5) for name in ("no", "yes")]
    seal = Seal(sha256="0" * 64, size=1)
    return Manifest(
        task="t",
        model="m",
        labels=labels,
        text=TextSpec(num_words=10, maxlen=4, windows="cover"),
        recipe={},
        data={},
        metrics={},
        parameters=1,
        calibration=Calibration(temperature=temperature, uncertain_below=0.5),
        versions={},
        files={"model.keras": seal, "words.txt": seal},
        golden=[Golden(text="x", scores=[0.5, 0.5])] * 3,
    )


def test_scores_are_the_windows_mean_log_odds() -> None:
    scores = manifest(1.0).scores(np.array([[0.1, 0.9], [0.4, 0.6]], np.float32))
    odds = np.log(scores[1] / scores[0])
    assert odds == pytest.approx((np.log(9) + np.log(1.5)) / 2, abs=1e-6)


def test_temperature_divides_the_log_odds() -> None:
    scores = manifest(2.0).scores(np.array([[0.1, 0.9]], np.float32))
    assert np.log(scores[1] / scores[0]) == pytest.approx(np.log(9) / 2, abs=1e-6)


def log_odds(windows: list[float], **calibration: float) -> float:
    probabilities = np.array([[1 - p, p] for p in windows], np.float32)
    scores = Calibration(temperature=1, uncertain_below=0.5, **calibration).scores(probabilities)
    return float(np.log(scores[1] / scores[0]))


def test_last_window_may_count_more_than_the_others() -> None:
    mean = (np.log(9) + np.log(1.5)) / 2
    assert log_odds([0.9, 0.6], last_window=0.5) == pytest.approx((mean + 0.5 * np.log(1.5)) / 1.5, abs=1e-5)
    assert log_odds([0.6, 0.9], last_window=0.5) == pytest.approx((mean + 0.5 * np.log(9)) / 1.5, abs=1e-5)
    assert log_odds([0.9], last_window=0.5) == pytest.approx(np.log(9), abs=1e-5)


def test_text_may_be_surer_the_more_windows_it_has() -> None:
    assert log_odds([0.9], growth=0.5) == pytest.approx(np.log(9), abs=1e-5)
    assert log_odds([0.9] * 3, growth=0.5) == pytest.approx(np.log(9) * (1 + 0.5 * np.log(3)), abs=1e-5)


def test_damping_holds_back_the_surest_most() -> None:
    assert log_odds([0.9], damping=0.5) == pytest.approx(np.log(9) * (1 - 0.5 * 0.9), abs=1e-5)
    assert log_odds([0.2], damping=0.5) == pytest.approx(-np.log(4) * (1 - 0.5 * 0.8), abs=1e-5)
    assert log_odds([0.9, 0.9], damping=-0.5) == pytest.approx(np.log(9) * (1 + 0.5 * 0.9), abs=1e-5)


def test_certain_windows_give_finite_scores() -> None:
    scores = manifest(0.1).scores(np.array([[0.0, 1.0], [1.0, 0.0]], np.float32))
    assert scores == pytest.approx([0.5, 0.5])
