"""Convolutions of one small image of one channel, and their δK, against PyTorch's."""

from __future__ import annotations

import numpy as np
import pytest

import allbps.functional as F
from allbps.machine.compile import compile  # noqa: A004

torch = pytest.importorskip("torch")

# image (H, W), kernel (h, w): lines shorter and longer than a vector, one line, several turns of δK
FORMS = [
    ((8, 8), (3, 3)),
    ((3, 3), (3, 3)),
    ((9, 21), (2, 5)),
    ((24, 24), (5, 5)),
    ((5, 40), (1, 1)),
]
TOLERANCE = {np.float64: 1e-13, np.float32: 2e-6}


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_a_small_image_of_one_channel_goes_line_by_line(form, draw, dtype):
    image, kernel = form
    x, w = draw(*image), draw(*kernel)
    ideal = draw(image[0] - kernel[0] + 1, image[1] - kernel[1] + 1)

    def loss(w, x, y):
        z = F.conv2d(x, w)
        return F.euclidean_loss(z, y), z

    step = compile(loss, w, x, ideal, params="w")
    assert step.source().count("_lines(") >= 4  # two kernels, each called
    (_, made), gradients = step(w, x, ideal)
    weight = torch.tensor(w, dtype=torch.float64, requires_grad=True)
    given = torch.tensor(x, dtype=torch.float64)[None, None]
    want = torch.nn.functional.conv2d(given, weight[None, None])[0, 0]
    (0.5 * ((want - torch.tensor(ideal)) ** 2).sum()).backward()
    for got, tensor in ((made, want), (gradients, weight.grad)):
        right = tensor.detach().numpy()
        scale = float(np.max(np.abs(right)))
        np.testing.assert_allclose(got, right, rtol=0, atol=TOLERANCE[dtype] * scale)


def test_long_sums_of_a_large_window_are_left_to_plain_loops(draw, dtype):
    x, w = draw(12, 12), draw(7, 7)
    assert "_lines(" not in compile(lambda x, w: F.conv2d(x, w), x, w).source()
