"""exp, log, tanh, erf and what nets make of them: formulas that loops turn into vectors.

Coefficients are those of Moshier's Cephes library (netlib.org/cephes), and for tanh and erf in
float32 those of Eigen (eigen.tuxfamily.org). Every function is branch-free, so that all lanes of
a vector do the same; NaN gives NaN, and what lies outside the range gives 0, 1 or ±inf as it
should.
"""

from __future__ import annotations

from allbps.machine.language.words import (
    SINGLE,
    Real,
    absolute,
    copysign,
    exponent,
    fma,
    inline,
    nearest,
    power_of_two,
    select,
    unroll,
)

LOG2_E = 1.4426950408889634
INFINITY, NAN = float("inf"), float("nan")

EXP_SINGLE = (
    1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1,
    5.0000001201e-1,
)  # fmt: skip
EXP_P = (1.26177193074810590878e-4, 3.02994407707441961300e-2, 9.99999999999999999910e-1)
EXP_Q = (
    3.00198505138664455042e-6, 2.52448340349684104192e-3, 2.27265548208155028766e-1,
    2.00000000000000000005,
)  # fmt: skip

LOG_SINGLE = (
    7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1,
    -1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1,
)  # fmt: skip
LOG_P = (
    1.01875663804580931796e-4, 4.97494994976747001425e-1, 4.70579119878881725854,
    1.44989225341610930846e1, 1.79368678507819816313e1, 7.70838733755885391666,
)  # fmt: skip
LOG_Q = (
    1.0, 1.12873587189167450590e1, 4.52279145837532221105e1, 8.29875266912776603211e1,
    7.11544750618563894466e1, 2.31251620126765340583e1,
)  # fmt: skip

TANH_SINGLE_P = (
    -2.76076847742355e-16, 2.00018790482477e-13, -8.60467152213735e-11, 5.12229709037114e-08,
    1.48572235717979e-05, 6.37261928875436e-04, 4.89352455891786e-03,
)  # fmt: skip
TANH_SINGLE_Q = (
    1.19825839466702e-06, 1.18534705686654e-04, 2.26843463243900e-03, 4.89352518554385e-03,
)  # fmt: skip
TANH_P = (-9.64399179425052238628e-1, -9.92877231001918586564e1, -1.61468768441708447952e3)
TANH_Q = (1.0, 1.12811678491632931402e2, 2.23548839060100448583e3, 4.84406305325125486048e3)

ERF_SINGLE_P = (
    -2.72614225801306e-10, 2.77068142495902e-08, -2.10102402082508e-06, -5.69250639462346e-05,
    -7.34990630326855e-04, -2.95459980854025e-03, -1.60960333262415e-02,
)  # fmt: skip
ERF_SINGLE_Q = (
    -1.45660718464996e-05, -2.13374055278905e-04, -1.68282697438203e-03, -7.37332916720468e-03,
    -1.42647390514189e-02,
)  # fmt: skip
ERF_T = (
    9.60497373987051638749, 9.00260197203842689217e1, 2.23200534594684319226e3,
    7.00332514112805075473e3, 5.55923013010394962768e4,
)  # fmt: skip
ERF_U = (
    1.0, 3.35617141647503099647e1, 5.21357949780152679795e2, 4.59432382970980127987e3,
    2.26290000613890934246e4, 4.92673942608635921086e4,
)  # fmt: skip
ERFC_P = (
    2.46196981473530512524e-10, 5.64189564831068821977e-1, 7.46321056442269912687,
    4.86371970985681366614e1, 1.96520832956077098242e2, 5.26445194995477358631e2,
    9.34528527171957607540e2, 1.02755188689515710272e3, 5.57535335369399327526e2,
)  # fmt: skip
ERFC_Q = (
    1.0, 1.32281951154744992508e1, 8.67072140885989742329e1, 3.54937778887819891062e2,
    9.75708501743205489753e2, 1.82390916687909736289e3, 2.24633760818710981792e3,
    1.65666309194161350182e3, 5.57535340817727675546e2,
)  # fmt: skip


@inline
def polynomial(x: Real, coefficients: tuple[float, ...]) -> Real:
    """Σ coefficients[i]·x^(n-1-i), by Horner's rule."""
    total = x * 0.0 + coefficients[0]
    for i in unroll(len(coefficients) - 1):
        total = fma(total, x, coefficients[i + 1])
    return total


@inline
def reduced(x: Real) -> tuple[float, float, Real, Real]:
    """The range in which eˣ is normal, and x = n·ln 2 + r with n the integer nearest to x/ln 2."""
    low, high = (-87.0, 88.72) if SINGLE else (-708.0, 709.78)
    n = nearest(min(high, max(low, x)) * LOG2_E)  # in this order of arguments NaN becomes low
    if SINGLE:
        r = fma(n, -0.693359375, x)
        r = fma(n, 2.12194440e-4, r)
    else:
        r = fma(n, -6.93145751953125e-1, x)
        r = fma(n, -1.42860682030941723212e-6, r)
    return low, high, n, r


@inline
def exp(x: Real) -> Real:
    """eˣ = 2ⁿ·eʳ, |r| <= ln 2 / 2.

    Below e⁻⁸⁷ (float64: e⁻⁷⁰⁸), about the smallest normal number, it is 0.
    """
    low, high, n, r = reduced(x)
    if SINGLE:
        y = fma(polynomial(r, EXP_SINGLE) * r, r, r + 1.0)
    else:
        p = r * polynomial(r * r, EXP_P)
        y = 1.0 + 2.0 * (p / (polynomial(r * r, EXP_Q) - p))
    y = (y + y) * power_of_two(n - 1.0)  # 2ⁿ itself may overflow where eˣ does not
    y = select(x < low, 0.0, y)
    return select(x > high, INFINITY, y)


@inline
def log(x: Real) -> Real:
    """The logarithm: ln x = n·ln 2 + ln m, √½ <= m < √2; subnormal numbers are made normal."""
    tiny = 1.17549435e-38 if SINGLE else 2.2250738585072014e-308
    raised = 16777216.0 if SINGLE else 18014398509481984.0  # 2²⁴, 2⁵⁴
    safe = select(x > 0.0, select(x < INFINITY, x, 1.0), 1.0)
    safe = select(safe < tiny, safe * raised, safe)
    n = exponent(safe)
    half = nearest(n * 0.5)
    m = safe * power_of_two(-half) * power_of_two(half - n) - 1.0
    n = select(x < tiny, n - (24.0 if SINGLE else 54.0), n)
    z = m * m
    if SINGLE:
        y = m * (z * polynomial(m, LOG_SINGLE))
    else:
        y = m * (z * polynomial(m, LOG_P) / polynomial(m, LOG_Q))
    y = fma(n, -2.121944400546905827679e-4, y)
    y = fma(z, -0.5, y)
    y = fma(n, 0.693359375, m + y)
    y = select(x <= 0.0, select(x < 0.0, NAN, -INFINITY), y)
    return select(x < INFINITY, y, x)  # inf and NaN pass through


@inline
def tanh(x: Real) -> Real:
    """The hyperbolic tangent.

    float32: a quotient of polynomials over the range in which it is not yet 1. float64: one near
    0, where 1 - 2/(e²ˣ + 1) would cancel, and that elsewhere.
    """
    if SINGLE:
        a = max(min(x, 9.0), -9.0)
        return a * polynomial(a * a, TANH_SINGLE_P) / polynomial(a * a, TANH_SINGLE_Q)
    z = x * x
    near = fma(x * z, polynomial(z, TANH_P) / polynomial(z, TANH_Q), x)
    far = copysign(1.0 - 2.0 / (exp(2.0 * absolute(x)) + 1.0), x)
    return select(absolute(x) < 0.625, near, far)


@inline
def sigmoid(x: Real) -> Real:
    """1 / (1 + e⁻ˣ)."""
    return 1.0 / (1.0 + exp(-x))


@inline
def erf(x: Real) -> Real:
    """The error function.

    float32: a quotient of polynomials up to 4, where it is 1. float64: one near 0, and 1 - erfc
    of |x| with the sign of x elsewhere.
    """
    if SINGLE:
        a = max(min(x, 4.0), -4.0)
        return a * polynomial(a * a, ERF_SINGLE_P) / polynomial(a * a, ERF_SINGLE_Q)
    z, a = x * x, min(absolute(x), 8.0)
    near = x * polynomial(z, ERF_T) / polynomial(z, ERF_U)
    far = 1.0 - exp(-z) * polynomial(a, ERFC_P) / polynomial(a, ERFC_Q)
    return select(absolute(x) > 1.0, copysign(far, x), near)
