"""Scripts without spaces are noticed, others left alone."""

import pytest

from training.datasets.scripts import recognise


@pytest.mark.parametrize(
    ("texts", "language", "tokenizer"),
    [
        (["注文した商品がまだ届きません。", "iPhone 15 Proの在庫はありますか"], "Japanese", "japanese"),
        (["我的订单还没有到，请尽快退款", "iPhone 15 Pro还有货吗"], "Chinese", "chinese"),
        (["배송이 너무 늦어서 화가 났어요"], "Korean", "korean"),
        (["สินค้ายังไม่มาถึง"], "Thai", None),
        (["ពេលណាទំនិញមកដល់"], "Khmer", None),
    ],
)
def test_language_is_told_by_its_letters(texts: list[str], language: str, tokenizer: str | None) -> None:
    found = recognise(texts)
    assert found
    assert (found.language, found.tokenizer, found.spaced) == (language, tokenizer, language == "Korean")


@pytest.mark.parametrize(
    "texts",
    [
        [],
        ["123 !?"],
        ["The sign said 出口 and 非常口, and I left"],
        ["Посылка не пришла", "Où est mon colis", "हिन्दी में दिक्कत", "أين طلبي"],
    ],
)
def test_words_between_spaces_need_no_other_tokenizer(texts: list[str]) -> None:
    assert recognise(texts) is None
