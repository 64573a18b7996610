"""A bundle's CARD.md: what the model is, how good, on what, where it fails, and what it must not be used for."""

from collections.abc import Iterable

from app.bundle import Manifest
from app.text import Windows
from training import network, rivals, weaknesses
from training.datasets import Dataset
from training.evaluate import Evaluation
from training.figures import Figures, Target
from training.markdown import table
from training.recipes import Recipe

_READING = {
    "first": "the first {before} words that the word index knows",
    "last": "the last {maxlen} words that the word index knows",
    "cover": "the whole text, in windows of {maxlen} words",
}
_HELD_OUT = {
    "tutorial": "a fifth of each label's texts, drawn by chance: others about the same thing may be learned from",
    "last-fifth": "the last fifth of the texts",
    "grouped": "a fifth of each label's texts; none is about the same film, say, as a text to learn from",
}
_UNFIT = ("Decisions about people.", "Texts unlike those it was trained on.")


def write(manifest: Manifest, recipe: Recipe, found: Figures, dataset: Dataset) -> str:
    spec = manifest.text
    reading = _READING[spec.windows].format(maxlen=spec.maxlen, before=spec.maxlen - 1)
    changed = "".join(f", {key} changed to {manifest.recipe[key]}" for key in manifest.recipe["changed"])
    parts = [
        f"# {manifest.task} / {manifest.model}",
        f"Answers a text with one of {len(manifest.labels)} labels and how sure it is. It reads {reading}.\n"
        f"{manifest.parameters:,} parameters: {spec.num_words:,} words, {network.describe(recipe.network)}.\n"
        f"Recipe `{manifest.recipe['name']}`{changed} (seed {manifest.recipe['seed']}).",
        *_data(manifest, recipe, dataset),
        *_recipe(manifest, recipe),
        *_test(manifest, found),
        *_rivals(manifest, found),
        *_confidence(manifest, recipe, found),
        *_labels(found, dataset),
        *weaknesses.describe(found.weaknesses, manifest, dataset, found.confusion),
        *_unfit(dataset),
        *_sources(manifest, recipe, dataset),
    ]
    return "\n\n".join(parts) + "\n"


def _data(manifest: Manifest, recipe: Recipe, dataset: Dataset) -> Iterable[str]:
    data = manifest.data
    rows = [
        ["to learn from", f"{data['training']:,}", "its weights"],
        ["held out", f"{data['held_out']:,}", "the epoch, the temperature, the threshold; the weaknesses below"],
        ["test", f"{data['test']:,}", "the figures below; nothing was chosen by them"],
    ]
    hashes = f"The data's SHA-256 is `{data['sha256']}`"
    if "unlabelled" in data:
        gave = {"the word vectors": True, "reading": recipe.pretrain, "lessons by the teachers": recipe.teacher}
        use = ", ".join(name for name, given in gave.items() if given)
        rows.append(["without a label", f"{data['unlabelled']:,}", use])
        hashes += f", that of the texts without a label `{data['unlabelled_sha256']}`"
    yield "## Data"
    yield f"`{data['name']}`. {dataset.description}".strip()
    yield table(["Texts", "How many", "What they gave"], rows)
    how = _HELD_OUT[recipe.holdout]
    if dataset.audit and recipe.holdout == "grouped":
        how = "a fifth of each label's texts, none nearly the same as a text to learn from"
    yield f"Held out: {how}. {hashes}."
    if dataset.audit:
        yield "### What the table held"
        yield "\n".join(f"- {line}" for line in dataset.audit.describe())
    if dataset.heard:
        yield "### What people said of answers"
        yield f"{_sentence(dataset.heard.describe())}. Whatever was learned of it was neither held out nor tested."
    if "mislabelled" in data:
        yield (
            f"{data['mislabelled']:,} more training texts are known to bear another text's label, and were read, but "
            "not taught. The held-out part has its share of them, as the test has."
        )
    if "refit" in data:
        yield (
            f"The published model then learned anew from all {data['refit']:,} texts. Whatever is said of held-out "
            "texts here is of the first model, which did not learn from them; temperature and threshold are its too."
        )


def _sentence(line: str) -> str:
    return line[:1].upper() + line[1:]


def _recipe(manifest: Manifest, recipe: Recipe) -> Iterable[str]:
    rate = f"{recipe.learning_rate:g}"
    if recipe.schedule == "cosine":
        rate += ", down to a hundredth along half a cosine"
    clipped = f", each weight's gradient at most {recipe.gradient_norm:g} long" if recipe.gradient_norm else ""
    stop = f", or {recipe.patience} without a lower held-out loss" if recipe.patience else ""
    kept = "the one with the least held-out loss" if recipe.keep == "best" else "the last"
    single = f", {recipe.window_share:g} of it by window, the rest by text" if recipe.window_share else ", by text"
    vectors = "from chance"
    if recipe.vectors == "svd":
        texts = "the training texts and those without a label" if recipe.unlabelled else "the training texts"
        vectors = f"from which words stand near each other in {texts} (factorised)"
    yield "## Recipe"
    yield table(
        ["What", "How"],
        [
            ["network", network.describe(recipe.network, everything=True)],
            ["words", f"the most frequent, {recipe.num_words:,} ids in all; windows of {recipe.maxlen} ids"],
            ["word vectors", f"{recipe.embedding} numbers a word, {vectors}"],
            ["beforehand", _pretraining(recipe)],
            ["targets", _targets(recipe)],
            ["loss", f"cross-entropy{single}"],
            ["optimiser", f"{recipe.optimizer}, learning rate {rate}{clipped}"],
            ["batch", f"{recipe.batch} windows, of whole texts"],
            ["epochs", f"at most {recipe.epochs}{stop}; kept: {kept}, epoch {manifest.recipe['epoch']}"],
        ],
    )
    yield "Every hyperparameter stands in `bundle.json`, the loss of each epoch below."
    yield "![Loss and accuracy over the epochs](learning_curves.png)"


def _pretraining(recipe: Recipe) -> str:
    if not recipe.pretrain:
        return "nothing but the word vectors" if recipe.vectors == "svd" else "nothing"
    return f"embedding and recurrent layers learn to foretell words, {recipe.pretrain} times over all these texts"


def _targets(recipe: Recipe) -> str:
    said = "the labels"
    if recipe.teacher:
        others = (
            f" and models of {', '.join(f'`{name}`' for name in recipe.teachers)} say" if recipe.teachers else " says"
        )
        linear = "a linear model on words and pairs of words"
        if recipe.label_share == 1:
            return _smoothed(recipe, f"the label; of texts without one, what {linear}{others}")
        said = (
            f"{recipe.label_share:g} the label, the rest what {linear} says that "
            f"did not see the text; of texts without a label, what it{others} alone"
        )
    return _smoothed(recipe, said)


def _smoothed(recipe: Recipe, said: str) -> str:
    return f"{said}; {recipe.smoothing:g} of it spread over all labels" if recipe.smoothing else said


def _test(manifest: Manifest, found: Figures) -> Iterable[str]:
    rows = [_row(windows, result, windows == manifest.text.windows) for windows, result in found.tested.items()]
    yield "## On the test texts"
    yield table(["Reads", "Accuracy (95% interval)", "Macro-F1 (95% interval)", "Log loss", "Calibration error"], rows)
    yield (
        "Accuracy has Wilson's interval; macro-F1 the middle 95% of 1,000 bootstrap samples, texts drawn within their "
        "label. Both are of this one model: another seed's may lie outside. The calibration error is the expected one, "
        "over 15 bins of equal mass."
    )


def _rivals(manifest: Manifest, found: Figures) -> Iterable[str]:
    if not found.rivals:
        return
    own = found.tested[manifest.text.windows]
    mine = [
        "**this network**",
        f"{own.accuracy:.4f} ({own.accuracy_low:.4f} to {own.accuracy_high:.4f})",
        "",
        "",
        "",
    ]
    rows = [
        [
            rival.name,
            f"{rival.accuracy:.4f} ({rival.low:.4f} to {rival.high:.4f})",
            f"{rival.worse:,}",
            f"{rival.better:,}",
            f"{rival.p_value:.2g}",
        ]
        for rival in found.rivals
    ]
    yield "### Beside simpler models"
    yield rivals.judge(own.accuracy, found.rivals)
    heads = ["Model", "Accuracy (95% interval)", "It alone is right", "The network alone is right", "p"]
    yield table(heads, [mine, *rows])
    yield (
        "Linear models on words and pairs of words, of the whole texts, taught with the same texts as the network. p "
        "is how likely so uneven a split of the texts that one of both has right is by chance (McNemar's exact test)."
    )


def _row(windows: Windows, result: Evaluation, own: bool) -> list[str]:
    return [
        f"**{windows}** (as served)" if own else windows,
        f"{result.accuracy:.4f} ({result.accuracy_low:.4f} to {result.accuracy_high:.4f})",
        f"{result.macro_f1:.4f} ({result.macro_f1_low:.4f} to {result.macro_f1_high:.4f})",
        f"{result.loss:.4f}",
        f"{result.calibration_error:.4f}",
    ]


def _confidence(manifest: Manifest, recipe: Recipe, found: Figures) -> Iterable[str]:
    own, checked, fitted = found.tested[manifest.text.windows], found.checked, manifest.calibration
    windows = ""
    if manifest.text.windows == "cover":
        windows = (
            f"; beside the average of all windows the last one counts {fitted.last_window:.3f}; of n windows the "
            f"log-odds are {fitted.growth:.3f} ln n larger"
        )
    yield "## Confidence"
    yield (
        f"It is calibrated on the held-out texts (temperature {fitted.temperature:.3f}, damping {fitted.damping:.3f}"
        f"{windows}): calibration error {checked.calibration_error:.4f} there, {own.calibration_error:.4f} on the "
        "test texts."
    )
    yield "![Confidence against accuracy](reliability.png)"
    yield (
        f"Answers under a confidence of {manifest.calibration.uncertain_below:.3f} are `uncertain`: above it, "
        f"{recipe.answer_accuracy:.0%} of the held-out answers are right. Of the test texts {own.answered:.1%} are "
        f"answered without that mark, and of these {own.answered_accuracy:.1%} are right. Other thresholds, each the "
        "least that reaches its target on the held-out texts:"
    )
    heads = ["Target", "Confidence of at least", "Test texts answered", "Of these right"]
    yield table(heads, [_target_row(target) for target in found.targets])
    yield "![Share answered against accuracy](risk_coverage.png)"


def _target_row(target: Target) -> list[str]:
    right = f"{target.test.answered_accuracy:.1%}" if target.test.answered else "-"
    return [f"{target.accuracy:.0%}", f"{target.threshold:.4f}", f"{target.test.answered:.1%}", right]


def _labels(found: Figures, dataset: Dataset) -> Iterable[str]:
    ordered = sorted(found.per_label.items(), key=lambda item: -item[1]["support"])
    yield "## By label"
    yield table(
        ["Label", "Test texts", "Precision", "Recall (95% interval)", "F1"],
        [_label_row(f"{dataset.labels[name]} (`{name}`)", row) for name, row in ordered],
    )
    yield "![Right labels against answers](confusion.png)"


def _label_row(name: str, row: dict[str, float]) -> list[str]:
    precision = f"{row['precision']:.3f}" if row["answers"] else "-"
    recall = f"{row['recall']:.3f} ({row['recall_low']:.2f} to {row['recall_high']:.2f})" if row["support"] else "-"
    return [name, f"{row['support']:.0f}", precision, recall, f"{row['f1']:.3f}"]


def _unfit(dataset: Dataset) -> Iterable[str]:
    yield "## Not for"
    yield "\n".join(f"- {use}" for use in dataset.unfit or _UNFIT)


def _sources(manifest: Manifest, recipe: Recipe, dataset: Dataset) -> Iterable[str]:
    what = f"--table {dataset.audit.source} --task {dataset.task}" if dataset.audit else recipe.id
    made_with = [f"{name} {version}" for name, version in manifest.versions.items()]
    yield "## Where the figures come from"
    yield (
        f"`sentopic-train fit {what} --seed {manifest.recipe['seed']}`"
        f"{', with the changes named above,' if manifest.recipe['changed'] else ''} trained it, measured it and wrote "
        "this page. What was measured is the model as it is served: read from `model.keras`, compiled, calibrated. "
        "`metrics.json` has the figures with more digits.\n"
        f"Made with {', '.join(made_with)}."
    )
