"""Files cut into parts: each row in one of them, and names that do not change from run to run."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.cluster.plan import Input, Plan, Receipt, choose_part_rows
from app.errors import UsageError


def make_plan(rows: list[int], part_rows: int) -> Plan:
    inputs = tuple(Input(f"/in/{place}.parquet", many, 100, f"stamp {place}") for place, many in enumerate(rows))
    return Plan("run", {"bundle": "seal"}, inputs, part_rows)


@given(rows=st.lists(st.integers(0, 5_000), min_size=1, max_size=8), part_rows=st.integers(1, 700))
def test_each_row_is_in_one_part_and_names_sort_as_rows_do(rows: list[int], part_rows: int) -> None:
    parts = list(make_plan(rows, part_rows).parts())
    for place, many in enumerate(rows):
        own = [part for part in parts if part.place == place]
        assert [number for part in own for number in range(part.start, part.start + part.rows)] == list(range(many))
        assert all(part.rows <= part_rows for part in own)
        assert own
    names = [part.name for part in parts]
    assert names == sorted(set(names))


def test_a_plan_comes_back_as_it_was_written() -> None:
    plan = make_plan([10, 0, 30], 7)
    assert Plan.from_json(plan.to_json()) == plan
    for strange in (b"", b"{}", b"[]", b'{"version": 2}', plan.to_json().replace(b'"run"', b'"ran"')):
        with pytest.raises(UsageError):
            Plan.from_json(strange)


def test_a_result_counts_for_its_run_and_the_file_as_it_is() -> None:
    plan = make_plan([10], 5)
    part = list(plan.parts())[1]
    receipt = Receipt("run", "stamp 0", 5, 5, 0, {"earn": 5})
    assert plan.is_done(part, receipt)
    assert Receipt.from_json(receipt.to_json()) == receipt
    for other in (None, *(replace(receipt, **{name: value}) for name, value in
                          (("run", "other"), ("stamp", "mended"), ("start", 0), ("rows", 4)))):  # fmt: skip
        assert not plan.is_done(part, other)
    assert Receipt.from_json(b"no receipt") is None


def test_another_run_does_not_pass_for_the_one_that_was_begun() -> None:
    plan = make_plan([10], 5)
    mended = (replace(plan.inputs[0], stamp="mended", rows=12),)
    assert plan.renew(plan.about, mended) == replace(plan, inputs=mended)
    with pytest.raises(UsageError, match="another bundle"):
        plan.renew({"bundle": "other"}, plan.inputs)
    with pytest.raises(UsageError, match="other files"):
        plan.renew(plan.about, (*plan.inputs, *mended))


def test_parts_are_neither_tiny_nor_too_many() -> None:
    assert choose_part_rows(10) == 5_000
    assert choose_part_rows(4_000_000) == 20_000
    assert choose_part_rows(10**9) == 200_000
