"""Convolutions of any form against PyTorch's: groups, gaps, unequal strides and paddings."""

from __future__ import annotations

import numpy as np
import pytest

import allbps.functional as F
from allbps.machine.compile import compile  # noqa: A004

torch = pytest.importorskip("torch")

# image (N, C, H, W), kernel (O, C/groups, h, w), stride, padding, dilation, groups
FORMS = {
    "unequal strides and paddings": ((2, 3, 9, 8), (5, 3, 2, 3), (2, 3), (1, 0), (1, 1), 1),
    "gaps": ((2, 4, 11, 9), (18, 4, 3, 2), (1, 2), (2, 1), (2, 3), 1),
    "two groups": ((3, 6, 7, 7), (34, 3, 3, 3), (1, 1), (1, 1), (1, 1), 2),
    "groups, gaps and strides": ((2, 4, 9, 9), (6, 2, 2, 2), (2, 1), (0, 1), (1, 2), 2),
    "depthwise": ((2, 19, 8, 7), (19, 1, 3, 3), (1, 1), (1, 1), (1, 1), 19),
    "depthwise, stride 2": ((2, 16, 9, 9), (16, 1, 3, 3), (2, 2), (1, 1), (2, 1), 16),
    "two results of each channel": ((1, 5, 6, 6), (10, 1, 3, 3), (1, 1), (1, 1), (1, 1), 5),
    "many channels on few pixels": ((2, 128, 2, 2), (130, 128, 3, 3), (1, 1), (1, 1), (1, 1), 1),
    "the same with stride 2": ((2, 128, 5, 5), (130, 128, 3, 3), (2, 2), (1, 1), (1, 1), 1),
    "a window of one pixel": ((2, 19, 4, 5), (21, 19, 1, 1), (1, 1), (0, 0), (1, 1), 1),
    "padding beyond the window": ((1, 2, 4, 4), (3, 2, 1, 2), (1, 1), (2, 2), (1, 1), 1),
}
TOLERANCE = {np.float64: 1e-12, np.float32: 2e-5}


@pytest.mark.parametrize("activated", [False, True], ids=["plain", "bias and ReLU"])
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
def test_convolutions_of_any_form(form, activated, draw, dtype):
    image, kernel, stride, padding, dilation, groups = form
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    x, w, b = draw(*image), draw(*kernel), draw(kernel[0])
    tensors = [torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (x, w, b)]
    y = torch.nn.functional.conv2d(*tensors[:2], tensors[2] if activated else None, **options)
    y = torch.relu(y) if activated else y
    g = draw(*y.shape)
    loss = (y * torch.tensor(g, dtype=torch.float64)).sum()
    loss.backward()

    def f(x, w, b):
        y = F.conv2d(x, w, b, **options) if activated else F.conv2d(x, w, **options)
        return np.sum((F.relu(y) if activated else y) * g)

    _, grads = compile(f, x, w, b, params=("x", "w", "b"))(x, w, b)
    for name, t in zip("xwb", tensors, strict=True):
        want = np.zeros(t.shape) if t.grad is None else t.grad.numpy()
        scale = max(1.0, float(np.max(np.abs(want))))
        np.testing.assert_allclose(grads[name], want, rtol=0, atol=TOLERANCE[dtype] * scale)


@pytest.mark.parametrize("name", ["many channels on few pixels", "a window of one pixel"])
def test_many_weights_on_few_pixels_are_one_product(name, draw):
    image, kernel, stride, padding, *_ = FORMS[name]
    step = compile(
        lambda x, w: np.sum(F.conv2d(x, w, stride=stride, padding=padding) ** 2),
        draw(*image), draw(*kernel), params=("x", "w"),
    )  # fmt: skip
    assert sum("as one product" in row["work"] for row in step.stages().rows) == 3


@pytest.mark.parametrize("name", ["two groups", "depthwise", "many channels on few pixels"])
def test_no_bit_depends_on_threads(name, draw, dtype):
    image, kernel, stride, padding, dilation, groups = FORMS[name]
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    x, w = draw(8, *image[1:]), draw(*kernel)
    found = set()
    for threads in (1, 2, 3):
        step = compile(
            lambda x, w: np.sum(F.conv2d(x, w, **options) ** 2), x, w, params=("x", "w"),
            threads=threads,
        )  # fmt: skip
        loss, grads = step(x, w)
        found.add(b"".join(a.tobytes() for a in (np.asarray(loss), *grads.values())))
    assert len(found) == 1
