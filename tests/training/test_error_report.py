"""What a person is shown of an error analysis."""

from typing import Any

import pytest

from training.error_analysis import Comparison, Flip
from training.error_report import format_comparison


def flip(line: int, confidence: float = 0.5, text: str = "a text") -> Flip:
    return Flip(line, "right->wrong", "good", "good", confidence, "bad", 0.5, text)


def shown(*flips: Flip, **options: Any) -> list[str]:
    return list(format_comparison(Comparison(list(flips)), ["one", "other"], **{"unit": "line", **options}))


def test_flips_are_counted_and_shown_with_both_answers() -> None:
    assert "\n".join(shown(flip(7, 0.875), unit="text")).splitlines() == [
        "",
        "texts flipped from one to other: 1",
        "  right -> wrong                  1",
        "  wrong -> right                  0",
        "  wrong -> wrong otherwise        0",
        "  McNemar's exact test: p = 1",
        "  text 7: good; good 0.88 -> bad 0.50",
        "    a text",
    ]


def test_at_most_twenty_flips_are_shown_the_surest() -> None:
    lines = shown(*(flip(line, line / 100) for line in range(1, 31)))
    assert "\nthe 20 surest (all of them: --json or --out)" in lines
    assert [line.split(":")[0] for line in lines if line.startswith("  line ")] == [
        f"  line {line}" for line in range(30, 10, -1)
    ]


@pytest.mark.parametrize("text", ["\x1b[31mred", "\x1b]0;title\x07", "half \ud800", "turned \u202e"])
def test_what_a_terminal_would_obey_is_not_printed(text: str) -> None:
    line = shown(flip(2, text=text))[-1]
    assert line.isprintable()
    assert "?" in line
