"""Nets of layers, images, graphs and tables, in plain NumPy."""

import numpy as np

from paper_nets.sequences import logsumexp, normal, sigmoid, softmax

rng = np.random.default_rng(12)


def highway(x, layers):
    """Srivastava et al. 2015."""
    for W, b, Wt, bt in layers:
        t = sigmoid(x @ Wt + bt)
        x = t * np.maximum(x @ W + b, 0) + (1 - t) * x
    return np.sum(x**2)


HIGHWAY = normal(2, 3), [(normal(3, 3), normal(3), normal(3, 3), normal(3)) for _ in range(2)]


def mixture_of_experts(x, gate, experts, y):
    """Shazeer et al. 2017: the two best of four experts."""
    logits = x @ gate
    best = np.argsort(-logits, axis=1)[:, :2]
    chosen = softmax(np.take_along_axis(logits, best, axis=1))
    out = 0.0
    for e in range(gate.shape[1]):
        weight = np.sum(np.where(best == e, chosen, 0.0), axis=1)
        out = out + weight[:, None] * np.tanh(x @ experts[e])
    balance = np.var(softmax(logits).sum(0)) / np.mean(softmax(logits).sum(0)) ** 2
    return np.mean((out - y) ** 2) + 0.01 * balance


MOE = normal(4, 3), normal(3, 4), normal(4, 3, 2), normal(4, 2)


def capsules(u, W):
    """Sabour et al. 2017: dynamic routing."""

    def squash(s):
        n2 = np.sum(s**2, axis=-1, keepdims=True)
        return n2 / (1 + n2) * s / np.sqrt(n2 + 1e-9)

    votes = np.einsum("id,ijde->ije", u, W)
    b = np.zeros(votes.shape[:2])
    for _ in range(3):
        c = softmax(b, axis=1)
        v = squash(np.sum(c[:, :, None] * votes, axis=0))
        b = b + np.sum(votes * v, axis=-1)
    lengths = np.linalg.norm(v, axis=-1)
    margin = np.maximum(0, 0.9 - lengths[0]) ** 2
    return margin + 0.5 * np.sum(np.maximum(0, lengths[1:] - 0.1) ** 2)


CAPSULES = normal(4, 3), normal(4, 2, 3, 2)


def conv(x, K):
    """(C, H, W) * (O, C, h, w): valid cross-correlation by windows."""
    h, w = K.shape[2:]
    windows = np.lib.stride_tricks.sliding_window_view(x, (h, w), axis=(1, 2))
    return np.einsum("cijhw,ochw->oij", windows, K)


def resnet_block(x, K1, K2, g, b):
    """He et al. 2016: a residual block with instance statistics."""

    def norm(h, k):
        m, v = h.mean(axis=(1, 2), keepdims=True), h.var(axis=(1, 2), keepdims=True)
        return g[k] * (h - m) / np.sqrt(v + 1e-5) + b[k]

    padded = np.pad(x, ((0, 0), (1, 1), (1, 1)))
    h = np.maximum(norm(conv(padded, K1), 0), 0)
    h = norm(conv(np.pad(h, ((0, 0), (1, 1), (1, 1))), K2), 1)
    return np.mean(np.maximum(x + h, 0))


RESNET = normal(2, 4, 4), normal(2, 2, 3, 3), normal(2, 2, 3, 3), normal(2), normal(2)


def lenet(K, W, b, image, label):
    """LeCun et al. 1998: convolution, average pooling, a dense layer."""
    h = np.tanh(conv(image, K))
    C, H, Wd = h.shape
    pooled = h.reshape(C, H // 2, 2, Wd // 2, 2).mean(axis=(2, 4))
    logits = pooled.ravel() @ W + b
    return logsumexp(logits) - logits[label]


LENET = normal(2, 1, 3, 3), normal(8, 3), normal(3), normal(1, 6, 6), 1


def graph_convolution(A, X, W1, W2, labels):
    """Kipf & Welling 2017."""
    A = A + np.eye(len(A))
    d = 1 / np.sqrt(A.sum(axis=1))
    A = d[:, None] * A * d[None, :]
    H = np.maximum(A @ X @ W1, 0)
    Z = A @ H @ W2
    return np.mean(logsumexp(Z) - Z[np.arange(len(Z)), labels])


EDGES = np.array([[0.0, 1, 0, 1], [1, 0, 1, 0], [0, 1, 0, 1], [1, 0, 1, 0]])
GCN = EDGES, normal(4, 3), normal(3, 4), normal(4, 2), np.array([0, 1, 1, 0])


def graph_attention(A, X, W, a):
    """Veličković et al. 2018."""
    H = X @ W
    n = len(H)
    pair = np.concatenate([np.repeat(H, n, axis=0), np.tile(H, (n, 1))], axis=1) @ a
    e = pair.reshape(n, n)
    e = np.where(e > 0, e, 0.2 * e)
    e = np.where(A > 0, e, -1e9)
    H = softmax(e) @ H
    return np.sum(np.where(H > 0, H, np.expm1(np.minimum(H, 0))) ** 2)


GAT = EDGES + np.eye(4), normal(4, 3), normal(3, 2), normal(4)


def message_passing(x, senders, receivers, W, U):
    """Gilmer et al. 2017: messages along edges, added at the receivers."""
    messages = np.tanh(x[senders] @ W)
    received = np.zeros_like(x)
    np.add.at(received, receivers, messages)
    return np.sum(np.tanh(x @ U + received) ** 2)


MESSAGES = (
    normal(4, 3), np.array([0, 1, 2, 3, 0, 2]), np.array([1, 2, 3, 0, 2, 0]), normal(3, 3),
    normal(3, 3),
)  # fmt: skip


def spectral_norm(W, u, x):
    """Miyato et al. 2018: one power iteration, then W divided by its largest singular value."""
    v = W.T @ u
    v = v / np.linalg.norm(v)
    u = W @ v
    u = u / np.linalg.norm(u)
    sigma = u @ W @ v
    return np.sum(np.maximum(x @ (W / sigma).T, 0) ** 2)


SPECTRAL = normal(3, 4), normal(3), normal(2, 4)


def weight_norm(V, g, b, x, y):
    """Salimans & Kingma 2016."""
    W = g * V / np.sqrt((V**2).sum(axis=0))
    return 0.5 * np.mean((np.tanh(x @ W + b) - y) ** 2)


WEIGHT = normal(3, 2), normal(2), normal(2), normal(4, 3), normal(4, 2)


def deep_sets(x, phi, rho):
    """Zaheer et al. 2017."""
    h = np.maximum(x @ phi, 0)
    pooled = np.concatenate([h.sum(axis=1), h.max(axis=1)], axis=-1)
    return np.sum((pooled @ rho) ** 2)


SETS = normal(2, 4, 3), normal(3, 5), normal(10, 2)


def deep_fm(embedding, linear, W1, W2, fields, clicked):
    """Rendle 2010, Guo et al. 2017: factorisation machine and a net, cross-entropy of clicks."""
    e = embedding[fields]
    square_of_sum, sum_of_squares = e.sum(axis=1) ** 2, (e**2).sum(axis=1)
    fm = linear[fields].sum(axis=1) + 0.5 * (square_of_sum - sum_of_squares).sum(axis=1)
    deep = (np.maximum(e.reshape(len(fields), -1) @ W1, 0) @ W2)[:, 0]
    z = fm + deep
    return np.mean(np.logaddexp(0, z) - clicked * z)


DEEP_FM = (
    normal(6, 2), normal(6), normal(6, 4), normal(4, 1),
    np.array([[0, 2, 4], [1, 3, 5], [0, 3, 4]]), np.array([1.0, 0.0, 1.0]),
)  # fmt: skip


def nerf(params, origins, directions, colours):
    """Mildenhall et al. 2020: positions encoded, densities composed along rays."""
    t = np.linspace(0.5, 2.0, 4)
    points = origins[:, None, :] + t[None, :, None] * directions[:, None, :]
    encoded = [points]
    for k in range(2):
        encoded += [np.sin(2.0**k * points), np.cos(2.0**k * points)]
    h = np.maximum(np.concatenate(encoded, axis=-1) @ params["W1"] + params["b1"], 0)
    out = h @ params["W2"]
    sigma, rgb = np.log1p(np.exp(out[..., 0])), sigmoid(out[..., 1:])
    delta = np.append(np.diff(t), 1.0)
    alpha = 1 - np.exp(-sigma * delta)
    through = np.cumprod(1 - alpha + 1e-10, axis=1)
    through = np.concatenate([np.ones((len(origins), 1)), through[:, :-1]], axis=1)
    seen = np.sum((through * alpha)[..., None] * rgb, axis=1)
    return np.mean((seen - colours) ** 2)


NERF = (
    {"W1": normal(15, 6), "b1": normal(6), "W2": normal(6, 4)}, normal(2, 3), normal(2, 3),
    rng.uniform(size=(2, 3)),
)  # fmt: skip
