"""The normal distribution function and the complement of the error function, far tails included.

Coefficients are those of Moshier's Cephes library (netlib.org/cephes); branch-free formulas, as
those of :mod:`.functions`.
"""

from __future__ import annotations

from allbps.machine.kernels.functions import (
    ERF_T,
    ERF_U,
    ERFC_P,
    ERFC_Q,
    exp,
    log,
    polynomial,
)
from allbps.machine.kernels.logarithmic import log1p
from allbps.machine.language.words import SINGLE, Real, absolute, fma, inline, select

ERFC_R = (
    5.64189583547755073984e-1, 1.27536670759978104416, 5.01905042251180477414,
    6.16021097993053585195, 7.40974269950448939160, 2.97886665372100240670,
)  # fmt: skip
ERFC_S = (
    1.0, 2.26052863220117276590, 9.39603524938001434673, 1.20489539808096656605e1,
    1.70814450747565897222e1, 9.60896809063285878198, 3.36907645100081516050,
)  # fmt: skip
ONE_OVER_ROOT_PI, ROOT_HALF = 5.64189583547756286948e-1, 7.07106781186547524401e-1


@inline
def _scaled(a: Real) -> Real:
    """exp(a²) erfc(a) for a >= 1."""
    beyond = 1e4 if SINGLE else 1e8  # from here on it is 1 / (a √π)
    b, c = min(a, 8.0), min(a, beyond)
    near = polynomial(b, ERFC_P) / polynomial(b, ERFC_Q)
    far = polynomial(c, ERFC_R) / polynomial(c, ERFC_S)
    return select(a < 8.0, near, select(a < beyond, far, ONE_OVER_ROOT_PI / a))


@inline
def _of_square(x: Real, factor: float) -> Real:
    """exp(factor · x²): what rounding took from the square is put back."""
    z = x * x
    lost = select(z < 1e4, fma(x, x, -z), 0.0)
    return exp(factor * z) * (1.0 + factor * lost)


@inline
def _complement(x: Real, tail: Real) -> Real:
    """1 - erf x, given that of |x| where |x| > 1."""
    z = min(1.0, x * x)
    near = 1.0 - x * polynomial(z, ERF_T) / polynomial(z, ERF_U)
    return select(absolute(x) <= 1.0, near, select(x < 0.0, 2.0 - tail, tail))


@inline
def erfc(x: Real) -> Real:
    """1 - erf x, without cancellation."""
    return _complement(x, _of_square(x, -1.0) * _scaled(absolute(x)))


@inline
def erfcx(x: Real) -> Real:
    """exp(x²) erfc(x), without overflow where x > 0."""
    return select(x > 1.0, _scaled(x), _of_square(x, 1.0) * erfc(x))


@inline
def ndtr(x: Real) -> Real:
    """Φ(x), how much of the standard normal distribution lies below x."""
    t = -x * ROOT_HALF
    return 0.5 * _complement(t, _of_square(x, -0.5) * _scaled(absolute(t)))


@inline
def log_ndtr(x: Real) -> Real:
    """The logarithm of Φ(x), without underflow."""
    below = log(0.5 * erfcx(-x * ROOT_HALF)) - 0.5 * x * x
    return select(x < -1.0, below, log1p(-ndtr(-x)))
