"""Direct convolution and its δ against PyTorch's, strides, padding and odd sizes included."""

from __future__ import annotations

import numpy as np
import pytest

from allbps.machine.kernels.conv import (
    conv_forward,
    conv_input,
    conv_weights,
    flip_weights,
)
from allbps.machine.kernels.windows import fold, windows

torch = pytest.importorskip("torch")

# N, H, W, C, O, h, w, stride, padding
SHAPES = {
    "lecture": (1, 6, 6, 1, 1, 3, 3, 1, 0),
    "valid": (2, 9, 8, 3, 5, 3, 3, 1, 0),
    "same": (2, 8, 8, 16, 17, 3, 3, 1, 1),
    "stride": (2, 8, 8, 3, 4, 3, 3, 2, 1),
    "stride, one row left over": (2, 9, 8, 3, 4, 3, 2, 2, 0),
    "1x1": (2, 5, 7, 6, 33, 1, 1, 1, 0),
    "1x1 with stride": (2, 8, 7, 4, 8, 1, 1, 2, 0),
    "5x5, wide padding": (1, 7, 9, 2, 3, 5, 5, 1, 4),
    "stride 3 beyond the window": (1, 11, 10, 2, 3, 2, 2, 3, 1),
    "window row and column apart": (1, 7, 9, 2, 3, 1, 4, 2, 0),
}


@pytest.fixture(params=SHAPES.values(), ids=SHAPES.keys())
def case(request, draw):
    N, H, W, C, O, h, w, s, p = request.param
    I, K, bias = draw(N, H, W, C), draw(h, w, C, O), draw(O)
    oh, ow = (H + 2 * p - h) // s + 1, (W + 2 * p - w) // s + 1
    G = draw(N, oh, ow, O)
    ti = torch.tensor(I, dtype=torch.float64).permute(0, 3, 1, 2).requires_grad_()
    tk = torch.tensor(K, dtype=torch.float64).permute(3, 2, 0, 1).requires_grad_()
    tj = torch.nn.functional.conv2d(ti, tk, torch.tensor(bias, dtype=torch.float64), s, p)
    tj.backward(torch.tensor(G, dtype=torch.float64).permute(0, 3, 1, 2))
    want = {
        "J": tj.permute(0, 2, 3, 1).detach().numpy(),
        "dI": ti.grad.permute(0, 2, 3, 1).numpy(),
        "dK": tk.grad.permute(2, 3, 1, 0).numpy(),
    }
    scratch = np.full((H + 2 * p + h) * (W + 2 * p + w) * max(C, O), np.nan, I.dtype)
    return I, K, bias, G, want, scratch, (H, W, C, O, h, w, s, p)


def test_forward_with_bias_and_relu(case, native, near):
    I, K, bias, _, want, scratch, shape = case
    J = np.full(want["J"].shape, np.nan, I.dtype)
    native(conv_forward)(J, I, K, bias, 2, scratch, *shape, 0, len(I))
    near(J, want["J"])
    native(conv_forward)(J, I, K, bias, 6, scratch, *shape, 0, len(I))
    near(J, np.maximum(want["J"], 0))


def test_what_the_window_sees_is_a_matrix_and_is_handed_back_as_unfold_and_fold_do(
    case, native, near, draw
):
    I, K, bias, _, want, _, (H, W, C, O, h, w, s, p) = case
    N, oh, ow, _ = want["J"].shape
    each, pixels = h * w * N * oh * ow, N * H * W
    numbered = torch.arange(1.0, pixels + 1).reshape(N, 1, H, W)
    places = torch.nn.functional.unfold(numbered, (h, w), padding=p, stride=s).transpose(0, 1)
    at = np.where(places.numpy() == 0, pixels, places.numpy() - 1).astype(np.int64).ravel()
    P, scratch = np.full((C, each), np.nan, I.dtype), np.full(pixels + 1, np.nan, I.dtype)
    for c in range(C):
        native(windows)(P, I, at, C, pixels, each, scratch, c, c + 1)
    seen = P.reshape(C * h * w, N * oh * ow)
    near(seen.T @ K.transpose(2, 0, 1, 3).reshape(-1, O) + bias, want["J"].reshape(-1, O))

    back, D = draw(N * oh * ow, C * h * w), np.full(I.shape, np.nan, I.dtype)
    for n in range(N):
        native(fold)(D, back, H, W, C, h, w, s, p, n, n + 1)
    columns = torch.tensor(back, dtype=torch.float64).reshape(N, oh * ow, -1).transpose(1, 2)
    whole = torch.nn.functional.fold(columns, (H, W), (h, w), padding=p, stride=s)
    near(D, whole.permute(0, 2, 3, 1).numpy())


def test_delta_of_the_weights_in_partials(case, native, near):
    I, K, _, G, want, scratch, shape = case
    D = np.full(K.shape, np.nan, I.dtype)
    for n in range(len(I)):
        native(conv_weights)(D, G, I, scratch, min(n, 1), *shape, n, n + 1)
    near(D, want["dK"])


def test_delta_of_the_input(case, native, near):
    I, K, _, G, want, _, shape = case
    F, D = np.full(K.size, np.nan, I.dtype), np.full(I.shape, np.nan, I.dtype)
    native(flip_weights)(F, K, *shape[2:7], 0, shape[2])
    native(conv_input)(D, G, F, *shape, 0, len(I))
    near(D, want["dI"])
