"""The rows' nets in JAX, from parameters by the names of ``allbps.nn`` to the loss.

Images are NHWC and kernels HWIO, JAX's own habit; ``as_jax`` brings them there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

HEADS = 4
MOMENTUM = 0.1
Arrays = dict[str, Any]


def kernel(array: Any) -> Any:
    """(O, I, h, w) -> (h, w, I, O); other parameters stay."""
    return jnp.asarray(array.transpose(2, 3, 1, 0) if array.ndim == 4 else array)


def images(array: Any) -> Any:
    """(batches, N, C, H, W) -> (batches, N, H, W, C); other data stay."""
    return jnp.asarray(array.transpose(0, 1, 3, 4, 2) if array.ndim == 5 else array)


def slide(p: Arrays, x: Any, y: Any) -> tuple[Any, Arrays]:
    h = _pool(jax.nn.relu(_conv(x[None, :, :, None], p["K"][:, :, None, None], padding="VALID")))
    return 0.5 * jnp.sum((h[0, :, :, 0] - y) ** 2), {}


def mlp(p: Arrays, x: Any, y: Any) -> tuple[Any, Arrays]:
    h = jax.nn.relu(x.reshape(len(x), -1) @ p["W1"].T + p["b1"])
    h = jax.nn.relu(h @ p["W2"].T + p["b2"])
    return _cross_entropy(h @ p["W3"].T + p["b3"], y), {}


def lenet(p: Arrays, x: Any, y: Any) -> tuple[Any, Arrays]:
    h = jax.nn.relu(_conv(x, p["K1"], padding="VALID") + p["b1"])
    h = _pool(jax.nn.relu(_conv(h, p["K2"], padding="VALID") + p["b2"]))
    h = h.transpose(0, 3, 1, 2).reshape(len(x), -1)  # the order of W3's columns
    h = jax.nn.relu(h @ p["W3"].T + p["b3"])
    return _cross_entropy(h @ p["W4"].T + p["b4"], y), {}


def resnet20(p: Arrays, x: Any, y: Any) -> tuple[Any, Arrays]:
    running: Arrays = {}
    h = jax.nn.relu(_batch_norm(p, running, "bn1", _conv(x, p["conv1_weight"])))
    for stage in (1, 2, 3):
        for block in range(3):
            name = f"layer{stage}_{block}"
            stride = 2 if stage > 1 and block == 0 else 1
            r = _conv(h, p[f"{name}_conv1_weight"], stride)
            r = jax.nn.relu(_batch_norm(p, running, f"{name}_bn1", r))
            r = _conv(r, p[f"{name}_conv2_weight"])
            r = _batch_norm(p, running, f"{name}_bn2", r)
            if stride == 2:
                h = _conv(h, p[f"{name}_downsample_0_weight"], 2, "VALID")
                h = _batch_norm(p, running, f"{name}_downsample_1", h)
            h = jax.nn.relu(r + h)
    logits = h.mean((1, 2)) @ p["fc_weight"].T + p["fc_bias"]
    return _cross_entropy(logits, y), running


def gpt(p: Arrays, x: Any, y: Any) -> tuple[Any, Arrays]:
    h = p["wte"][x] + p["wpe"]
    n, t, d = h.shape
    seen = jnp.tri(t, dtype=bool)
    for block in range(4):
        name = f"h{block}"
        qkv = _linear(p, f"{name}_attn", _layer_norm(p, f"{name}_ln1", h))
        q, k, v = jnp.moveaxis(qkv.reshape(n, t, 3, HEADS, d // HEADS), 2, 0)
        # (n, t, heads, width) · (n, s, heads, width) -> (n, heads, t, s)
        scores = jnp.einsum("nthd,nshd->nhts", q, k) / (d // HEADS) ** 0.5
        weights = jax.nn.softmax(jnp.where(seen, scores, -jnp.inf))
        mixed = jnp.einsum("nhts,nshd->nthd", weights, v).reshape(n, t, d)
        h = h + _linear(p, f"{name}_proj", mixed)
        up = jax.nn.gelu(
            _linear(p, f"{name}_up", _layer_norm(p, f"{name}_ln2", h)), approximate=False
        )
        h = h + _linear(p, f"{name}_down", up)
    logits = _layer_norm(p, "lnf", h) @ p["head"].T
    return _cross_entropy(logits, y), {}


def _conv(x: Any, weight: Any, stride: int = 1, padding: Any = ((1, 1), (1, 1))) -> Any:
    return lax.conv_general_dilated(
        x, weight, (stride, stride), padding, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def _pool(x: Any) -> Any:
    """2×2: faster here than ``reduce_window``, whose derivative scatters."""
    n, h, w, c = x.shape
    return x.reshape(n, h // 2, 2, w // 2, 2, c).max((2, 4))


def _batch_norm(p: Arrays, running: Arrays, name: str, x: Any) -> Any:
    mean, var = x.mean((0, 1, 2)), x.var((0, 1, 2))
    count = x.size // x.shape[-1]
    for kind, value in (("mean", mean), ("var", var * count / (count - 1))):
        key = f"{name}_running_{kind}"
        running[key] = (1 - MOMENTUM) * p[key] + MOMENTUM * lax.stop_gradient(value)
    return (x - mean) * lax.rsqrt(var + 1e-5) * p[f"{name}_weight"] + p[f"{name}_bias"]


def _linear(p: Arrays, name: str, x: Any) -> Any:
    return x @ p[f"{name}_weight"].T + p[f"{name}_bias"]


def _layer_norm(p: Arrays, name: str, x: Any) -> Any:
    mean, var = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    return (x - mean) * lax.rsqrt(var + 1e-5) * p[f"{name}_weight"] + p[f"{name}_bias"]


def _cross_entropy(logits: Any, labels: Any) -> Any:
    picked = jnp.take_along_axis(jax.nn.log_softmax(logits), labels[..., None], -1)
    return -picked.mean()


LOSSES: dict[str, Callable[[Arrays, Any, Any], tuple[Any, Arrays]]] = {
    f.__name__: f for f in (slide, mlp, lenet, resnet20, gpt)
}
