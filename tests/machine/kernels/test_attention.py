"""Attention of one head and its δ against PyTorch's, causal or not, in blocks of any size."""

from __future__ import annotations

import numpy as np
import pytest

from allbps.machine.kernels.attention import attention, attention_delta, attention_scratch

torch = pytest.importorskip("torch")


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(("T", "E", "block"), [(1, 4, 8), (20, 16, 8), (33, 7, 32), (9, 3, 64)])
def test_attention_of_heads_side_by_side(T, E, block, causal, native, near, draw, dtype):
    heads, ld, ldy = 2, 6 * E, 2 * E
    X, G = draw(T, ld), draw(T, ldy)  # rows: q of both heads, k of both, v of both
    x = torch.tensor(X, dtype=torch.float64, requires_grad=True)
    q, k, v = x.reshape(T, 3, heads, E).permute(1, 2, 0, 3)
    y = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=causal)
    y = y.permute(1, 0, 2).reshape(T, ldy)
    y.backward(torch.tensor(G, dtype=torch.float64))

    Y, L, D = np.full_like(G, np.nan), np.empty((heads, T), dtype), np.full_like(X, np.nan)
    scratch = np.full(attention_scratch(T, E, block), np.nan, dtype)
    scale = 1 / np.sqrt(E)
    for h in range(heads):
        Q, K, V = (X.reshape(-1)[i * 2 * E + h * E :] for i in range(3))
        DQ, DK, DV = (D.reshape(-1)[i * 2 * E + h * E :] for i in range(3))
        y_h, g_h = Y.reshape(-1)[h * E :], G.reshape(-1)[h * E :]
        tail = (scratch, T, E, scale, causal, block)
        native(attention)(y_h, ldy, L[h], Q, K, V, ld, *tail)
        native(attention_delta)(DQ, DK, DV, ld, g_h, y_h, ldy, L[h], Q, K, V, ld, *tail)
    near(Y, y.detach().numpy())
    near(D, x.grad.numpy(), factor=2)
