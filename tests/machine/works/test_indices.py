"""Indices that change from call to call: picked, added and written natively, with NumPy's bits."""

import warnings

import numpy as np
import pytest

import allbps as bp
import allbps.functional as F
from allbps.errors import AllBPsError
from allbps.machine.compile import compile  # noqa: A004
from allbps.optim import SGD

RNG = np.random.default_rng(7)
X = RNG.standard_normal((6, 4, 3))
I, J = np.array([[0, 1], [5, 1]]), np.array([2, -2])
#: How an index is made of the arguments i and j, and whether a place is named twice.
INDICES = {
    "rows": lambda i, j: i,
    "columns": lambda i, j: (slice(None), j),
    "last": lambda i, j: (..., j),
    "two arrays": lambda i, j: (i, j),
    "arrays and a slice": lambda i, j: (i, j, slice(1, None)),
    "a slice and an array": lambda i, j: (slice(1, 5, 2), j),
    "backwards": lambda i, j: (slice(None, None, -2), j),
    "around a slice": lambda i, j: (i, slice(None), j),
    "a number and an array": lambda i, j: (1, slice(1, 3), j),
    "side by side": lambda i, j: (slice(None), 1, j),
    "a new axis": lambda i, j: (i, None, 1),
    "between": lambda i, j: (i, None, j),
    "all axes": lambda i, j: (i, j, j - 1),
    "constant and not": lambda i, j: (np.array([3, 3]), j),
    "no axis": lambda i, j: i[1, 0],
    "no axis beside another": lambda i, j: (i[1, 0], slice(None), j),
    "worked out": lambda i, j: (i * 5 + 2) % 6,
    "spread": lambda i, j: (i[:, :, None], j),
}
indices = pytest.mark.parametrize("index", INDICES.values(), ids=INDICES)


def natively(f, *args, **how):
    """Compiled without anything left to NumPy, since a warning is an error."""
    return compile(f, *args, **how)


def same(got, want):
    assert np.asarray(got).dtype == np.asarray(want).dtype
    np.testing.assert_array_equal(got, want)


@indices
@pytest.mark.parametrize("make", [np.copy, lambda x: (x * 9).astype(int), lambda x: x > 0])
def test_elements_are_picked(index, make):
    x = make(X)
    step = natively(lambda x, i, j: x[index(i, j)], x, I, J)
    same(step(x, I, J), x[index(I, J)])
    same(step(x, I[::-1].copy(), J[::-1].copy()), x[index(I[::-1], J[::-1])])


@indices
def test_what_is_written_last_stays(index):
    values = RNG.standard_normal(X[index(I, J)].shape)

    def f(x, v, i, j):
        y = x * 2.0
        y[index(i, j)] = v
        return y

    want = f(X, values, I, J)
    same(natively(f, X, values, I, J)(X, values, I, J), want)
    same(natively(f, X, 0.5, I, J)(X, 0.5, I, J), f(X, 0.5, I, J))


@indices
def test_derivatives_of_what_is_picked_added_and_written(index):
    weights = RNG.standard_normal(X[index(I, J)].shape)

    def f(p, i, j):
        x, v = p
        y = np.exp(x)
        np.add.at(y, index(i, j), v)
        z = x * 1.5
        z[index(i, j)] = v * 2.0
        return np.sum(x[index(i, j)] * weights) + np.sum(y**2) + np.sum(z**2)

    p = (X, weights * 0.5)
    loss, grads = natively(f, p, I, J, params="p")(p, I, J)
    np.testing.assert_allclose(loss, f(p, I, J), rtol=1e-13)
    for got, want in zip(grads, bp.grad(lambda p: f(p, I, J))(p), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-13)


def test_no_bit_depends_on_threads_and_sums_are_numpys():
    x, v = RNG.standard_normal((2, 300, 200))
    i, j = RNG.integers(0, 300, 300), RNG.integers(0, 200, 300)

    def f(x, v, i, j):
        rows, columns, added, places = x * 1.0, x * 1.0, np.zeros_like(x), np.zeros_like(x)
        rows[i] = v
        columns[:, j] = v[:, j[::-1]]
        np.add.at(added, i, v)
        np.add.at(places, (i, j), v[:, 0])
        return rows, columns, added, places, x[i], x[:, j], x[i, j]

    want = f(x, v, i, j)
    for threads in (1, 2, 3):
        got = natively(f, x, v, i, j, threads=threads)(x, v, i, j)
        for one, expected in zip(got, want, strict=True):
            same(one, expected)


@pytest.mark.parametrize("dtype", [np.int32, np.uint8, np.int64])
def test_indices_of_any_width_and_tables_of_single_precision(dtype):
    table, i = X[:, :, 0].astype(np.float32), np.array([5, 0, 5, 2], dtype)

    def f(table, i):
        return np.sum(table[i] ** 2)

    loss, grad = natively(f, table, i, params="table")(table, i)
    np.testing.assert_allclose(loss, f(table, i), rtol=1e-6)
    np.testing.assert_allclose(grad, bp.grad(lambda t: f(t, i))(table), rtol=1e-6)


# -- outside of an axis ----------------------------------------------------------------------------
BAD = {
    "picked": lambda x, i: np.sum(x[i, i % 4]),
    "of columns": lambda x, i: np.sum(x[:, i - 2, 0]),
    "written": lambda x, i: np.sum(_with(x, (slice(None), slice(None), i), 1.0)),
    "worked out": lambda x, i: np.sum(x[np.maximum(2 * i - 3, 0)]),
}


def _with(x, index, v):
    y = x * 1.0
    y[index] = v
    return y


@pytest.mark.parametrize("f", BAD.values(), ids=BAD)
def test_an_index_outside_is_refused_and_nothing_moves(f):
    good, bad = np.array([2, 0, 1]), np.array([2, 0, 70])
    step = natively(f, X, good, params=0, optimizer=SGD(lr=0.1))
    step(good)
    before = step.params["x"]
    with pytest.raises(AllBPsError, match="out of bounds"):
        step(bad)
    same(step.params["x"], before)
    rows = np.array([[2, 0, 1], [0, 0, 0], [70, 0, 0]])
    with pytest.raises(AllBPsError, match="out of bounds"):
        step.run_epoch(rows.ravel(), order=np.arange(9).reshape(3, 3))
    assert step.taken == 3
    step(good)


def test_a_function_is_refused_an_index_outside_too():
    step = natively(lambda x, i: x[i, 0], X, np.array([0, 1]))
    for bad in ([6, 0], [0, -7]):
        with pytest.raises(AllBPsError, match="out of bounds"):
            step(X, np.array(bad))
    same(step(X, np.array([-6, 5])), X[[-6, 5], 0])
    assert len(step.paths()) == 1


# -- masks -----------------------------------------------------------------------------------------
def test_one_number_at_a_mask_is_one_path_however_many_places_it_names():
    def f(x, m, c):
        y = x * 1.0
        y[m] = c
        y[:, m[0, :, 0]] = 0.0
        y[y > 1] = 1.0
        return np.sum(y**2)

    step = natively(f, X, X > 0, 3.0, params=(0, 2))
    for mask in (X > 0, X > 1, X < -9):
        loss, grads = step(X, mask, 3.0)
        np.testing.assert_allclose(loss, f(X, mask, 3.0), rtol=1e-13)
        want = bp.grad(lambda p, mask=mask: f(p[0], mask, p[1]))((X, 3.0))
        np.testing.assert_allclose(grads["x"], want[0], rtol=1e-13)
        np.testing.assert_allclose(grads["c"], want[1], rtol=1e-13)
    assert len(step.paths()) == 1


@pytest.mark.parametrize(
    "index",
    [lambda m: m, lambda m: m[:, :, 0], lambda m: (slice(None), m[0])],
    ids=["all", "two", "last"],
)
def test_elements_at_a_mask_that_changes(index):
    def f(x, m):
        picked = x[index(m)]
        y = x * 1.0
        y[index(m)] = picked**2 + 1.0
        return np.sum(np.exp(picked)) + np.sum(y)

    step = natively(f, X, X > 0, params="x")
    for mask in (X > 0, -X > 0.3, np.roll(X > 0, 1, 0)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            loss, grad = step(X, mask)
        np.testing.assert_allclose(loss, f(X, mask), rtol=1e-13)
        want = bp.grad(lambda x, mask=mask: f(x, mask))(X)
        np.testing.assert_allclose(grad, want, rtol=1e-13)


# -- nets ------------------------------------------------------------------------------------------
def test_a_loop_that_writes_and_reads_what_it_wrote():
    def f(w, x):
        out = np.zeros_like(x)
        out[0] = x[0]
        for k in range(1, len(x)):
            out[k] = np.tanh(w * np.sum(out[:k], 0) + x[k])
        out[1:3, ::2] = 0.5
        return np.sum(out**2)

    w, x = RNG.standard_normal(4), X[:, :, 0]
    loss, grads = natively(f, w, x, params=(0, 1))(w, x)
    np.testing.assert_allclose(loss, f(w, x), rtol=1e-13)
    want = bp.grad(lambda p: f(*p))((w, x))
    np.testing.assert_allclose(grads["w"], want[0], rtol=1e-12)
    np.testing.assert_allclose(grads["x"], want[1], rtol=1e-12)


def bucket(distance, buckets=8, farthest=20):
    """T5's buckets of relative positions: small distances alone, large ones together."""
    half = buckets // 2
    sign, n = (distance > 0).astype(np.int64) * half, np.abs(distance)
    exact = half // 2
    far = np.log(np.maximum(n, 1) / exact) / np.log(farthest / exact) * (half - exact)
    return sign + np.where(n < exact, n, np.minimum(exact + far.astype(np.int64), half - 1))


def test_attention_with_relative_positions_and_a_mask_trains_natively():
    def loss(p, x, position, attend, label):
        q, k = x @ p["q"], x @ p["k"]
        bias = p["table"][bucket(position[:, None, :] - position[:, :, None])]  # (N, T, T, 1)
        scores = np.where(attend[:, None, :] == 0, -1e9, q @ np.swapaxes(k, 1, 2) + bias[..., 0])
        made = F.softmax(scores, -1) @ x
        return F.cross_entropy(made[np.arange(len(x)), label % 5] @ p["out"], label % 3)

    x = RNG.standard_normal((3, 5, 4))
    position = np.cumsum(RNG.integers(1, 6, (3, 5)), 1)
    attend, label = RNG.integers(0, 2, (3, 5)) | np.eye(3, 5, dtype=int), np.array([4, 0, 2])
    p = {"q": (4, 2), "k": (4, 2), "table": (8, 1), "out": (4, 3)}
    p = {name: RNG.standard_normal(shape) for name, shape in p.items()}
    args = (x, position, attend, label)
    value, grads = natively(loss, p, *args, params="p")(p, *args)
    np.testing.assert_allclose(value, loss(p, *args), rtol=1e-12)
    want = bp.grad(lambda p: loss(p, *args))(p)
    for name, grad in grads.items():
        np.testing.assert_allclose(grad, want[name], rtol=1e-9, atol=1e-12, err_msg=name)


def test_a_write_into_no_place_at_all_changes_nothing():
    def f(x):
        y = x.copy()
        y[2:2] = 99.0
        y[[]] = 5.0
        y[np.zeros(4, bool)] = 7.0
        return np.sum(y * y)

    x = np.arange(4.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        value, gradient = compile(f, x, params=0)(x)
    assert value == 14.0
    np.testing.assert_array_equal(gradient, 2 * x)


@pytest.mark.parametrize(
    "nothing",
    [
        lambda x: np.prod(x[:0], axis=0),
        lambda x: np.prod(x[:, :0] * 2.0, axis=1),
        lambda x: np.sum(x[:0].reshape(2, 0, 2).transpose(1, 0, 2), axis=(0, 1, 2)),
        lambda x: np.sum(x[:, :0] @ x[:0], axis=0),
        lambda x: np.sum(np.tile(x[:0], (2, 2))),
    ],
)
def test_arrays_of_no_numbers_are_compiled(nothing):
    def f(x):
        return np.sum(nothing(x) * x) + np.sum(x**2)

    x = RNG.standard_normal((4, 4))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        value, gradient = compile(f, x, params=0)(x)
    assert value == pytest.approx(f(x), rel=1e-12)
    np.testing.assert_allclose(gradient, bp.grad(f)(x), rtol=1e-12)
