"""Several uses of one value: some forgotten, overwritten, counted twice."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from allbps.verify.edges import name_of
from allbps.verify.marks import listed
from allbps.verify.mistakes.declare import Site, Slip, mistake

FEW = 5
"""Uses of which every choice is tried; of more, the runs from the first or to the last."""


def _names(site: Site) -> list[str]:
    return [name_of(term.consumer) for term in site.terms]


@mistake("use forgotten", "Only some of the uses of a value are counted: = for +=.", 1)
def use_forgotten(site: Site) -> Iterator[Slip]:
    n = len(site.terms)
    if n < 2:
        return
    names, parts = _names(site), site.parts
    every = range(n)
    if n <= FEW:
        choices = [c for k in range(1, n) for c in combinations(every, k)]
    else:
        ends = [tuple(every[:k]) for k in range(1, n)] + [tuple(every[k:]) for k in range(1, n)]
        choices = [*ends, *((k,) for k in every), *(tuple(set(every) - {k}) for k in every)]
    for kept in dict.fromkeys(choices):
        shown = listed([names[k] for k in kept]) if len(kept) <= FEW else f"{len(kept)} of {n}"
        left = [names[k] for k in every if k not in kept]
        lost = f"the path through {listed(left)} is missing" if len(left) <= FEW else "="
        yield Slip(
            f"only the use in {shown} is counted ({lost}: overwritten instead of added?)",
            sum(parts[k] for k in kept),
        )


@mistake("use counted twice", "One use of a value is counted twice, by half, or subtracted.", 1)
def use_twice(site: Site) -> Iterator[Slip]:
    if len(site.terms) < 2:
        return
    for name, part in zip(_names(site), site.parts, strict=True):
        yield Slip(f"the use in {name} is counted twice", site.right + part)
        yield Slip(f"the use in {name} is subtracted instead of added", site.right - 2 * part)
        yield Slip(f"only half of the use in {name} is counted: a factor of 2 is missing",
                   site.right - part / 2)  # fmt: skip
