"""Attention of one head and its δ against PyTorch's: causal, masked, of other keys than queries."""

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

    Y, P, D = np.full_like(G, np.nan), np.empty((heads, 2, T), dtype), np.full_like(X, np.nan)
    scratch = np.full(attention_scratch(T, E, E, block), np.nan, dtype)
    scale = 1 / np.sqrt(E)
    for h in range(heads):
        Q, K, V = (X.reshape(-1)[i * 2 * E + h * E :] for i in range(3))
        DQ, DK, DV = (D.reshape(-1)[i * 2 * E + h * E :] for i in range(3))
        y_h, g_h = Y.reshape(-1)[h * E :], G.reshape(-1)[h * E :]
        given = (Q, ld, K, ld, V, ld, Q, 0, scratch, T, T, E, E, scale, causal, False, False)
        native(attention)(y_h, ldy, P[h], *given, block)
        made = (DQ, ld, DK, ld, DV, ld, DQ)
        native(attention_delta)(*made, g_h, ldy, y_h, ldy, P[h], *given, False, block)
    near(Y, y.detach().numpy())
    near(D, x.grad.numpy(), factor=2)


def attended(q, k, v, b, scale, hides):
    """The same by PyTorch; where it ``hides``, -∞ is a mask, and who sees nothing gets zeros."""
    scores = scale * (q @ k.T)
    if not hides:
        return torch.softmax(scores + b, -1) @ v
    seen = b > -torch.inf
    weights = torch.softmax(torch.where(seen, scores + b, -1e9), -1)
    return torch.where(seen, weights, 0.0) @ v


@pytest.mark.parametrize("kind", ["numbers", "lowest", "unseen", "hidden"])
@pytest.mark.parametrize(("T", "S"), [(5, 5), (9, 20), (34, 3)])
def test_what_is_added_to_scores(T, S, kind, native, near, draw, dtype):
    """Also so little that all scores of a query are the same, and -∞ for what it does not see."""
    E, F, block, scale, hides = 4, 6, 8, 0.7, kind == "hidden"
    Q, K, V, G, B = draw(T, E), draw(S, E), draw(S, F), draw(T, F), draw(T, S)
    if kind == "lowest":
        B[:, S // 2 + 1 :] = B[0] = np.finfo(dtype).min
    elif kind != "numbers":
        B[:, S // 2 + 1 :] = -np.inf
    if hides:
        B[T // 2] = -np.inf
    q, k, v, b = (torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in (Q, K, V, B))
    y = attended(q, k, v, b, scale, hides)
    y.backward(torch.tensor(G, dtype=torch.float64))

    Y, P, DZ = np.full_like(G, np.nan), np.empty((2, T), dtype), np.full_like(B, np.nan)
    DQ, DK, DV = np.full_like(Q, np.nan), np.full_like(K, np.nan), np.full_like(V, np.nan)
    scratch = np.full(attention_scratch(S, E, F, block), np.nan, dtype)
    given = (Q, E, K, E, V, F, B, S, scratch, T, S, E, F, scale, False, True, hides)
    native(attention)(Y, F, P, *given, block)
    native(attention_delta)(DQ, E, DK, E, DV, F, DZ, G, F, Y, F, P, *given, True, block)
    near(Y, y.detach().numpy())
    for made, leaf in ((DQ, q), (DK, k), (DV, v), (DZ, b)):
        near(made, leaf.grad.numpy(), factor=2)


def test_nobody_looks_at_a_score_that_is_hidden(native, draw, dtype):
    Q, K, V, B = draw(3, 2), draw(3, 2), draw(3, 2), np.zeros(3, dtype)
    K[1], B[1] = np.nan, -np.inf
    Y, P = np.full_like(Q, np.nan), np.empty((2, 3), dtype)
    scratch = np.full(attention_scratch(3, 2, 2, 3), np.nan, dtype)
    sizes = (3, 3, 2, 2, 1.0, False, True, True, 3)
    native(attention)(Y, 2, P, Q, 2, K, 2, V, 2, B, 0, scratch, *sizes)
    assert np.isfinite(Y).all()
