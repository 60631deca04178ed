"""What writes into an array does to a traced one what it does to NumPy's: values and gradients."""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import allbps as bp
from allbps.errors import DtypeError, InPlaceError, ShapeError, TraceError

X = np.array([[1.0, -2.0, 3.0], [0.5, 4.0, -1.0]])
WAYS = {
    "zeros_like": """
        out = np.zeros_like(x)
        for k in range(2): out[k] = x[k] ** 2
        return np.sum(out * x)
    """,
    "like=": """
        out = np.zeros((2, 3), like=x)
        out[:, 1] = x[:, 0]
        return np.sum(out**2)
    """,
    "fill": """
        y = x * 1
        y[0].fill(np.sum(x))
        return np.sum(y**2)
    """,
    "copyto": """
        y = x * 1
        np.copyto(y, x[0] ** 2, where=x > 0)
        return np.sum(y)
    """,
    "diag": """
        y = np.outer(x[0], x[1])
        np.fill_diagonal(y, x[0, 0])
        return np.sum(y**2)
    """,
    "diagread": """
        y = np.outer(x[0], x[1])
        d = np.diagonal(y)
        y += 1
        return np.sum(d**2)
    """,
    "sort": """
        y = x * 1
        v = y[1]
        y.sort(axis=1)
        return np.sum(v * np.arange(3))
    """,
    "sortview": """
        y = x * 1
        y[0].sort()
        return np.sum(y * np.arange(3))
    """,
    "put": """
        y = x * 1
        y.put([0, 4], x[1, :2])
        return np.sum(y**2)
    """,
    "place": """
        y = x * 1
        np.place(y, x > 0, x[0])
        return np.sum(y**2)
    """,
    "putmask": """
        y = x * 1
        np.putmask(y, x > 0, x[0] * 2)
        return np.sum(y**2)
    """,
    "nan_to_num of nan": """
        y = np.log(np.where(x > 0, x, np.nan))
        same = np.nan_to_num(y, copy=False, nan=0.5)
        same *= 3
        other = np.nan_to_num(y)
        other += 1
        return np.sum(y * np.arange(6).reshape(2, 3))
    """,
    "a copy of a view that cannot be written into": """
        y = np.broadcast_to(x[0], (2, 3)).copy()
        y[1] *= x[1]
        return np.sum(y * np.arange(6).reshape(2, 3))
    """,
    "along": """
        y = x * 1
        np.put_along_axis(y, np.array([[1], [0]]), x[:, :1] ** 2, 1)
        return np.sum(y**2)
    """,
    "multiply.at": """
        y = x * 1
        np.multiply.at(y, ([0, 0, 1], [1, 1, 2]), x[0])
        return np.sum(y**2)
    """,
    "negative.at": """
        y = x * 1
        np.negative.at(y, [0])
        return np.sum(y * x)
    """,
    "maximum.at": """
        y = x * 1
        np.maximum.at(y, (slice(None), [0, 0]), 0.7 * x[0, 0])
        return np.sum(y**2)
    """,
    "flat": """
        y = x.T * 1
        y.flat[1:3] = x[0, 0]
        y.flat[0] += 2 * x[1, 1]
        return np.sum(y * np.arange(6).reshape(3, 2))
    """,
    "flatset": """
        y = x * 1
        y.flat = x[0]
        return np.sum(y**2)
    """,
    "out": """
        y = np.empty_like(x)
        np.multiply(x, 3, out=y)
        np.sum(x, axis=0, out=y[0])
        return np.sum(y**2)
    """,
    "outwhere": """
        y = x * 1
        np.divide(1.0, x, out=y, where=x > 0)
        return np.sum(y)
    """,
    "matmulout": """
        y = np.zeros((2, 2), like=x)
        np.matmul(x, x.T, out=y)
        return np.sum(y**2)
    """,
    "deepcopy": """
        y = x * 1
        z = copy.deepcopy([y, y])
        z[0] += 1
        return np.sum(z[1] * y)
    """,
    "ravelcopy": """
        y = x.T * 1
        v = x.T.ravel()
        v *= 2
        return np.sum(x * x) + np.sum(v)
    """,
    "ravel": """
        y = x * 1
        v = y.T.reshape(-1)
        v *= 2
        return np.sum(y**2) + np.sum(v)
    """,
    "views of views": """
        y = x * 1
        a = y.T
        b = a[1:]
        c = b[0]
        c += x[:, 0]
        b *= 2
        return np.sum(y**2) + np.sum(a * 3) + np.sum(c)
    """,
    "split": """
        y = x * 1
        a, b = np.split(y, 2)
        a += b
        return np.sum(y**2)
    """,
    "swapaxes": """
        y = x * 1
        y.swapaxes(0, 1)[0] = 5.0 * x[0, 1]
        return np.sum(y**2)
    """,
    "newaxis": """
        y = x * 1
        y[:, None][0] *= 3
        return np.sum(y**2)
    """,
    "rot90": """
        y = x * 1
        z = np.rot90(y)
        z[0] = 0
        return np.sum(y**2)
    """,
    "ellipsis": """
        y = x * 1
        y[..., 0] = y[..., 2]
        return np.sum(y**2)
    """,
    "all": """
        y = x * 1
        y[:] = x[0]
        return np.sum(y**2)
    """,
    "mask2": """
        y = x * 1
        y[y > 0] = 0
        return np.sum(y**2)
    """,
    "maskv": """
        y = x * 1
        y[y > 0] *= x[0, 0]
        return np.sum(y**2)
    """,
    "fancy": """
        y = x * 1
        y[[1, 0]] = y[[0, 1]]
        return np.sum(y * np.arange(6).reshape(2, 3))
    """,
    "swap": """
        y = x[0] * 1
        y[0], y[2] = y[2], y[0]
        return np.sum(y * np.arange(3))
    """,
    "swaprows": """
        y = x * 1
        y[0], y[1] = y[1], y[0]
        return np.sum(y * np.arange(6).reshape(2, 3))
    """,
    "numberalias": """
        s = np.sum(x)
        t = s
        s += x[0, 0]
        return s * t
    """,
    "scalar loop": """
        s = 0.0
        for v in x.flat: s += v ** 2
        return s
    """,
    "nditer-free": """
        t = 0.0
        for i in np.ndindex(x.shape): t += x[i] * i[1]
        return t
    """,
    "ndenumerate": """
        t = 0.0
        for i, v in np.ndenumerate(x): t += v * i[1]
        return t
    """,
    "intadd": """
        n = np.zeros_like(x, dtype=int)
        n += 1
        return np.sum(x * n)
    """,
    "cumsumout": """
        y = x * 1
        np.cumsum(x, axis=1, out=y)
        return np.sum(y**2)
    """,
    "nan_to_num": """
        y = x * 1
        np.nan_to_num(y, copy=False)
        return np.sum(y**2)
    """,
    "where0": """
        y = np.where(True, x[0, 0], 0.0)
        z = y
        y += 1
        return y * z
    """,
    "concat out": """
        y = np.zeros_like(x)
        np.concatenate([x[:1] * 2, x[1:]], out=y)
        return np.sum(y**2)
    """,
    "apply": """
        y = x * 1
        def g(r):
            r *= 2
            return np.sum(r)
        return np.sum(np.apply_along_axis(g, 1, y) ** 2) + np.sum(y**2)
    """,
    "take out": """
        y = x[0] * 1
        np.take(x[1], [2, 1, 0], out=y)
        return np.sum(y**2)
    """,
    "stack out": """
        y = np.zeros_like(x)
        np.stack([x[1], x[0]], out=y)
        return np.sum(y * np.arange(6).reshape(2, 3))
    """,
    "generator": """
        y = x * 1
        g = (r for r in y)
        y += 1
        return sum(np.sum(r**2) for r in g)
    """,
    "ix": """
        y = x * 1
        y[np.ix_([0, 1], [2, 0])] *= 2
        return np.sum(y**2)
    """,
    "tril": """
        y = x @ x.T
        y[np.tril_indices(2)] = 0
        return np.sum(y**2)
    """,
    "real": """
        y = x * 1
        y.real += 1
        return np.sum(y**2)
    """,
    "divmod": """
        y = x * 1
        y //= 0.7
        return np.sum(y * x)
    """,
    "matmul=": """
        y = x @ x.T
        y @= y
        return np.sum(y)
    """,
    "pow": """
        y = np.abs(x)
        y **= x
        return np.sum(y)
    """,
    "outview": """
        y = np.zeros_like(x)
        np.exp(x[0], out=y[1])
        return np.sum(y)
    """,
    "ufuncoutpos": """
        y = np.zeros_like(x)
        np.exp(x, y)
        return np.sum(y)
    """,
    "squeeze": """
        y = (x * 1)[None]
        y.squeeze()[0] = 0
        return np.sum(y)
    """,
    "atleast": """
        y = x * 1
        np.atleast_2d(y)[0] = 0
        return np.sum(y)
    """,
    "broadcast": """
        y = x[0] * 1
        b = np.broadcast_to(y, (2, 3))
        y *= 2
        return np.sum(b**2)
    """,
    "sliding": """
        y = x[0] * 1
        b = np.lib.stride_tricks.sliding_window_view(y, 2)
        y *= 2
        return np.sum(b**2)
    """,
    "meshgrid": """
        y = x[0] * 1
        a, b = np.meshgrid(y, y, copy=False)
        y *= 2
        return np.sum(a * b)
    """,
    "0d": """
        y = x[0, 0, ...]
        y += 1
        return np.sum(x**2)
    """,
}
"""Bodies of functions of x, each with one way of writing in place."""


def function_of(body):
    scope = {"np": np, "copy": copy}
    exec("def f(x):" + body, scope)
    return scope["f"]


def differences(f, x, step=1e-6):
    """∂f/∂x of the plain function; every call gets an array of its own."""
    found = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        e = np.zeros_like(x)
        e[place] = step
        found[place] = (f(x + e) - f(x - e)) / (2 * step)
    return found


def assert_as_numpy(f, x):
    with np.errstate(all="ignore"):
        want, slopes = f(x.copy()), differences(f, x)
        given_ = x.copy()
        value, gradient = bp.value_and_grad(f)(given_)
    np.testing.assert_allclose(value, want, rtol=1e-9)
    np.testing.assert_allclose(gradient, slopes, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(given_, x, err_msg="the caller's array was written into")


@pytest.mark.parametrize("way", WAYS)
def test_a_write_means_what_it_means_to_numpy(way):
    assert_as_numpy(function_of(WAYS[way]), X)


@pytest.mark.parametrize("way", ["diag", "views of views", "multiply.at", "sort", "flat"])
def test_a_written_function_is_explained_and_verified(way):
    f = function_of(WAYS[way])
    worked = bp.explain(f, x=X)
    assert worked.verify()
    np.testing.assert_allclose(worked["x"].delta, differences(f, X), rtol=1e-4, atol=1e-4)


STEPS = {
    "alias": lambda names, a, b, i: names.append(a),
    "slice": lambda names, a, b, i: names.append(a[: i + 1]),
    "reversed": lambda names, a, b, i: names.append(a[::-1]),
    "transposed": lambda names, a, b, i: names.append(a.T),
    "flat": lambda names, a, b, i: names.append(a.reshape(-1)),
    "fresh": lambda names, a, b, i: names.append(np.sin(a)),
    "+=": lambda names, a, b, i: a.__iadd__(0.5),
    "*=": lambda names, a, b, i: a.__imul__(1.1),
    "row": lambda names, a, b, i: a.__setitem__(i, np.sum(b) * 0.3),
    "same place twice": lambda names, a, b, i: a.__setitem__([0, i, 0], a[[0, i, 0]] + 0.7),
    "add.at": lambda names, a, b, i: np.add.at(a, [0, i, 0], 0.3 * np.sum(b)),
    "out=": lambda names, a, b, i: np.multiply(a, 0.9, out=a),
    "mask": lambda names, a, b, i: a.__setitem__(a > 0.2, a[a > 0.2] * 0.8),
    "put": lambda names, a, b, i: np.put(a, [0, i], [np.sum(b) * 0.2, 1.5]),
    "fill": lambda names, a, b, i: a[i : i + 1].fill(np.sum(b) * 0.1),
    "rows": lambda names, a, b, i: [row.__imul__(1.05) for row in (a if a.ndim > 1 else [a])],
    "overlapping": lambda names, a, b, i: a[1:].__isub__(0.5 * a[:-1]),
}
PROGRAMS = st.lists(
    st.tuples(st.sampled_from(sorted(STEPS)), *[st.integers(0, 11)] * 3), min_size=1, max_size=7
)


@settings(max_examples=60, deadline=None)
@given(PROGRAMS, st.sampled_from([(4,), (3, 4), (2, 2, 2)]), st.integers(0, 99))
def test_random_programs_that_write_through_views_and_aliases(program, shape, seed):
    def f(x):
        names = [x * 1.0, x]
        for step, j, k, i in program:
            a, b = names[j % len(names)], names[k % len(names)]
            STEPS[step](names, a, b, i % len(a))
        return sum(np.sum(name**2) for name in names)

    assert_as_numpy(f, np.random.default_rng(seed).normal(size=shape))


def test_the_sum_in_place_reads_like_the_sum():
    def f(h, b):
        h = h * 2.0
        h += b
        return np.sum(h**2)

    worked = bp.explain(f, h=np.array([1.0, 2.0]), b=np.array([3.0, 4.0]))
    assert "h₃ = h₂ + b" in worked.to_text()


# -- what is refused -------------------------------------------------------------------------------
def into_ints(x):
    n = np.zeros_like(x, dtype=int)
    n += x
    return np.sum(n)


OUTSIDE = np.zeros(3)


def into_outside(x):
    y = OUTSIDE
    y[0] = x[0]
    return y[0]


REFUSED = {
    "read-only view": (lambda x: np.broadcast_to(x, (2, 3)).fill(0.0), InPlaceError, "read-only"),
    "float into int": (into_ints, DtypeError, "int64"),
    "does not fit": (lambda x: x.__iadd__(np.ones((2, 3))), ShapeError, "shape (2, 3)"),
    "part does not fit": (lambda x: x.__setitem__(slice(2), np.ones(3)), ShapeError, "(2,)"),
    "an array from outside": (into_outside, TraceError, "np.zeros(n, like=x)"),
    "a number": (lambda x: x[0].fill(1.0), InPlaceError, "number"),
    "shape": (lambda x: setattr(x, "shape", (3, 1)), InPlaceError, ".shape"),
    "another dtype": (lambda x: x.view(np.int64), InPlaceError, "dtype"),
    "pickle": (lambda x: pickle.dumps(x), TraceError, "pickled"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_followed_is_refused(case):
    function, kind, words = REFUSED[case]
    with pytest.raises(kind) as caught:
        bp.grad(function)(np.ones(3))
    assert words in str(caught.value)
    assert "test_in_place.py" in caught.value.where


# -- nested, kept, shared --------------------------------------------------------------------------
def test_a_write_inside_an_inner_gradient_reaches_the_outer_one():
    def f(x):
        h = x * 1.0

        def inner(t):
            h[0] = h[0] * t
            return t**3

        return bp.grad(inner)(2.0) * np.sum(h)

    np.testing.assert_allclose(bp.grad(f)(np.array([1.0, 3.0])), [24.0, 12.0])


def test_second_derivatives_of_what_was_written():
    def f(x):
        y = x * 1.0
        y[0] *= x[1]
        y += x**2
        return np.sum(y**3)

    def same(x):
        return (x[0] * x[1] + x[0] ** 2) ** 3 + (x[1] + x[1] ** 2) ** 3

    x = np.array([0.7, 1.3])
    np.testing.assert_allclose(bp.hessian(f)(x), bp.hessian(same)(x))


def test_results_are_the_callers_own():
    f = lambda a, b: np.sum(a + b)  # noqa: E731
    first, second = bp.grad(f, (0, 1))(np.ones(2), np.ones(2))
    first *= 0.0
    np.testing.assert_array_equal(second, [1.0, 1.0])

    y, pullback = bp.vjp(np.exp, np.zeros(2))
    y[:] = 7.0
    np.testing.assert_array_equal(pullback(np.ones(2))[0], [1.0, 1.0])


# -- plain arrays are met at their value -----------------------------------------------------------
USES = {
    "operand": lambda x, c: np.sum(x * c),
    "reflected": lambda x, c: np.sum(c - x * c),
    "index": lambda x, c: np.sum(x[c.astype(int)] * 2.0),
    "function": lambda x, c: np.sum(np.where(c > 1.0, x, 3.0 * x)),
    "list": lambda x, c: np.sum(np.stack([x, c]) ** 2),
    "written": lambda x, c: write(x, c),
    "einsum": lambda x, c: np.einsum("i,i->", x, c),
    "interp": lambda x, c: np.interp(x[0], np.arange(3.0), c),
    "keyword": lambda x, c: np.sum(np.average(x, weights=c)),
}


def write(x, c):
    y = x * 1.0
    y[1:] = c[1:] * x[:-1]
    return np.sum(y)


@pytest.mark.parametrize("use", USES)
def test_a_constant_that_changes_after_its_use_changes_nothing(use):
    def f(x, changing=True):
        c, total = np.array([1.0, 2.0, 1.0]), 0.0
        for k in range(3):
            used = c if changing else c.copy()
            total = total + USES[use](x, used)
            c[:] = [k % 2, 1.0, 2.0 - k % 3]
        return total

    x = np.array([0.3, 0.7, 1.9])
    want = bp.grad(lambda x: f(x, changing=False))(x)
    np.testing.assert_array_equal(bp.grad(f)(x), want)
    np.testing.assert_allclose(want, differences(f, x), rtol=1e-5, atol=1e-6)


def test_a_constant_that_stays_is_one_and_what_cannot_change_is_not_copied():
    c, frozen = np.ones(1000), np.ones(1000)
    frozen.flags.writeable = False
    kept = []

    def f(x):
        kept.extend([(x * c).node.inputs[1].value, (x + c).node.inputs[1].value])
        kept.append((x * frozen).node.inputs[1].value)
        return np.sum(x)

    bp.grad(f)(np.ones(1000))
    assert kept[0] is kept[1]
    assert kept[0] is not c
    assert kept[2] is frozen


@pytest.mark.parametrize(
    "f",
    [
        lambda x, y: np.divide(x, y, out=np.zeros_like(x), where=y != 0),
        lambda x, y: np.divide(1.0, y, out=np.copy(x), where=y > 0),
        lambda x, y: np.sqrt(y, out=np.zeros_like(x), where=y > 0),
        lambda x, y: np.log(y, out=np.ones_like(x), where=y > 0),
        lambda x, y: np.arccosh(y, out=np.ones_like(x), where=y > 1),
        lambda x, y: np.power(y, 0.5, out=np.zeros_like(x), where=y > 0),
    ],
)
def test_what_where_leaves_out_has_no_part_in_the_gradient(f):
    x, y = np.array([1.0, 2.0, 3.0, 4.0]), np.array([2.0, 0.0, -1.0, 1.5])
    value, pullback = bp.vjp(f, x, y)
    np.testing.assert_array_equal(value, f(x, y))
    step, found = 1e-6, pullback(np.ones(4))
    for k, which in enumerate((x, y)):
        for place in (0, 2, 3):
            low, high = [x.copy(), y.copy()], [x.copy(), y.copy()]
            low[k][place] -= step
            high[k][place] += step
            expected = np.sum(f(*high) - f(*low)) / (2 * step)
            assert found[k][place] == pytest.approx(expected, rel=1e-7, abs=1e-8), which
    assert np.all(np.isfinite(found))


def turned(x):
    z = x + 1j * x**2
    z.real *= 2.0
    z.imag[0] = x[1]
    z.imag += z.real
    z.imag = 3.0 * z.imag
    return np.sum(z.real**2 + z.imag**3)


def test_parts_of_complex_numbers_are_written_alone():
    x = np.array([0.7, -1.2])
    value, gradient = bp.value_and_grad(turned)(x)
    assert value == pytest.approx(turned(x), rel=1e-14)
    for k, move in enumerate(1e-6 * np.eye(2)):
        slope = (turned(x + move) - turned(x - move)) / 2e-6
        assert gradient[k] == pytest.approx(slope, rel=1e-8)
