"""The logarithm of the gamma function and its first two derivatives.

Near 2 the series of Abramowitz & Stegun 6.1.33, far from there those of Stirling (6.1.40, 6.3.18
and 6.4.11), by recurrence in between and by reflection below 0; branch-free formulas, as those of
:mod:`.functions`. Near the zeros of ψ, and below 0 near those of ln |Γ|, the error is small beside
1, not beside the result.
"""

from __future__ import annotations

from allbps.machine.kernels.functions import INFINITY, NAN, log, polynomial
from allbps.machine.kernels.trigonometry import sin, tan
from allbps.machine.language.words import (
    Real,
    absolute,
    inline,
    nearest,
    select,
    unroll,
)

PI, LOG_PI, HALF_LOG_TWO_PI = 3.14159265358979323846, 1.14472988584940017414, 0.91893853320467274178
FAR = 8.5
"""Where Stirling's series have full precision."""
STEPS = 9
"""Steps of one from (0, 1] to there, or beyond."""

NEAR_TWO = (
    -2.7595228851242331452e-10, 5.7313672416788620133e-10, -1.1921401405860912074e-9,
    2.4836745438024783172e-9, -5.1834750419700466551e-9, 1.0838659214896954091e-8,
    -2.271109460894316491e-8, 4.7698101693639805658e-8, -1.0043224823968099609e-7,
    2.1207184805554665869e-7, -4.4924691987645660433e-7, 9.5514121304074198329e-7,
    -2.0392157538013662368e-6, 4.3748667899074878042e-6, -9.439488275268395904e-6,
    0.000020507212775670691553, -0.0000449262367381331417, 0.000099457512781808533715,
    -0.00022315475845357937976, 0.00050966952474304242234, -0.0011927539117032609771,
    0.0028905103307415232858, -0.0073855510286739852663, 0.020580808427784547879,
    -0.067352301053198095133, 0.32246703342411321824, 0.42278433509846713939,
)  # fmt: skip
"""ln Γ(2 + t) / t, the last one 1 - γ: A&S 6.1.33."""
BERNOULLI = (
    -3617.0 / 510.0, 7.0 / 6.0, -691.0 / 2730.0, 5.0 / 66.0, -1.0 / 30.0, 1.0 / 42.0, -1.0 / 30.0,
    1.0 / 6.0,
)  # fmt: skip
"""B₁₆, …, B₂."""
STIRLING = tuple(b / ((16 - 2 * k) * (15 - 2 * k)) for k, b in enumerate(BERNOULLI))
STIRLING_SLOPE = tuple(b / (16 - 2 * k) for k, b in enumerate(BERNOULLI))


@inline
def _turned(x: Real) -> Real:
    """1 - x where x is not positive: there the functions are reflected."""
    return select(x > 0.0, x, 1.0 - x)


@inline
def _above(x: Real) -> Real:
    """The logarithm of Γ(x), x > 0."""
    near = min(x, FAR)
    whole = nearest(near)
    t = near - whole  # exact: |t| <= ½
    up, down = 1.0, select(whole < 1.0, near * (near + 1.0), near)
    for k in unroll(6):
        up = select(k + 2.0 < whole, up * (t + 2.0 + k), up)
    far = x >= FAR
    step = log(select(far, x, select(whole < 2.0, down, up)))
    y = t * polynomial(t, NEAR_TWO) + select(whole < 2.0, -step, step)
    r = 1.0 / select(far, x, FAR)
    stirling = (step - 1.0) * (x - 0.5) + (HALF_LOG_TWO_PI - 0.5) + r * polynomial(r * r, STIRLING)
    return select(far, stirling, y)


@inline
def gammaln(x: Real) -> Real:
    """The logarithm of |Γ(x)|."""
    y = _above(_turned(x))
    mirrored = LOG_PI - log(absolute(sin(PI * (x - nearest(x))))) - y
    y = select(x > 0.0, y, mirrored)
    y = select(x == INFINITY, INFINITY, y)
    return select(x == -INFINITY, -INFINITY, y)


@inline
def digamma(x: Real) -> Real:
    """ψ(x), the derivative of ln Γ."""
    z = _turned(x)
    over, under = 0.0, 1.0  # Σ 1/(z + k) as one quotient
    for _ in unroll(STEPS):
        near = z < FAR
        over, under = select(near, over * z + under, over), select(near, under * z, under)
        z = select(near, z + 1.0, z)
    r = 1.0 / z
    y = log(z) - 0.5 * r - r * r * polynomial(r * r, STIRLING_SLOPE) - over / under
    t = x - nearest(x)
    mirrored = y - PI / tan(PI * select(t == 0.0, 0.5, t))
    y = select(x > 0.0, y, select(t == 0.0, NAN, mirrored))
    y = select(x == INFINITY, INFINITY, y)
    return select(absolute(x) < 1e-30, -1.0 / x, y)


@inline
def trigamma(x: Real) -> Real:
    """ψ′(x), the second derivative of ln Γ."""
    z = _turned(x)
    over, under = 0.0, 1.0  # Σ 1/(z + k)² as one quotient
    for _ in unroll(STEPS):
        near = z < FAR
        square = z * z
        over = select(near, over * square + under, over)
        under = select(near, under * square, under)
        z = select(near, z + 1.0, z)
    r = 1.0 / z
    y = r + r * r * (0.5 + r * polynomial(r * r, BERNOULLI)) + over / under
    s = sin(PI * (x - nearest(x))) / PI
    y = select(x > 0.0, y, 1.0 / (s * s) - y)
    return select(x == -INFINITY, INFINITY, y)
