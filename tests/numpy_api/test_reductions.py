"""Reductions: every axis, keepdims, where and initial; zeros, empty and 0-d arrays."""

import numpy as np
import pytest

import allbps as bp
from allbps.errors import ArgumentError, ShapeError
from allbps.trace import trace

AXES = [
    ((), None),
    ((5,), None),
    ((5,), 0),
    ((2, 3), None),
    ((2, 3), -1),
    ((2, 3), (0, 1)),
    ((2, 3, 4), (0, -1)),
    ((1, 3), 0),
]
FUNCTIONS = [np.sum, np.mean, np.prod, np.max, np.min, np.amax, np.amin, np.var, np.std, np.ptp]


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize(("shape", "axis"), AXES)
@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__name__)
def test_a_reduction_over_axes(function, shape, axis, keepdims, agrees, draw):
    numbers = draw(shape) / 2
    if np.size(numbers) == 1 or (1 in shape and axis == 0 and function in (np.std, np.var)):
        return agrees(lambda x: function(x, axis=axis, keepdims=keepdims), numbers, order=1)
    return agrees(lambda x: function(x, axis=axis, keepdims=keepdims), numbers)


@pytest.mark.parametrize("ddof", [0, 1])
@pytest.mark.parametrize("function", [np.var, np.std])
def test_spread_with_fewer_degrees_of_freedom(function, ddof, agrees, draw):
    agrees(lambda x: function(x, axis=1, ddof=ddof), draw((3, 4)))
    agrees(lambda x: function(x, correction=ddof, keepdims=True), draw((3, 4)))


MASK = np.array([[True, False, True], [True, True, False]])


@pytest.mark.parametrize("function", [np.sum, np.mean, np.prod, np.var, np.std])
def test_where_leaves_elements_out(function, agrees, draw):
    agrees(lambda x: function(x, axis=1, where=MASK), draw((2, 3)))


def test_initial_takes_part(agrees, draw):
    agrees(lambda x: np.sum(x, axis=0, initial=2.0), draw((2, 3)))
    agrees(lambda x: np.prod(x, initial=2.0), draw((2, 3)))
    agrees(lambda x: np.max(x, axis=0, initial=-0.1), draw((2, 3)))
    agrees(lambda x: np.max(x, axis=1, initial=-9.0, where=MASK), draw((2, 3)))


@pytest.mark.parametrize(
    "zeros", [[(0, 0)], [(0, 0), (0, 1)], [(0, 0), (1, 1)], [(0, 0), (0, 1), (0, 2)]]
)
@pytest.mark.parametrize("function", [np.prod, np.cumprod])
def test_products_are_right_where_factors_are_zero(function, zeros, agrees, draw):
    x = draw((2, 3))
    for place in zeros:
        x[place] = 0.0
    agrees(lambda x: function(x, axis=1), x)
    agrees(function, x)


@pytest.mark.parametrize("axis", [None, 0, 1, -1])
@pytest.mark.parametrize("function", [np.cumsum, np.cumprod])
def test_running_sums_and_products(function, axis, agrees, draw):
    agrees(lambda x: function(x, axis=axis), draw((2, 3)))
    agrees(function, draw(()))


def test_averages_with_weights(agrees, draw):
    agrees(lambda x, w: np.average(x, axis=0, weights=w), draw((3, 2)), [1.0, 2.0, 3.0])
    agrees(lambda x, w: np.average(x, weights=w), draw((3, 2)), [[1.0, 2], [3, 4], [5, 6]])
    agrees(lambda x: np.average(x, axis=1), draw((3, 2)))


def test_weights_of_fewer_digits_are_added_up_in_those_of_the_average(agrees, draw):
    weights = np.full(40, 0.1, np.float32)
    agrees(lambda x: np.average(x, weights=weights), draw((40,)))


@pytest.mark.parametrize("axis", [None, 0, 1, (0, 1)])
@pytest.mark.parametrize("shape", [(3, 4), (4, 3)])
def test_medians(axis, shape, agrees, draw):
    agrees(lambda x: np.median(x, axis=axis), draw(shape))
    agrees(lambda x: np.median(x, axis=axis, keepdims=True), draw(shape))


@pytest.mark.parametrize("function", [np.nansum, np.nanmean, np.nanprod, np.nanmax, np.nanvar])
def test_nan_is_left_out_and_gets_no_gradient(function):
    x = np.array([[1.0, np.nan, 3.0], [0.5, 2.0, -1.0]])
    y, pullback = bp.vjp(lambda x: function(x, axis=1), x)
    np.testing.assert_allclose(y, function(x, axis=1), rtol=1e-15)
    (g,) = pullback(np.ones(2))
    assert g[0, 1] == 0.0
    assert np.isfinite(g).all()


def test_positions_are_integers_and_cut_no_gradient():
    def largest_times_place(x):
        k = np.argmax(x)
        return x[k] * (k + 1) + np.argmin(x)

    np.testing.assert_array_equal(
        bp.grad(largest_times_place)(np.array([1.0, 5.0, 2.0])), [0.0, 2.0, 0.0]
    )


@pytest.mark.parametrize("function", [np.sum, np.prod])
def test_no_numbers_at_all_give_the_neutral_element(function, agrees):
    agrees(lambda x: function(x, axis=0), np.zeros((0, 3)))
    agrees(function, np.zeros((0,)))


def test_an_empty_maximum_says_so():
    with pytest.raises(ShapeError) as caught:
        bp.vjp(np.max, np.zeros((0, 3)))
    assert str(caught.value).startswith("an empty array has no such value")


def test_integers_are_summed_as_numpy_sums_them(agrees):
    counts = np.array([[1, 2], [3, 4]], dtype=np.int8)
    agrees(lambda x: x * np.sum(counts) + np.mean(counts), 2.0)
    agrees(lambda x: np.sum(x > 0, axis=0) * x, [[1.0, -2.0], [3.0, 4.0]])


def test_methods_take_the_same_arguments(agrees, draw):
    agrees(lambda x: x.sum(0) + x.mean(axis=0) + x.max(0) + x.min(0) + x.prod(0), draw((2, 3)))
    agrees(lambda x: x.std(axis=1) + x.var(1, ddof=1) + x.cumsum(1)[:, -1], draw((2, 3)))


def test_out_is_refused_as_a_write():
    outside = np.zeros(3)
    with pytest.raises(TypeError) as caught:
        bp.vjp(lambda x: np.sum(x, axis=0, out=outside), np.ones((2, 3)))
    assert "x is traced and cannot be written into the plain array outside" in str(caught.value)
    assert "outside as its output" in str(caught.value)


def test_an_axis_that_does_not_exist():
    with pytest.raises(ArgumentError) as caught:
        bp.vjp(lambda x: np.sum(x, axis=2), np.ones((2, 3)))
    caught.value.where = ""
    assert str(caught.value) == (
        "axis 2 does not exist\n"
        "  expected: an axis from -2 to 1\n"
        "  got:      axis=2 for x with 2 axes"
    )


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("function", [np.cumulative_sum, np.cumulative_prod])
def test_running_sums_under_their_newer_names(function, axis, agrees, draw):
    agrees(lambda x: function(x, axis=axis), draw((2, 3)))
    agrees(lambda x: function(x, axis=axis, include_initial=True), draw((2, 3)))


@pytest.mark.parametrize("function", [np.nancumsum, np.nancumprod])
def test_running_sums_over_nan(function):
    x = np.array([1.0, np.nan, 3.0])
    y, pullback = bp.vjp(function, x)
    np.testing.assert_array_equal(y, function(x))
    assert pullback(np.ones(3))[0][1] == 0.0


@pytest.mark.parametrize("q", [0.3, [0.0, 0.25, 1.0], [[0.5], [0.9]]])
@pytest.mark.parametrize("axis", [None, 0, -1, (0, 1)])
def test_quantiles(q, axis, agrees, draw):
    agrees(lambda x: np.quantile(x, q, axis=axis), draw((3, 4)))
    agrees(lambda x: np.percentile(x, np.multiply(q, 100), axis=axis, keepdims=True), draw((3, 4)))


def test_covariances(agrees, draw):
    agrees(np.cov, draw((2, 4)))
    agrees(np.cov, draw((4,)))
    agrees(lambda x: np.cov(x, rowvar=False, bias=True), draw((4, 2)))
    agrees(lambda x, y: np.cov(x, y, ddof=0), draw((4,), 1), draw((4,), 2))
    agrees(np.corrcoef, draw((3, 4)))


METHODS = (
    "inverted_cdf", "averaged_inverted_cdf", "closest_observation", "interpolated_inverted_cdf",
    "hazen", "weibull", "linear", "median_unbiased", "normal_unbiased", "lower", "higher",
    "midpoint", "nearest",
)  # fmt: skip


@pytest.mark.parametrize("method", METHODS)
def test_every_method_of_quantiles(method, agrees, draw):
    for q in (0.37, [0.0, 0.5, 1.0]):
        agrees(lambda x, q=q: np.quantile(x, q, axis=0, method=method), draw((5, 2)))
        agrees(lambda x, q=q: np.nanquantile(x, q, axis=1, method=method), draw((2, 4)))


def test_a_quantile_has_a_slope_along_its_place(agrees, draw):
    agrees(lambda x, q: np.quantile(x, q, axis=0), draw((5, 2)), 0.37)
    agrees(lambda x, q: np.percentile(x, q), draw((5,)), [12.0, 55.0])


@pytest.mark.parametrize("axis", [None, 0, -1, (0, 1)])
def test_quantiles_without_nan(axis, agrees, draw):
    def some(x):
        return np.where(np.array([[True, True, False, True], [False, True, True, True]]), x, np.nan)

    x = draw((2, 4))
    agrees(lambda x: np.nanquantile(some(x), [0.2, 0.7], axis=axis, keepdims=True), x)
    agrees(lambda x: np.nanpercentile(some(x), 30, axis=axis), x)
    agrees(lambda x: np.nanmedian(some(x), axis=axis), x)
    agrees(lambda x: np.nanmedian(some(x), axis=axis, keepdims=True), x)


def test_nan_functions_take_a_mask_too(agrees, draw):
    mask = np.array([[True, False, True], [True, True, False]])
    for function in (np.nansum, np.nanprod, np.nanmean, np.nanvar, np.nanstd):
        agrees(lambda x, f=function: f(np.where(x > 0, x, np.nan), where=mask), draw((2, 3)) + 2)


def test_weighted_covariances(agrees, draw):
    often, weights = np.array([1, 2, 1, 3]), np.array([0.5, 1.0, 2.0, 0.25])
    agrees(lambda x: np.cov(x, fweights=often), draw((2, 4)))
    agrees(lambda x: np.cov(x, aweights=weights, ddof=0), draw((2, 4)))
    agrees(lambda x, w: np.cov(x, fweights=often, aweights=w), draw((2, 4)), weights)


def test_an_average_may_tell_its_weight(agrees, draw):
    agrees(lambda x: np.average(x, axis=0, returned=True), draw((2, 3)))
    agrees(
        lambda x, w: np.average(x, axis=1, weights=w, returned=True), draw((2, 3)),
        [1.0, 2.0, 0.5],
    )  # fmt: skip


def test_binned_weights_keep_their_gradients(agrees, draw):
    bins = np.array([0, 2, 2, 5])
    agrees(lambda w: np.bincount(bins, weights=w, minlength=8), draw((4,)))
    counts = []
    bp.grad(lambda x: np.sum(x) if counts.append(np.bincount(bins)) is None else x)(np.ones(4))
    np.testing.assert_array_equal(counts[0], np.bincount(bins))


def test_a_histogram_does_not_forget_traced_weights():
    with pytest.raises(ArgumentError, match=r"np.histogram of a traced array does not take weig"):
        bp.vjp(lambda w: np.histogram(np.arange(3.0), weights=w)[0], np.ones(3))


@pytest.mark.parametrize("function", [np.mean, np.sum, np.prod, np.nanmean, np.std, np.var])
@pytest.mark.parametrize("asked", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_real_numbers_are_added_up_in_the_dtype_that_is_asked_for(function, asked, dtype):
    a = np.array([900.0, 1000.0, 0.5, 1.25] * 25, dtype)  # 47,550 is too much for half precision
    with np.errstate(over="ignore", invalid="ignore"):
        want = function(a * 2, dtype=asked)
        value = bp.vjp(lambda a: function(a * 2, dtype=asked), a)[0]
    assert value.dtype == want.dtype
    np.testing.assert_allclose(value, want, rtol=16 * np.finfo(asked).eps)


@pytest.mark.parametrize("asked", [None, np.int8, np.int32, np.uint8, bool, np.float32])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint32, np.int64, bool])
@pytest.mark.parametrize("function", [np.sum, np.prod, np.cumsum, np.cumprod])
def test_whole_numbers_are_added_up_in_numpys_dtype(function, dtype, asked):
    a = np.array([3, 200, 1, 7, 250]).astype(dtype)
    want = function(a, dtype=asked)
    _, counted = bp.value_and_grad(
        lambda x, a: (np.sum(x), function(a, dtype=asked)), has_aux=True
    )(np.ones(2), a)[0]
    assert counted.dtype == want.dtype
    np.testing.assert_array_equal(counted, want)
    traced = trace(lambda x, a: (np.sum(x), function(a, dtype=asked)), np.ones(2), a)
    assert traced.graph.outputs[1].dtype == want.dtype


@pytest.mark.parametrize("ufunc", [np.floor_divide, np.remainder, np.fmod])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, bool, np.float32])
def test_quotients_have_numpys_dtype(ufunc, dtype):
    a = np.array([3, 0, 1]).astype(dtype)
    b = np.ones(3, dtype)
    traced = trace(lambda x, a: (np.sum(x), ufunc(a, b)), 1.0, a)
    assert traced.graph.outputs[1].dtype == ufunc(a, b).dtype
