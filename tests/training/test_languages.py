"""From letters in five languages to a bundle that serves: the words that are learned are the words that are asked."""

import csv
import dataclasses
import json
from itertools import product
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("keras")

from app.bundle import read_bundle
from app.engines.open import open_engine
from app.tokenizers import library_versions
from training import cli, plots
from training.datasets.own import Table, load
from training.fit import fit
from training.network import Embedding, Recurrent, Summary
from training.recipes import suit

LANGUAGES = json.loads((Path(__file__).parents[1] / "fixtures" / "languages.json").read_text(encoding="utf-8"))
LIBRARY = {"korean": "kiwipiepy", "japanese": "sudachipy", "chinese": "rjieba"}
ASKED = {
    "korean": ("배송이 아직도 안 왔습니다", "delivery", {"배송", "안", "오"}),
    "japanese": ("カードの請求が二回もありました", "payment", {"カード", "請求", "回"}),
    "chinese": ("快递一直没有送到！", "delivery", {"没有", "一直", "送到"}),
    "german": ("DIE STRASSE UND DIE KÖNIGSTRASSE", "Lieferung", {"strasse", "königstrasse"}),
    "russian": ("карты, ДВАЖДЫ СПИСАЛИ С КАРТЫ", "оплата", {"карты", "дважды", "списали"}),
}
"""A letter that no one learned from, its label, and words of it that must be known."""


@pytest.fixture(params=LANGUAGES)
def language(request: pytest.FixtureRequest) -> str:
    name = str(request.param)
    if name in LIBRARY:
        pytest.importorskip(LIBRARY[name])
    return name


def write(folder: Path, language: str) -> Path:
    """Sixty letters: each beginning with each end."""
    path = folder / f"{language}.csv"
    glue = "。" if language in ("japanese", "chinese") else ". "
    with path.open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream)
        table.writerow(("text", "label"))
        for label, parts in LANGUAGES[language].items():
            table.writerows((glue.join(one), label) for one in product(*parts))
    return path


def tokenizer(language: str) -> Any:
    return language if language in LIBRARY else "unicode"


def is_as_learned(bundle_path: Path, dataset: Any, language: str) -> None:
    """The service's engine is up, reads as training read, and folds what only looks different."""
    bundle = read_bundle(bundle_path)
    spec = bundle.manifest.text
    assert spec.tokenizer
    assert (spec.tokenizer.name, spec.tokenizer.libraries) == (
        tokenizer(language),
        library_versions(tokenizer(language)),
    )
    assert open_engine(bundle, "onnx").name == "onnx"  # which has reproduced the golden texts
    served, learned = bundle.encoder(), dataset.encoder(spec.num_words, spec.maxlen, spec.windows)
    for text in (*dataset.train.texts, *dataset.test.texts, ASKED[language][0]):
        assert served.encode(text).windows.tolist() == learned.encode(text).windows.tolist()
    text, _, known = ASKED[language]
    assert known <= {*bundle.words} & {*spec.open_tokenizer().split(text)}


def test_words_learned_are_the_words_asked(language: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network of a few numbers, and no pictures: the words are the point."""
    for name in ("draw_curves", "draw_confusion", "draw_reliability", "draw_risk_coverage"):
        monkeypatch.setattr(plots, name, lambda *arguments: arguments[-1].touch())
    dataset = load(Table(path=write(tmp_path, language), task=language, tokenizer=tokenizer(language)))
    assert dataset.audit
    recipe = suit(60, dataset.audit.frequent, dataset.audit.long)
    network = (Embedding(4), Recurrent("gru", 4), Summary())
    recipe = dataclasses.replace(recipe, network=network, teacher=False, epochs=1)
    is_as_learned(fit(recipe, dataset, tmp_path, say=lambda line: None), dataset, language)


@pytest.mark.slow
def test_letters_are_answered_by_what_was_learned(language: str, tmp_path: Path) -> None:
    path, out = write(tmp_path, language), tmp_path / "out"
    command = ["fit", "--table", str(path), "--tokenizer", tokenizer(language), "--out", str(out), "--quiet"]
    assert cli.main(command) == 0
    bundle = read_bundle(out / language / "gru")
    engine, (text, label, _) = open_engine(bundle, "onnx"), ASKED[language]
    scores = bundle.manifest.scores(engine.predict(bundle.encoder().encode(text).windows))
    assert [one.name for one in bundle.manifest.labels][scores.index(max(scores))] == label
    assert bundle.manifest.metrics["test_accuracy"] >= 0.9
