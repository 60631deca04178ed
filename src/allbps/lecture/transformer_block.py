"""Beyond the slide: attention with values, residual connections, layer norm and a GELU MLP."""

from typing import Any

import numpy as np

import allbps.functional as F
from allbps.lecture.system import Example, Prose, System


def transformer_block(
    x: Any, Wq: Any, Wk: Any, Wv: Any, Wo: Any, g1: Any, h1: Any, g2: Any, h2: Any, W1: Any, W2: Any
) -> Any:
    n = F.layer_norm(x, (4,), g1, h1)
    q = n @ Wq
    k = n @ Wk
    v = n @ Wv
    z = q @ k.T / 2.0  # √4: the width of a key
    s = F.softmax(z)
    a = s @ v
    r = x + a @ Wo
    m = F.layer_norm(r, (4,), g2, h2)
    u = m @ W1
    e = F.gelu(u)
    out = r + e @ W2
    return out


def numbers() -> dict[str, Any]:
    rng = np.random.default_rng(7)

    def draw(*shape: int) -> Any:
        return np.round(rng.normal(0, 0.7, shape), 1)

    return {
        "x": draw(3, 4),
        "Wq": draw(4, 4),
        "Wk": draw(4, 4),
        "Wv": draw(4, 4),
        "Wo": draw(4, 4),
        "g1": np.array([1.0, 0.9, 1.1, 1.2]),
        "h1": np.array([0.0, 0.1, -0.1, 0.2]),
        "g2": np.array([1.1, 1.0, 0.8, 1.0]),
        "h2": np.array([0.1, 0.0, 0.0, -0.2]),
        "W1": draw(4, 6),
        "W2": draw(6, 4),
    }


SYMBOLS = {"g1": "γ₁", "h1": "β₁", "g2": "γ₂", "h2": "β₂"}

SYSTEM = System(
    name="transformer-block",
    title="Beyond the lecture: a transformer block",
    sections=(
        Prose(
            "The scores become weights of values, $a = s v$ with $s = softmax(q kᵀ / √d)$ "
            "(Vaswani et al., arXiv:1706.03762), and the block adds what it finds to what came "
            "in, twice: $r = x + a Wo$ and then $r + GELU(m W₁) W₂$, with layer norm before "
            "each half. All its rules have been seen: products, softmax, residual sums. New are "
            "layer norm, whose mean and variance depend on the input and so must be "
            "differentiated too, and the fork at $n$, which three products share: $δn = δn₁ + "
            "δn₂ + δn₃$."
        ),
        Example(
            transformer_block,
            numbers(),
            cotangents={
                "out": np.array(
                    [[1.0, 0.0, -1.0, 0.5], [0.0, 2.0, 0.5, -1.0], [-0.5, 1.0, 0.0, 1.0]]
                )
            },
            symbols=SYMBOLS,
        ),
    ),
)
