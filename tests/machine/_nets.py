"""Small nets, each touching other parts of the compiler, with arguments in float64."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import allbps.functional as F


@dataclass(frozen=True)
class Net:
    """A loss, its arguments, and which of them are parameters."""

    loss: Callable[..., Any]
    arguments: dict[str, Any]
    params: tuple[str, ...]

    @property
    def rest(self) -> dict[str, Any]:
        return {k: v for k, v in self.arguments.items() if k not in self.params}

    def of_params(self, *values: Any) -> Any:
        return self.loss(**{**self.arguments, **dict(zip(self.params, values, strict=True))})


def draw(seed: int = 0) -> Callable[..., np.ndarray]:
    rng = np.random.default_rng(seed)
    return lambda *shape: rng.uniform(-1, 1, shape)


def lecture_loss(K, X, Y):
    J = F.conv2d(X, K)
    R = F.relu(J)
    P = F.max_pool2d(R, 2)
    return F.euclidean_loss(P, Y)


def lecture() -> Net:
    u = draw()
    return Net(lecture_loss, {"K": u(3, 3), "X": u(8, 8), "Y": u(3, 3)}, ("K",))


def dense_loss(X, W1, b1, W2, b2, Y):
    Z = F.sigmoid(X @ W1 + b1)
    return F.euclidean_loss(Z @ W2 + b2, Y)


def dense() -> Net:
    u = draw()
    arguments = {"X": u(5, 3), "W1": u(3, 4), "b1": u(4), "W2": u(4, 2), "b2": u(2), "Y": u(5, 2)}
    return Net(dense_loss, arguments, ("W1", "b1", "W2", "b2"))


def mlp_loss(p, X, labels):
    H = F.relu(F.linear(X, p["W1"], p["b1"]))
    return F.cross_entropy(F.linear(H, p["W2"], p["b2"]), labels)


def mlp(examples: int = 33, wide: int = 70) -> Net:
    u = draw()
    p = {"W1": u(wide, 20), "b1": u(wide), "W2": u(10, wide) * 0.2, "b2": u(10)}
    labels = np.random.default_rng(1).integers(0, 10, examples)
    return Net(mlp_loss, {"p": p, "X": u(examples, 20), "labels": labels}, ("p",))


def lenet_loss(p, X, labels):
    h = F.relu(F.conv2d(X, p["K1"], p["b1"]))
    h = F.max_pool2d(F.relu(F.conv2d(h, p["K2"], p["b2"])), 2)
    h = F.relu(F.linear(h.reshape(len(h), -1), p["W3"], p["b3"]))
    return F.cross_entropy(F.linear(h, p["W4"], p["b4"]), labels)


def lenet(channels: int = 1) -> Net:
    u = draw()
    p = {
        "K1": u(4, channels, 3, 3) * 0.3, "b1": u(4), "K2": u(6, 4, 3, 3) * 0.2, "b2": u(6),
        "W3": u(16, 96) * 0.1, "b3": u(16), "W4": u(5, 16) * 0.2, "b4": u(5),
    }  # fmt: skip
    X, labels = u(3, channels, 12, 12), np.array([0, 4, 2])
    return Net(lenet_loss, {"p": p, "X": X, "labels": labels}, ("p", "X")[: 1 + (channels > 1)])


def residual_loss(p, X, labels):
    def norm(x, k):
        return F.batch_norm(x, weight=p[f"g{k}"], bias=p[f"s{k}"], training=True)

    h = F.relu(norm(F.conv2d(X, p["K0"], padding=1), 0))
    r = F.relu(norm(F.conv2d(h, p["K1"], stride=2, padding=1), 1))
    r = norm(F.conv2d(r, p["K2"], padding=1), 2)
    h = F.relu(r + F.conv2d(h, p["K3"], stride=2))
    h = F.adaptive_avg_pool2d(h, 1).reshape(len(h), -1)
    return F.cross_entropy(F.linear(h, p["W"], p["b"]), labels)


def residual() -> Net:
    u = draw()
    p = {
        "K0": u(4, 3, 3, 3), "K1": u(6, 4, 3, 3), "K2": u(6, 6, 3, 3), "K3": u(6, 4, 1, 1),
        "W": u(5, 6), "b": u(5),
    }  # fmt: skip
    for k, channels in enumerate((4, 6, 6)):
        p[f"g{k}"], p[f"s{k}"] = u(channels), u(channels)
    labels = np.array([0, 1, 4, 2])
    return Net(residual_loss, {"p": p, "X": u(4, 3, 8, 8), "labels": labels}, ("p",))


def block_loss(p, index, target):
    (B, T), C = index.shape, p["E"].shape[1]
    x = F.embedding(index, p["E"]) + p["P"]
    h = F.layer_norm(x, C, p["g1"], p["s1"])
    qkv = F.linear(h, p["Wa"], p["ba"]).reshape(B, T, 3, 2, C // 2).transpose(2, 0, 3, 1, 4)
    a = F.scaled_dot_product_attention(qkv[0], qkv[1], qkv[2], is_causal=True)
    x = x + F.linear(a.transpose(0, 2, 1, 3).reshape(B, T, C), p["Wo"], p["bo"])
    h = F.layer_norm(x, C, p["g2"], p["s2"])
    x = x + F.linear(F.gelu(F.linear(h, p["Wf"], p["bf"])), p["Wp"], p["bp"])
    return F.cross_entropy(F.linear(x, p["E"]).reshape(B * T, -1), target.reshape(B * T))


def transformer() -> Net:
    u, C, V = draw(), 8, 11
    p = {
        "E": u(V, C), "P": u(6, C), "g1": u(C), "s1": u(C), "Wa": u(3 * C, C), "ba": u(3 * C),
        "Wo": u(C, C), "bo": u(C), "g2": u(C), "s2": u(C), "Wf": u(4 * C, C), "bf": u(4 * C),
        "Wp": u(C, 4 * C), "bp": u(C),
    }  # fmt: skip
    rng = np.random.default_rng(2)
    index, target = rng.integers(0, V, (2, 6)), rng.integers(0, V, (2, 6))
    return Net(block_loss, {"p": p, "index": index, "target": target}, ("p",))


NETS = {
    "lecture": lecture,
    "dense": dense,
    "mlp": mlp,
    "lenet": lenet,
    "lenet of two channels": lambda: lenet(2),
    "residual": residual,
    "transformer": transformer,
}
