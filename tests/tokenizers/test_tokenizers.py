"""Every tokenizer finds the same words wherever it is asked, and where each of them stands."""

import sys
import threading
import unicodedata
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app import tokenizers
from app.errors import TokenizerError
from app.text import TextEncoder, Windows, split_words
from app.tokenizers import DISTRIBUTIONS, KERAS, NAMES, Tokenizer, TokenizerName, make_encoder, open_tokenizer
from app.tokenizers.libraries import _compose
from app.tokenizers.plain import fold

SPACED: tuple[TokenizerName, ...] = ("keras", "unicode")
TEXTS = {
    "keras": "It isn't GREAT, is it?",
    "unicode": "Die Straße ist gesperrt. ВСЁ ЗАКРЫТО, п\u2019ять днів!",
    "korean": "배송이 너무 늦어서 환불을 요청했어요. 결제도 두 번 됐습니다!",
    "japanese": "注文した商品がまだ届きません。返金してください！",
    "chinese": "我的订单还没有到，请尽快退款！支付时出现错误。",
}
_letters = st.sampled_from(
    "aZ é İ ß Σ ー が か\u3099 ㅋ 가 각 ᄀ ᅡ ᆨ 中 文 。 ！ \u00a0 _ ' \u2019 - \ud800 😀 \u200d \ufe0f ि \n".split(" ")
)
texts = st.lists(_letters | st.characters(exclude_categories=()), max_size=60).map("".join)


def opened(name: str) -> Tokenizer:
    library = {"korean": "kiwipiepy", "japanese": "sudachipy", "chinese": "rjieba"}.get(name)
    if library:
        pytest.importorskip(library)
    return open_tokenizer(name)  # type: ignore[arg-type]


def words(name: str, text: str) -> list[tuple[str, str]]:
    """Each word, and what stands in its place."""
    tokenizer = opened(name)
    return [
        (word, text[start:end]) for word, (start, end) in zip(tokenizer.split(text), tokenizer.spans(text), strict=True)
    ]


# What the words are


def test_keras_is_the_text_contract() -> None:
    assert open_tokenizer("keras") is KERAS
    assert words("keras", "It isn't\tGREAT, is-it?") == [
        ("it", "It"), ("isn't", "isn't"), ("great", "GREAT"), ("is", "is"), ("it", "it"),
    ]  # fmt: skip
    assert type(make_encoder(KERAS, ["it"], 10, 5, "last")) is TextEncoder


@given(texts)
def test_words_of_keras_are_those_of_the_text_contract_and_stand_where_they_were(text: str) -> None:
    assert KERAS.split(text) == split_words(text)
    assert [split_words(text[start:end]) for start, end in KERAS.spans(text)] == [[word] for word in split_words(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Die STRASSE, die Straße", "die strasse die strasse"),
        ("ВСЁ закрыто. Всё ЗАКРЫТО!", "всё закрыто всё закрыто"),
        ("ΟΔΟΣ οδός", "οδοσ οδόσ"),
        ("İade IADE", "iade iade"),
        ("isn't isn\u2019t 'quoted' \u2019tis", "isn't isn't quoted tis"),
        ("l'été dell\u2019arte d'Église п\u2019ять", "l été dell arte d église п'ять"),
        ("e-mail a_b 3.5 x1 n°2", "e mail a b 3 5 x1 n ° 2"),
        ("हिन्दी में दिक्कत", "हिन्दी में दिक्कत"),
        ("می\u200cخواهم", "میخواهم"),
        ("Donau\u00addampf caf\u0065\u0301 ﬁx ＡＢＣ", "donaudampf café fix abc"),
        ("toll😀😀❤\ufe0f!", "toll 😀 😀 ❤"),
        ("\u0301 . _ \ud800 \x00", ""),
    ],
)
def test_unicode_folds_case_and_forms_and_ends_words_where_a_reader_would(text: str, expected: str) -> None:
    assert open_tokenizer("unicode").split(text) == expected.split()


def test_folding_never_makes_a_word_of_none_or_none_of_a_word() -> None:
    """Of all that Unicode has: a letter stays one, whatever its case."""
    pattern = tokenizers.plain.word_pattern()
    letters = [chr(place) for place in range(0x30000) if chr(place).isalnum()]
    assert len(letters) > 100_000
    assert [letter for letter in letters if not pattern.match(letter) or not fold(letter).strip()] == []


def test_korean_words_are_morphemes() -> None:
    assert words("korean", "배송이 늦었어요 ㅋㅋ 😀 a_b@x.kr iPhone") == [
        ("배송", "배송"), ("이", "이"), ("늦", "늦"), ("었", "었"), ("어요", "어요"), ("ㅋㅋ", "ㅋㅋ"), ("😀", "😀"),
        ("a", "a_b@x.kr"), ("b", "a_b@x.kr"), ("x", "a_b@x.kr"), ("kr", "a_b@x.kr"), ("iphone", "iPhone"),
    ]  # fmt: skip


def test_japanese_words_are_as_the_dictionary_writes_them() -> None:
    assert words("japanese", "まだ届きません。Ｐｒｏ！😀") == [
        ("未だ", "まだ"), ("届く", "届き"), ("ます", "ませ"), ("ず", "ん"), ("プロ", "Ｐｒｏ"), ("😀", "😀"),
    ]  # fmt: skip


def test_chinese_words_are_jiebas() -> None:
    assert words("chinese", "我的订单还没有到，iPhone！😀") == [
        ("我", "我"), ("的", "的"), ("订单", "订单"), ("还", "还"), ("没有", "没有"), ("到", "到"),
        ("iphone", "iPhone"),
        ("😀", "😀"),
    ]  # fmt: skip


# What holds for all of them


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=60, deadline=None)
@given(text=texts)
@example(text="")
@example(text=" \n\t")
@example(text="ﷺ" * 40)
def test_every_text_has_words_and_each_has_its_place(name: str, text: str) -> None:
    tokenizer = opened(name)
    found, spans = tokenizer.split(text), tokenizer.spans(text)
    assert len(found) == len(spans)
    assert all(word and "\n" not in word for word in found)
    assert all(0 <= start <= end <= len(text) for start, end in spans)
    assert [start for start, _ in spans] == sorted(start for start, _ in spans)
    assert tokenizer.split(text) == found


@pytest.mark.parametrize("name", NAMES)
def test_long_text_is_read_in_pieces_that_end_with_a_sentence(name: str) -> None:
    tokenizer = opened(name)
    text = f"{TEXTS[name]} " * 100
    pieces = tokenizer.pieces(text)
    assert "".join(text[start:end] for start, end in pieces) == text
    assert all(end - start <= tokenizer.piece_chars for start, end in pieces) or name == "keras"
    assert (len(pieces) > 1) == (name != "keras")
    assert all(text[end - 1] in "?.!。\uff01" for _, end in pieces[:-1])
    assert tokenizer.split(text) == tokenizer.split(TEXTS[name]) * 100


@pytest.mark.parametrize("name", NAMES)
def test_text_without_a_place_to_cut_is_cut_all_the_same(name: str) -> None:
    tokenizer = opened(name)
    assert tokenizer.pieces("x" * 4_500)[:1] in ([(0, tokenizer.piece_chars)], [(0, 4_500)])
    assert tokenizer.split("x" * 4_500)
    assert len(tokenizer.spans("中" * 4_500)) == len(tokenizer.split("中" * 4_500))


@pytest.mark.parametrize("name", NAMES)
def test_first_and_last_words_are_cut_out_of_the_text(name: str) -> None:
    tokenizer, text = opened(name), TEXTS[name]
    found = tokenizer.split(text)
    first, last = tokenizer.first_words(text, 3), tokenizer.last_words(text, 3)
    assert text.startswith(first)
    assert text.endswith(last)
    assert text.find(first) < text.find(last)
    assert tokenizer.first_words(text, 0) == tokenizer.last_words(text, 0) == ""
    assert tokenizer.first_words(text, len(found)) == tokenizer.last_words(text, len(found)) == text
    if name in SPACED:
        assert (tokenizer.split(first), tokenizer.split(last)) == (found[:3], found[-3:])


@pytest.mark.parametrize("name", ["korean", "japanese", "chinese"])
def test_several_threads_read_at_once(name: str) -> None:
    tokenizer = opened(name)
    expected, found = tokenizer.split(TEXTS[name] * 5), list[list[str]]()
    readers = [
        threading.Thread(target=lambda: found.extend(tokenizer.split(TEXTS[name] * 5) for _ in range(20)))
        for _ in range(4)
    ]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert found == [expected] * 80


def test_taken_apart_letters_are_put_together_and_keep_their_places() -> None:
    apart = unicodedata.normalize("NFD", "각하 がく é")
    together, places = _compose(apart)
    assert together == unicodedata.normalize("NFC", apart)
    assert [apart[places[i] : places[i + 1]] for i in range(len(together))] == [
        unicodedata.normalize("NFD", letter) for letter in together
    ]
    text = unicodedata.normalize("NFD", "배송이 늦어요")
    assert [(word, unicodedata.normalize("NFC", here)) for word, here in words("korean", text)] == words(
        "korean", "배송이 늦어요"
    )


@given(texts)
def test_putting_together_is_that_of_unicode(text: str) -> None:
    text = text.replace("\ud800", "")
    assert _compose(text)[0] == unicodedata.normalize("NFC", text)


# Encoding


@pytest.mark.parametrize("name", [name for name in NAMES if name != "keras"])
@pytest.mark.parametrize("repeat", [1, 15])
def test_windows_are_those_of_the_whole_text(name: str, repeat: int) -> None:
    """Read lazily, first and last windows hold what a plain reading of everything gives."""
    tokenizer = opened(name)
    text = f"{TEXTS[name]} unheard-of {TEXTS[name]} " * repeat
    index = list(dict.fromkeys(tokenizer.split(TEXTS[name])))
    for maxlen in (3, 7, 500):
        for windows in ("first", "last", "cover"):
            read = make_encoder(tokenizer, index, 8, maxlen, windows).encode(text)
            ids = make_encoder(tokenizer, index, 8, maxlen, windows).encode_all(text)
            assert ids == [
                1,
                *(
                    min(index.index(w) + 4, 99) if index.index(w) < 4 else 2
                    for w in tokenizer.split(text)
                    if w in index
                ),
            ]
            kept = {"first": ids[:maxlen], "last": ids[-maxlen:], "cover": ids}[windows]
            assert [number for number in read.windows.ravel().tolist() if number] == kept
            assert read.cut == (windows != "cover" and len(ids) - (windows == "last") > maxlen)
            assert read.known == sum(number > 2 for number in kept)
            assert read.windows.shape[1] == maxlen


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("windows", ["first", "last", "cover"])
def test_words_that_are_located_one_by_one_make_the_windows_of_the_text(name: TokenizerName, windows: Windows) -> None:
    tokenizer, text = opened(name), TEXTS[name] * 3
    index = list(dict.fromkeys(tokenizer.split(text)))[::2]
    encoder = make_encoder(tokenizer, index, max(4, len(index)), 7, windows)
    words = encoder.locate(text)
    assert [(word.start, word.end) for word in words] == tokenizer.spans(text)
    ids = np.array([word.id for word in words if word.id], np.int32)
    assert encoder.pack(ids).tolist() == encoder.encode(text).windows.tolist()


def test_encoding_reads_no_more_than_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer, seen = open_tokenizer("unicode"), list[int]()
    read = type(tokenizer).read
    monkeypatch.setattr(type(tokenizer), "read", lambda self, piece: seen.append(len(piece)) or read(self, piece))
    for windows in ("first", "last"):
        make_encoder(tokenizer, ["film"], 10, 100, windows).encode("ein film " * 50_000)
    assert sum(seen) <= 3 * tokenizer.piece_chars


# What is not there


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> dict[str, str | None]:
    """The versions that the machine seems to have."""
    found: dict[str, str | None] = dict.fromkeys(("kiwipiepy", "kiwipiepy_model"), "1.0")
    monkeypatch.setattr(tokenizers, "_version", found.get)
    return found


def test_missing_library_is_named_with_what_installs_it(installed: dict[str, Any]) -> None:
    installed["kiwipiepy_model"] = None
    with pytest.raises(
        TokenizerError,
        match=r"^the korean tokenizer needs kiwipiepy and kiwipiepy_model: pip install 'sentopic\[korean\]'$",
    ):
        open_tokenizer("korean")


@pytest.mark.parametrize(("there", "says"), [(None, "none"), ("2.0", "2.0")])
def test_other_version_is_refused_before_the_library_is_imported(
    there: str | None, says: str, installed: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    installed["kiwipiepy"] = there
    monkeypatch.setitem(sys.modules, "kiwipiepy", None)
    with pytest.raises(TokenizerError) as refused:
        open_tokenizer("korean", {"kiwipiepy": "1.0", "kiwipiepy_model": "1.0"})
    assert str(refused.value) == (
        f"its words are those of kiwipiepy 1.0 and kiwipiepy_model 1.0; installed: kiwipiepy {says}. "
        "pip install 'kiwipiepy==1.0' 'kiwipiepy_model==1.0'"
    )


def test_libraries_of_another_tokenizer_are_refused() -> None:
    with pytest.raises(TokenizerError, match="the unicode tokenizer needs nothing, not evil"):
        open_tokenizer("unicode", {"evil": "1.0"})


def test_no_library_is_imported_before_a_bundle_asks_for_it() -> None:
    import subprocess

    code = "import sys, app.bundle, app.main; print(sorted({'kiwipiepy', 'sudachipy', 'rjieba'} & {*sys.modules}))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout.strip() == "[]"


@pytest.mark.parametrize("name", NAMES)
def test_names_of_libraries_are_those_that_their_packages_have(name: TokenizerName) -> None:
    opened(name)
    assert tuple(tokenizers.library_versions(name)) == DISTRIBUTIONS[name]
