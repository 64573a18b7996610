"""Tables that stay tables."""

from training.markdown import table


def test_table_has_a_line_a_row() -> None:
    assert table(["a", "b"], [["1", "2"], ["3", "4"]]) == "| a | b |\n| --- | --- |\n| 1 | 2 |\n| 3 | 4 |"


def test_cell_ends_neither_itself_nor_its_line() -> None:
    assert table(["a"], [["x | y\n  z"]]).splitlines()[2] == "| x \\| y z |"
