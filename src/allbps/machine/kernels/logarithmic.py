"""Relatives of exp and log: near 0 without cancellation, hyperbolic functions, powers, remainders.

All are branch-free formulas of :mod:`.functions`; the ends of the range are as in NumPy.
"""

from __future__ import annotations

from allbps.machine.kernels.functions import (
    EXP_P,
    EXP_Q,
    EXP_SINGLE,
    INFINITY,
    NAN,
    exp,
    log,
    polynomial,
    reduced,
)
from allbps.machine.language.words import (
    SINGLE,
    Real,
    absolute,
    copysign,
    floor,
    fma,
    inline,
    power_of_two,
    remainder,
    select,
    sqrt,
)

LN_TWO = 0.6931471805599453
LOG2_E, LOG10_E = 1.4426950408889634, 0.4342944819032518


@inline
def expm1(x: Real) -> Real:
    """eˣ - 1 = 2ⁿ·(eʳ - 1) + (2ⁿ - 1), without cancellation near 0."""
    low, high, n, r = reduced(x)
    if SINGLE:
        e = fma(polynomial(r, EXP_SINGLE) * r, r, r)
    else:
        p = r * polynomial(r * r, EXP_P)
        e = 2.0 * (p / (polynomial(r * r, EXP_Q) - p))
    half = power_of_two(n - 1.0)  # 2ⁿ itself may overflow where eˣ does not
    y = 2.0 * (half * e + (half - 0.5))
    y = select(x < low, -1.0, y)
    return select(x > high, INFINITY, y)


@inline
def log1p(x: Real) -> Real:
    """ln(1 + x): the logarithm of the rounded sum, and what rounding took from it (Kahan)."""
    u = 1.0 + x
    y = log(u) + (x - (u - 1.0)) / u
    return select((u > 0.0) & (u < INFINITY), y, log(u))


@inline
def log2(x: Real) -> Real:
    """The logarithm to base 2."""
    return log(x) * LOG2_E


@inline
def log10(x: Real) -> Real:
    """The logarithm to base 10."""
    return log(x) * LOG10_E


@inline
def logaddexp(x: Real, y: Real) -> Real:
    """ln(eˣ + eʸ), the larger one taken out."""
    apart = max(x, y) + log1p(exp(-absolute(x - y)))
    return select(x == y, x + LN_TWO, apart)  # also where both are infinite


# ---- hyperbolic functions


@inline
def sinh(x: Real) -> Real:
    """½ (eˣ - e⁻ˣ), from eˣ - 1 so that nothing cancels, from e^(x/2) where eˣ would overflow."""
    a = absolute(x)
    e, root = expm1(a), exp(0.5 * a)
    return copysign(select(a > 20.0, 0.5 * root * root, 0.5 * (e + e / (e + 1.0))), x)


@inline
def cosh(x: Real) -> Real:
    """½ (eˣ + e⁻ˣ)."""
    a = absolute(x)
    e, root = exp(a), exp(0.5 * a)
    return select(a > 20.0, 0.5 * root * root, 0.5 * (e + 1.0 / e))


@inline
def _beyond() -> float:
    """From here on x² + 1 = x², and x² may soon overflow."""
    return 1.0e4 if SINGLE else 1.0e8


@inline
def arcsinh(x: Real) -> Real:
    """ln(x + √(x² + 1))."""
    a = absolute(x)
    near = log1p(a + a * a / (1.0 + sqrt(a * a + 1.0)))
    return copysign(select(a > _beyond(), log(a) + LN_TWO, near), x)


@inline
def arccosh(x: Real) -> Real:
    """ln(x + √(x² - 1)), NaN below 1."""
    t = x - 1.0
    near = log1p(t + sqrt(t * (t + 2.0)))
    return select(x > _beyond(), log(x) + LN_TWO, select(x < 1.0, NAN, near))


@inline
def arctanh(x: Real) -> Real:
    """½ ln((1 + x)/(1 - x))."""
    a = absolute(x)
    return copysign(0.5 * log1p(2.0 * a / (1.0 - a)), x)


# ---- powers and remainders


@inline
def power(x: Real, y: Real) -> Real:
    """xʸ = e^(y·ln|x|), with the sign that a whole odd y gives; NaN for x < 0 and other y.

    −∞ to a power that is not a whole number is ∞ or 0, as C's pow has it.
    """
    size = exp(y * log(absolute(x)))
    size = select((absolute(x) == 1.0) & (absolute(y) >= 0.0), 1.0, size)  # also for infinite y
    whole, odd = floor(y) == y, floor(0.5 * y) * 2.0 != y
    other = select((x == -INFINITY) | (x == 0.0), size, NAN)
    signed = select(whole, select(odd & (absolute(y) < 9007199254740992.0), -size, size), other)
    known = select(copysign(1.0, x) < 0.0, signed, size)  # −0 has a sign, too
    known = select(y == 1.0, x, known)
    return select((y == 0.0) | (x == 1.0), 1.0, known)


@inline
def modulo(x: Real, y: Real) -> Real:
    """What is left of x after whole y, with the sign of y: Python's and NumPy's ``%``."""
    r = remainder(x, y)
    moved = select((r < 0.0) & (y > 0.0) | (r > 0.0) & (y < 0.0), r + y, r)
    return select(r == 0.0, copysign(0.0, y), moved)


@inline
def floor_quotient(x: Real, y: Real) -> Real:
    """How often y goes into x, rounded down: Python's and NumPy's ``//``."""
    q = (x - modulo(x, y)) / y
    whole = floor(q)
    near = select(q - whole > 0.5, whole + 1.0, whole)
    other_signs = (x < 0.0) & (y > 0.0) | (x > 0.0) & (y < 0.0)
    of_infinity = select(other_signs, -1.0, 0.0)
    near = select((absolute(y) == INFINITY) & (absolute(x) < INFINITY), of_infinity, near)
    return select(y == 0.0, x / y, near)


# ---- losses


@inline
def binary_cross_entropy(p: Real, t: Real) -> Real:
    """−t ln p − (1 − t) ln(1 − p); as in PyTorch a logarithm is at least −100."""
    yes, no = log(p), log1p(-p)
    yes, no = select(yes < -100.0, -100.0, yes), select(no < -100.0, -100.0, no)
    return -(t * yes + (1.0 - t) * no)
