"""Times that another program has disturbed are told apart, and no share is made of them."""

from __future__ import annotations

import numpy as np
import pytest

from allbps.machine.execution import timing
from allbps.machine.execution.timing import Timing, peak, timed
from allbps.machine.stages import Stages

ROWS = tuple(
    {"stage": k, "work": f"work {k}", "pieces": 1, "flops": 1000 * k, "numbers": 8, "line": ""}
    for k in (1, 2)
)


def disturbed(monkeypatch, *when):
    """Let the process lose its CPU in these runs; the first run is not counted."""
    counts = iter(np.cumsum([0, *when]))
    monkeypatch.setattr(timing, "_interruptions", lambda: int(next(counts)))


def test_disturbed_runs_do_not_count(monkeypatch):
    disturbed(monkeypatch, 0, 3, 0, 0)
    runs = iter([[9.0], [1.0], [7.0], [2.0], [3.0]])
    assert timed(lambda: next(runs), 4) == Timing((2.0,), alone=True)


def test_where_most_runs_were_disturbed_all_count_and_it_is_said(monkeypatch):
    disturbed(monkeypatch, 1, 3, 0, 2)
    runs = iter([[9.0, 1.0], [1.0, 1.0], [7.0, 1.0], [2.0, 1.0], [4.0, 1.0]])
    assert timed(lambda: next(runs), 4) == Timing((3.0, 1.0), alone=False)


@pytest.mark.parametrize(
    ("alone", "seconds", "shares"),
    [
        (True, (1.0, 1.0), (0.25, 0.5)),
        (True, (0.0, 1.0), (0.0, 0.5)),
        (False, (1.0, 1.0), None),
        (True, (0.1, 1.0), None),
    ],
    ids=["alone", "no time", "another program", "above the peak"],
)
def test_shares_are_said_only_where_they_can_be(alone, seconds, shares):
    stages = Stages(ROWS, 4, Timing(seconds, alone), 4000.0)
    assert stages.shares == shares
    text = str(stages)
    assert ("of peak" in text) == (shares is not None)
    assert ("cannot be given" in text) == (shares is None)
    assert "%" not in text or shares is not None


def test_stages_that_were_not_timed_have_no_shares():
    assert Stages(ROWS, 4).shares is None
    assert "cannot be given" not in str(Stages(ROWS, 4))


def test_the_peak_of_two_threads_is_more_than_that_of_one():
    one, two = peak("float32", 1), peak("float32", 2)
    assert 0 < one < two < 3 * one
