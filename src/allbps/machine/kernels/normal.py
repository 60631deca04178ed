"""The normal distribution function, the complement of the error function, and their inverses.

Coefficients are those of Moshier's Cephes library (netlib.org/cephes); branch-free formulas, as
those of :mod:`.functions`.
"""

from __future__ import annotations

from allbps.machine.kernels.functions import (
    ERF_T,
    ERF_U,
    ERFC_P,
    ERFC_Q,
    INFINITY,
    NAN,
    exp,
    log,
    polynomial,
)
from allbps.machine.kernels.logarithmic import log1p
from allbps.machine.language.words import (
    SINGLE,
    Real,
    absolute,
    copysign,
    fma,
    inline,
    select,
    sqrt,
)

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


# ---- inverses

CENTRE_P = (
    2.5090809287301226727e3, 3.3430575583588128105e4, 6.7265770927008700853e4,
    4.5921953931549871457e4, 1.3731693765509461125e4, 1.9715909503065514427e3,
    1.3314166789178437745e2, 3.3871328727963666080,
)  # fmt: skip
CENTRE_Q = (
    5.2264952788528545610e3, 2.8729085735721942674e4, 3.9307895800092710610e4,
    2.1213794301586595867e4, 5.3941960214247511077e3, 6.8718700749205790830e2,
    4.2313330701600911252e1, 1.0,
)  # fmt: skip
SIDE_P = (
    7.74545014278341407640e-4, 2.27238449892691845833e-2, 2.41780725177450611770e-1,
    1.27045825245236838258, 3.64784832476320460504, 5.76949722146069140550,
    4.63033784615654529590, 1.42343711074968357734,
)  # fmt: skip
SIDE_Q = (
    1.05075007164441684324e-9, 5.47593808499534494600e-4, 1.51986665636164571966e-2,
    1.48103976427480074590e-1, 6.89767334985100004550e-1, 1.67638483018380384940,
    2.05319162663775882187, 1.0,
)  # fmt: skip
TAIL_P = (
    2.01033439929228813265e-7, 2.71155556874348757815e-5, 1.24266094738807843860e-3,
    2.65321895265761230930e-2, 2.96560571828504891230e-1, 1.78482653991729133580,
    5.46378491116411436990, 6.65790464350110377720,
)  # fmt: skip
TAIL_Q = (
    2.04426310338993978564e-15, 1.42151175831644588870e-7, 1.84631831751005468180e-5,
    7.86869131145613259100e-4, 1.48753612908506148525e-2, 1.36929880922735805310e-1,
    5.99832206555887937690e-1, 1.0,
)  # fmt: skip


@inline
def _quantile(q: Real, tail: Real) -> Real:
    """Φ⁻¹(½ + q), given the smaller of ½ + q and ½ - q: Wichura's AS 241 (1988)."""
    c = 0.180625 - q * q
    centre = q * polynomial(c, CENTRE_P) / polynomial(c, CENTRE_Q)
    r = sqrt(-log(select(tail > 0.0, tail, 1.0)))
    side = polynomial(r - 1.6, SIDE_P) / polynomial(r - 1.6, SIDE_Q)
    far = polynomial(r - 5.0, TAIL_P) / polynomial(r - 5.0, TAIL_Q)
    outer = copysign(select(r <= 5.0, side, far), q)
    y = select(absolute(q) <= 0.425, centre, outer)
    y = select(tail == 0.0, copysign(INFINITY, q), y)
    return select(tail >= 0.0, y, NAN)


@inline
def ndtri(p: Real) -> Real:
    """Φ⁻¹(p), the inverse of ndtr."""
    return _quantile(p - 0.5, min(p, 1.0 - p))


@inline
def erfinv(x: Real) -> Real:
    """The inverse of the error function."""
    return _quantile(0.5 * x, 0.5 - 0.5 * absolute(x)) * ROOT_HALF


@inline
def erfcinv(x: Real) -> Real:
    """The inverse of its complement."""
    return -ndtri(0.5 * x) * ROOT_HALF
