"""Several uses of one value: some forgotten, overwritten, counted twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, permutations
from typing import Any

import numpy as np

from allbps.ir import Node
from allbps.names import is_numbered
from allbps.ops.index import numpy_index
from allbps.verify.edges import name_of, timeless
from allbps.verify.marks import listed
from allbps.verify.mistakes.declare import Delayed, Site, Slip, mistake
from allbps.verify.mistakes.scale import lengths

FEW = 5
"""Uses of which every choice is tried; of more, the runs from the first or to the last."""


@dataclass(frozen=True)
class Share:
    """What one use of a value contributes, or all those that go into one variable.

    Attributes:
        uses: their numbers.
        name: where they go.
        part: the contribution.

    """

    uses: tuple[int, ...]
    name: str
    part: Any

    def said(self, verb: str) -> str:
        """A sentence about it.

        >>> Share((0,), "Z", 1.0).said("counted twice")
        'the use in Z is counted twice'
        >>> Share((0, 2), "Z", 1.0).said("counted twice")
        'the uses in Z are counted twice'
        """
        return f"{self} {'is' if len(self.uses) == 1 else 'are'} {verb}"

    def __str__(self) -> str:
        return f"the use{'s' * (len(self.uses) > 1)} in {self.name}"


def _names(site: Site) -> list[str]:
    return [name_of(term.consumer) for term in site.terms]


def shares(site: Site) -> list[Share]:
    """Each of several uses, and those that one variable takes in the turns of a loop together."""
    if len(site.terms) < 2:
        return []
    alone = zip(_names(site), site.parts, strict=True)
    each = (Share((k,), name, part) for k, (name, part) in enumerate(alone))
    return [*each, *_together(site)]


def _together(site: Site) -> Iterator[Share]:
    into: dict[str, list[int]] = {}
    for k, term in enumerate(site.terms):
        into.setdefault(_variable(site, term.consumer), []).append(k)
    for name, uses in into.items():
        if 1 < len(uses) < len(site.terms):
            yield Share(tuple(uses), name, sum(site.parts[k] for k in uses))


def _variable(site: Site, use: Node) -> str:
    """The variable that a use goes into, whichever turn of a loop it is."""
    while is_numbered(use.name) and site.onward.consumers[use]:
        use = min(site.onward.consumers[use], key=lambda y: y.born)
    return timeless(name_of(use))


@mistake("use forgotten", "Only some of the uses of a value are counted: = for +=.", 1)
def use_forgotten(site: Site) -> Iterator[Slip]:
    n = len(site.terms)
    if n < 2:
        return
    names, parts = _names(site), site.parts
    for kept in _choices(n):
        shown = listed([names[k] for k in kept]) if len(kept) <= FEW else f"{len(kept)} of {n}"
        left = [names[k] for k in range(n) if k not in kept]
        lost = f"the path through {listed(left)} is missing" if len(left) <= FEW else "="
        only = "the use" if len(kept) == 1 else "the uses"
        verb = "is" if len(kept) == 1 else "are"
        yield Slip(
            f"only {only} in {shown} {verb} counted ({lost}: overwritten instead of added?)",
            sum(parts[k] for k in kept),
        )
    for share in _together(site):
        yield Slip(f"{share.said('missing')}: that path is left out", site.right - share.part)
        yield Slip(f"only {share.said('counted')}: the other paths are missing", share.part)


def _choices(n: int) -> Iterator[Sequence[int]]:
    """Which of so many uses are kept."""
    every = range(n)
    if n <= FEW:
        yield from (c for k in range(1, n) for c in combinations(every, k))
        return
    ends = [tuple(every[:k]) for k in range(1, n)] + [tuple(every[k:]) for k in range(1, n)]
    most = (tuple(k for k in every if k != left) for left in every)
    yield from dict.fromkeys([*ends, *((k,) for k in every), *most])


@mistake("use counted twice", "One use of a value is counted twice, by half, or subtracted.", 1)
def use_twice(site: Site) -> Iterator[Slip]:
    for share in shares(site):
        yield Slip(share.said("counted twice"), site.right + share.part)
        yield Slip(share.said("subtracted instead of added"), site.right - 2 * share.part)
        yield Slip(f"only half of {share} is counted: a factor of 2 is missing",
                   site.right - share.part / 2)  # fmt: skip
    names = _names(site)
    pairs = permutations(range(len(names)), 2) if len(names) <= FEW else ()
    for j, k in pairs:
        yield Slip(f"the use in {names[j]} is counted twice, and that in {names[k]} not at all",
                   site.right + site.parts[j] - site.parts[k])  # fmt: skip


@mistake("scale of a use", "A use has a wrong scale, is transposed, or off by one.", 3)
def scale_of_a_use(site: Site) -> Iterator[Slip]:
    for share in shares(site):
        part, right = share.part, site.right
        for n in lengths(site):
            yield Slip(f"in {share} a division by {n} (1/N of a mean) is missing",
                       right + (n - 1) * part)  # fmt: skip
            yield Slip(f"{share.said(f'divided by {n} once too often')}: averaged?",
                       right + (1 / n - 1) * part)  # fmt: skip
        if part.ndim == 2 and part.shape[0] == part.shape[1] > 1:
            yield Slip(share.said("transposed"), right + part.T - part)
        for axis, by in ((a, by) for a, n in enumerate(part.shape) if n > 1 for by in (1, -1)):
            yield Slip(f"{share.said(f'shifted by one along axis {axis}')}: off by one",
                       right + np.roll(part, by, axis) - part)  # fmt: skip


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


@mistake("rows that are used", "A penalty on a table is counted only in the rows that are used.", 1)
def rows_used(site: Site) -> Iterator[Slip]:
    counts = [_count(site, term.consumer) for term in site.terms]
    for count, taken in zip(counts, site.terms, strict=True):
        if count is None:
            continue
        where = f"{name_of(site.primal)} is used by {name_of(taken.consumer)}"
        for term, part, own in zip(site.terms, site.parts, counts, strict=True):
            if own is not None:
                continue
            use, right = f"the use in {name_of(term.consumer)}", site.right
            yield Slip(f"{use} is counted only where {where}, not everywhere",
                       right - part * (count == 0))  # fmt: skip
            yield Slip(f"{use} is counted once for each time that {where}",
                       right + part * (count - 1))  # fmt: skip
            yield Slip(f"{use} is not counted where {where}: overwritten instead of added?",
                       right - part * (count > 0))  # fmt: skip
            yield Slip(f"{use} is counted twice where {where}", right + part * (count > 0))
            yield Slip(f"{use} is counted once more for each time that {where}",
                       right + part * count)  # fmt: skip


def _count(site: Site, use: Node) -> Any:
    """How often a use picks each element by arrays of numbers; None for any other use."""
    if use.op.name != "getitem" or "array" not in use.attrs["parts"]:
        return None
    arrays = [site.value(x) for x in use.inputs[1:]]
    count = np.zeros(site.primal.shape)
    np.add.at(count, numpy_index(use.attrs["parts"], arrays), 1.0)
    return count
