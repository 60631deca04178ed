"""What NumPy gives as the array itself, as a view of it or as a copy is that while it is traced.

Each expression is written into, and so is the array that it was made of; both are compared with
what NumPy makes of them. A clear refusal is as good where it cannot be followed.
"""

import contextlib

import numpy as np
import pytest

import allbps as bp
from allbps.errors import AllBPsError, InPlaceError, NoRuleError, TraceError
from allbps.ir import TracedArray
from allbps.ir.arraylike import ArrayLike

X = np.array([[1.5, -0.5, 0.25], [2.0, 0.0, 3.0], [0.5, 0.75, -1.0]])

MADE = """
x.T | x.mT | x.T.T | x.transpose() | x.swapaxes(0, 1) | np.transpose(x) | np.moveaxis(x, 0, 1)
np.permute_dims(x, (1, 0)) | np.matrix_transpose(x) | np.linalg.matrix_transpose(x)
x.reshape(9) | x.reshape(9, 1) | x.T.reshape(9) | x.reshape(9, order="F") | x.reshape(3, 3)
x.reshape(9, order="A") | x.T.reshape(9, order="A") | x.T.reshape(9, order="F")
np.reshape(x, -1) | np.reshape(x, 9, copy=True) | x[:2].reshape(-1) | x[:, :2].reshape(-1)
x.ravel() | x.ravel("F") | x.ravel("A") | x.ravel("K") | x.T.ravel() | x.T.ravel("F")
x.T.ravel("A") | x.T.ravel("K") | np.ravel(x, "K") | np.ravel(x.T, order="K") | x[::2].ravel("K")
x.flatten() | x.T.flatten("K") | x.T.flatten("A") | x[:, 0].ravel() | x[0].ravel()
np.real(x) | np.imag(x) | x.real | x.imag | x.conj() | x.conjugate() | np.conj(x)
np.real_if_close(x) | np.nan_to_num(x) | np.nan_to_num(x, copy=False)
x.astype(x.dtype) | x.astype(x.dtype, copy=False) | np.astype(x, x.dtype)
np.astype(x, x.dtype, copy=False) | np.asarray(x) | np.asanyarray(x) | np.asarray(x, order="F")
np.ascontiguousarray(x) | np.ascontiguousarray(x.T) | np.asfortranarray(x) | np.asfortranarray(x.T)
np.require(x) | np.array(x) | np.array(x, copy=None) | np.array(x, copy=False) | np.copy(x)
x.copy() | x.view() | x.squeeze() | np.squeeze(x[None]) | np.expand_dims(x, 0) | np.atleast_2d(x)
np.atleast_3d(x) | np.diag(x) | np.diagonal(x) | x.diagonal() | np.broadcast_to(x, (2, 3, 3))
np.flip(x) | np.fliplr(x) | np.rot90(x) | np.rot90(x, 4) | np.roll(x, 0) | np.roll(x, 1, 0)
np.split(x, 3)[1] | np.array_split(x, 2)[0] | np.hsplit(x, 3)[0] | np.unstack(x)[0]
np.einsum("ij->ji", x) | np.einsum("ii->i", x) | np.einsum("ij->j", x)
np.take(x, [0], 0) | x.take([0], 0) | x.compress([True] * 3, 0) | np.trim_zeros(x[1])
np.trim_zeros(x[:, 1]) | np.diff(x, n=0) | np.diff(x) | np.linalg.matrix_power(x, 1)
np.linalg.matrix_power(x, 2) | np.apply_over_axes(np.sum, x, []) | np.apply_over_axes(np.sum, x, 0)
x[:] | x[...] | x[0] | x[1:, None] | x[[0, 1]] | x[x == x] | x[np.array(0)] | x[np.int64(1)]
x[:, ::-1] | x.T[0] | x.T[:, 1] | np.positive(x) | +x | x * 1 | np.round(x, 20) | x.round(5)
x.dot(np.eye(3)) | np.dot(x, np.eye(3)) | x @ np.eye(3) | x.clip(-9, 9) | np.sort(x)
np.pad(x, 0) | np.tile(x, 1) | np.concatenate([x]) | np.vstack([x]) | np.resize(x, (3, 3))
np.where(x == x, x, 0) | np.tril(x, 5) | np.sum(x, axis=0) | x.sum(axis=0) | x.cumsum(0)
list(x)[1] | next(iter(x)) | max(x[0], x[1], key=lambda row: row[0].real)
"""
MADE = [made.strip() for line in MADE.strip().splitlines() for made in line.split(" | ")]
WRITTEN = ["y[...] = 7.0", "y += 1.0", "y[0] = 9.0", "x[...] = 4.0", "x *= 2.0", "x[0, 0] -= 2.0"]


def strided():
    whole = np.zeros((6, 9))
    part = whole[::2, ::3]
    part[...] = X
    return part


LAYOUTS = {
    "rows": X.copy,
    "columns": lambda: np.asfortranarray(X),
    "gaps": strided,
    "backwards": lambda: X[::-1, ::-1].copy()[::-1, ::-1],
    "complex": lambda: X + 1j * X.T,
}


def program(made, write):
    scope = {"np": np}
    lines = ["def f(x):", f"    y = {made}", f"    {write}", "    return x, y"]
    exec("\n".join(lines), scope)
    return scope["f"]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("made", MADE)
def test_writing_into_the_one_changes_the_other_where_it_does_for_numpy(made, layout):
    for write in WRITTEN:
        f = program(made, write)
        try:
            expected = [np.array(part) for part in f(LAYOUTS[layout]())]
        except (ValueError, TypeError):
            continue  # NumPy refuses it
        try:
            found, _ = bp.vjp(lambda x, f=f: [1.0 * part for part in f(x)], LAYOUTS[layout]())
        except AllBPsError:
            continue
        for part, right in zip(found, expected, strict=True):
            np.testing.assert_allclose(part, right, err_msg=write)


def test_most_of_it_is_followed_and_not_refused():
    refused = [
        (made, write) for made in MADE if "np.a" not in made and "np.r" not in made
        for write in WRITTEN if _refuses(program(made, write))
    ]  # fmt: skip
    assert len(refused) < 0.02 * len(MADE) * len(WRITTEN), refused


def _refuses(f):
    try:
        f(X.copy())
    except (ValueError, TypeError):
        return False
    try:
        bp.vjp(f, X)
    except AllBPsError:
        return True
    return False


def test_what_asarray_gives_is_the_array_itself():
    def f(x):
        y = np.asarray(x)
        x[0] = 4.0
        return np.sum(y * y)

    np.testing.assert_array_equal(bp.grad(f)(np.array([1.0, 2.0])), [0.0, 4.0])


def test_what_asarray_gave_in_a_function_without_a_twin_is_refused_once_the_array_has_changed():
    def f(x):
        global calls  # noqa: PLW0603  (such a function is not run in another way)
        calls = 1
        y = np.asarray(x)
        x[0] = 4.0
        return np.sum(y * y)

    with pytest.raises(InPlaceError, match=r"x has been written into since np\.asarray"):
        bp.grad(f)(np.array([1.0, 2.0]))


def test_what_array_copied_stays():
    def f(x):
        y = np.array(x)
        x[0] = 4.0
        return np.sum(y * y)

    np.testing.assert_array_equal(bp.grad(f)(np.array([1.0, 2.0])), [2.0, 4.0])


def test_parts_of_complex_numbers_are_written_through():
    def f(x):
        z = x * (1.0 + 0.5j)
        z.real[0] = 5.0 * x[1]
        z.imag[:] *= x
        np.real(z)[1] += 2.0
        return np.sum(np.abs(z) ** 2)

    x = np.array([1.0, 2.0])
    value, slope = bp.value_and_grad(f)(x)
    h = 1e-6
    assert value == pytest.approx(f(x.copy()), rel=1e-14)
    expected = [(f(x + h * e) - f(x - h * e)) / (2 * h) for e in np.eye(2)]
    np.testing.assert_allclose(slope, expected, rtol=1e-7)


@pytest.mark.parametrize("name", [n for n in dir(np.ndarray) if not n.startswith("_")])
def test_no_method_hands_out_a_record_in_the_place_of_an_array(name):
    """A record cannot be rebound: names for one array would part when it is written into."""
    calls = [(), (0,), (np.eye(3),), ([True] * 3, 0), (float,), ((1, 0),)]
    found = []

    def f(x):
        for arguments in calls:
            try:
                made = getattr(x, name)
                found.append(made(*arguments) if callable(made) else made)
            except (AllBPsError, TypeError, ValueError, AttributeError, NotImplementedError):
                pass
        return np.sum(x)

    with contextlib.suppress(AllBPsError):  # what is caught above is raised in the end
        bp.grad(f)(X)
    assert not [x for x in found if isinstance(x, ArrayLike) and not isinstance(x, TracedArray)]


def test_memory_seen_another_way_is_refused():
    from_memory = [
        lambda x: np.sum(np.lib.stride_tricks.as_strided(x, (2,), (8,))),
        lambda x: np.sum(np.from_dlpack(x)),
    ]
    for f in from_memory:
        with pytest.raises((NoRuleError, TraceError)):
            bp.grad(f)(X)


LAID_OUT = """
x | x.T | x.T.copy() | np.copy(x.T) | x[::-1].copy() | x.copy("F") | x.T.astype(float)
np.zeros_like(x.T) + x | np.ones_like(x.T) | np.full_like(x.T, 2.0) | np.empty_like(x.T) * 0 + x
np.sort(x.T) | np.sort(x.T, 0) | np.partition(x.T, 1, 0) | np.cumsum(x.T, 0) | np.tile(x.T, 1)
np.take(x, [0, 1, 2], 1) | x.take([0, 1, 2], 1) | x[:, [0, 1, 2]] | x.T[[0, 1, 2]]
np.delete(x.T, 0, 0) | np.insert(x.T, 0, 1.0, 0) | np.pad(x.T, 1, mode="edge") | np.block([[x.T]])
np.where(x.T > 0, x.T, 0)
np.select([x.T > 0], [x.T]) | np.choose((x.T > 0).astype(int), [x.T, x.T]) | np.abs(x.T)
np.piecewise(x.T, [x.T > 0], [2.0, 3.0]) | np.gradient(x.T)[0] | np.cross(x, x) | np.dot(x.T, 2.0)
np.einsum("ij,kj->ik", x, np.sin(x)) | np.einsum("ij,kj->ik", x, np.sin(x)) - x[0] | x.T @ x
np.linalg.inv(x.T + 5 * np.eye(3)) | np.linalg.qr(x)[0] | np.linalg.eigh(x.T @ x)[1] * 1.0
np.concatenate([x.T, x.T]) | np.stack([x.T, x.T], -1)[..., 0] | np.repeat(x.T, 2, 1)
np.roll(x.T, 1)
np.sum(np.transpose(np.stack([x, x])), axis=0) | np.fft.ifft(np.fft.fft(x, axis=0), axis=0).real
"""
LAID_OUT = [made.strip() for line in LAID_OUT.strip().splitlines() for made in line.split(" | ")]


@pytest.mark.parametrize("layout", ["rows", "columns", "gaps"])
@pytest.mark.parametrize("made", LAID_OUT)
def test_a_row_of_an_array_is_a_view_where_it_lies_so_for_numpy(made, layout):
    for row in ("z.reshape(-1)", "z.ravel()", "z.ravel('F')", "z.T.reshape(-1)"):
        scope = {"np": np}
        lines = ["def f(x):", f"    z = {made}", f"    y = {row}", "    y[1::2] = 7.0"]
        exec("\n".join([*lines, "    return x, z"]), scope)
        f = scope["f"]
        try:
            expected = [np.array(part) for part in f(LAYOUTS[layout]())]
        except ValueError:
            continue  # NumPy refuses it
        try:
            found, _ = bp.vjp(lambda x, f=f: [1.0 * part for part in f(x)], LAYOUTS[layout]())
        except AllBPsError:
            continue
        for part, right in zip(found, expected, strict=True):
            np.testing.assert_allclose(part, right, atol=1e-12, err_msg=row)


def doubled(a, b):
    a *= 2.0
    return np.sum(a * b)


def first(a, b):
    a[0] = 3.0
    return np.sum(a * b)


ROW = np.array([1.0, 2.0, 3.0])
SHARED = [(ROW, ROW), (ROW, ROW[::-1]), (ROW[:2], ROW[1:])]
APART = [(ROW, ROW.copy()), (ROW[:1], ROW[1:2]), (ROW[::2], ROW.repeat(2)[1::4])]
ASKED = [
    lambda f, *xs: bp.value_and_grad(f, argnums=(0, 1))(*xs)[0],
    lambda f, *xs: bp.value_and_grad(f)(*xs)[0],
    lambda f, *xs: bp.vjp(f, *xs)[0],
    lambda f, *xs: bp.jvp(f, xs, xs)[0],
    lambda f, *xs: bp.explain(f, *xs)["L"].value,
]


@pytest.mark.parametrize("ask", ASKED)
@pytest.mark.parametrize("f", [doubled, first])
def test_a_write_into_memory_that_two_arguments_share_is_refused(f, ask):
    for xs in SHARED:
        with pytest.raises(InPlaceError, match="another argument shares its memory"):
            ask(f, *xs)
    for xs in APART:
        assert ask(f, *xs) == f(*map(np.copy, xs))
    for xs in (*SHARED, *APART):
        assert ask(lambda a, b: np.sum(a * b), *xs) == np.sum(xs[0] * xs[1])


def test_a_view_whose_places_cannot_be_followed_is_read_and_not_written():
    def read(x):
        windows = np.lib.stride_tricks.sliding_window_view(x, 2, writeable=True)
        x[1] = 5.0 * x[0]
        return np.sum(windows**2)

    def written(x):
        windows = np.lib.stride_tricks.sliding_window_view(x, 2, writeable=True)
        windows[1] = 0.0
        return np.sum(x**2)

    np.testing.assert_allclose(bp.grad(read)(ROW), [2 + 4 * 25, 0, 6])
    with pytest.raises(InPlaceError, match="whose places cannot be followed"):
        bp.grad(written)(ROW)


def test_a_function_that_is_called_like_one_of_numpys_is_the_users_own():
    def as_strided(x):
        return np.sum(np.asarray(x) ** 2)

    np.testing.assert_allclose(bp.grad(as_strided)(ROW), 2 * ROW)
