"""Softmax and cross-entropy."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy import special

from allbps.verify.mistakes.declare import Site, Slip, mistake
from allbps.verify.mistakes.recognised import cross_entropies, logsumexps, softmaxes


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
        if found.sigmoid:
            yield Slip("the label belongs to the other class: p − (1 − y)", w * (p - 1 + t))
            yield Slip("a wrong sign inside of the sigmoid: σ(−z) instead of σ(z)", w * (1 - p - t))
        if not found.sigmoid:
            for by in (1, -1):
                yield Slip("the label is off by one class", w * (p - np.roll(t, by, -1)))
            yield Slip("only the label's element: the other classes are left out", site.right * t)
            yield Slip("the other classes only: the label's element is left out",
                       site.right * (1 - t))  # fmt: skip


@mistake("label smoothing", "The smoothed target of a cross-entropy is taken otherwise.", 0)
def smoothing(site: Site) -> Iterator[Slip]:
    for found in cross_entropies(site):
        w, p, e, K = found.weight, found.p, found.smoothing, site.x.shape[-1] if site.x.ndim else 1
        if not e:
            continue
        hot = (found.target == np.max(found.target, -1, keepdims=True)) * 1.0
        yield Slip("the smoothing is forgotten: the one-hot target instead of the smoothed one",
                   w * (p - hot))  # fmt: skip
        yield Slip("the uniform part ε/K of the smoothed target is left out: p − (1 − ε) y",
                   w * (p - (1 - e) * hot))  # fmt: skip
        yield Slip("the factor 1 − ε is left out of the smoothed target: p − y − ε/K",
                   w * (p - hot - e / K))  # fmt: skip
        yield Slip("the smoothing is spread over the other classes: ε/(K − 1) instead of ε/K",
                   w * (p - np.where(hot > 0, 1 - e, e / (K - 1))))  # fmt: skip
        yield Slip("the smoothing is not divided by the number of classes: ε instead of ε/K",
                   w * (p - (1 - e) * hot - e))  # fmt: skip
        yield Slip("ε and 1 − ε of the smoothed target are exchanged",
                   w * (p - e * hot - (1 - e) / K))  # fmt: skip


@mistake("log of a sum of exp", "The derivative of log Σ exp, which is softmax, is wrong.", 0)
def of_logsumexp(site: Site) -> Iterator[Slip]:
    for y, along in logsumexps(site):
        g = np.expand_dims(np.reshape(site.upstream(y), np.delete(site.x.shape, along)), along)
        p = special.softmax(site.x, along)
        yield Slip("the softmax in the derivative of log Σ exp is left out: δ goes to all alike",
                   g * np.ones(site.x.shape))  # fmt: skip
        yield Slip("exp instead of softmax in the derivative of log Σ exp: not divided by the sum",
                   g * np.exp(site.x))  # fmt: skip
        yield Slip("1/Σ exp instead of softmax in the derivative of log Σ exp: exp is left out",
                   g * p / np.exp(site.x))  # fmt: skip
        yield Slip("p (1 − p) instead of softmax in the derivative of log Σ exp",
                   g * p * (1 - p))  # fmt: skip
        for other in range(site.x.ndim):
            if other != along:
                yield Slip(f"softmax over the wrong axis, {other}, in the derivative of log Σ exp",
                           g * special.softmax(site.x, other))  # fmt: skip


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
    for found in cross_entropies(site):
        if not found.sigmoid and site.x.ndim > 1:
            for k in range(site.x.ndim - 1):
                yield Slip(f"softmax is taken over the wrong axis: {k}",
                           found.weight * (special.softmax(site.x, k) - found.target))  # fmt: skip
            yield Slip("softmax is taken over all axes together",
                       found.weight * (special.softmax(site.x) - found.target))  # fmt: skip
        if not found.sigmoid:
            yield Slip("the logits instead of their softmax",
                       found.weight * (site.x - found.target))  # fmt: skip
            yield Slip("exp of the logits, not divided by its sum, instead of softmax",
                       found.weight * (np.exp(site.x) - found.target))  # fmt: skip
        else:
            yield Slip("the logits instead of their sigmoid",
                       found.weight * (site.x - found.target))  # fmt: skip
