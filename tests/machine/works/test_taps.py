"""Convolutions of one channel, by kernels written for their sizes, against PyTorch's."""

from __future__ import annotations

import numpy as np
import pytest

import allbps.functional as F
from allbps.machine.compile import compile  # noqa: A004

torch = pytest.importorskip("torch")

# image (N, C, H, W), kernel (O, C, h, w), stride, padding
FORMS = [
    ((3, 1, 28, 28), (32, 1, 3, 3), 1, 0),
    ((5, 1, 9, 12), (16, 1, 3, 3), 1, 1),
    ((2, 1, 11, 10), (16, 1, 3, 4), 2, 2),
    ((4, 3, 9, 9), (48, 3, 2, 2), 1, 0),
    ((2, 3, 7, 7), (32, 3, 1, 1), 1, 0),
]
TOLERANCE = {np.float64: 1e-13, np.float32: 2e-6}


@pytest.mark.parametrize("activated", [False, True], ids=["plain", "bias and ReLU"])
@pytest.mark.parametrize("form", FORMS, ids=str)
def test_few_taps(form, activated, draw, dtype):
    image, kernel, stride, padding = form
    x, w, b = draw(*image), draw(*kernel), draw(kernel[0])

    def f(x, w, b):
        y = F.conv2d(x, w, b if activated else None, stride=stride, padding=padding)
        return F.relu(y) if activated else y

    step = compile(f, x, w, b)
    assert "_taps(" in step.source()
    tensors = [torch.tensor(v, dtype=torch.float64) for v in (x, w, b)]
    want = torch.nn.functional.conv2d(
        *tensors[:2], tensors[2] if activated else None, stride, padding
    )
    want = (torch.relu(want) if activated else want).numpy()
    scale = float(np.max(np.abs(want)))
    np.testing.assert_allclose(step(x, w, b), want, rtol=0, atol=TOLERANCE[dtype] * scale)


def test_vectors_that_channels_do_not_fill_are_left_to_the_microkernel(draw, dtype):
    x, w = draw(3, 1, 28, 28), draw(20, 1, 3, 3)
    assert "_taps(" not in compile(lambda x, w: F.conv2d(x, w), x, w).source()
