"""exp, log, tanh, erf and what nets make of them: formulas that loops turn into vectors.

Coefficients are those of Moshier's Cephes library (netlib.org/cephes), one set for float32, one
for float64. Every function is branch-free, so that all lanes of a vector do the same; NaN gives
NaN, and what lies outside the range gives 0, 1 or ±inf as it should.
"""

from __future__ import annotations

from ..words import (
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
SQRT_HALF = 0.7071067811865476
TWO_OVER_SQRT_PI = 1.1283791670955126
SQRT_TWO_OVER_PI = 0.7978845608028654
TANH_GELU = 0.044715
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

TANH_SINGLE = (
    -5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1,
)  # fmt: skip
TANH_P = (-9.64399179425052238628e-1, -9.92877231001918586564e1, -1.61468768441708447952e3)
TANH_Q = (1.0, 1.12811678491632931402e2, 2.23548839060100448583e3, 4.84406305325125486048e3)

ERF_SINGLE = (
    7.853861353153693e-5, -8.010193625184903e-4, 5.188327685732524e-3, -2.685381193529856e-2,
    1.128358514861418e-1, -3.761262582423300e-1, 1.128379165726710,
)  # fmt: skip
ERFC_NEAR = (
    2.326819970068386e-2, -1.387039388740657e-1, 3.687424674597105e-1, -5.824733027278666e-1,
    6.210004621745983e-1, -4.944515323274145e-1, 3.404879937665872e-1, -2.741127028184656e-1,
    5.638259427386472e-1,
)  # fmt: skip
ERFC_FAR = (
    -1.047766399936249e1, 1.297719955372516e1, -7.495518717768503, 2.921019019210786,
    -1.015265279202700, 4.218463358204948e-1, -2.820767439740514e-1, 5.641895067754075e-1,
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
def exp(x: Real) -> Real:
    """eˣ = 2ⁿ·eʳ with n the integer nearest to x/ln 2, |r| <= ln 2 / 2.

    Below e⁻⁸⁷ (float64: e⁻⁷⁰⁸), about the smallest normal number, it is 0.
    """
    low, high = (-87.0, 88.72) if SINGLE else (-708.0, 709.78)
    n = nearest(min(high, max(low, x)) * LOG2_E)  # in this order of arguments NaN becomes low
    if SINGLE:
        r = fma(n, -0.693359375, x)
        r = fma(n, 2.12194440e-4, r)
        y = fma(polynomial(r, EXP_SINGLE) * r, r, r + 1.0)
    else:
        r = fma(n, -6.93145751953125e-1, x)
        r = fma(n, -1.42860682030941723212e-6, r)
        p = r * polynomial(r * r, EXP_P)
        y = 1.0 + 2.0 * (p / (polynomial(r * r, EXP_Q) - p))
    y = (y + y) * power_of_two(n - 1.0)  # 2ⁿ itself may overflow where eˣ does not
    y = select(x < low, 0.0, y)
    return select(x > high, INFINITY, y)


@inline
def log(x: Real) -> Real:
    """ln x = n·ln 2 + ln m, √½ <= m < √2; below the normal numbers as if 0."""
    tiny = 1.17549435e-38 if SINGLE else 2.2250738585072014e-308
    safe = select(x >= tiny, select(x < INFINITY, x, 1.0), 1.0)
    n = exponent(safe)
    half = nearest(n * 0.5)
    m = safe * power_of_two(-half) * power_of_two(half - n) - 1.0
    z = m * m
    if SINGLE:
        y = m * (z * polynomial(m, LOG_SINGLE))
    else:
        y = m * (z * polynomial(m, LOG_P) / polynomial(m, LOG_Q))
    y = fma(n, -2.121944400546905827679e-4, y)
    y = fma(z, -0.5, y)
    y = fma(n, 0.693359375, m + y)
    y = select(x < tiny, select(x < 0.0, NAN, -INFINITY), y)
    return select(x < INFINITY, y, x)  # inf and NaN pass through


@inline
def tanh(x: Real) -> Real:
    """tanh x: a polynomial near 0, where 1 - 2/(e²ˣ + 1) would cancel, that elsewhere."""
    z = x * x
    if SINGLE:
        near = fma(x * z, polynomial(z, TANH_SINGLE), x)
    else:
        near = fma(x * z, polynomial(z, TANH_P) / polynomial(z, TANH_Q), x)
    far = copysign(1.0 - 2.0 / (exp(2.0 * absolute(x)) + 1.0), x)
    return select(absolute(x) < 0.625, near, far)


@inline
def sigmoid(x: Real) -> Real:
    """1 / (1 + e⁻ˣ)."""
    return 1.0 / (1.0 + exp(-x))


@inline
def erf(x: Real) -> Real:
    """erf x: x·T(x²) near 0, else 1 - erfc |x| with the sign of x."""
    a, z = absolute(x), x * x
    if SINGLE:
        near = x * polynomial(z, ERF_SINGLE)
        reciprocal = 1.0 / max(a, 1.0)
        q = reciprocal * reciprocal
        tail = select(a < 2.0, polynomial(q, ERFC_NEAR), polynomial(q, ERFC_FAR))
        far = 1.0 - exp(-z) * reciprocal * tail
    else:
        near = x * polynomial(z, ERF_T) / polynomial(z, ERF_U)
        b = min(a, 8.0)
        far = 1.0 - exp(-z) * polynomial(b, ERFC_P) / polynomial(b, ERFC_Q)
    return select(a > 1.0, copysign(far, x), near)


@inline
def gelu(x: Real) -> Real:
    """x·Φ(x), Φ the normal distribution."""
    return 0.5 * x * (1.0 + erf(x * SQRT_HALF))


@inline
def gelu_delta(x: Real) -> Real:
    """d gelu / dx = Φ(x) + x·φ(x)."""
    density = exp(-0.5 * x * x) * (0.5 * SQRT_HALF * TWO_OVER_SQRT_PI)
    return 0.5 * (1.0 + erf(x * SQRT_HALF)) + x * density


@inline
def gelu_tanh(x: Real) -> Real:
    """The form of gelu by tanh: x/2·(1 + tanh u), u = √(2/π)·(x + 0.044715·x³)."""
    return 0.5 * x * (1.0 + tanh(SQRT_TWO_OVER_PI * (x + TANH_GELU * x * x * x)))


@inline
def gelu_tanh_delta(x: Real) -> Real:
    """d gelu_tanh / dx = (1 + tanh u)/2 + x/2·(1 - tanh² u)·u′."""
    t = tanh(SQRT_TWO_OVER_PI * (x + TANH_GELU * x * x * x))
    slope = SQRT_TWO_OVER_PI * (1.0 + 3.0 * TANH_GELU * x * x)
    return 0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * slope
