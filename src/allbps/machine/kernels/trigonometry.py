"""Sine, cosine, tangent and their inverses: formulas that loops turn into vectors.

All is done in float64, for float32 results too: that costs half the speed and no digits. Sine and
cosine are Taylor's series after whole quarter turns are taken off with π/2 in three parts (Cody
and Waite); the arc tangent is that of Moshier's Cephes library, and the other inverses follow
from it.
"""

from __future__ import annotations

import math

from allbps.machine.kernels.functions import INFINITY, NAN, polynomial
from allbps.machine.language.words import (
    SINGLE,
    Double,
    Real,
    absolute,
    copysign,
    double,
    exact_fma,
    floor,
    inline,
    is_nan,
    nearest,
    real,
    select,
    sqrt,
)

#: π/2 in three parts, each the float64 nearest to what the ones before leave.
QUARTER = 1.5707963267948966
QUARTER_LOW = 6.123233995736766e-17
QUARTER_LOWEST = -1.4973849048591833e-33
TWO_OVER_PI = 0.6366197723675814
#: From here on neighbouring float64 numbers are a quarter apart and more: NaN.
FARTHEST = 2.0**50

#: (-1)ᵏ/(2k+1)! and (-1)ᵏ/(2k)!, highest power first; up to 1 the rest is below half a unit.
SINE = tuple((-1) ** k / math.factorial(2 * k + 1) for k in range(9, 0, -1))
COSINE = tuple((-1) ** k / math.factorial(2 * k) for k in range(10, 1, -1))
#: So many of them are enough for float32.
SINE_SINGLE, COSINE_SINGLE = SINE[-4:], COSINE[-4:]

ARCTAN_P = (
    -8.750608600031904122785e-1, -1.615753718733365076637e1, -7.500855792314704667340e1,
    -1.228866684490136173410e2, -6.485021904942025371773e1,
)  # fmt: skip
ARCTAN_Q = (
    1.0, 2.485846490142306297962e1, 1.650270098316988542046e2, 4.328810604912902668951e2,
    4.853903996359136964868e2, 1.945506571482613964425e2,
)  # fmt: skip
TAN_THREE_EIGHTHS = 2.41421356237309504880


@inline
def _turned(x: Double) -> tuple[Double, Double, Double]:
    """The sine and the cosine of x less quarter turns, and how many these are modulo 4."""
    n = nearest(x * TWO_OVER_PI)
    t = exact_fma(n, -QUARTER, x)
    if SINGLE:
        r = t - n * QUARTER_LOW
        z = r * r
        s = r + r * z * polynomial(z, SINE_SINGLE)
        c = 1.0 - (0.5 * z - z * z * polynomial(z, COSINE_SINGLE))
    else:
        p = exact_fma(n, QUARTER_LOW, 0.0)
        r = t - p
        low = exact_fma(n, QUARTER_LOW, -p) + n * QUARTER_LOWEST
        rest = ((t - r) - p) - low  # x = n·π/2 + r + rest
        z = r * r
        s = r + (r * z * polynomial(z, SINE) + rest)
        c = 1.0 - (0.5 * z - (z * z * polynomial(z, COSINE) - r * rest))
    return s, c, n - 4.0 * floor(0.25 * n)


@inline
def _near(x: Double, y: Double) -> Real:
    """The result y, NaN where x is too far out."""
    return real(select(absolute(x) < FARTHEST, y, NAN))


@inline
def sin(x: Real) -> Real:
    """The sine, up to |x| = 2⁵⁰."""
    s, c, q = _turned(double(x))
    y = select((q == 1.0) | (q == 3.0), c, s)
    return _near(double(x), select(q >= 2.0, -y, y))


@inline
def cos(x: Real) -> Real:
    """The cosine, up to |x| = 2⁵⁰."""
    s, c, q = _turned(double(x))
    y = select((q == 1.0) | (q == 3.0), s, c)
    return _near(double(x), select((q == 1.0) | (q == 2.0), -y, y))


@inline
def tan(x: Real) -> Real:
    """The tangent, up to |x| = 2⁵⁰."""
    s, c, q = _turned(double(x))
    odd = (q == 1.0) | (q == 3.0)
    return _near(double(x), select(odd, c, s) / select(odd, -s, c))


@inline
def _arctan(x: Double) -> Double:
    """The arc tangent: of x, of (x - 1)/(x + 1) and an eighth turn, or of -1/x and a quarter."""
    a = absolute(x)
    high, middle = a > TAN_THREE_EIGHTHS, a > 0.66
    u = select(high, -1.0 / a, select(middle, (a - 1.0) / (a + 1.0), a))
    z = u * u
    y = u + u * (z * polynomial(z, ARCTAN_P) / polynomial(z, ARCTAN_Q))
    turn = select(high, double(1.0), select(middle, double(0.5), double(0.0)))
    return copysign(turn * QUARTER + (y + turn * QUARTER_LOW), x)


@inline
def arctan(x: Real) -> Real:
    """The arc tangent."""
    return real(_arctan(double(x)))


@inline
def arcsin(x: Real) -> Real:
    """The arc sine: the arc tangent of x/√(1 - x²)."""
    d = double(x)
    return real(_arctan(d / sqrt((1.0 - d) * (1.0 + d))))


@inline
def arccos(x: Real) -> Real:
    """The arc cosine: twice the arc tangent of √((1 - x)/(1 + x))."""
    d = double(x)
    return real(2.0 * _arctan(sqrt((1.0 - d) / (1.0 + d))))


@inline
def arctan2(y: Real, x: Real) -> Real:
    """The angle of the point (x, y), from the arc tangent of the shorter side by the longer."""
    b, a = absolute(double(y)), absolute(double(x))
    longer, shorter = max(b, a), min(b, a)
    share = select(longer == 0.0, 0.0, select(shorter == INFINITY, 1.0, shorter / longer))
    angle = _arctan(share)
    angle = select(b > a, (QUARTER - angle) + QUARTER_LOW, angle)
    left = copysign(1.0, double(x)) < 0.0
    angle = select(left, (2.0 * QUARTER - angle) + 2.0 * QUARTER_LOW, angle)
    return select(is_nan(x) | is_nan(y), x + y, real(copysign(angle, double(y))))


@inline
def hypot(x: Real, y: Real) -> Real:
    """√(x² + y²), with the longer side taken out so that no square overflows."""
    a, b = absolute(double(x)), absolute(double(y))
    longer, shorter = max(a, b), min(a, b)
    share = select(longer == 0.0, 0.0, shorter / longer)
    length = longer * sqrt(1.0 + share * share)
    endless = (a == INFINITY) | (b == INFINITY)
    return real(select(endless, INFINITY, select(is_nan(a) | is_nan(b), a + b, length)))
