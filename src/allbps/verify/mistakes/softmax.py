"""Softmax and cross-entropy."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from allbps.verify.mistakes.declare import Site, Slip, mistake
from allbps.verify.mistakes.recognised import cross_entropies, softmaxes


@mistake("softmax diagonal", "Only the diagonal of the Jacobian of softmax is used.", 0)
def diagonal(site: Site) -> Iterator[Slip]:
    for y, _, log in softmaxes(site):
        g, p = site.upstream(y), site.value(y)
        if not log:
            yield Slip("only the diagonal of the Jacobian of softmax is used: p (1 − p)",
                       g * p * (1 - p))  # fmt: skip
        else:
            yield Slip("only the diagonal of the Jacobian of log-softmax is used",
                       g * (1 - np.exp(p)))  # fmt: skip


@mistake("softmax sum", "The sum in the derivative of softmax is left out, or taken otherwise.", 0)
def sums(site: Site) -> Iterator[Slip]:
    for y, axis, log in softmaxes(site):
        g, p = site.upstream(y), site.value(y)
        if log:
            yield Slip("the sum Σ δ in the derivative of log-softmax is left out: not multiplied",
                       g - np.exp(p))  # fmt: skip
            yield Slip("the softmax in the derivative of log-softmax is left out",
                       g - np.sum(g, axis, keepdims=True))  # fmt: skip
            yield Slip("the mean instead of the sum in the derivative of log-softmax",
                       g - np.exp(p) * np.mean(g, axis, keepdims=True))  # fmt: skip
            continue
        along = np.sum(g * p, axis, keepdims=True)
        yield Slip("the sum Σ δ p in the derivative of softmax is left out: only p δ", g * p)
        yield Slip("Σ δ instead of Σ δ p in the derivative of softmax",
                   p * (g - np.sum(g, axis, keepdims=True)))  # fmt: skip
        yield Slip("the mean instead of the sum in the derivative of softmax",
                   p * (g - np.mean(g * p, axis, keepdims=True)))  # fmt: skip
        yield Slip("plus instead of minus in the derivative of softmax", p * (g + along))
        yield Slip("the factor p in front is left out in the derivative of softmax", g - along)
        yield Slip("row sums of the Jacobian of softmax: 0, or the sum of p δ instead",
                   p * along)  # fmt: skip


@mistake("softmax axis", "The sum in the derivative of softmax runs over the wrong axis.", 0)
def axis(site: Site) -> Iterator[Slip]:
    for y, own, log in softmaxes(site):
        g, p = site.upstream(y), site.value(y)
        for other in [None, *range(g.ndim)]:
            if other == own or g.ndim < 2:
                continue
            where = "all axes" if other is None else f"axis {other}"
            text = f"the sum in the derivative of softmax runs over the wrong axis: {where}"
            if log:
                yield Slip(text, g - np.exp(p) * np.sum(g, other, keepdims=True))
            else:
                yield Slip(text, p * (g - np.sum(g * p, other, keepdims=True)))


@mistake(
    "label's term", "The label's term of p − y is forgotten, misplaced, or has a wrong sign.", 0
)
def label(site: Site) -> Iterator[Slip]:
    for found in cross_entropies(site):
        w, p, t = found.weight, found.p, found.target
        yield Slip("the label's term (the one-hot target) is forgotten: p instead of p − y", w * p)
        yield Slip("the label is added instead of subtracted: p + y", w * (p + t))
        if not found.sigmoid:
            for by in (1, -1):
                yield Slip("the label is off by one class", w * (p - np.roll(t, by, -1)))
            yield Slip("only the label's element: the other classes are left out", site.right * t)
            yield Slip("the other classes only: the label's element is left out",
                       site.right * (1 - t))  # fmt: skip


@mistake("stopped at the probability", "Stopped at −y/p: the derivative of softmax is missing.", 1)
def stopped(site: Site) -> Iterator[Slip]:
    for found in cross_entropies(site):
        w, p, t = found.weight, found.p, found.target
        other = (1 - t) / (1 - p) if found.sigmoid else 0
        yield Slip("stopped at −y/p: the derivative of softmax or sigmoid is left out",
                   w * (other - t / p))  # fmt: skip
        yield Slip("−y instead of p − y: the probability is left out", -w * t)


@mistake("softmax once more", "After p − y the derivative of softmax or σ is applied again.", 1)
def once_more(site: Site) -> Iterator[Slip]:
    for found in cross_entropies(site):
        p, d = found.p, np.asarray(site.right)
        name = "sigmoid" if found.sigmoid else "softmax"
        yield Slip(f"the derivative of {name} is applied once more: p (1 − p) after p − y",
                   d * p * (1 - p))  # fmt: skip
        if not found.sigmoid:
            yield Slip("the Jacobian of softmax is applied once more after p − y",
                       p * (d - np.sum(d * p, -1, keepdims=True)))  # fmt: skip
            yield Slip("multiplied by p once more after p − y", d * p)


@mistake("softmax of another axis", "The softmax is taken along another axis.", 2)
def other_axis(site: Site) -> Iterator[Slip]:
    from scipy.special import softmax

    for found in cross_entropies(site):
        if not found.sigmoid and site.x.ndim > 1:
            for k in range(site.x.ndim - 1):
                yield Slip(f"softmax is taken over the wrong axis: {k}",
                           found.weight * (softmax(site.x, k) - found.target))  # fmt: skip
            yield Slip("softmax is taken over all axes together",
                       found.weight * (softmax(site.x) - found.target))  # fmt: skip
        if not found.sigmoid:
            yield Slip("the logits instead of their softmax",
                       found.weight * (site.x - found.target))  # fmt: skip
            yield Slip("exp of the logits, not divided by its sum, instead of softmax",
                       found.weight * (np.exp(site.x) - found.target))  # fmt: skip
        else:
            yield Slip("the logits instead of their sigmoid",
                       found.weight * (site.x - found.target))  # fmt: skip
