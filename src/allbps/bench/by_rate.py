"""How fast a library is at what it does best: a product or a convolution, in a process of its own.

    python -m allbps.bench.by_rate LIBRARY

prints operations a second of processor time.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

SIZE, TURNS = 1024, 12
PRODUCT, CONVOLUTION = 2 * SIZE**3, 2 * 16 * 28**2 * 9 * 64**2
"""Operations of a product of two squares, and of 64 channels by 64 on 28×28 pixels, batch 16."""


def _machine() -> float:
    from allbps.machine.language.peak import peak_loop
    from allbps.machine.language.target import host

    run, operations = peak_loop(host(), single=True)
    return _rate(run, operations)


def _numpy() -> float:
    a = np.ones((SIZE, SIZE), np.float32)
    return _rate(lambda: a @ a, PRODUCT)


def _torch() -> float:
    import torch

    a = torch.ones(SIZE, SIZE)
    x, kernel = torch.ones(16, 64, 28, 28), torch.ones(64, 64, 3, 3)
    product = _rate(lambda: a @ a, PRODUCT)
    convolved = _rate(lambda: torch.conv2d(x, kernel, padding=1), CONVOLUTION)
    return max(product, convolved)


def _jax() -> float:
    import jax
    import jax.numpy as jnp
    from jax import lax

    a, x = jnp.ones((SIZE, SIZE)), jnp.ones((16, 28, 28, 64))
    kernel = jnp.ones((3, 3, 64, 64))
    letters = ("NHWC", "HWIO", "NHWC")
    multiply = jax.jit(jnp.matmul)
    convolve = jax.jit(
        lambda x, k: lax.conv_general_dilated(x, k, (1, 1), "SAME", None, None, letters)
    )
    product = _rate(lambda: multiply(a, a).block_until_ready(), PRODUCT)
    convolved = _rate(lambda: convolve(x, kernel).block_until_ready(), CONVOLUTION)
    return max(product, convolved)


PROBES: dict[str, Callable[[], float]] = {
    "machine": _machine, "numpy": _numpy, "torch": _torch, "jax": _jax,
}  # fmt: skip


def _rate(run: Callable[[], Any], operations: float) -> float:
    """Operations a second of processor time, the best of some runs."""
    run()
    least = float("inf")
    for _ in range(TURNS):
        began = time.process_time()
        run()
        least = min(least, time.process_time() - began)
    return operations / least


if __name__ == "__main__":
    print(PROBES[sys.argv[1]]())
