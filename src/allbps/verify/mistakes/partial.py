"""Only a part of what should be counted, or in another order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from allbps.verify.edges import delta_name
from allbps.verify.mistakes.declare import Site, Slip, mistake

NEAREST = 3
"""So many values nearer to the loss are looked at, through which every way leads."""


@mistake("one example only", "Only one example, row or channel of the upstream δ is counted.", 1)
def one_only(site: Site) -> Iterator[Slip]:
    for k, term in enumerate(site.terms):
        y = term.consumer
        g = site.upstream(y)
        for axis, n in enumerate(g.shape):
            for index in dict.fromkeys((0, n - 1, *range(min(n, 4)))):
                if n < 2:
                    continue
                which = {0: "the first", n - 1: "the last"}.get(index, f"number {index + 1}")
                what = _along(y.ndim, axis)
                mask = _alone(g, axis, index)
                known = {**site.known, site.onward.of[y].node: g * mask}
                part = site.onward.compute(term.node, known)
                yield Slip(
                    f"only {which} of the {what} of {delta_name(y)} is counted,"
                    " not the sum over them",
                    site.with_part(k, part),
                )
                rest = site.onward.compute(
                    term.node,
                    {**site.known, site.onward.of[y].node: g * (1 - mask)},
                )
                if index in (0, n - 1):
                    yield Slip(
                        f"{which} of the {what} of {delta_name(y)} is left out",
                        site.with_part(k, rest),
                    )


@mistake("one further on", "Of a δ nearer to the loss only one example or channel is counted.", 2)
def one_further_on(site: Site) -> Iterator[Slip]:
    direct = {term.consumer for term in site.terms}
    for y in [y for y in site.gates if y not in direct][:NEAREST]:
        g = site.upstream(y)
        for axis, n in enumerate(g.shape):
            for index, which in ((0, "the first"), (n - 1, "the last")) if n > 1 else ():
                yield Slip(
                    f"only {which} of the {_along(y.ndim, axis)} of {delta_name(y)} is counted,"
                    " not the sum over them",
                    site.pulled(y, g * _alone(g, axis, index)),
                )


def _alone(g: Any, axis: int, index: int) -> Any:
    """1 at a place of an axis of ``g``, 0 at the others, of length 1 along its other axes."""
    mask = np.zeros([n if a == axis else 1 for a, n in enumerate(g.shape)])
    mask[(slice(None),) * axis + (index,)] = 1
    return mask


def _along(ndim: int, axis: int) -> str:
    if ndim == 4:
        return ("examples", "channels", "pixel rows", "pixel columns")[axis]
    if ndim == 2:
        return ("examples (rows)", "columns")[axis]
    return "elements" if ndim == 1 else f"slices of axis {axis}"


@mistake("one receives", "Only one of those that a sum or mean was taken over receives δ.", 2)
def one_receives(site: Site) -> Iterator[Slip]:
    right = np.asarray(site.right)
    for axis, n in enumerate(right.shape):
        constant = n > 1 and np.all(right == np.take(right, [0], axis))
        for index, which in ((0, "first"), (n - 1, "last")) if constant else ():
            mask = _alone(right, axis, index)
            text = f"only the {which} along axis {axis} receives δ, and not all {n}"
            yield Slip(text, right * mask)
            yield Slip(text, right * n * mask)


@mistake("shifted", "The numbers stand one place further along an axis.", 2)
def shifted(site: Site) -> Iterator[Slip]:
    right = np.asarray(site.right)
    for axis, n in enumerate(right.shape):
        for by in (1, -1):
            if n > 1:
                yield Slip(f"shifted by one along axis {axis}", np.roll(right, by, axis))


@mistake("parts exchanged", "Two halves or quarters, such as gates, are exchanged.", 2)
def exchanged(site: Site) -> Iterator[Slip]:
    right = np.asarray(site.right)
    for axis, n in enumerate(right.shape):
        for count in (2, 3, 4):
            if n % count or (n == count == 2 and right.ndim < 2):
                continue
            parts = np.split(right, count, axis)
            for i in range(count):
                for j in range(i):
                    order = list(range(count))
                    order[i], order[j] = j, i
                    yield Slip(
                        f"parts {j + 1} and {i + 1} of {count} along axis {axis} are exchanged",
                        np.concatenate([parts[k] for k in order], axis),
                    )
