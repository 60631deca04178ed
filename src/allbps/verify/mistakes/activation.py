"""The derivative of an activation: left out, or taken elsewhere."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from allbps.ir import Node
from allbps.verify.edges import code_of, name_of
from allbps.verify.mistakes.declare import Site, Slip, mistake
from allbps.verify.mistakes.recognised import (
    ACTIVATIONS,
    PRODUCTS,
    activations,
    leaky,
    softmaxes,
)


def _names(site: Site) -> dict[Node, str]:
    """Gate -> what it is of the value, where that is known."""
    known = {y: y.op.name for y in site.alike if len(y.inputs) == 1}
    known |= {y: f.name for y, f in activations(site)}
    known |= {y: "leaky ReLU" for y, _ in leaky(site)}
    return known | {y: "log-softmax" if log else "softmax" for y, _, log in softmaxes(site)}


@mistake("derivative left out", "The derivative of an activation is left out.", 0)
def left_out(site: Site) -> Iterator[Slip]:
    for y, name in _names(site).items():
        yield Slip(f"the derivative of {name} is left out", site.upstream(y))


@mistake("passed on unchanged", "A δ is passed on as it is, whatever lies between.", 4)
def unchanged(site: Site) -> Iterator[Slip]:
    for y in site.alike:
        between = f"everything between {name_of(y)} and {name_of(site.primal)} is left out"
        yield Slip(f"{between}: δ of {name_of(y)} is passed on as it is", site.upstream(y))


@mistake("derivative elsewhere", "The derivative is taken at the output, or at the upstream δ.", 1)
def elsewhere(site: Site) -> Iterator[Slip]:
    for y, f in activations(site):
        if f.name == "square":
            continue
        g, x, value = site.upstream(y), site.x, site.value(y)
        slope = f"the derivative of {f.name}"
        yield Slip(f"{slope} is taken at its output", g * f.slope(value, f.function(value)))
        yield Slip(f"{slope} is taken at the upstream δ", g * f.slope(g, f.function(g)))
        yield Slip(
            f"{slope} is taken with its input {name_of(site.primal)} instead of its output",
            g * f.slope(x, x),
        )
        yield Slip(
            f"{slope} is taken with its output instead of its input", g * f.slope(value, value)
        )
    for y, low in leaky(site):
        g = site.upstream(y)
        yield Slip("the mask of leaky ReLU is taken from the upstream δ",
                   g * np.where(g > 0, 1, low))  # fmt: skip


@mistake("function for derivative", "The activation itself instead of its derivative.", 1)
def itself(site: Site) -> Iterator[Slip]:
    for y, f in activations(site):
        yield Slip(f"{f.name} itself instead of its derivative", site.upstream(y) * site.value(y))


@mistake("derivative twice", "The derivative of an activation is applied twice.", 1)
def twice(site: Site) -> Iterator[Slip]:
    for y, f in activations(site):
        slope = f.slope(site.x, site.value(y))
        yield Slip(f"the derivative of {f.name} is applied twice", site.right * slope)


@mistake("another derivative", "The derivative of another activation.", 2)
def another(site: Site) -> Iterator[Slip]:
    for y, f in activations(site):
        g, value = site.upstream(y), site.value(y)
        for other in ACTIVATIONS[:3]:
            if other is not f:
                yield Slip(
                    f"the derivative of {other.name} instead of that of {f.name}",
                    g * other.slope(site.x, value),
                )
                yield Slip(
                    f"the derivative of {other.name} instead of that of {f.name}",
                    g * other.slope(site.x, other.function(site.x)),
                )
        if f.name in PRODUCTS:
            rise, slope = PRODUCTS[f.name](site.x)
            yield Slip(f"only the first part of the derivative of {f.name}", g * rise)
            yield Slip(f"only the second part of the derivative of {f.name}", g * site.x * slope)
            yield Slip(f"the factor x is left out of the derivative of {f.name}, φ(x) + x φ′(x)",
                       g * (rise + slope))  # fmt: skip
            yield Slip(f"minus instead of plus in the derivative of {f.name}",
                       g * (rise - site.x * slope))  # fmt: skip
        if f.name == "square":
            yield Slip("2 x² instead of 2 x: the power is not lowered", g * 2 * value)
            yield Slip("x instead of 2 x: the factor 2 is left out", g * site.x)
        if f.name == "tanh":
            yield Slip("1 − tanh instead of 1 − tanh²: the square is missing", g * (1 - value))
            yield Slip("1 + tanh² instead of 1 − tanh²: a wrong sign", g * (1 + value**2))
        if f.name == "sigmoid":
            yield Slip("1 − σ instead of σ (1 − σ): a factor is left out", g * (1 - value))
            yield Slip("1 − σ² instead of σ (1 − σ)", g * (1 - value**2))
            yield Slip("σ (1 + σ) instead of σ (1 − σ): a wrong sign", g * value * (1 + value))


@mistake("mask of ReLU", "The mask of a ReLU is inverted, taken elsewhere, or loses its slope.", 0)
def relu_mask(site: Site) -> Iterator[Slip]:
    for y, f in activations(site):
        if f.name != "ReLU":
            continue
        g, x = site.upstream(y), site.x
        yield Slip("the mask of ReLU is inverted: the wrong side passes", g * (x <= 0))
        yield Slip("the mask of ReLU is taken from the upstream δ", g * (g > 0))
        yield Slip("the mask is multiplied by the value: ReLU itself instead of its derivative",
                   g * np.maximum(x, 0))  # fmt: skip
        yield Slip("both masks at once: only positive δ pass the ReLU", g * (x > 0) * (g > 0))
    for y, slope in leaky(site):
        g, x = site.upstream(y), site.x
        yield Slip("the slope of the negative side is left out: the mask of plain ReLU",
                   g * (x > 0))  # fmt: skip
        yield Slip("the mask of leaky ReLU is inverted", g * np.where(x > 0, slope, 1))
        yield Slip("the leaky slope has the wrong sign", g * np.where(x > 0, 1, -slope))


@mistake("upstream left out", "The chain stops: the upstream δ is not multiplied in.", 6)
def upstream_left_out(site: Site) -> Iterator[Slip]:
    for y in site.gates[:4]:
        ones = site.pulled(y, np.ones(y.shape)[()])
        yield Slip(f"the upstream δ of {code_of(y)} is left out: as if it were 1", ones)
