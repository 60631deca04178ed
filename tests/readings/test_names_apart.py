"""Whatever variables are called, no two look the same in any reading."""

from collections import Counter

import numpy as np

import allbps as bp
from allbps.mathematics.letters import symbol
from allbps.readings.symbols import symbols

NAMES = [
    "x",
    "_x",
    "x_",
    "x1",
    "x_1",
    "x_1_",
    "__x",
    "x__1",
    "x__a",
    "x_a",
    "x1_a",
    "x_a1",
    "x_a_1",
    "xa",
    "_1x",
    "y",
    "y_",
    "y_hat",
    "yhat",
    "ŷ",
    "alpha",
    "alpha_",
    "alpha_1",
    "alpha1",
    "α",
    "α1",
    "beta_t",
    "beta__t",
    "_",
    "__",
    "W_in_1",
    "W_in1",
    "e",
    "E",
    "é",
    "L",
    "loss",
    "z",
    "out",
    "value",
    "dx",
    "d_x",
]


def added_up(names):
    """A function of that many arguments, as a person could write it."""
    lines = "".join(f"    total = total + {name} * {k}\n" for k, name in enumerate(names, 2))
    made = {}
    exec(f"def f({', '.join(names)}):\n    total = 0\n{lines}    return total * 1.5\n", made)
    return made["f"]


def test_no_two_variables_share_a_symbol_as_text_or_as_latex():
    worked = bp.explain(added_up(NAMES), **{name: float(k) for k, name in enumerate(NAMES, 1)})
    written = symbols(worked.backward, {})
    assert len(written) > 2 * len(NAMES)
    assert [s for s, count in Counter(written.values()).items() if count > 1] == []
    assert [s for s, count in Counter(map(symbol, written.values())).items() if count > 1] == []


def test_an_unnamed_result_takes_a_letter_that_is_free():
    assert bp.explain(lambda L: L * 2.0, 1.0).names == ("L", "loss")
    assert bp.explain(lambda y: y * 2.0, np.ones(2), cotangents={"z": np.ones(2)}).names == (
        "y",
        "z",
    )
