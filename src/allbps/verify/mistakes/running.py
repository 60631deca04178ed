"""Running sums and products: summed in the wrong direction, or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from allbps.ir import Node
from allbps.verify.mistakes.declare import Delayed, Site, Slip, mistake

Wrong = Callable[[Any, Any, Any, int], Any]
"""(δ of the running sum or product, its value, what it runs over, axis) -> a wrong δ of that."""


def _from_the_end(g: Any, axis: int) -> Any:
    return np.flip(np.cumsum(np.flip(g, axis), axis), axis)


OF_SUMS: dict[str, Wrong] = {
    "the running sum of δ starts at the first instead of the last": (
        lambda g, y, x, axis: np.cumsum(g, axis)
    ),
    "every place gets the sum of all δ: those before it do not depend on it": (
        lambda g, y, x, axis: np.broadcast_to(np.sum(g, axis, keepdims=True), g.shape)
    ),
    "the running sum leaves out the place itself": (
        lambda g, y, x, axis: _from_the_end(g, axis) - g
    ),
}

OF_PRODUCTS: dict[str, Wrong] = {
    "the running sum of δ times the product starts at the first instead of the last": (
        lambda g, y, x, axis: np.cumsum(g * y, axis) / x
    ),
    "only the product up to a place is counted: the sum over later ones is left out": (
        lambda g, y, x, axis: g * y / x
    ),
    "the division by the factor itself is left out": (
        lambda g, y, x, axis: _from_the_end(g * y, axis)
    ),
    "the factors are used instead of their running product": (
        lambda g, y, x, axis: _from_the_end(g * x, axis) / x
    ),
    "the running product is left out": lambda g, y, x, axis: _from_the_end(g, axis) / x,
    "the running sum leaves out the place itself": (
        lambda g, y, x, axis: (_from_the_end(g * y, axis) - g * y) / x
    ),
}

RUNNING = {"cumsum": OF_SUMS, "cumprod": OF_PRODUCTS}


@mistake("running sum", "A running sum or product goes the wrong way, or misses a part.", 1)
def running(site: Site) -> Iterator[Slip]:
    for k, term in enumerate(site.terms):
        y = term.consumer
        for text, wrong in RUNNING.get(y.op.name, {}).items():
            yield Slip(text, _made(k, y, wrong))


def _made(k: int, y: Node, wrong: Wrong) -> Delayed:
    def delta(site: Site) -> Any:
        return site.with_part(k, wrong(site.upstream(y), site.value(y), site.x, y.attrs["axis"]))

    return delta
