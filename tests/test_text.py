"""The text contract, by example and against a plain reading of it that splits the whole text and then slices."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app import text as contract
from app.text import TextEncoder, Windows, rank_words, split_words

CORPUS = json.loads((Path(__file__).parent / "fixtures" / "corpus.json").read_text(encoding="utf-8"))
WORDS = ("the", "a", "film", "isn't", "café", "good", "bad", "straße", "x1")
KINDS: tuple[Windows, ...] = ("last", "first", "cover")

# Words that the index holds, words that it lacks, separators, and whatever Unicode has, lone surrogates included.
_held = st.sampled_from([*WORDS, *map(str.upper, WORDS)])
_lacking = st.sampled_from(["unheard", "of", "w" * 70, "\r", "\x85", "\u2028", "\u00a0", "\0", "\u017f", "\u212a"])
_separators = st.sampled_from([" ", "\n", "\t", ",", "<br />", " " * 90, "_", "`"])
_pieces = _held | _lacking | _separators | st.text(st.characters(exclude_categories=()), max_size=4)
_spaced = st.lists(_pieces, max_size=80).map(" ".join)
_joined = st.lists(_pieces, max_size=80).map("".join)
texts = _spaced | _joined


def plain_words(text: str) -> list[str]:
    text = "".join(letter.lower() if letter.isascii() else letter for letter in text)
    for separator in '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n':
        text = text.replace(separator, " ")
    return [word for word in text.split(" ") if word]


def plain_id(word: str, num_words: int) -> int:
    """0 where the index lacks the word."""
    number = WORDS.index(word) + 1 + 3 if word in WORDS else 0
    return 2 if number >= num_words else number


def plain_windows(ids: list[int], maxlen: int, windows: Windows) -> list[list[int]]:
    ids = {"last": ids[-maxlen:], "first": ids[:maxlen], "cover": ids}[windows]
    while len(ids) % maxlen:
        ids = [0, *ids]
    return [ids[start : start + maxlen] for start in range(0, len(ids), maxlen)]


def encoder(*, num_words: int = 100, maxlen: int = 5, windows: Windows = "last") -> TextEncoder:
    return TextEncoder(WORDS, num_words, maxlen, windows)


# Words


def test_only_ascii_letters_are_lowered() -> None:
    assert split_words("THE Éclair STRAßE İ \u212a") == ["the", "Éclair", "straße", "İ", "\u212a"]


def test_every_separator_ends_a_word_and_apostrophes_stay() -> None:
    assert split_words("".join(f"a{mark}" for mark in '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n ')) == ["a"] * 34
    assert split_words("isn't 'quoted'") == ["isn't", "'quoted'"]


@pytest.mark.parametrize("mark", ["\r", "\x0b", "\x0c", "\x85", "\u00a0", "\u2028", "\u3000", "\0", "\ud800"])
def test_no_other_character_ends_a_word(mark: str) -> None:
    assert split_words(f"a{mark}b") == [f"a{mark}b"]


@given(texts)
def test_words_are_those_of_the_plain_reading(text: str) -> None:
    assert split_words(text) == plain_words(text)


def test_words_are_ranked_by_count_and_then_by_appearance() -> None:
    assert rank_words(["b a, C", "A c d"]) == ["a", "c", "b", "d"]
    assert rank_words([]) == []


# Ids


@pytest.mark.parametrize("case", CORPUS["contract"]["cases"], ids=lambda case: case["text"][:12])
def test_fixture_is_encoded_to_its_ids(case: dict[str, str]) -> None:
    spec = CORPUS["contract"]
    assert TextEncoder(spec["words"], spec["num_words"], 100, "last").encode_all(case["text"]) == case["ids"]


def test_rank_is_shifted_by_three_and_num_words_cuts_the_index() -> None:
    assert encoder(num_words=100).encode_all("the a film unheard") == [1, 4, 5, 6]
    assert encoder(num_words=6).encode_all("the a film unheard") == [1, 4, 5, 2]
    assert encoder(num_words=4).encode_all("the a film unheard") == [1, 2, 2, 2]


@given(texts, st.integers(4, 14))
def test_ids_are_those_of_the_plain_reading(text: str, num_words: int) -> None:
    expected = [1, *filter(None, (plain_id(word, num_words) for word in plain_words(text)))]
    assert encoder(num_words=num_words).encode_all(text) == expected


@pytest.mark.parametrize(("num_words", "maxlen"), [(3, 5), (10, 0), (10, -1)])
def test_sizes_that_hold_no_word_are_refused(num_words: int, maxlen: int) -> None:
    with pytest.raises(ValueError, match="num_words must exceed 3"):
        encoder(num_words=num_words, maxlen=maxlen)


# Windows


@pytest.mark.parametrize(
    ("windows", "expected"),
    [
        ("last", [[6, 9, 4, 5, 6]]),
        ("first", [[1, 4, 5, 6, 9]]),
        ("cover", [[0, 0, 1, 4, 5], [6, 9, 4, 5, 6]]),
    ],
)
def test_long_text_is_windowed(windows: Windows, expected: list[list[int]]) -> None:
    encoded = encoder(windows=windows).encode("the a film, good? the a film!")
    assert encoded.windows.tolist() == expected
    assert encoded.windows.dtype == np.int32


@pytest.mark.parametrize("windows", KINDS)
def test_short_text_is_padded_in_front_and_empty_text_has_one_window(windows: Windows) -> None:
    assert encoder(windows=windows).encode("film").windows.tolist() == [[0, 0, 0, 1, 6]]
    empty = encoder(windows=windows).encode("")
    assert empty.windows.tolist() == [[0, 0, 0, 0, 1]]
    assert (empty.total, empty.known, empty.cut) == (0, 0, False)
    assert empty.known_share == 0


@settings(max_examples=400)
@given(texts, st.integers(4, 14), st.integers(1, 7), st.sampled_from(KINDS))
@example("film " * 300, 14, 3, "last")
@example("of " * 300 + "film", 14, 3, "first")
@example(" " * 300 + "film film film", 14, 3, "last")
@example("unheard", 14, 1, "first")
@example("\ud800" * 300 + " film", 14, 2, "first")
def test_encoding_is_that_of_the_plain_reading(text: str, num_words: int, maxlen: int, windows: Windows) -> None:
    encoded = encoder(num_words=num_words, maxlen=maxlen, windows=windows).encode(text)
    words = plain_words(text)
    ids = [1, *filter(None, (plain_id(word, num_words) for word in words))]
    expected = plain_windows(ids, maxlen, windows)
    assert encoded.windows.tolist() == expected
    assert encoded.known == sum(number > 2 for window in expected for number in window)

    kept = sum(number > 1 for window in expected for number in window)
    known_to_index = [place for place, word in enumerate(words) if word in WORDS]
    assert encoded.cut == (kept < len(known_to_index))
    if windows == "last" and 1 not in expected[0]:
        words = words[known_to_index[-kept] :]
    if windows == "first" and encoded.cut:
        words = words[: known_to_index[kept - 1] + 1] if kept else []
    assert encoded.total == len(words)


@settings(max_examples=300)
@given(texts, st.integers(4, 14), st.integers(1, 7), st.sampled_from(KINDS))
def test_words_that_are_located_one_by_one_make_the_windows_of_the_text(
    text: str, num_words: int, maxlen: int, windows: Windows
) -> None:
    reader = encoder(num_words=num_words, maxlen=maxlen, windows=windows)
    words = reader.locate(text)
    assert [plain_words(text[word.start : word.end]) for word in words] == [[word] for word in plain_words(text)]
    ids = np.array([word.id for word in words if word.id], np.int32)
    encoded = reader.encode(text)
    assert reader.pack(ids).tolist() == encoded.windows.tolist()
    assert len(ids[reader.reach(len(ids))]) == sum(number > 1 for window in encoded.windows for number in window)


def test_known_counts_only_words_with_ids_of_their_own() -> None:
    encoded = encoder(num_words=6, maxlen=10).encode("the a film good unheard of")
    assert (encoded.total, encoded.known) == (6, 2)
    assert encoded.known_share == pytest.approx(2 / 6)


@pytest.mark.parametrize(("windows", "total", "known"), [("last", 6, 5), ("first", 5, 4), ("cover", 9, 7)])
def test_counts_are_of_the_words_inside_the_windows(windows: Windows, total: int, known: int) -> None:
    encoded = encoder(windows=windows).encode("the unheard a film good bad of the a")
    assert (encoded.total, encoded.known) == (total, known)


@pytest.mark.parametrize(("count", "last", "first"), [(4, False, False), (5, False, True), (6, True, True)])
def test_cut_tells_that_words_are_left_out(count: int, last: bool, first: bool) -> None:
    text = "film " * count
    assert encoder(windows="last").encode(text).cut is last
    assert encoder(windows="first").encode(text).cut is first
    assert encoder(windows="cover").encode(text).cut is False


def test_blanks_around_a_text_are_not_words_cut_off() -> None:
    blanks = "\n" * 10_000
    for windows in KINDS:
        assert encoder(windows=windows).encode(f"{blanks}the a film good{blanks}").cut is False
    assert encoder(windows="last").encode(f"{blanks}the a film good bad").cut is False


# Lazy reading


@pytest.fixture
def lengths(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The length of each piece that the encoder splits."""
    seen: list[int] = []
    split = contract._split
    monkeypatch.setattr(contract, "_split", lambda text: seen.append(len(text)) or split(text))
    return seen


@pytest.mark.parametrize("windows", ["first", "last"])
def test_million_characters_are_not_read_for_a_hundred_words(windows: Windows, lengths: list[int]) -> None:
    text = "a good film, isn't it? " * 43_500
    assert len(text) > 1_000_000
    read = encoder(maxlen=100, windows=windows).encode(text)
    assert sum(lengths) <= 100 * 12 * 5
    whole = encoder(maxlen=100).encode_all(text)
    assert read.windows.tolist() == plain_windows(whole, 100, windows)
    assert read.cut


@pytest.mark.parametrize("windows", ["first", "last"])
def test_rare_known_words_are_looked_for_in_ever_larger_pieces(windows: Windows, lengths: list[int]) -> None:
    text = ("unheard " * 30 + "film ") * 2_000
    read = encoder(maxlen=100, windows=windows).encode(text)
    assert read.windows.tolist() == plain_windows([1] + [6] * 2_000, 100, windows)
    assert sum(lengths) < 5 / 3 * len(text) / 4


@pytest.mark.parametrize("place", range(-9, 1))
def test_word_across_the_edge_of_a_piece_is_not_taken_for_its_part(place: int) -> None:
    blanks = " " * (3 * contract._CHARS_PER_WORD - len("the a ") + place)
    first = encoder(maxlen=3, windows="first").encode(f"the a {blanks}filmed")
    assert (first.windows.tolist(), first.cut) == ([[1, 4, 5]], False)
    last = encoder(maxlen=3, windows="last").encode(f"x1film{blanks}the a film")
    assert (last.windows.tolist(), last.cut) == ([[4, 5, 6]], False)
