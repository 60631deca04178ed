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
    "dx_1",
    "ddx",
    "δ",
    "δx",
    "δδx",
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


def test_names_of_variables_are_the_users_and_deltas_give_way():
    def f(p, q):
        dp = p * q
        dq_1 = dp * q
        return np.sum(dq_1 * q)

    worked = bp.explain(f, p=np.array([1.0, 2.0]), q=np.array([3.0, 4.0]))
    assert [name for name in worked.names if not name.startswith("t")] == [
        "p", "q", "dp", "dq_1", "L",
    ]  # fmt: skip
    text = worked.to_text()
    assert "dp = p ⊙ q" in text
    assert "dp_" not in text
    for dialect in ("numpy", "torch", "jax"):
        source = worked.to_source(dialect)
        assert "dp = p * q" in source
        assert "'p': dp_" in source
    np.testing.assert_allclose(worked["p"].delta, np.array([3.0, 4.0]) ** 3)
    report = bp.check(f, np.ones(2), np.ones(2), gradients={"dp": np.ones(2), "p": np.ones(2)})
    assert [mark.node for mark in report.marks if mark] == ["dp", "p"]


def test_a_name_is_found_as_python_reads_it():
    micro, mu = "\N{MICRO SIGN}", "\N{GREEK SMALL LETTER MU}"
    made = {}
    exec(f"def f({micro}):\n    return {micro} * {micro}\n", made)
    f = made["f"]
    for name in (micro, mu):
        assert bp.explain(f, 3.0)[name].delta == 6.0
        assert bp.check(f, 3.0, gradients={name: 6.0})
        assert bp.check(f, 3.0, gradients={f"d{name}": 6.0})
        assert bp.explain(f, 3.0, wrt=[name])[name].delta == 6.0
        assert bp.compile(f, 3.0, params=name)(3.0)[1] == 6.0
