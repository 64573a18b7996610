"""Bounds of time, on a machine that others use too: a pause of it is no defect, and a defect is there each time."""

from collections.abc import Callable, Mapping
from typing import Final

ATTEMPTS: Final = 3

Figures = Mapping[str, tuple[float, float]]
"""By name: what was measured, and the most that it may be."""


def hold(attempt: Callable[[], Figures | None]) -> None:
    """Passes once an attempt has kept every figure within its bound; there are three, and all are printed.

    None: the attempt was none. What no pause of a machine explains, the attempt itself asserts.
    """
    missed = ["none of the attempts was one"]
    for number in range(1, ATTEMPTS + 1):
        figures = attempt()
        if figures is None:
            print(f"attempt {number} was none")
            continue
        told = {name: f"{name} {found:.3g} (at most {most:.3g})" for name, (found, most) in figures.items()}
        print(f"attempt {number}: {'; '.join(told.values())}")
        missed = [told[name] for name, (found, most) in figures.items() if found > most]
        if not missed:
            return
    raise AssertionError(f"in {ATTEMPTS} attempts, at last: {'; '.join(missed)}")
