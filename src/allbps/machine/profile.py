"""How fast this machine is: what a profile holds stages against."""

from __future__ import annotations

import functools
import inspect

import numpy as np

from allbps.machine.building import build
from allbps.machine.options import Options
from allbps.trace import trace


@functools.cache
def fastest_product(dtype: str, threads: int) -> float:
    """Operations a second of the fastest matrix product here: what a stage can be held against."""
    n = 512
    matrix = np.ones((n, n), dtype)
    traced = trace(lambda a, b: a @ b, matrix, matrix)
    signature = inspect.signature(lambda a, b: None)
    product = build(signature, traced, Options(threads=threads)).executable
    # medians of runs in a row: at the first of them the other threads are still asleep
    return 2.0 * n**3 / min(product.profile(10)[0] for _ in range(3))
