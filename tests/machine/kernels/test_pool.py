"""Pooling against PyTorch's: ties, NaN, overlap, padding, and the ReLU fused in."""

from __future__ import annotations

import numpy as np
import pytest

from allbps.machine.kernels.pool import average_pool, average_pool_delta, max_pool, max_pool_delta

torch = pytest.importorskip("torch")

# N, H, W, C, window, stride, padding, dilation
SHAPES = {
    "quads": (2, 6, 8, 17, (2, 2), (2, 2), (0, 0), (1, 1)),
    "quads, a row and a column left over": (2, 7, 5, 3, (2, 2), (2, 2), (0, 0), (1, 1)),
    "overlap": (1, 6, 6, 4, (3, 3), (1, 1), (0, 0), (1, 1)),
    "2x2 with stride 1": (1, 4, 5, 3, (2, 2), (1, 1), (0, 0), (1, 1)),
    "padding": (2, 7, 6, 16, (3, 2), (2, 2), (1, 1), (1, 1)),
    "no two sides alike": (2, 9, 7, 16, (3, 4), (2, 1), (1, 2), (1, 1)),
    "gaps in the window": (2, 9, 8, 5, (3, 2), (2, 3), (1, 0), (2, 3)),
}


def nchw(x):
    return torch.tensor(x, dtype=torch.float64).permute(0, 3, 1, 2)


def nhwc(t):
    return t.detach().permute(0, 2, 3, 1).numpy()


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_max_pool(shape, relu, native, near, draw, dtype):
    N, H, W, C, window, s, p, d = shape
    I = np.round(draw(N, H, W, C) * 2)  # small integers: many ties
    x = nchw(I).requires_grad_()
    y = torch.nn.functional.max_pool2d(torch.relu(x) if relu else x, window, s, p, d)
    G = draw(*nhwc(y).shape)
    y.backward(nchw(G))
    J, D = np.full(G.shape, np.nan, dtype), np.full(I.shape, np.nan, dtype)
    winner = np.full(G.shape, 255, np.uint8)
    native(max_pool)(J, winner, I, relu, H, W, C, *window, *s, *p, *d, 0, N)
    native(max_pool_delta)(D, G, J, winner, relu, H, W, C, *window, *s, *p, *d, 0, N)
    near(J, nhwc(y))
    near(D, nhwc(x.grad))


@pytest.mark.parametrize(("window", "stride"), [(2, 2), (3, 1)])
def test_nan_wins(window, stride, native, draw, dtype):
    I = draw(1, 4, 4, 18)
    I[0, 1, 0, :] = np.nan
    want = nhwc(torch.nn.functional.max_pool2d(nchw(I), window, stride))
    J, winner = np.empty(want.shape, dtype), np.empty(want.shape, np.uint8)
    native(max_pool)(
        J, winner, I, False, 4, 4, 18, window, window, stride, stride, 0, 0, 1, 1, 0, 1
    )  # fmt: skip
    np.testing.assert_array_equal(J, want.astype(dtype))


@pytest.mark.parametrize("name", [name for name in SHAPES if not name.startswith("gaps")])
def test_average_pool(name, native, near, draw, dtype):
    N, H, W, C, window, s, p, _ = SHAPES[name]
    I = draw(N, H, W, C)
    x = nchw(I).requires_grad_()
    y = torch.nn.functional.avg_pool2d(x, window, s, p)
    G = draw(*nhwc(y).shape)
    y.backward(nchw(G))
    J, D = np.full(G.shape, np.nan, dtype), np.full(I.shape, np.nan, dtype)
    native(average_pool)(J, I, H, W, C, *window, *s, *p, 0, N)
    native(average_pool_delta)(D, G, H, W, C, *window, *s, *p, 0, N)
    near(J, nhwc(y))
    near(D, nhwc(x.grad))
