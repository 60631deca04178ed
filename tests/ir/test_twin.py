"""NumPy programs as people write them: into arrays of np.zeros, np.empty, np.full."""

import math
from functools import partial, wraps

import numpy as np
import pytest
from numpy import zeros

import allbps as bp
from allbps.errors import TraceError
from allbps.ir.twin import twin_of

X = np.array([[0.5, -1.2, 2.1], [1.5, 0.3, -0.7], [0.2, 0.9, 1.1]])
W = np.arange(1.0, 10.0).reshape(3, 3) / 3
LOG = []


def rows(x):
    out = np.zeros((3, 3))
    for i in range(3):
        out[i] = x[i] * out[i - 1].sum() + x[i]
    return np.sum(out * W)


def refilled(x):
    buffer, total = np.empty(3), 0.0
    for k in range(3):
        buffer[:] = x[k]
        total = total + np.sum(buffer * W[k])
        buffer[0] = 7.0
    return total


def solved(A, b):
    """Gauss's elimination, by a helper that writes into its arguments."""
    n, x = len(b), np.zeros(len(b))
    for k in range(n):
        for i in range(k + 1, n):
            factor = A[i, k] / A[k, k]
            A[i, k:] -= factor * A[k, k:]
            b[i] -= factor * b[k]
    for i in reversed(range(n)):
        x[i] = (b[i] - A[i, i + 1 :] @ x[i + 1 :]) / A[i, i]
    return x


def elimination(x):
    return np.sum(solved(x + 5 * np.eye(3), np.array([1.0, 2.0, 3.0])) * W[0])


def warped(x):
    """Dynamic time warping: a table that begins with infinities."""
    D = np.full((4, 4), np.inf)
    D[0, 0] = 0.0
    for i in range(1, 4):
        for j in range(1, 4):
            before = np.minimum(np.minimum(D[i - 1, j], D[i, j - 1]), D[i - 1, j - 1])
            D[i, j] = x[i - 1, j - 1] ** 2 + before
    return D[3, 3]


def filtered(x):
    u, y = x.ravel(), zeros(9)
    for n in range(9):
        y[n] = u[n] + 0.5 * (y[n - 1] if n else 0.0) - 0.2 * (y[n - 2] if n > 1 else 0.0)
    return np.sum(y**2)


def averaged(x):
    m, v = np.zeros(3), np.ones(3)
    for k in range(3):
        m *= 0.9
        m += 0.1 * x[k]
        v = 0.9 * v + 0.1 * (x[k] - m) ** 2
    return np.sum(m / np.sqrt(v) * W[0])


def convolved(x):
    out = np.zeros((2, 2))
    for i in range(2):
        for j in range(2):
            out[i, j] = np.sum(x[i : i + 2, j : j + 2] * W[:2, :2])
    return np.sum(np.maximum(out, 0))


def counted(x):
    out = np.zeros(3)
    np.add.at(out, [0, 1, 1], x[0])
    np.multiply(out, x[1], out=out)
    return np.sum(out**2)


def inner(y):
    g = np.zeros(3)
    for i in range(3):
        g[i] = np.sin(y[i]) * y[i - 1]
    return np.sum(g**2)


def of_a_gradient(x):
    return np.sum(bp.grad(inner)(x[0]) * x[1])


def standardised(x):
    """A copy of the argument that is written into by traced numbers."""
    scale, x = x[0] ** 2 + 1, np.array(x)
    x -= x.mean(0)
    x /= np.sqrt(x.var(axis=0) + 1e-2)
    x *= scale
    return np.sum(np.maximum(x, 0, out=x) * W)


def converted(x):
    """np.asarray gives the array itself, and what is written into it stands in the other name."""
    y, z = np.asarray(x[:2] + 1), np.array(x, dtype=np.float64, copy=True)
    again = np.asarray(y)
    again *= np.sin(x[1])
    z[1] = again[0] * y[1]
    return np.sum(np.array([y, z[:2]]) ** 2) + np.sum(np.ascontiguousarray(z) * W)


def into_itself(x):
    y = np.asarray(x)
    y += np.sin(x)
    return np.sum(x * W)


def of_parts(x):
    try:
        return np.sum(np.linalg.inv(np.array([[x[0, 0], 1.0], [2.0, x[1, 1]]])))
    except Exception:
        return np.sum(x)


def mixed(x):
    return np.sum(np.sin(np.array([x[0, 0], 1.0])) * np.array([x[0, 1], x[1, 0]], dtype=float))


PROGRAMS = (
    rows, refilled, elimination, warped, filtered, averaged, convolved, counted, of_a_gradient,
    standardised, converted, into_itself, of_parts, mixed,
)  # fmt: skip


@pytest.mark.parametrize("f", PROGRAMS, ids=lambda f: f.__name__)
def test_programs_that_write_into_arrays_of_their_own(f):
    value, gradient = bp.value_and_grad(f)(X.copy())
    np.testing.assert_allclose(value, f(X.copy()), rtol=1e-12)
    for place in np.ndindex(X.shape):
        e = np.zeros_like(X)
        e[place] = 1e-6
        slope = (f(X + e) - f(X - e)) / 2e-6
        np.testing.assert_allclose(gradient[place], slope, rtol=1e-5, atol=1e-7)


@pytest.mark.filterwarnings("ignore:no kernel for matmul")  # of rows that are empty
@pytest.mark.parametrize("f", [rows, elimination, averaged], ids=lambda f: f.__name__)
def test_they_are_checked_explained_and_compiled(f):
    assert bp.check(f, X.copy())
    worked = bp.explain(f, x=X.copy())
    scope = {}
    exec(worked.to_source(), scope)
    _, grads = scope[f.__name__](X.copy())
    np.testing.assert_allclose(grads["x"], worked["x"].delta, rtol=1e-12)
    other = X + 0.25
    np.testing.assert_allclose(bp.compile(f, X.copy())(other.copy()), f(other.copy()), rtol=1e-12)


def scaled(x, factor):
    out = np.zeros(3)
    out[0] = factor * x[0, 0]
    return np.sum(out)


class Net:
    factor = 2.0

    def loss(self, x):
        out = np.zeros(3)
        out[1] = self.factor * x[0, 0]
        return np.sum(out)


def test_methods_and_partial_functions_too():
    for f in (partial(scaled, factor=2.0), Net().loss, lambda x: scaled(x, 2.0)):
        assert bp.grad(f)(X)[0, 0] == 2.0


def test_functions_of_other_files_of_the_users_too(tmp_path, monkeypatch):
    lines = [
        "import numpy as np",
        "def dense(x):",
        " out = np.zeros(3)",
        " out[:] = x",
        " return out",
    ]
    (tmp_path / "own_layers.py").write_text("\n".join(lines), "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    scope = {}
    exec("import torch, own_layers\nfrom own_layers import dense\nimport numpy as np", scope)
    exec("def f(x): return np.sum(dense(x) * own_layers.dense(x))", scope)
    np.testing.assert_allclose(bp.grad(scope["f"])(X[0]), 2 * X[0])
    twin = twin_of(scope["f"])
    assert twin.__globals__["torch"] is scope["torch"], "a library stays as it is"


def noted(x):
    global LOG  # noqa: PLW0603  (what a program may do)
    out = np.zeros(3)
    out[0] = x[0, 0]
    LOG = [*LOG, 1]
    return np.sum(out)


def test_what_the_twin_would_do_differently_is_refused_as_before():
    assert twin_of(noted) is None, "it writes a global variable"
    assert twin_of(np.sum) is None
    assert twin_of(bp.grad) is None, "not the user's code"
    with pytest.raises(TraceError, match="would cut its gradient"):
        bp.grad(noted)(X)
    with pytest.raises(TraceError, match=r"float\(\) of x\[0, 0\]"):
        bp.grad(lambda x: math.sin(x[0, 0]))(X)


def test_nothing_outside_of_the_function_changes():
    kept = rows.__globals__.copy()
    bp.grad(rows)(X)
    assert rows.__globals__ == kept
    assert type(np.zeros(3)) is np.ndarray


def squares(y, z):
    z *= 2.0
    return np.sum(y * z)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: squares(y := x.copy(), np.array(y, copy=False)),
        lambda x: squares(y := x.copy(), np.array(y, copy=None)),
        lambda x: squares(y := x.copy(), np.array(y, copy=None, ndmin=3)),
        lambda x: squares(y := x.copy(), np.array(y, copy=None, order="F")),
        lambda x: squares(y := x.copy(), np.asarray(y)),
        lambda x: squares(y := x.copy(), np.array(y)),
        lambda x: squares(y := x.copy(), np.array(y, ndmin=3)),
    ],
)
def test_an_array_is_copied_where_numpy_copies_it(f):
    value, gradient = bp.value_and_grad(f)(X)
    assert value == f(X)
    followed = value == 4 * np.sum(X**2)
    np.testing.assert_allclose(gradient, (8.0 if followed else 4.0) * X)


WRITERS = {
    "sum": lambda x, z: x.sum(axis=0, out=z),
    "mean": lambda x, z: x.mean(0, None, z),
    "max": lambda x, z: x.max(0, z),
    "std": lambda x, z: x.std(axis=0, out=z),
    "prod": lambda x, z: np.prod(x, 0, None, z),
    "cumsum": lambda x, z: x[0].cumsum(out=z),
    "clip": lambda x, z: x[0].clip(0.0, 1.0, z),
    "round": lambda x, z: (x[0] + 0.1).round(0, z),
    "take": lambda x, z: x[0].take([2, 0, 0], out=z),
    "take with what follows": lambda x, z: np.take(x[0], [2, 7, 0], 0, z, "clip"),
    "sum with what follows": lambda x, z: x.sum(0, None, z[None], True),
    "dot": lambda x, z: x[0].dot(np.ones((3, 3)), out=z),
}


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
@pytest.mark.parametrize("is_traced", [False, True])
def test_a_method_writes_its_result_into_an_array(write, is_traced):
    def f(x):
        z = x[0] * 0.0 if is_traced else np.zeros(3)
        write(x, z)
        return np.sum(z * x)

    value, gradient = bp.value_and_grad(f)(X)
    assert value == pytest.approx(f(X))
    steps = [f(X + h) - f(X - h) for h in 1e-6 * np.eye(X.size).reshape(-1, *X.shape)]
    np.testing.assert_allclose(gradient.ravel(), np.array(steps) / 2e-6, atol=1e-8)


def doubled(f):
    @wraps(f)
    def wrapped(*args):
        return 2 * f(*args)

    return wrapped


@doubled
@doubled
def decorated(x):
    z = np.zeros(3)
    z[:] = x[0] ** 2
    return np.sum(z) / 4


def in_a_closure():
    def inner(x):
        z = np.zeros(3)
        z[:] = x[0] ** 2
        return np.sum(z)

    return lambda x: inner(x)


def one_that_calls_itself():
    def part(x, n):
        z = np.zeros(1)
        z[0] = x[0, n] ** 2
        return np.sum(z) + (part(x, n - 1) if n else 0.0)

    return lambda x: part(x, 2)


def two_that_call_each_other():
    def rows(x, n):
        z = np.zeros(3)
        z[:] = x[0]
        return squares_of(z, n)

    def squares_of(z, n):
        y = np.zeros(3)
        y[:] = z**2
        return np.sum(y) if n == 0 else rows(z[None], n - 1)

    return lambda x: rows(x, 2)


def with_numpy_of_its_own():
    import numpy as numbers

    def f(x):
        z = numbers.zeros(3)
        z[:] = x[0] ** 2
        return numbers.sum(z)

    return f


@pytest.mark.parametrize(
    "f",
    [decorated, in_a_closure(), one_that_calls_itself(), two_that_call_each_other(),
     with_numpy_of_its_own(), partial(in_a_closure())],
)  # fmt: skip
def test_functions_around_a_function_follow_too(f):
    value, gradient = bp.value_and_grad(f)(X)
    assert value == f(X)
    np.testing.assert_array_equal(gradient, [2 * X[0], 0 * X[0], 0 * X[0]])


def test_what_functions_share_stays_shared():
    calls = 0

    def count():
        nonlocal calls
        calls += 1

    def f(x):
        z = np.zeros(3)
        z[:] = x[0]
        count()
        return np.sum(z)

    bp.grad(f)(X)
    assert calls == 1
