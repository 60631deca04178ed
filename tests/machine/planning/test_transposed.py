"""Transposed convolutions: no zeros are multiplied, and the numbers are PyTorch's."""

from __future__ import annotations

import numpy as np
import pytest

import allbps as bp
import allbps.functional as F

torch = pytest.importorskip("torch")

# shapes of x and w, options
FORMS = {
    "2x2 side by side": ((3, 5, 6, 4), (5, 7, 2, 2), {"stride": 2}),
    "overlapping": ((2, 5, 6, 4), (5, 3, 4, 4), {"stride": 2, "padding": 1}),
    "two strides, rows more": (
        (2, 5, 6, 4), (5, 3, 3, 2), {"stride": (2, 1), "padding": (1, 0), "output_padding": (1, 0)},
    ),
    "no stride": ((2, 6, 5, 5), (6, 8, 3, 3), {"padding": 1}),
    "gaps": ((2, 3, 5, 5), (3, 4, 3, 3), {"stride": 2, "padding": 2, "dilation": 2}),
    "a sequence": ((3, 5, 9), (5, 7, 4), {"stride": 2, "padding": 1}),
    "one example": ((5, 6, 4), (5, 7, 2, 2), {"stride": 2}),
}  # fmt: skip
LEFT = {
    "groups": ((2, 6, 5, 5), (6, 4, 3, 3), {"stride": 2, "groups": 2}),
    "cut off beyond the window": ((2, 4, 6), (4, 4, 1), {"padding": 2}),
}


@pytest.mark.parametrize("name", [*FORMS, *LEFT])
def test_it_is_one_kernel_and_so_are_its_deltas(name, rng):
    shape, kernel, options = (FORMS | LEFT)[name]
    x, w, b = (
        rng.standard_normal(s) for s in (shape, kernel, kernel[1] * options.get("groups", 1))
    )
    layer = f"conv_transpose{len(kernel) - 2}d"

    def loss(x, w, b):
        return np.sum(np.tanh(getattr(F, layer)(np.sin(x), w, b, **options)) ** 2)

    leaves = [torch.tensor(a, requires_grad=True) for a in (x, w, b)]
    made = getattr(torch.nn.functional, layer)(torch.sin(leaves[0]), *leaves[1:], **options)
    want = (torch.tanh(made) ** 2).sum()
    want.backward()
    step = bp.compile(loss, x, w, b, params=["x", "w", "b"])
    value, deltas = step(x, w, b)
    np.testing.assert_allclose(value, want.item(), rtol=1e-12)
    for delta, leaf in zip(deltas.values(), leaves, strict=True):
        np.testing.assert_allclose(delta, leaf.grad.numpy(), rtol=1e-9, atol=1e-11)
    works = [row["work"] for row in step.stages().rows]
    assert any("= pad(" in work for work in works)
    assert any(work.endswith(" = 0") for work in works) == (name == "groups")


def test_what_else_reads_the_zeros_gets_them(rng):
    x, w = rng.standard_normal((2, 3, 4, 4)), rng.standard_normal((3, 2, 2, 2))

    def loss(x, w):
        wide = np.pad(np.sin(x), ((0, 0), (0, 0), (1, 1), (1, 1)))
        turned = np.transpose(np.flip(w, (2, 3)), (1, 0, 2, 3))
        return np.sum(F.conv2d(wide, turned) ** 2) + np.sum(np.cos(wide)) + np.sum(turned[0] ** 3)

    step = bp.compile(loss, x, w, params=["x", "w"])
    value, deltas = step(x, w)
    want, grads = bp.value_and_grad(loss, argnums=(0, 1))(x, w)
    np.testing.assert_allclose(value, want, rtol=1e-12)
    for delta, grad in zip(deltas.values(), grads, strict=True):
        np.testing.assert_allclose(delta, grad, rtol=1e-10, atol=1e-12)


def test_a_transposed_convolution_whose_delta_is_not_asked_for(rng):
    x, w = rng.standard_normal((2, 3, 4, 4)), rng.standard_normal((3, 2, 3, 3))

    def f(x, w):
        return F.conv_transpose2d(x, w, stride=2)

    np.testing.assert_allclose(bp.compile(f, x, w)(x, w), f(x, w), rtol=1e-12, atol=1e-13)
    step = bp.compile(lambda x, w: np.sum(f(x, w) ** 2), x, w, params=["w"])
    grad = bp.grad(lambda x, w: np.sum(f(x, w) ** 2), argnums=1)(x, w)
    np.testing.assert_allclose(step(x, w)[1], grad, rtol=1e-10)
