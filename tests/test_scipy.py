"""SciPy's functions on traced arrays: values as SciPy's, derivatives as differences."""

import numpy as np
import pytest
from scipy import linalg, signal, special

import allbps as bp
import allbps.scipy as asp
from allbps.errors import ArgumentError, NoRuleError

RNG = np.random.default_rng(3)
SQUARE = RNG.uniform(-1, 1, (3, 3)) + 3 * np.eye(3)
POSITIVE = SQUARE @ SQUARE.T


def agrees(ours, theirs, *xs):
    """Values, and the derivative along a line, whose differences are SciPy's."""
    value, pullback = bp.vjp(ours, *xs)
    np.testing.assert_allclose(value, theirs(*xs), rtol=1e-11, atol=1e-12)
    rng = np.random.default_rng(5)
    cotangent = rng.uniform(0.5, 1.5, np.shape(value))
    directions = [rng.uniform(-1, 1, np.shape(x)) for x in xs]
    along = sum(np.sum(g * v) for g, v in zip(pullback(cotangent), directions, strict=True))

    def line(t):
        return np.sum(cotangent * theirs(*(x + t * v for x, v in zip(xs, directions, strict=True))))

    step = 1e-3
    near, far = line(step) - line(-step), line(2 * step) - line(-2 * step)
    np.testing.assert_allclose(along, (8 * near - far) / (12 * step), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("mode", ["full", "same", "valid"])
@pytest.mark.parametrize("name", ["convolve", "correlate"])
@pytest.mark.parametrize("shapes", [((7,), (3,)), ((6,), (4,)), ((3,), (5,)), ((4, 5), (2, 3))])
def test_signals(name, mode, shapes):
    a, v = (RNG.normal(size=shape) for shape in shapes)
    agrees(
        lambda a, v: getattr(asp.signal, name)(a, v, mode),
        lambda a, v: getattr(signal, name)(a, v, mode, method="direct"),
        a,
        v,
    )


LINEAR = {
    "expm": (lambda la, a: la.expm(a), SQUARE / 3),
    "inv": (lambda la, a: la.inv(a), SQUARE),
    "det": (lambda la, a: la.det(a), SQUARE),
    "cholesky": (lambda la, a: la.cholesky(a, lower=True), POSITIVE),
    "solve": (lambda la, a, b: la.solve(a, b), SQUARE, RNG.normal(size=(3, 2))),
    "solve a symmetric system": (
        lambda la, a, b: la.solve(a, b, assume_a="pos", lower=True), POSITIVE, RNG.normal(size=3),
    ),
    "solve_triangular": (lambda la, a, b: la.solve_triangular(a, b), SQUARE, RNG.normal(size=3)),
    "solve_triangular, turned": (
        lambda la, a, b: la.solve_triangular(a, b, trans=1, lower=True, unit_diagonal=True),
        SQUARE, RNG.normal(size=(3, 2)),
    ),
    "cho_solve": (lambda la, a, b: la.cho_solve(la.cho_factor(a), b), POSITIVE, RNG.normal(size=3)),
    "svdvals": (lambda la, a: la.svdvals(a), SQUARE),
    "eigvalsh": (lambda la, a: la.eigvalsh(a), POSITIVE),
    "qr": (lambda la, a: la.qr(a, mode="economic")[1], RNG.normal(size=(4, 3))),
}  # fmt: skip


@pytest.mark.parametrize("name", LINEAR)
def test_linear_algebra(name):
    f, *xs = LINEAR[name]
    agrees(lambda *a: f(asp.linalg, *a), lambda *a: f(linalg, *a), *xs)


POINTS = np.array([[0.3, 1.2], [2.6, 3.4]])
SPECIAL = {
    "polygamma": (lambda sp, x: sp.polygamma(2, x), POINTS),
    "psi": (lambda sp, x: sp.polygamma(0, x), POINTS),
    "multigammaln": (lambda sp, x: sp.multigammaln(x, 3), POINTS + 1.5),
    "zeta": (lambda sp, x: sp.zeta(3.0, x), POINTS),
    "logsumexp": (lambda sp, x: sp.logsumexp(x, axis=0), POINTS),
    "weighted logsumexp": (
        lambda sp, x: sp.logsumexp(x, axis=1, b=np.array([[0.5, 2.0], [0.0, -1.0]]),
                                   return_sign=True)[0], POINTS,
    ),
    "softmax": (lambda sp, x: sp.softmax(x), POINTS),
    "log_softmax": (lambda sp, x: sp.log_softmax(x, axis=1), POINTS),
    "binom": (lambda sp, x: sp.binom(x + 4.0, x), POINTS),
    "boxcox": (lambda sp, x: sp.boxcox(x, 0.7), POINTS),
    "log": (lambda sp, x: sp.boxcox(x, 0.0), POINTS),
    "huber": (lambda sp, x: sp.huber(2.0, x), POINTS),
    "pseudo_huber": (lambda sp, x: sp.pseudo_huber(2.0, x), POINTS),
    **{name: (lambda sp, x, name=name: getattr(sp, name)(x), POINTS / 4) for name in (
        "erf", "erfc", "erfcx", "erfinv", "ndtr", "log_ndtr", "ndtri", "expm1", "log1p", "erfcinv",
        "exp10",
    )},
    **{name: (lambda sp, x, name=name: getattr(sp, name)(x), POINTS) for name in (
        "gamma", "gammaln", "digamma", "dawsn", "expi", "exp1", "i0", "i0e", "i1", "i1e", "j0",
        "j1", "k0", "k0e", "k1", "k1e", "y0", "y1", "cbrt", "spence",
    )},
    **{name: (lambda sp, x, name=name: getattr(sp, name)(3, x), POINTS) for name in (
        "jv", "yv", "iv", "kv", "ive", "kve",
    )},
}  # fmt: skip


@pytest.mark.parametrize("name", SPECIAL)
def test_special_functions(name):
    f, x = SPECIAL[name]
    agrees(lambda x: f(asp.special, x), lambda x: f(special, x), x)


def test_plain_arrays_give_plain_arrays_and_np_i0_is_known():
    assert type(asp.special.gammaln(np.ones(2))) is np.ndarray
    agrees(np.i0, np.i0, POINTS)


@pytest.mark.parametrize(
    ("f", "name"),
    [(linalg.expm, "linalg.expm"), (special.logsumexp, "special.logsumexp")],
)
def test_a_refusal_names_the_function_to_use(f, name):
    with pytest.raises(NoRuleError, match=rf"use allbps\.scipy\.{name}, which has a rule"):
        bp.grad(lambda x: np.sum(f(x)))(SQUARE)


def test_misuse_is_told_under_scipys_name():
    with pytest.raises(ArgumentError, match=r"^allbps\.scipy\.special\.softmax: .*'dim'"):
        asp.special.softmax(POINTS, dim=1)
    with pytest.raises(ArgumentError, match="takes one whole number for its order"):
        asp.special.polygamma(0.5, POINTS)
    with pytest.raises(ArgumentError, match="takes one whole number for its order"):
        bp.grad(lambda v: special.jv(v, 1.0))(0.5)
