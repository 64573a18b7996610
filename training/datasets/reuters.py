"""Reuters newswires (Reuters-21578): the 11,228 whose first topic is one of 46, in Keras' label order and split."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from app.errors import DataError
from app.text import rank_words
from training.datasets import keras_files
from training.datasets.archives import read_members
from training.datasets.dataset import Dataset, Examples, Probe, check, shuffled

ARRAYS, WORD_INDEX, ARCHIVE = "reuters.npz", "reuters_word_index.json", "reuters21578.tar.gz"
MIN_PER_TOPIC = 15

LABELS = {
    "cocoa": "Cocoa", "grain": "Grain", "veg-oil": "Vegetable oil", "earn": "Earnings and dividends",
    "acq": "Mergers and acquisitions", "wheat": "Wheat", "copper": "Copper", "housing": "Housing starts",
    "money-supply": "Money supply", "coffee": "Coffee", "sugar": "Sugar", "trade": "Trade",
    "reserves": "Foreign reserves", "ship": "Shipping", "cotton": "Cotton", "carcass": "Meat",
    "crude": "Crude oil", "nat-gas": "Natural gas", "cpi": "Consumer prices", "money-fx": "Foreign exchange",
    "interest": "Interest rates", "gnp": "Gross national product", "meal-feed": "Meal and feed",
    "alum": "Aluminium", "oilseed": "Oilseed", "gold": "Gold", "tin": "Tin", "strategic-metal": "Strategic metals",
    "livestock": "Livestock", "retail": "Retail sales", "ipi": "Industrial production", "iron-steel": "Iron and steel",
    "rubber": "Rubber", "heat": "Heating oil", "jobs": "Employment", "lei": "Leading indicators",
    "bop": "Balance of payments", "zinc": "Zinc", "orange": "Orange juice", "pet-chem": "Petrochemicals",
    "dlr": "US dollar", "gas": "Petrol", "silver": "Silver", "wpi": "Wholesale prices", "hog": "Hogs", "lead": "Lead",
}  # fmt: skip

EXAMPLES = (
    "Shr 39 cts vs 50 cts\n    Net 1.3 mln vs 1.6 mln\n    Revs 24.8 mln vs 22.1 mln\n    Nine months\n"
    "    Shr 1.12 dlrs vs 1.31 dlrs\n    Net 3.7 mln vs 4.2 mln\n Reuter",
    "Oil ministers of five producing countries will meet next week to discuss a ceiling on crude output, an "
    "official said. He said prices near 18 dlrs a barrel could be held only if every member kept to its quota of "
    "barrels per day. Traders said the market had expected a cut. Reuter",
    "The central bank said it bought dollars against yen for the third day running to slow the fall of the "
    "currency. Dealers estimated the intervention at 400 to 600 mln dlrs. The dollar closed at 146.20 yen against "
    "145.75 at the opening. Governors of the leading industrial nations had agreed in Paris to hold exchange rates "
    "about current levels, and one dealer said the market was testing how far they meant it. The bank does not "
    "comment on its operations, but a senior official repeated that it stood ready to act against further "
    "speculation. Money market rates were little changed, with overnight funds at 4.1 pct. Bond prices fell in late "
    "trade as investors moved to the sidelines before Friday's figures for the trade balance. Reuter",
)

DESCRIPTION = (
    f"Newswires in English from 1987 (Reuters-21578) whose first topic is one of the 46 with at least {MIN_PER_TOPIC} "
    "of them. That first topic is the label, though many newswires have more; more than half are of the two largest. "
    "One in twelve came without a text of its own. The data, as Keras made them, have the next newswire's there, "
    "mostly under a label that does not fit: in the test too, where an answer to these is right by luck alone."
)
PROBES = (
    Probe("a headline alone", "Coffee exporters agree on new quotas.", "coffee"),
    Probe("plain words for the usual shorthand", "The bakery chain made more money than a year ago.", "earn"),
    Probe("a denial", "The company said it will not buy its rival and has ended the talks.", "acq"),
    Probe("two topics", "The central bank raised its discount rate to halt the fall of the currency."),
    Probe("a topic's word, another meaning", "The band has three gold records and sold out the hall."),
    Probe("a topic's word, another meaning", "In the last minute the orange team took the lead."),
    Probe("none of the topics", "The museum reopens on Sunday with paintings of the sea."),
    Probe("news of today", "Traders sold crypto coins after the exchange said its app had been hacked."),
    Probe("a product", "These headphones sound warm, but the battery is flat after two hours."),
    Probe("a recipe", "Stir the sugar, the cocoa and the butter over a low flame until smooth."),
    Probe("a tweet", "gas prices again?? 😡 half a tank and i paid 60 lol", "gas"),
    Probe("another language", "Die Ölminister einigten sich auf eine niedrigere Förderquote.", "crude"),
    Probe("no word at all", "Qwzxv brrglp thwompfk."),
)
UNFIT = (
    "Trading, or any other step that nobody looks over: a topic says nothing of what the news means for a price.",
    "Decisions about people or companies that are named in a text.",
    "News of today: the texts are from 1987, and what has come up since has no word and no topic here.",
    "Texts that are not newswires, and other languages than English: see the probes.",
    "Texts with several topics, of which it names one, or with none of the 46, of which it names one all the same.",
    "Finding every newswire of a rare topic: see the recall by label, and the labels that it never answers.",
)

_SHA256_ARRAYS = "d6586e694ee56d7a4e65172e12b3e987c03096cb01eab99753921ef915959916"
_MD5_WORD_INDEX = "4d44cc38712099c9e383dc6e5f11a921"
_TOPICS = re.compile(r"<TOPICS>(.*?)</TOPICS>", re.DOTALL)
_BODY = re.compile(r"<BODY>(.*?)</", re.DOTALL)
_NAMES = re.compile(r"<D>(.*?)</D>")


def load(directory: Path | None, source: str = "auto") -> Dataset:
    """From `directory` (`reuters.npz`, or the published archive), else Keras' download.

    `source`: `npz`, `raw`, or `auto`, which takes the arrays where both are there.
    """
    if directory is None:
        arrays = keras_files.download(ARRAYS, _SHA256_ARRAYS)
        return _from_arrays(arrays, keras_files.download(WORD_INDEX, _MD5_WORD_INDEX))
    if source in ("auto", "npz") and (directory / ARRAYS).exists():
        return _from_arrays(directory / ARRAYS, directory / WORD_INDEX)
    if source in ("auto", "raw") and (directory / ARCHIVE).exists():
        return _from_newswires(directory)
    wanted = {"npz": ARRAYS, "raw": ARCHIVE}.get(source, f"{ARRAYS} or {ARCHIVE}")
    raise DataError(f"{directory} has no {wanted}. Put it there, or leave out --data to download it.")


def load_unlabelled(directory: Path | None) -> list[str]:
    """The body of every newswire in the archive, whatever its topics; from the archive in `directory`."""
    if directory is None or not (directory / ARCHIVE).exists():
        raise DataError(
            f"{ARCHIVE}, which the newswires without a topic stand in, is not in {directory or '--data'}. "
            "Put it there, or train a recipe without them: topic-gru.v1, say."
        )
    sources = [data.decode("latin-1") for _, data in sorted(read_members(directory / ARCHIVE, ".sgm"))]
    return [body for source in sources for body in _BODY.findall(source)]


def load_mislabelled(directory: Path | None) -> list[tuple[str, str, bool]]:
    """The training part: text, name of the label, and whether the text is another newswire's for want of its own.

    Nothing without the archive. What is said of a newswire follows from itself alone, never from the test part.
    """
    if directory is None or not (directory / ARCHIVE).exists():
        return []
    train, _ = load_newswires(directory / ARCHIVE)
    return [(one.text, one.topics[0], not one.own) for one in train]


def _from_arrays(arrays: Path, word_index: Path) -> Dataset:
    words = keras_files.read_words(word_index)
    x, y = keras_files.read_arrays(arrays, ("x", "y"))
    train, test = split(Examples(keras_files.join_words(x, words), y.astype(np.int64)))
    return _assemble(train, test, words)


def _from_newswires(directory: Path) -> Dataset:
    place = {name: i for i, name in enumerate(LABELS)}
    found = [(place[topic], text) for topic, text in read_newswires(directory / ARCHIVE)]
    train, test = split(Examples([text for _, text in found], np.array([i for i, _ in found], np.int64)))
    index = directory / WORD_INDEX
    return _assemble(train, test, keras_files.read_words(index) if index.exists() else rank_words(train.texts))


def _assemble(train: Examples, test: Examples, words: list[str]) -> Dataset:
    given = Dataset("reuters", "topic", LABELS, words, train, test, EXAMPLES)
    return check(replace(given, description=DESCRIPTION, probes=PROBES, unfit=UNFIT, quotable=True))


def split(examples: Examples) -> tuple[Examples, Examples]:
    """Keras' split: shuffled with seed 113, the last fifth is the test."""
    order = shuffled(len(examples), np.random.RandomState(113))
    edge = int(len(examples) * 0.8)
    return examples.take(order[:edge]), examples.take(order[edge:])


def read_newswires(archive: Path) -> Iterator[tuple[str, str]]:
    """(first topic, text) of each newswire whose first topic has at least 15, in the corpus' order."""
    return ((one.topics[0], one.text) for one in _read_newswires(archive))


@dataclass(frozen=True)
class Newswire:
    """`topics`: the label first; `own`: whether `text` is its own or, for want of one, the next newswire's."""

    topics: tuple[str, ...]
    text: str
    own: bool


def load_newswires(archive: Path) -> tuple[list[Newswire], list[Newswire]]:
    """The training and the test part, in their order."""
    found = _read_newswires(archive)
    places = Examples([str(place) for place in range(len(found))], np.zeros(len(found), np.int64))
    train, test = ([found[int(place)] for place in part.texts] for part in split(places))
    return train, test


def _read_newswires(archive: Path) -> list[Newswire]:
    found = list(_scan(archive))
    count = Counter(one.topics[0] for one in found)
    if unknown := {topic for topic in count if count[topic] >= MIN_PER_TOPIC} - LABELS.keys():
        raise DataError(f"{archive} has topics that Reuters-21578 does not: {', '.join(sorted(unknown)[:5])}")
    return [one for one in found if count[one.topics[0]] >= MIN_PER_TOPIC]


def _scan(archive: Path) -> Iterator[Newswire]:
    """A newswire's text: what stands between the first <BODY> after its topics and the next tag's end.

    One in twelve has no <BODY>, and gets that of the next newswire that has; the one without any behind it in its file
    gets the head of that file, since `find` answers -1. That is how Keras' arrays were made, and parity with them is
    worth more than a mended text: `load_mislabelled` tells which these are.
    """
    for _, data in sorted(read_members(archive, ".sgm")):
        source = data.decode("latin-1")
        for head in _TOPICS.finditer(source):
            names = _NAMES.findall(head.group(1))
            if names:
                body, end = source.find("<BODY>", head.end()), source.find("</REUTERS>", head.end())
                start = body + len("<BODY>")
                yield Newswire(tuple(names), source[start : source.find("</", start)], own=0 <= body < end)
