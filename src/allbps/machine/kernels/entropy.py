"""x log y and its relatives, with SciPy's values at the ends of their domains.

All are branch-free formulas, as those of :mod:`.functions`.
"""

from __future__ import annotations

from allbps.machine.kernels.functions import INFINITY, NAN, exp, log
from allbps.machine.kernels.logarithmic import expm1, log1p
from allbps.machine.language.words import (
    SINGLE,
    Real,
    absolute,
    copysign,
    inline,
    is_nan,
    select,
    sqrt,
)


@inline
def xlogy(x: Real, y: Real) -> Real:
    """The product x ln y; 0 where x is 0 and y a number."""
    return select((x == 0.0) & (is_nan(y) == False), 0.0, x * log(y))  # noqa: E712


@inline
def xlog1py(x: Real, y: Real) -> Real:
    """The product x ln(1 + y); 0 where x is 0 and y a number."""
    return select((x == 0.0) & (is_nan(y) == False), 0.0, x * log1p(y))  # noqa: E712


@inline
def entr(x: Real) -> Real:
    """-x ln x, 0 at 0 and -∞ below."""
    return select(x == 0.0, 0.0, select(x < 0.0, -INFINITY, -(x * log(x))))


@inline
def logit(x: Real) -> Real:
    """ln(x / (1 - x)), near ½ without cancellation."""
    s = 2.0 * (x - 0.5)
    return select((x < 0.3) | (x > 0.65), log(x / (1.0 - x)), log1p(s) - log1p(-s))


@inline
def pseudo_huber(delta: Real, r: Real) -> Real:
    """δ² (√(1 + (r/δ)²) - 1) = r² / (1 + √(1 + (r/δ)²)); 0 where δ or r is 0, ∞ where δ < 0."""
    v = absolute(r / delta)
    root = select(v > (1e5 if SINGLE else 1e9), v, sqrt(1.0 + v * v))
    smooth = select(absolute(r) < INFINITY, r * (r / (1.0 + root)), v)
    known = select(delta < INFINITY, smooth, NAN)
    return select(delta < 0.0, INFINITY, select((delta == 0.0) | (r == 0.0), 0.0, known))


@inline
def boxcox(x: Real, power: Real) -> Real:
    """(x^λ - 1) / λ, and ln x where λ is 0."""
    u = power * log(x)
    most = 88.72 if SINGLE else 709.78
    large = copysign(1.0, power) * exp(u - log(absolute(power))) - 1.0 / power
    found = select(u < most, expm1(u) / power, large)
    return select(absolute(power) < 1e-19, log(x), found)
