"""Normalisation: mean, variance and length depend on the value too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from allbps.verify.mistakes.declare import Site, Slip, mistake
from allbps.verify.mistakes.recognised import centred, in_words, norms, scalings, subsets


def _paths(g: Any, y: Any, axes: tuple[int, ...]) -> tuple[Any, Any]:
    """What δ loses through the mean and through the variance: ḡ and y · mean(g y)."""
    return np.mean(g, axes, keepdims=True), y * np.mean(g * y, axes, keepdims=True)


@mistake("statistics held constant", "Mean or variance is treated as a constant.", 0)
def constant(site: Site) -> Iterator[Slip]:
    for n in norms(site):
        g, y, s = site.upstream(n.y), site.value(n.y), n.deviation
        m, v = _paths(g, y, n.axes)
        yield Slip("mean and variance are treated as constants: only the direct path", g / s)
        yield Slip("the variance is treated as a constant: its path is left out", (g - m) / s)
        yield Slip("the mean is treated as a constant: its path is left out", (g - v) / s)


@mistake("normalisation's terms", "A term of the formula of a normalisation is wrong.", 1)
def terms(site: Site) -> Iterator[Slip]:
    for n in norms(site):
        g, y, s = site.upstream(n.y), site.value(n.y), n.deviation
        m, v = _paths(g, y, n.axes)
        count = np.prod([g.shape[k] for k in n.axes])
        yield Slip("the division by the standard deviation is left out", g - m - v)
        yield Slip("divided by the variance instead of the standard deviation", (g - m - v) / s**2)
        yield Slip("multiplied by the standard deviation instead of divided", (g - m - v) * s)
        yield Slip("the path through the mean is counted twice", (g - 2 * m - v) / s)
        yield Slip("the path through the variance is counted twice", (g - m - 2 * v) / s)
        yield Slip("the path through the variance has the wrong sign", (g - m + v) / s)
        yield Slip("the path through the mean has the wrong sign", (g + m - v) / s)
        yield Slip("only half of the path through the variance is counted: the factor 2 is missing",
                   (g - m - v / 2) / s)  # fmt: skip
        yield Slip("sums instead of means: 1/N is missing on the paths through mean and variance",
                   (g - count * (m + v)) / s)  # fmt: skip
        yield Slip("1/N is missing on the path through the variance", (g - m - count * v) / s)
        yield Slip("1/N is missing on the path through the mean", (g - count * m - v) / s)
        yield Slip("N instead of N − 1, or the other way round, in the path through the variance",
                   (g - m - v * count / max(count - 1, 1)) / s)  # fmt: skip
        yield Slip("the normalised value is left out of the path through the variance",
                   (g - m - np.mean(g * y, n.axes, keepdims=True)) / s)  # fmt: skip
        yield Slip("the value instead of the normalised value on the path through the variance",
                   (g - m - (v / y) * (y * s)) / s)  # fmt: skip
        yield Slip("the division by the deviation is left out of the path through the variance",
                   g / s - m / s - v)  # fmt: skip
        yield Slip("one power of the deviation too few on the path through the variance",
                   (g - m - v * s) / s)  # fmt: skip
        yield Slip("one power of the deviation too many on the path through the variance",
                   (g - m - v / s) / s)  # fmt: skip


@mistake("normalised over another axis", "The means of a normalisation run over other axes.", 1)
def axis(site: Site) -> Iterator[Slip]:
    for n in norms(site):
        g, y, s = site.upstream(n.y), site.value(n.y), n.deviation
        for axes in subsets(g.ndim):
            if axes != n.axes:
                m, v = _paths(g, y, axes)
                yield Slip(f"mean and variance are taken over the wrong axes: {in_words(axes)}",
                           (g - m - v) / s)  # fmt: skip


@mistake("path through a mean", "A mean is subtracted, which depends on the value too.", 1)
def mean(site: Site) -> Iterator[Slip]:
    for y, axes in centred(site):
        g = site.upstream(y)
        path = np.mean(g, axes, keepdims=True)
        through = "the path through the mean"
        yield Slip("the mean is treated as a constant: its path is left out", g)
        yield Slip(f"{through} has the wrong sign: plus instead of minus", g + path)
        yield Slip(f"{through} is counted twice", g - 2 * path)
        yield Slip(f"sum instead of mean in {through}: 1/N is missing",
                   g - np.sum(g, axes, keepdims=True))  # fmt: skip
        for other in subsets(g.ndim):
            if other != axes:
                yield Slip(f"{through} runs over the wrong axes: {in_words(other)}",
                           g - np.mean(g, other, keepdims=True))  # fmt: skip


@mistake("path through a length", "A value is scaled to length 1: the length depends on it too.", 1)
def length(site: Site) -> Iterator[Slip]:
    for u in scalings(site):
        g, x, y, s = site.upstream(u.y), site.x, site.value(u.y), u.length
        path = y * u.total(g * y, u.axes, keepdims=True)
        through = "the path through the length"
        yield Slip("the length is treated as a constant: its path is left out", g / s)
        yield Slip("the division by the length is left out", g - path)
        yield Slip("divided by the square of the length", (g - path) / s**2)
        yield Slip("multiplied by the length instead of divided", (g - path) * s)
        yield Slip(f"{through} has the wrong sign: plus instead of minus", (g + path) / s)
        yield Slip(f"{through} is counted twice", (g - 2 * path) / s)
        yield Slip(f"only half of {through} is counted: a factor of 2 is missing",
                   (g - path / 2) / s)  # fmt: skip
        yield Slip(f"the scaled value is left out of {through}",
                   (g - u.total(g * y, u.axes, keepdims=True)) / s)  # fmt: skip
        yield Slip(f"the sum is left out of {through}", (g - y * g * y) / s)
        yield Slip(f"the value instead of the scaled one in {through}",
                   (g - x * u.total(g * x, u.axes, keepdims=True)) / s)  # fmt: skip
        for total, said in ((np.mean, "mean instead of sum"), (np.sum, "sum instead of mean")):
            if total is not u.total:
                yield Slip(f"{said} in {through}",
                           (g - y * total(g * y, u.axes, keepdims=True)) / s)  # fmt: skip
        for axes in subsets(g.ndim):
            if axes != u.axes:
                yield Slip(f"{through} is summed over the wrong axes: {in_words(axes)}",
                           (g - y * u.total(g * y, axes, keepdims=True)) / s)  # fmt: skip
