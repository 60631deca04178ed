"""The value of a traced function is NumPy's, SciPy's and PyTorch's own, whatever the numbers.

Ufuncs are read from the table of what is declared and tried on every number and pair of numbers;
functions are tried with every option that their signatures name.
"""

import inspect
import warnings
from itertools import product

import numpy as np
import pytest

import allbps.functional as F
import allbps.numpy_api
from allbps.errors import AllBPsError
from allbps.ir import Node, lift, new_input, within
from allbps.ir.arraylike import NUMPY
from allbps.tree import leaves

assert allbps.numpy_api
special = pytest.importorskip("scipy.special")
TINY, HUGE = np.finfo(float).smallest_subnormal, np.finfo(float).max
NASTY = np.array(
    [0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 3.0, 1e-300, TINY, -TINY, 1e17, HUGE, -HUGE, np.inf, -np.inf,
     np.nan, 0.1, 7.5, 709.0, 1e-9]
)  # fmt: skip
ROWS = {
    "plain": np.array([3.0, 1.0, 2.0, 2.0]),
    "nan": np.array([3.0, np.nan, 1.0, 2.0]),
    "nans": np.array([np.nan, np.nan]),
    "infinite": np.array([np.inf, 1.0, -np.inf]),
    "minus infinite": np.array([-np.inf, -np.inf]),
    "one": np.array([2.5]),
    "empty": np.array([]),
    "zeros": np.array([0.0, -0.0, 0.0]),
    "huge": np.array([HUGE, HUGE, -HUGE]),
    "tiny": np.array([TINY, 0.0, -TINY]),
    "single": np.array([0.1, -2.0, 3.0], np.float32),
    "integers": np.array([3, 1, -2, 1]),
    "truths": np.array([True, False, True]),
    "scalar": np.float64(2.5),
    "scalar nan": np.float64(np.nan),
}
TABLES = {
    "plain": np.array([[3.0, 1.0, 2.0], [0.5, -4.0, 2.0]]),
    "nan": np.array([[np.nan, 1.0, 2.0], [0.5, -4.0, np.inf]]),
    "gone": np.array([[np.nan, np.nan], [1.0, 2.0]]),
    "equal": np.ones((2, 3)),
    "empty": np.ones((2, 0)),
    "no rows": np.ones((0, 2)),
    "single": np.array([[0.1, -2.0], [3.0, 0.25]], np.float32),
    "integers": np.array([[3, 1], [-2, 1]]),
}


def plain(tree):
    """A result of a traced function as plain arrays."""
    return [np.asarray(lift(x).value if isinstance(x, Node) else x) for x in leaves(tree)]


def outcome(f, xs):
    """The values of ``f``, or the exception it raises."""
    try:
        return [np.asarray(x) for x in leaves(f(*xs))]
    except Exception as error:
        return error


def traced(f, xs):
    """The same with every array traced."""
    with within() as bit:
        try:
            return plain(f(*[new_input(x, bit) if is_array(x) else x for x in xs]))
        except AllBPsError as error:
            return error
        except Exception as error:
            return error


def is_array(x):
    return isinstance(x, (np.ndarray, np.generic))


def difference(f, *xs, ulps=0, signs=True, dtypes=True):
    """What sets the traced value apart from the plain one, or an empty string.

    A function that is refused in words differs in nothing. Where the plain one raises, the traced
    one must too.
    """
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        got = traced(f, xs)
        if isinstance(got, AllBPsError):  # SciPy's own yn takes minutes for an order of 1e17
            return ""
        want = outcome(f, xs)
    if isinstance(want, Exception):
        same = isinstance(got, Exception) and not isinstance(got, AttributeError)
        return "" if same else f"gives {got}, NumPy raises {type(want).__name__}: {want}"
    if isinstance(got, Exception):
        return f"raises {type(got).__name__}: {got}, NumPy gives {want}"
    if len(want) != len(got):
        return f"{len(got)} results, NumPy has {len(want)}"
    for ours, numpys in zip(got, want, strict=True):
        told = _apart(ours, numpys, ulps, signs, dtypes)
        if told:
            return told
    return ""


def _apart(got, want, ulps, signs, dtypes):
    if got.shape != want.shape:
        return f"shape {got.shape}, NumPy has {want.shape}"
    if dtypes and got.dtype != want.dtype:
        return f"dtype {got.dtype}, NumPy has {want.dtype}"
    if want.dtype.kind != "f":
        return "" if np.array_equal(got, want) else f"{got}, NumPy has {want}"
    with np.errstate(all="ignore"):
        step = np.spacing(np.abs(np.where(np.isfinite(want), want, 1)))
        near = np.isfinite(want) & np.isfinite(got) & (np.abs(got - want) <= ulps * step)
        same = (got == want) | (np.isnan(got) & np.isnan(want)) | near
        if signs:
            same &= np.isnan(want) | (np.signbit(got) == np.signbit(want)) | (want != 0)
    return "" if np.all(same) else f"{got.tolist()}, NumPy has {want.tolist()}"


with np.errstate(all="ignore"):
    SINGLE = NASTY.astype(np.float32)
INTEGERS = np.array([0, 1, -1, 3, 7, -8])
GRIDS = {"double": NASTY, "single": SINGLE, "integers": INTEGERS}


def ufuncs(operands):
    found = [k for k in NUMPY if isinstance(k, np.ufunc) and k.signature is None]
    return [pytest.param(k, id=k.__name__) for k in found if k.nin == operands]


def scipys():
    prefix = "scipy.special."
    names = [key.removeprefix(prefix) for key in NUMPY if str(key).startswith(prefix)]
    found = [getattr(special, name) for name in names]
    return [pytest.param(k, id=k.__name__) for k in found if isinstance(k, np.ufunc)]


@pytest.mark.parametrize("kind", GRIDS)
@pytest.mark.parametrize("ufunc", ufuncs(1))
def test_ufuncs_of_one_operand(ufunc, kind):
    for x in (GRIDS[kind], *GRIDS[kind], *ROWS.values()):
        told = difference(ufunc, x, ulps=2, dtypes=ufunc is not np.conjugate)
        assert not told, f"{x}: {told}"


@pytest.mark.parametrize("kinds", list(product(GRIDS, GRIDS)), ids=" ".join)
@pytest.mark.parametrize("ufunc", ufuncs(2))
def test_ufuncs_of_two_operands(ufunc, kinds):
    """Every number with every other; which of two zeros fmax takes is NumPy's chance."""
    a, b = (GRIDS[kind] for kind in kinds)
    signs = ufunc not in (np.fmax, np.fmin)
    told = difference(ufunc, *np.broadcast_arrays(a[:, None], b), ulps=2, signs=signs)
    assert not told


@pytest.mark.parametrize("kind", ["double", "single"])
@pytest.mark.parametrize("ufunc", scipys())
def test_ufuncs_of_scipy(ufunc, kind):
    grid = GRIDS[kind]
    xs = (grid,) if ufunc.nin == 1 else np.broadcast_arrays(grid[:, None], grid)
    told = difference(ufunc, *xs, ulps=4, signs=False)
    assert not told


@pytest.mark.parametrize("method", ["reduce", "accumulate", "outer"])
@pytest.mark.parametrize(
    "ufunc", [np.add, np.multiply, np.maximum, np.minimum, np.logaddexp, np.subtract, np.hypot]
)
def test_methods_of_ufuncs(ufunc, method):
    def run(x):
        call = getattr(ufunc, method)
        return call(x, x) if method == "outer" else call(x)

    for name, x in ROWS.items():
        if np.ndim(x) and np.asarray(x).dtype.kind == "f":
            told = difference(run, x, ulps=4)
            assert not told, f"{name}: {told}"


# -- functions with options ------------------------------------------------------------------------
MASK = np.array([[True, False, True], [False, True, True]])
OPTIONS = {
    "axis": (0, -1, 1, 5, None, (0, 1)), "keepdims": (True,), "dtype": (np.float32, float),
    "initial": (1.5, -np.inf, 2), "where": (MASK, False), "ddof": (1, 2, 5), "correction": (1,),
    "returned": (True,), "weights": (np.array([1.0, 2, 0]), np.zeros(3)), "mean": (1.0,),
    "n": (0, 1, 2, 3), "prepend": (1.0,), "append": (2.0,), "decimals": (0, 1, -1, 3),
    "nan": (1.0,), "posinf": (2.0,), "neginf": (-2.0,), "edge_order": (1, 2), "dx": (0.5,),
    "period": (2.0,), "discont": (1.0,), "offset": (1, -1), "k": (1, -1), "axis1": (0,),
    "axis2": (-1,), "stable": (True,), "kind": ("stable",), "include_initial": (True,),
    "rowvar": (False,), "bias": (True,), "fweights": (np.array([1, 2, 3]),),
    "aweights": (np.array([1.0, 2.0, 0.5]),), "trim": ("f", "b"), "overwrite_input": (True,),
    "return_index": (True,), "return_inverse": (True,), "return_counts": (True,),
    "equal_nan": (False,), "increasing": (True,), "N": (2,), "deg": (True,), "tol": (10,),
    "to_begin": (9.0,), "to_end": (9.0,), "side": ("right",), "axes": (None,),
}  # fmt: skip
#: Options without a value to try: what NumPy does not compute with, and what is always refused.
UNTRIED = {"out", "copy", "order", "sorted", "shape", "device", "like", "subok", "x", "y", "axis_"}
SORTS = "sort argsort median nanmedian"
REDUCES = (
    "sum prod mean var std max min ptp all any count_nonzero argmax argmin nansum nanprod"
    " nanmean nanvar nanstd nanmax nanmin average cumsum cumprod cumulative_sum"
    " cumulative_prod nancumsum nancumprod"
)
SHAPES = "flip fliplr flipud rot90 squeeze ravel atleast_1d atleast_2d atleast_3d transpose"
OTHERS = (
    "diff ediff1d gradient trapezoid unwrap sinc round around nan_to_num isposinf isneginf"
    " real imag angle unique cov corrcoef trim_zeros vander diagonal diag tril triu trace"
    " nonzero flatnonzero argwhere zeros_like ones_like copy"
)
# NumPy's warnings and casts that no value depends on
LOOSE = {"angle", "nanvar", "nanstd"}


@pytest.mark.parametrize("name", f"{SORTS} {REDUCES} {SHAPES} {OTHERS}".split())
def test_functions_with_every_option(name):
    function = getattr(np, name)
    options = inspect.signature(function).parameters
    named = [key for key, one in options.items() if one.default is not inspect.Parameter.empty]
    assert set(named) <= set(OPTIONS) | UNTRIED, "an option that is not tried"
    tried = [{}, *({key: value} for key in named for value in OPTIONS.get(key, ()))]
    for (kind, x), option in product((*ROWS.items(), *TABLES.items()), tried):
        told = difference(
            lambda x, option=option: function(x, **option), x,
            ulps=8, signs=False, dtypes=name not in LOOSE,
        )  # fmt: skip
        assert not told or (name, kind) in WORSE, f"{name} of {kind}, {option}: {told}"


#: Where differences overflow, the order of operations decides; NumPy's nanmax of a NaN alone
#: forgets ``initial``, and it takes the mean in another precision than the rest.
WORSE = {
    ("nanmax", "scalar nan"),
    ("nanmin", "scalar nan"),
    ("gradient", "huge"),
    ("nanvar", "single"),
    ("nanstd", "single"),
}


METHODS = [
    "linear",
    "lower",
    "higher",
    "midpoint",
    "nearest",
    "hazen",
    "weibull",
    "median_unbiased",
    "inverted_cdf",
    "closest_observation",
]


@pytest.mark.parametrize("name", ["quantile", "percentile", "nanquantile", "nanpercentile"])
@pytest.mark.parametrize("method", METHODS)
def test_quantiles(name, method):
    scale = 100 if "percent" in name else 1
    for (kind, x), q in product(
        (*ROWS.items(), *TABLES.items()), (0, 0.3, 0.5, 1, np.array([0.1, 0.75]), 1.5, -0.1)
    ):
        for option in ({}, {"axis": 0}, {"axis": -1, "keepdims": True}):
            told = difference(
                lambda x, q=q, o=option: getattr(np, name)(x, scale * q, method=method, **o),
                x, ulps=8, signs=False,
            )  # fmt: skip
            nothing = name.startswith("nan") and not np.size(x)  # NumPy forgets q's axis
            assert not told or nothing, f"{kind} {q} {option}: {told}"


@pytest.mark.parametrize(
    "places", [[0.0, 1, 1], [0.0, 1, 2], [1.0], [0.0, 0, 1, 1, 2], [0.0, np.inf]]
)
@pytest.mark.parametrize(
    "options",
    [{}, {"left": -7.0}, {"right": 9.0}, {"left": np.nan}, {"period": 1.5}, {"period": 0}],
)
def test_interp(places, options):
    xp = np.array(places)
    for x in (
        NASTY,
        np.float64(1.0),
        np.array([0.0, 1, 0.5, 2, 3]),
        np.array([]),
        np.array([1, 2]),
    ):
        told = difference(
            lambda x, xp, fp: np.interp(x, xp, fp, **options), x, xp, np.arange(len(xp)) ** 2 + 1.0,
            ulps=4, signs=False,
        )  # fmt: skip
        assert not told


@pytest.mark.parametrize(
    "order", [None, 2, 1, 0, 3, 0.5, -1, np.inf, -np.inf, "fro", "nuc", "no", -2]
)
def test_norms(order):
    for (kind, x), option in product(
        (*ROWS.items(), *TABLES.items()), ({}, {"axis": 0}, {"axis": -1, "keepdims": True})
    ):
        told = difference(lambda x, o=option: np.linalg.norm(x, order, **o), x, ulps=8)
        assert not told, f"{kind} {option}: {told}"


@pytest.mark.parametrize("index", [1.7, 1.0, "a", slice(0.5, 2), (0, 1.5), np.float64(1)])
def test_an_index_is_an_integer(index):
    with pytest.raises((AllBPsError, IndexError, TypeError)):
        allbps.grad(lambda x: np.sum(x[index]))(np.ones((3, 3)))


@pytest.mark.parametrize("exponent", [np.inf, -np.inf, np.nan, 0.5, 0, -1, 2, 1e300])
def test_every_exponent(exponent):
    for x in (NASTY, SINGLE):
        assert not difference(lambda x: x**exponent, x, ulps=2)


# -- functions of several arrays ------------------------------------------------------------------
ROOMS = ("products", "joining", "polynomials", "sets")

ARRAYS = {
    "number": np.float64(2.5),
    "nan": np.float64(np.nan),
    "three": np.array([3.0, -1.0, 2.0]),
    "zeros": np.array([0.0, -0.0, 1.0]),
    "not finite": np.array([np.nan, np.inf, -np.inf]),
    "large": np.array([HUGE, TINY, -1e200]),
    "two": np.array([2.0, 2.0]),
    "none": np.array([]),
    "table": np.array([[1.0, -0.0, 2.0], [np.inf, 3.0, 2.0]]),
    "turned": np.array([[1.0, 0.5], [np.nan, -2.0], [0.0, 2.0]]),
    "square": np.array([[1.0, 2.0, 3.0], [0.0, -1.0, 0.5], [2.0, 2.0, -np.inf]]),
    "no columns": np.ones((2, 0)),
    "stack": np.arange(12.0).reshape(2, 2, 3) - 4.0,
    "single": np.array([0.1, -2.0, 3.0], np.float32),
    "whole": np.array([3, 1, -2]),
    "truths": np.array([True, False, True]),
}
LISTS = [
    [ARRAYS[name] for name in names.split()]
    for names in (
        "three zeros", "three two", "three none", "single three", "whole truths", "table table",
        "square table", "three", "stack stack", "number nan", "three table", "none none",
    )
]  # fmt: skip
VECTORS = [ARRAYS[name] for name in ("three", "zeros", "large", "two", "none", "single", "whole")]
GIVEN = {
    **dict.fromkeys(("a", "b", "x1", "x2", "x", "y", "u", "v", "a1", "a2"), ARRAYS.values()),
    **dict.fromkeys(("ar", "ar1", "ar2", "arr", "ary", "values"), ARRAYS.values()),
    **dict.fromkeys(("arrays", "tup"), LISTS),
    **dict.fromkeys(("p", "filt", "seq_of_zeros", "m"), (*VECTORS, ARRAYS["number"])),
    "indices_or_sections": (1, 2, 3, [1], [0, 2], [5], []),
    "obj": (0, -1, [0, 2], [], slice(0, 2), 7),
    "deg": (0, 1, 2),
}
CHOICES = {
    "axis": (0, -1, 1, None, 5), "axes": (0, 1, ([0], [0]), ([1], [0])), "dtype": (np.float32, int),
    "offset": (1,), "k": (1.0,), "optimize": (True,), "casting": ("unsafe",), "trim": ("f",),
    "N": (2, 0), "increasing": (True,), "return_index": (True,), "return_inverse": (True,),
    "return_counts": (True,), "equal_nan": (False,), "assume_unique": (True,),
    "return_indices": (True,), "w": (np.array([1.0, 2.0, 0.5]),), "full": (True,),
    "axis1": (-1,), "axis2": (-1,), "axisa": (0,), "axisb": (0,), "axisc": (0,),
}  # fmt: skip
UNCHOSEN = {"out", "sorted", "rcond", "cov", "kwargs", "m"}
SUBSCRIPTS = {
    "i,i": "three zeros", "i,i->i": "zeros large", "i,j": "three not_finite",
    "ij,jk": "table turned",
    "ij,kj->ki": "table square", "ii": "square", "ii->i": "square", "ij->ji": "table",
    "ij->": "table", "i->": "none", "...j,j": "stack three", "aij,aij->ij": "stack stack",
    "ij,j,i": "table three two", "ij,ij->": "no_columns no_columns", "i,i->": "single three",
}  # fmt: skip


def of_rooms():
    for key, implementation in NUMPY.items():
        room = getattr(inspect.unwrap(implementation), "__module__", "").rpartition(".")[2]
        is_gufunc = isinstance(key, np.ufunc) and key.signature is not None
        if (room in ROOMS or is_gufunc) and callable(key):
            yield key


SEVERAL = list(of_rooms())


def parameters(function):
    """(names that must be given, names that may be)."""
    if isinstance(function, np.ufunc):
        return ["x1", "x2"][: function.nin], []
    named = inspect.signature(function).parameters.values()
    empty = inspect.Parameter.empty
    return (
        [p.name for p in named if p.default is empty and p.name not in ("operands", "kwargs")],
        [p.name for p in named if p.default is not empty],
    )


def calls(function):
    """(function of the arrays alone, arrays) for every choice."""
    if function is np.einsum:
        for text, names in SUBSCRIPTS.items():
            xs = [ARRAYS[name.replace("_", " ")] for name in names.split()]
            for option in ({}, {"optimize": True}):
                yield (lambda *xs, t=text, o=option: np.einsum(t, *xs, **o)), xs, (text, option)
        return
    if function is np.unique_values:  # in any order
        for name, x in ARRAYS.items():
            yield (lambda x: np.sort(np.unique_values(x))), [x], name
        return
    must, may = parameters(function)
    assert set(must) <= set(GIVEN), "a parameter that is not tried"
    assert set(may) <= set(CHOICES) | UNCHOSEN, "an option that is not tried"
    tried = [{}, *({key: value} for key in may for value in CHOICES.get(key, ()))]
    for values in product(*(GIVEN[name] for name in must)):
        for option in tried:
            if option == {"assume_unique": True} and not all(map(is_unique, values)):
                continue
            yield from _call(function, values, option)


def is_unique(x):
    return np.unique(x).size == np.size(x)


def _call(function, values, option):
    arrays = [v for v in values if isinstance(v, (np.ndarray, np.generic))]
    if isinstance(values[0], list):
        rest = values[1:]
        yield (lambda *xs: function(list(xs), *rest, **option)), values[0], (values, option)
    elif len(arrays) == len(values):
        yield (lambda *xs: function(*xs, **option)), values, (values, option)
    else:
        plain = [v for v in values if not isinstance(v, (np.ndarray, np.generic))]
        count = len(arrays)
        places = [isinstance(v, (np.ndarray, np.generic)) for v in values]

        def run(*xs):
            left, other = iter(xs), iter(plain)
            return function(*(next(left) if at else next(other) for at in places), **option)

        assert count
        yield run, arrays, (values, option)


@pytest.mark.parametrize("function", SEVERAL, ids=lambda f: f.__name__)
def test_functions_of_several_arrays(function):
    for run, xs, said in calls(function):
        told = difference(run, *xs, ulps=8, signs=False)
        assert not told, f"{function.__name__} of {said}: {told}"


# -- singular matrices -----------------------------------------------------------------------------
@pytest.mark.parametrize(
    "f",
    [np.linalg.inv, np.linalg.cholesky, lambda a: np.linalg.solve(a, np.ones(2)),
     lambda a: np.linalg.cond(a, 1)],
)  # fmt: skip
def test_what_numpy_cannot_solve_is_said_in_words(f):
    with pytest.raises(AllBPsError) as told:
        allbps.grad(lambda a: np.sum(f(a)))(np.array([[1.0, 2.0], [2.0, 4.0]]))
    assert isinstance(told.value, np.linalg.LinAlgError)


# -- functional ------------------------------------------------------------------------------------
ELEMENTWISE = ["relu", "leaky_relu", "elu", "sigmoid", "tanh", "softplus", "silu", "gelu"]
ALONG = ["softmax", "log_softmax", "logsumexp", "normalize"]


def torchs(name):
    torch = pytest.importorskip("torch")
    return torch, getattr(torch.nn.functional, name, None) or getattr(torch, name)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_activations_are_pytorchs(name):
    torch, reference = torchs(name)
    # PyTorch's gelu(∞) is NaN in single precision
    for grid in (NASTY,) if name == "gelu" else (NASTY, SINGLE):
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            got = getattr(F, name)(grid)
        want = reference(torch.tensor(grid)).numpy()
        rtol = 1e-6 if grid is SINGLE else 1e-13
        np.testing.assert_allclose(got, want, rtol=rtol, atol=1e-15, err_msg=name)


@pytest.mark.parametrize("name", ALONG)
def test_functions_along_an_axis_are_pytorchs_and_take_both_words(name):
    torch, reference = torchs(name)
    for x in TABLES.values():
        if x.dtype.kind != "f" or not x.size:
            continue
        for axis in (0, 1):
            with np.errstate(all="ignore"):
                got, same = getattr(F, name)(x, axis=axis), getattr(F, name)(x, dim=axis)
            want = reference(torch.tensor(x), dim=axis).numpy()
            np.testing.assert_allclose(got, want, rtol=1e-6, equal_nan=True)
            np.testing.assert_array_equal(got, same)


def test_an_option_that_is_not_known_is_refused_in_words():
    with pytest.raises(AllBPsError, match=r"functional\.softmax: .*'colour'"):
        F.softmax(np.ones(2), colour=1)
