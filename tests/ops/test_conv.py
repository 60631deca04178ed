"""Convolution: the lecture's formulas on its matrices, and PyTorch on everything else."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import allbps as bp
import allbps.functional as F
from allbps.errors import AllBPsError
from allbps.ir import constant
from allbps.ops.conv import attributes, conv2d_op, d_conv2d_w, d_conv2d_x

torch = pytest.importorskip("torch")


def ops_of(node):
    """Names of the operations on the way to a node, the last first."""
    names = []
    while node.inputs:
        names.append(node.op.name)
        node = node.inputs[0]
    return names


# -- the lecture's matrices ------------------------------------------------------------------------
def test_every_element_of_j_is_the_sum_on_the_slide(rng):
    I, K = rng.integers(-4, 5, (4, 5)) * 1.0, rng.integers(-4, 5, (2, 3)) * 1.0
    J = F.conv2d(I, K)
    assert J.shape == (4 - 2 + 1, 5 - 3 + 1)
    for i in range(3):
        for j in range(3):
            assert J[i, j] == sum(I[i + p, j + q] * K[p, q] for p in range(2) for q in range(3))


def test_delta_k_is_i_convolved_with_delta_j(rng):
    I, K = constant(rng.normal(size=(4, 5))), constant(rng.normal(size=(2, 3)))
    dJ = constant(rng.normal(size=(3, 3)))
    J = conv2d_op(I, K, **attributes(batched=False))
    dK = d_conv2d_w(dJ, J, I, K, **attributes(batched=False))
    assert dK.op is conv2d_op
    assert dK.inputs == (I, dJ)
    assert dK.attrs == attributes(batched=False)


def test_delta_i_is_the_padded_delta_j_convolved_with_the_flipped_k(rng):
    I, K = constant(rng.normal(size=(4, 5))), constant(rng.normal(size=(2, 3)))
    dJ = constant(rng.normal(size=(3, 3)))
    J = conv2d_op(I, K, **attributes(batched=False))
    dI = d_conv2d_x(dJ, J, I, K, **attributes(batched=False))
    assert dI.op is conv2d_op
    assert dI.attrs == attributes(batched=False)
    padded, flipped = dI.inputs
    assert (padded.op.name, padded.inputs) == ("pad", (dJ,))
    assert padded.attrs == {"width": ((1, 1), (2, 2))}  # h − 1 rows and w − 1 columns
    assert padded.shape == (4 + 2 - 1, 5 + 3 - 1)
    assert (flipped.op.name, flipped.inputs) == ("flip", (K,))


def test_flip_turns_the_slides_kernel():
    K = np.array([[1.0, 3, 5], [2, 4, 6]])
    one = np.zeros((3, 5))
    one[1, 2] = 1.0  # a lone 1 prints the kernel, turned
    np.testing.assert_array_equal(F.conv2d(one, K), [[6, 4, 2], [5, 3, 1]])


def test_a_kernel_that_meets_no_stride_or_padding_needs_no_zeros(rng):
    x, w = constant(rng.normal(size=(2, 3, 4, 4))), constant(rng.normal(size=(5, 3, 1, 1)))
    y = conv2d_op(x, w, **attributes())
    assert ops_of(d_conv2d_x(y, y, x, w, **attributes()))[:2] == ["conv2d", "conv2d"]


# -- everything else -------------------------------------------------------------------------------
pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))


@st.composite
def cases(draw):
    """Shapes and attributes that fit together, odd ones too."""
    kernel, stride, dilation = draw(pairs), draw(pairs), draw(pairs)
    padding = draw(st.tuples(st.integers(0, 3), st.integers(0, 3)))
    groups = draw(st.integers(1, 3))
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    size = [
        draw(st.integers(max(1, r - 2 * p), max(1, r - 2 * p) + 5))
        for r, p in zip(reach, padding, strict=True)
    ]
    batch, channels, outputs = draw(st.integers(1, 3)), draw(st.integers(1, 2)), draw(pairs)[0]
    x = (batch, groups * channels, *size)
    w = (groups * outputs, channels, *kernel)
    return x, w, {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}


@settings(max_examples=60, deadline=None, derandomize=True)
@given(cases(), st.integers(0, 2**32 - 1))
def test_any_geometry_agrees_with_pytorch(case, seed):
    x_shape, w_shape, options = case
    rng = np.random.default_rng(seed)
    x, w = rng.normal(size=x_shape), rng.normal(size=w_shape)
    y, pullback = bp.vjp(lambda x, w: F.conv2d(x, w, **options), x, w)
    tensors = [torch.tensor(a, requires_grad=True) for a in (x, w)]
    want = torch.nn.functional.conv2d(*tensors, **options)
    np.testing.assert_allclose(y, want.detach().numpy(), rtol=1e-9, atol=1e-12)
    g = rng.normal(size=y.shape)
    gradients = torch.autograd.grad(want, tensors, torch.tensor(g))
    for got, right in zip(pullback(g), gradients, strict=True):
        np.testing.assert_allclose(got, right.numpy(), rtol=1e-9, atol=1e-12)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(cases(), st.integers(0, 2**32 - 1))
def test_the_two_rules_are_adjoint_to_the_convolution(case, seed):
    """⟨g, x * w⟩ = ⟨δx, x⟩ = ⟨δw, w⟩, since convolution is linear in each."""
    x_shape, w_shape, options = case
    rng = np.random.default_rng(seed)
    x, w = rng.normal(size=x_shape), rng.normal(size=w_shape)
    y, pullback = bp.vjp(lambda x, w: F.conv2d(x, w, **options), x, w)
    g = rng.normal(size=y.shape)
    dx, dw = pullback(g)
    scale = np.sum(np.abs(g)) + 1.0
    assert abs(np.sum(g * y) - np.sum(dx * x)) < 1e-11 * scale
    assert abs(np.sum(g * y) - np.sum(dw * w)) < 1e-11 * scale


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"stride": (2, 3), "padding": (1, 2)},
        {"dilation": (2, 1), "padding": (2, 0)},
        {"groups": 2, "stride": (2, 2), "padding": (1, 1), "dilation": (1, 2)},
    ],
)
def test_second_derivatives_agree_with_pytorch(same_as_torch, rng, options):
    x, w = rng.normal(size=(2, 4, 6, 7)), rng.normal(size=(4, 4 // options.get("groups", 1), 2, 3))
    same_as_torch(
        lambda x, w: F.conv2d(x, w, **options),
        lambda x, w: torch.nn.functional.conv2d(x, w, **options),
        x,
        w,
    )


def test_rows_that_no_window_reaches_get_zeros():
    x, w = np.ones((1, 1, 6, 5)), np.ones((1, 1, 2, 2))
    _, pullback = bp.vjp(lambda x: F.conv2d(x, w, stride=2), x)
    (dx,) = pullback(np.ones((1, 1, 3, 2)))
    np.testing.assert_array_equal(dx[0, 0], [[1, 1, 1, 1, 0]] * 6)


def test_an_empty_batch_has_an_empty_result_and_a_zero_kernel_gradient():
    x, w = np.zeros((0, 2, 4, 4)), np.ones((3, 2, 2, 2))
    y, pullback = bp.vjp(F.conv2d, x, w)
    dx, dw = pullback(y)
    assert (y.shape, dx.shape) == ((0, 3, 3, 3), (0, 2, 4, 4))
    np.testing.assert_array_equal(dw, np.zeros((3, 2, 2, 2)))


# -- messages in the user's words ------------------------------------------------------------------
def test_a_misfit_names_the_users_arrays():
    image, kernel = np.zeros((2, 2)), np.zeros((3, 3))
    with pytest.raises(AllBPsError) as caught:
        F.conv2d(image, kernel)
    caught.value.where = ""
    assert str(caught.value) == (
        "the kernel kernel is larger than its input image\n"
        "  expected: a kernel that reaches over at most 2 elements\n"
        "  got:      image is (2, 2), padding (0, 0); kernel is (3, 3), dilation (1, 1)"
    )


def test_a_misfit_says_where():
    image, kernel = np.zeros((1, 3, 4, 4)), np.zeros((2, 2, 3, 3))
    with pytest.raises(AllBPsError) as caught:
        F.conv2d(image, kernel)
    assert caught.value.where.startswith("test_conv.py:")
    assert caught.value.where.endswith("F.conv2d(image, kernel)")
