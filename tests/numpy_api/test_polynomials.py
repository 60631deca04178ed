"""Polynomials by their coefficients."""

import numpy as np
import pytest

import allbps as bp
from allbps.errors import NoRuleError

P = np.array([0.5, -1.25, 2.0, 0.75])
Q = np.array([1.5, -0.5])
POLYNOMIALS = {
    "polyint": (np.polyint, P),
    "polyint twice": (lambda p: np.polyint(p, 2, k=[1.0, 2.0]), P),
    "polyint with one constant": (lambda p: np.polyint(p, 2, k=3.0), P),
    "polydiv": (np.polydiv, P, Q),
    "polydiv by a longer one": (np.polydiv, Q, P),
    "polydiv without rest": (lambda q: np.polydiv(np.polymul(q, [1.0, 2.0]), q), Q),
    "poly": (np.poly, Q),
    "polyfit": (lambda x, y: np.polyfit(x, y, 2), np.arange(4.0), P),
    "polyfit of columns": (lambda y: np.polyfit(np.arange(4.0), np.stack([y, y**2], 1), 1), P),
    "polyfit with weights": (lambda y, w: np.polyfit(np.arange(4.0), y, 1, w=w), P, P**2 + 1),
    "trim_zeros": (lambda p: np.trim_zeros(np.concatenate([[0.0], p, [0.0, 0.0]])), P),
    "trim_zeros in front": (lambda p: np.trim_zeros(np.concatenate([[0.0], p, [0.0]]), "f"), P),
    "vander": (lambda x: np.vander(x, 3, increasing=True), P),
}


@pytest.mark.parametrize("name", POLYNOMIALS)
def test_polynomials(name, agrees):
    function, *xs = POLYNOMIALS[name]
    agrees(function, *xs)


def test_roots_may_be_complex_and_are_refused():
    with pytest.raises(NoRuleError) as caught:
        bp.grad(lambda p: np.sum(np.roots(p)))(P)
    caught.value.where = ""
    assert str(caught.value) == (
        "allbps has no rule for np.roots: its values may be complex\n"
        "  got:      np.roots of p\n"
        "  fix:      by the implicit function theorem: dx = −dp(x) / p′(x) at a real root x"
    )
