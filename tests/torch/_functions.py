"""Functions in NumPy's style, each with PyTorch's own of the same meaning where there is one."""

import numpy as np

import allbps.functional as F


def elementwise(x, y):
    return np.sin(x) * np.exp(y) + x / (1 + y**2)


def mlp(x, layers):
    for W, b in layers:
        x = np.tanh(x @ W + b)
    return np.sum(x**2), x


def normed(x, w, b):
    return F.layer_norm(F.gelu(x), (x.shape[-1],), w, b)


def attention(q, k, v):
    return F.scaled_dot_product_attention(q, k, v, is_causal=True)


def classified(x, W, labels):
    return F.cross_entropy(x @ W, labels)


def convolved(x, K):
    return F.max_pool2d(F.silu(F.conv2d(x, K, stride=2, padding=1)), 2)


def whitened(x, w, b):
    return F.batch_norm(x, None, None, w, b, training=True)


def looked_up(table, rows):
    return np.sum(F.embedding(rows, table) ** 2, axis=-1)


def with_constants(x):
    return x * np.arange(1.0, 101.0).reshape(10, 10) + np.eye(10) @ x


def sliced(x):
    return x[1:, ::2] * x[:-1, 1::2]


def views(x):
    return {"turned": x.T, "itself": x, "place": np.argmax(x), "twice": (x, x)}


def singular(x):
    return np.linalg.svd(x, compute_uv=False)
