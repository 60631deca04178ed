"""Several uses of one value: some forgotten, overwritten, counted twice."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, permutations

from allbps.ir import Node
from allbps.verify.edges import name_of
from allbps.verify.marks import listed
from allbps.verify.mistakes.declare import Delayed, Site, Slip, mistake
from allbps.verify.mistakes.scale import lengths

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
        only = "the use" if len(kept) == 1 else "the uses"
        verb = "is" if len(kept) == 1 else "are"
        yield Slip(
            f"only {only} in {shown} {verb} counted ({lost}: overwritten instead of added?)",
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
    pairs = permutations(range(len(site.terms)), 2) if len(site.terms) <= FEW else ()
    for j, k in pairs:
        names = _names(site)
        yield Slip(f"the use in {names[j]} is counted twice, and that in {names[k]} not at all",
                   site.right + site.parts[j] - site.parts[k])  # fmt: skip


@mistake("scale of a use", "One of several uses has a wrong scale, or is transposed.", 3)
def scale_of_a_use(site: Site) -> Iterator[Slip]:
    if len(site.terms) < 2:
        return
    for k, name in enumerate(_names(site)):
        part, right = site.parts[k], site.right
        for n in lengths(site):
            yield Slip(f"in the use in {name} a division by {n} (1/N of a mean) is missing",
                       right + (n - 1) * part)  # fmt: skip
            yield Slip(f"the use in {name} is divided by {n} once too often: averaged?",
                       right + (1 / n - 1) * part)  # fmt: skip
        if part.ndim == 2 and part.shape[0] == part.shape[1] > 1:
            yield Slip(f"the use in {name} is transposed", right + part.T - part)


@mistake("passed on in a use", "In one of several uses δ is passed on as it is.", 3)
def passed_on(site: Site) -> Iterator[Slip]:
    if len(site.terms) < 2:
        return
    for k, term in enumerate(site.terms):
        for y in site.straight(term.consumer):
            if y.shape != site.primal.shape:
                continue
            text = f"δ of {name_of(y)} is passed on as it is"
            if y is not term.consumer:
                yield Slip(f"{text}: what lies between is left out", _passed(k, y))
                yield Slip(f"{text}, and nothing else is counted", site.upstream(y))


def _passed(k: int, y: Node) -> Delayed:
    return lambda site: site.with_part(k, site.upstream(y))
