"""How far work has come is shown seldom, and a terminal is left clean."""

import io

from app.progress import Display


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_elsewhere_there_is_a_line_every_ten_seconds() -> None:
    clock, stream = Clock(), io.StringIO()
    display = Display(1_000, stream, clock=clock)
    display.begin(0, 0)
    for second in range(1, 25):
        clock.now = second
        display.show(second * 10, second * 100, 2)
    assert stream.getvalue() == (
        " 10%, 1,000 rows, 100/s, 1:30 left, 2 bad\n 20%, 2,000 rows, 100/s, 1:20 left, 2 bad\n"
    )


def test_speed_counts_from_where_this_run_began() -> None:
    clock, stream = Clock(), io.StringIO()
    display = Display(40_000, stream, clock=clock)
    display.begin(20_000, 500)
    clock.now = 10
    display.show(21_000, 600, 0)
    assert stream.getvalue() == " 52%, 600 rows, 10/s, 3:10 left\n"


def test_terminal_has_a_bar_that_makes_room_for_lines_and_goes_at_the_end() -> None:
    clock, stream = Clock(), Terminal()
    display = Display(100, stream, clock=clock)
    display.begin(0, 0)
    clock.now = 1
    display.show(50, 10, 0)
    assert stream.getvalue() == f"\r\x1b[K[{'#' * 12}{'.' * 12}]  50%, 10 rows, 10/s, 0:01 left"
    display.tell("a line")
    assert stream.getvalue().endswith("left\r\x1b[Ka line\n")
    clock.now = 4_000
    display.show(51, 11, 0)
    assert stream.getvalue().endswith("1:04:03 left")
    display.clear()
    assert stream.getvalue().endswith("\r\x1b[K")


def test_unknown_end_has_no_bar_and_quiet_nothing() -> None:
    clock, stream = Clock(), io.StringIO()
    display, quiet = Display(None, stream, clock=clock), Display(10, stream, clock=clock, quiet=True)
    clock.now = 11
    display.show(5_000, 30, 0)
    quiet.show(5, 5, 5)
    quiet.tell("x")
    assert stream.getvalue() == "30 rows, 3/s\n"
