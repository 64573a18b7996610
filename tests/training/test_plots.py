"""Pictures of answers that leave little to draw."""

from pathlib import Path

import numpy as np
import pytest

from training import plots
from training.answers import Answers


def answers(confidence: list[float], right: int) -> Answers:
    share = np.array(confidence)
    labels = np.array([1] * right + [0] * (len(share) - right))
    return Answers(np.stack([1 - share, share], axis=1), labels, np.ones(len(share)), np.zeros(len(share), bool), 0.9)


@pytest.mark.parametrize(
    "part",
    [answers([1.0] * 50, 50), answers([1.0] * 50, 0), answers([0.75], 1), answers([0.6] * 20 + [0.9] * 20, 30)],
    ids=["always sure", "sure and wrong", "one text", "two confidences"],
)
def test_any_answers_can_be_drawn(part: Answers, tmp_path: Path) -> None:
    parts = {"held out": part, "test": part}
    plots.draw_reliability(parts, tmp_path / "reliability.png")
    plots.draw_risk_coverage(parts, 1.0, 0.97, tmp_path / "risk_coverage.png")
    assert all(path.stat().st_size > 5_000 for path in tmp_path.iterdir())
