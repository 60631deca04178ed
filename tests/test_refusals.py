"""Arguments and functions that are something else than they should be."""

import array
import collections
import copy
import dataclasses
import functools
import importlib
import json
import re
import statistics
import warnings

import numpy as np
import pytest
import scipy.fft
import scipy.integrate
import scipy.interpolate
import scipy.linalg
import scipy.ndimage
import scipy.signal
import scipy.sparse
import scipy.stats

import allbps as bp
from allbps.errors import (
    ArgumentError,
    DtypeError,
    NameUnknownError,
    NoRuleError,
    ShapeError,
    TraceError,
)


def squares(x):
    return np.sum(x * x)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            np.ma.array([1.0, 2.0], mask=[0, 1]),
            "is a masked array, and its mask would be lost\n"
            "  at:       {at}\n"
            "  expected: a plain array\n"
            "  got:      MaskedArray of shape (2,)\n"
            "  fix:      wrong.filled(0), or np.where",
        ),
        (
            np.ones((1, 2)).view(np.matrix),
            "is an np.matrix, whose * is a matrix product\n"
            "  at:       {at}\n"
            "  expected: a plain array\n"
            "  got:      matrix of shape (1, 2)\n"
            "  fix:      np.asarray(wrong), and @ for products",
        ),
        (
            {1.0},
            "is not made of numbers\n"
            "  at:       {at}\n"
            "  expected: bool, integer, floating-point or complex numbers\n"
            "  got:      set with dtype object\n"
            "  fix:      pass arrays of numbers",
        ),
    ],
    ids=["masked", "matrix", "set"],
)
def test_what_is_more_or_less_than_an_array_is_refused(wrong, message):
    with pytest.raises(DtypeError) as caught:
        bp.grad(squares)(wrong)
    at = re.search(r"at: +(.*)", str(caught.value))[1]
    assert at.endswith("bp.grad(squares)(wrong)")
    assert str(caught.value) == "argument 0 (x) " + message.format(at=at)


def test_explain_drops_no_mask():
    with pytest.raises(DtypeError, match=r"^x is a masked array"):
        bp.explain(squares, np.ma.array([1.0], mask=[1]))


def test_a_mask_inside_the_function_is_not_dropped_either():
    with pytest.raises(DtypeError, match="mask would be lost"):
        bp.grad(lambda x: np.sum(x * np.ma.array([1.0, 2.0], mask=[0, 1])))(np.ones(2))


class Tropical(np.ndarray):
    """A product that is a sum."""

    def __mul__(self, other):
        return np.add(self, other)


class Named(np.ndarray):
    """An array with NumPy's own arithmetic."""


def test_an_array_whose_class_has_its_own_arithmetic_is_refused_and_another_is_not():
    x = np.array([1.0, 2.0])
    with pytest.raises(DtypeError, match=r"class Tropical, which has a __mul__ of its own"):
        bp.grad(squares)(x.view(Tropical))
    with pytest.raises(DtypeError, match=r"class Tropical"):
        bp.grad(lambda x: np.sum(np.ones(2).view(Tropical) * x))(x)
    np.testing.assert_array_equal(bp.grad(squares)(x.view(Named)), 2 * x)


def test_a_mapped_file_is_taken_at_its_value_at_the_call(tmp_path):
    mapped = np.memmap(tmp_path / "numbers", dtype=float, mode="w+", shape=(2,))
    mapped[:] = [1.0, 2.0]
    _, as_constant = bp.vjp(lambda x: np.sum(x * mapped), np.ones(2))
    _, as_argument = bp.vjp(lambda x: np.sum(x**2), mapped)
    mapped[:] = 9.0
    np.testing.assert_array_equal(as_constant(1.0)[0], [1.0, 2.0])
    np.testing.assert_array_equal(as_argument(1.0)[0], [2.0, 4.0])


@pytest.mark.parametrize("kind", [np.matrix, Tropical, np.ma.MaskedArray])
def test_a_compiled_function_refuses_what_its_trace_does(kind):
    step = bp.compile(squares, np.ones((2, 2)))
    with pytest.raises(DtypeError, match=r"^x is an? "):
        step(np.ones((2, 2)).view(kind))


def test_a_generator_is_told_from_a_function():
    def parts(x):
        yield x

    with pytest.raises(DtypeError, match=r"fix: +np\.stack"):
        bp.grad(parts)(np.ones(2))


@pytest.mark.parametrize("entry", [lambda f: bp.grad(f)(1.0), lambda f: bp.explain(f, 1.0)])
def test_what_cannot_be_called_is_no_function(entry):
    with pytest.raises(ArgumentError, match=r"^3 is not a function"):
        entry(3)


# -- other libraries' arrays, and objects ----------------------------------------------------------
ONES = np.ones(2)


@dataclasses.dataclass
class Parameters:
    w: np.ndarray


class Net:
    def __init__(self):
        self.W = np.ones(2)

    def forward(self, x):
        return np.sum(self.W * x)

    def __call__(self, x):
        return self.forward(x)


def pretending(module, name, **attributes):
    """An object of a class of that name in that module, which is all that is looked at."""
    return type(name, (), {"__module__": module, **attributes})()


TENSOR = pretending("torch", "Tensor", requires_grad=False)
FOREIGN = {
    "a torch tensor": (TENSOR, ".numpy()"),
    "a tensor in a graph": (pretending("torch", "Tensor", requires_grad=True), ".detach().numpy()"),
    "a parameter": (
        type("Parameter", (type(TENSOR),), {"requires_grad": True})(), ".detach().numpy()",
    ),
    "a torch module": (pretending("torch.nn", "Module", __call__=len), ".named_parameters()"),
    "a JAX array": (pretending("jaxlib._jax", "ArrayImpl"), "np.asarray("),
    "a JAX tracer": (pretending("jax._src.core", "Tracer"), "outside of jax.jit"),
    "a frame": (pretending("pandas.core.frame", "DataFrame"), ".to_numpy()"),
    "a series": (pretending("pandas", "Series"), ".to_numpy()"),
    "a tensor of TensorFlow": (pretending("tensorflow.python", "Tensor"), ".numpy()"),
    "a sparse matrix": (scipy.sparse.eye_array(2, format="csr"), ".toarray()"),
    "a dataclass": (Parameters(ONES), "typing.NamedTuple"),
    "a net": (Net(), "pass {'W': "),
    "a memoryview": (memoryview(ONES), "np.asarray("),
    "an array of Python's": (array.array("d", [1.0, 2.0]), "np.asarray("),
    "a mapping": (collections.UserDict(x=1.0), "dict("),
}  # fmt: skip
ENTRIES = {
    "grad": lambda x: bp.grad(squares)(x),
    "vjp": lambda x: bp.vjp(squares, x),
    "jvp": lambda x: bp.jvp(squares, (ONES,), (x,)),
    "hessian": lambda x: bp.hessian(squares)(x),
    "explain": lambda x: bp.explain(squares, x=x),
    "check": lambda x: bp.check(squares, x),
    "compile": lambda x: bp.compile(squares, x),
    "in a dict": lambda x: bp.grad(lambda p: squares(p["w"]))({"w": x}),
    "a constant": lambda x: bp.grad(lambda y: np.sum(y * x))(ONES),
    "a compiled call": lambda x: bp.compile(squares, ONES)(x),
}


@pytest.mark.parametrize("kind", FOREIGN)
@pytest.mark.parametrize("entry", ENTRIES)
def test_what_holds_numbers_and_is_no_array_is_refused_by_name(kind, entry):
    """Everywhere with what to pass instead, and never with an error of another library's."""
    value, instead = FOREIGN[kind]
    with pytest.raises(DtypeError) as caught:
        ENTRIES[entry](value)
    assert instead in caught.value.todo


@pytest.mark.parametrize("library", ["torch", "jax.numpy"])
@pytest.mark.parametrize("entry", ENTRIES)
def test_the_libraries_themselves_are_recognised(library, entry):
    pytest.importorskip(library)
    ones = importlib.import_module(library).ones(2)
    with pytest.raises(DtypeError, match=r"is a (torch tensor|JAX array)"):
        ENTRIES[entry](ones)


@pytest.mark.parametrize("given", [[1.0, 2.0], (1.0, 2.0), [[1.0], [2.0]]])
@pytest.mark.parametrize("entry", ["grad", "explain", "check", "compile"])
def test_a_list_that_is_computed_with_as_an_array(given, entry):
    with pytest.raises(ArgumentError, match=r"(list|tuple) as if it were an array") as caught:
        ENTRIES[entry](given)
    assert "pass np.array(…) of it" in str(caught.value)


def test_what_a_net_hides_is_said_where_it_is_asked_for():
    net = Net()
    hint = r"W of the object are constants here: give forward an argument"
    with pytest.raises(NameUnknownError, match=hint):
        bp.explain(net.forward, x=ONES, wrt="W")
    with pytest.raises(NameUnknownError, match=hint):
        bp.explain(net.forward, x=ONES)["W"]
    with pytest.raises(NameUnknownError, match=hint):
        bp.compile(net.forward, ONES, params="W")
    with pytest.raises(NameUnknownError, match=hint):
        bp.check(net.forward, ONES, gradients={"W": ONES})
    assert bp.grad(net.forward)(ONES).tolist() == [1, 1]


# -- what gives no numbers when it is called -------------------------------------------------------
async def coroutine(x):
    return squares(x)


async def steps(x):
    yield squares(x)


class Waits:
    async def __call__(self, x):
        return squares(x)

    async def method(self, x):
        return squares(x)


ASYNC = [
    coroutine, steps, Waits(), Waits().method, functools.partial(coroutine), lambda x: coroutine(x),
]  # fmt: skip
CALLS = [bp.grad, lambda f: lambda x: bp.explain(f, x), lambda f: lambda x: bp.compile(f, x)]


@pytest.mark.parametrize("f", ASYNC)
@pytest.mark.parametrize("entry", CALLS)
def test_async_functions_are_refused_and_leave_nothing_unawaited(f, entry):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ArgumentError, match="async function"):
            entry(f)(ONES)


# -- libraries that cannot be traced ---------------------------------------------------------------
SMALL = np.array([[2.0, 1.0], [1.0, 3.0]])
LARGE = 40 * np.eye(40) + 0.01
LIBRARY = {
    "scipy.linalg.expm": scipy.linalg.expm,
    "scipy.linalg.sqrtm": scipy.linalg.sqrtm,
    "scipy.linalg.solve_triangular": lambda a: scipy.linalg.solve_triangular(a, a[0]),
    "scipy.linalg.solve": lambda a: scipy.linalg.solve(a, a[0]),
    "scipy.linalg.inv": scipy.linalg.inv,
    "scipy.linalg.lu": lambda a: scipy.linalg.lu(a)[2],
    "scipy.linalg.cho_solve": lambda a: scipy.linalg.cho_solve((a, True), a[0]),
    "scipy.signal.lfilter": lambda a: scipy.signal.lfilter(a[0], [1.0, 0.5], a[1]),
    "scipy.signal.convolve2d": lambda a: scipy.signal.convolve2d(a, a),
    "scipy.ndimage.gaussian_filter": lambda a: scipy.ndimage.gaussian_filter(a, 1),
    "scipy.stats.norm_gen.pdf": scipy.stats.norm.pdf,
    "scipy.stats.zscore": scipy.stats.zscore,
    "scipy.interpolate.CubicSpline": (
        lambda a: scipy.interpolate.CubicSpline(range(len(a)), a[0])(0.5)
    ),
    "scipy.integrate.quad": lambda a: scipy.integrate.quad(lambda t: t * a[0, 0], 0, 1)[0],
    "scipy.fft.fft": lambda a: np.abs(scipy.fft.fft(a[0])),
    "scipy.sparse.csr_array": lambda a: scipy.sparse.csr_array(a).toarray(),
    "statistics.mean": lambda a: statistics.mean(list(a[0])),
    "json.dumps": lambda a: json.dumps(a),
}


@pytest.mark.parametrize("size", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("name", LIBRARY)
def test_a_library_that_takes_no_traced_arrays_is_named(name, size):
    def f(a):
        return np.sum(LIBRARY[name](a))

    for entry in CALLS:
        with pytest.raises(NoRuleError) as caught:
            entry(f)(size)
        assert caught.value.what == f"{name} does not take traced arrays"
        assert "test_refusals.py:" in caught.value.where


def test_a_function_of_numpy_that_has_a_rule_is_proposed():
    with pytest.raises(NoRuleError, match=r"use np\.linalg\.inv, which has a rule"):
        bp.grad(lambda a: np.sum(scipy.linalg.inv(a)))(SMALL)


def test_a_library_may_fail_on_its_own_account():
    with pytest.raises(np.linalg.LinAlgError):
        bp.grad(lambda a: np.sum(a) * scipy.linalg.inv(np.zeros((2, 2)))[0, 0])(SMALL)


def _mine(a, b):
    raise ValueError("my own")


def test_a_callback_keeps_its_own_lines():
    """What the user's code does wrong inside a library's call is said of that code."""
    with pytest.raises(ValueError, match="my own"):
        bp.grad(lambda a: sorted([a, a], key=functools.cmp_to_key(_mine)))(1.0)


@pytest.mark.parametrize(
    "call",
    [
        lambda a: sum(v * v for v in np.nditer(a)),
        lambda a: np.sum(np.array(memoryview(a))),
        lambda a: np.ndarray.sum(a),
        lambda a: pow(a, 2, 3),
        lambda a: float(str(a[0, 0])),
        lambda a: float(copy.deepcopy([str(a[0, 0])])[0]),
    ],
)
def test_functions_in_c_are_told_by_what_they_say(call):
    with pytest.raises(TraceError) as caught:
        bp.grad(call)(SMALL)
    assert "Node" not in str(caught.value)


# -- indices ---------------------------------------------------------------------------------------
WRONG_INDICES = [
    1.7, 1.0, np.float64(1), slice(0.0, 2.0), slice(0, 2, 1.0), "a", (0, 1.0), 1j, b"a",
]  # fmt: skip


@pytest.mark.parametrize("index", WRONG_INDICES, ids=repr)
def test_an_index_that_numpy_refuses_is_refused(index):
    with pytest.raises((IndexError, TypeError)):
        SMALL[index]
    with pytest.raises((ArgumentError, DtypeError)):
        bp.grad(lambda a: np.sum(a[index]))(SMALL)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.sum(np.angle(1.5 + 1j * np.array([x[0], x[1]]))),
        lambda x: np.sum(np.cov(np.array([[x[0], x[1]], [x[1], 2.0]]))),
    ],
)
def test_numpy_stumbling_over_objects_is_told_in_words(f):
    def without_a_twin(x):
        global SEEN  # noqa: PLW0603  (a function that writes globals has no twin)
        SEEN = True
        return f(x)

    with pytest.raises(TraceError, match="cannot compute with an array of traced numbers"):
        bp.grad(without_a_twin)(np.array([0.5, 1.5]))


KINDS = {
    "seed": [None, "s", -1, 1.5, True], "decimals": ["s", 1.5, [1]],
    "judges": [1, "torch", 1.5], "wrt": [1, [1], 1.5],
    "threads": [0, 10**9, "s", 1.5],
}  # fmt: skip


@pytest.mark.parametrize(("option", "value"), [(k, v) for k, vs in KINDS.items() for v in vs])
def test_an_option_of_the_wrong_kind_is_named(option, value):
    def net(x):
        return np.sum(x * x)

    x = np.array([1.0, 2.0])
    ask = {"wrt": bp.explain, "threads": bp.compile}.get(option, bp.check)
    with pytest.raises(ArgumentError, match=f"{option} is of the wrong kind"):
        ask(net, x, **{option: value})


def test_arguments_of_a_transform_of_the_wrong_kind_are_named():
    x = np.array([1.0, 2.0])
    for argnums in (0.0, "x", None):
        for transform in (bp.grad, bp.value_and_grad, bp.jacobian):
            with pytest.raises(ArgumentError, match=r"argnums=.* positional arguments"):
                transform(np.sum, argnums=argnums)(x)
    with pytest.raises(ArgumentError, match="jvp takes its arguments together"):
        bp.jvp(np.sum, x, x)
    with pytest.raises(ShapeError, match="takes a matrix, or a stack"):
        bp.grad(lambda x: np.sum(np.linalg.qr(x)[0]))(x)
