"""Signs, factors, counts: the right δ times a number."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, permutations
from math import prod

import numpy as np

from allbps.verify.mistakes.declare import Site, Slip, mistake


@mistake("sign", "The sign is flipped.", 2)
def sign(site: Site) -> Iterator[Slip]:
    yield Slip("the sign is flipped", -site.right)


@mistake("zeros", "The gradient was forgotten: zeros.", 0)
def zeros(site: Site) -> Iterator[Slip]:
    yield Slip("left out: zeros", 0 * site.right)


@mistake("factor 2", "A factor 2 too much, or missing.", 3)
def factor(site: Site) -> Iterator[Slip]:
    yield Slip("a factor of 2 too many", 2 * site.right)
    yield Slip("a factor of ½ too many, or a factor of 2 is missing", site.right / 2)


@mistake("averaged", "Averaged where a sum is meant: divided by a length once too often.", 3)
def averaged(site: Site) -> Iterator[Slip]:
    for n in lengths(site):
        yield Slip(f"divided by {n} once too often: averaged instead of summed", site.right / n)


@mistake("mean forgotten", "The 1/N of a mean is missing.", 3)
def not_averaged(site: Site) -> Iterator[Slip]:
    for n in lengths(site):
        yield Slip(f"multiplied by {n}: a division by {n} (1/N of a mean) is missing",
                   site.right * n)  # fmt: skip


@mistake("another length", "A mean is taken over another length.", 4)
def another_length(site: Site) -> Iterator[Slip]:
    single = sorted({n for shape in _shapes(site) for n in shape} - {1})
    for right, wrong in permutations(single, 2):
        if right % wrong and wrong % right:  # others are a division too many or too few
            yield Slip(f"divided by {wrong} instead of {right}: the mean of another number",
                       site.right * right / wrong)  # fmt: skip


@mistake("root of a length", "The 1/√d of attention scores is missing, or applied twice.", 4)
def root(site: Site) -> Iterator[Slip]:
    for n in sorted({n for shape in _shapes(site) for n in shape} - {1}):
        if np.sqrt(n) % 1:
            yield Slip(f"multiplied by √{n}: the scale 1/√{n} is missing",
                       site.right * np.sqrt(n))  # fmt: skip
            yield Slip(f"divided by √{n} once too often", site.right / np.sqrt(n))


def _shapes(site: Site) -> Iterator[tuple[int, ...]]:
    yield site.primal.shape
    for term in site.terms:
        yield term.consumer.shape
        yield from (x.shape for x in term.consumer.inputs)
    yield from (y.shape for y in site.gates[:6])
    for k in range(len(site.terms)):
        yield from (x.shape for leaf in site.leaves(k) for x in leaf.inputs)


def lengths(site: Site) -> list[int]:
    """Products of lengths: what a mean may have been taken over. 2 is a matter of its own."""
    counts = {
        prod(some)
        for shape in set(_shapes(site))
        for k in range(1, len(shape) + 1)
        for some in combinations(shape, k)
    }
    sizes = {prod(shape) for shape in _shapes(site)}
    counts |= {a // b for a in sizes for b in sizes if b and a % b == 0}
    return sorted(counts - {0, 1, 2})
