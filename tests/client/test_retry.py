"""How long to wait: what the service asks for, or longer from try to try, with a share of chance."""

from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentopic.client.retry import FIRST_WAIT_S, LONGEST_WAIT_S, Clock, Patience, read_retry_after

NOW = 1_800_000_000.0


def date(seconds: float) -> str:
    return format_datetime(datetime.fromtimestamp(NOW + seconds, UTC), usegmt=True)


@given(st.integers(1, 3_000), st.floats(0, 1))
def test_wait_grows_is_capped_and_at_least_half_of_it_is_sure(tries: int, chance: float) -> None:
    whole = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** min(tries - 1, 500))
    waited = Patience(30, 4, Clock(chance=lambda: chance)).wait_s(tries, None)
    assert waited == pytest.approx(whole * (1 + chance) / 2)


@pytest.mark.parametrize("seconds", [0.0, 1.0, 7.0, 86_400.0])
def test_wait_is_what_the_service_asks_for_whatever_chance_says(seconds: float) -> None:
    assert Patience(30, 4, Clock(chance=lambda: 0.3)).wait_s(3, seconds) == seconds


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7),
        ({"retry-after": " 0 "}, 0),
        ({"retry-after": date(12)}, 12),
        ({"retry-after": date(-12)}, 0),
        ({"retry-after": date(112), "date": date(100)}, 12),
        ({"retry-after": date(12), "date": "today"}, 12),
        ({"retry-after": "Sunday, 15-Jan-27 08:00:09 GMT"}, 9),
        ({}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "1.5"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "٣"}, None),
        ({"retry-after": "Mon, 32 Foo 99999 00:00:00 GMT"}, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(headers: dict[str, str], seconds: float | None) -> None:
    assert read_retry_after(headers, lambda: NOW) == seconds


@given(st.text(max_size=40), st.text(max_size=40))
def test_no_header_breaks_it(value: str, since: str) -> None:
    found = read_retry_after({"retry-after": value, "date": since}, lambda: NOW)
    assert found is None or found >= 0
