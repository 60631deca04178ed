"""Which mistakes are named for what is wrong: the few that are likeliest."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from allbps.ir import Node
from allbps.verify.mistakes.explanation import Explanation, Question
from allbps.verify.mistakes.search import Search
from allbps.verify.onward import Numbers, Onward
from allbps.verify.precision import Precision

MOST_NAMES = 4
MARGIN = 3
"""A general mistake is not named beside one that is so much more special."""
MOST_FIRSTS = 3
"""Mistakes after which a second one is looked for."""


def explanations(
    onward: Onward,
    own: Numbers,
    follows: Mapping[Node, Any],
    theirs: Mapping[Node, Any],
    precision: Mapping[Node, Precision],
    wrong: Sequence[Node],
    questions: Sequence[Question],
) -> dict[Node, list[Explanation]]:
    """Wrong δ -> the mistakes that explain it, the likeliest first.

    One mistake that explains several wrong δ is likelier than one for each.
    """
    search = Search(onward, own, follows, theirs, precision, frozenset(wrong))
    found: dict[tuple[str, frozenset[Node]], Explanation] = {}
    every = list(search.found(questions))
    for one in every:  # the same mistake a step further says no more
        found.setdefault((one.slip, one.covers), one)
    if not any(one.covers == search.wrong for one in found.values()):
        found |= {(one.text, one.covers): one for one in search.repeated()}
    named = _named(found.values(), wrong)
    unexplained = [x for x in wrong if x not in named]
    if unexplained and named:
        pairs = _second(search, every, unexplained, questions)
        named |= _named(pairs, unexplained)
    return named


def _named(found: Collection[Explanation], wrong: Sequence[Node]) -> dict[Node, list[Explanation]]:
    """Wrong δ -> the few mistakes that are named for it."""
    named = {}
    for primal in wrong:
        mine = sorted((one for one in found if primal in one.covers), key=_likeliest)
        best = [one for one in mine if len(one.covers) == len(mine[0].covers)]
        special = [one for one in best if one.mistake.rank <= best[0].mistake.rank + MARGIN]
        named[primal] = special[:MOST_NAMES]
    return {primal: names for primal, names in named.items() if names}


def _second(
    search: Search,
    found: Collection[Explanation],
    unexplained: Sequence[Node],
    questions: Sequence[Question],
) -> list[Explanation]:
    """A second mistake, made further on with the numbers that the first one gave."""
    firsts: dict[tuple[Node, bytes], Explanation] = {}
    for one in sorted(found, key=_likeliest):
        if one.misses and one.delta is not None and one.place not in search.theirs:
            key = one.place, np.asarray(np.round(one.delta, 9)).tobytes()
            firsts.setdefault(key, one)
    for first in list(firsts.values())[:MOST_FIRSTS]:
        onward = search.after(first, unexplained)
        further = [x for x in questions if set(x.targets) & set(unexplained)]
        seconds = [
            replace(one, text=f"{first.text}; and then, {one.text}")
            for one in onward.found(further)
            if one.covers >= set(unexplained) and onward.is_certain(one.gives)
        ]
        if seconds:
            return seconds
    return []


def _likeliest(one: Explanation) -> tuple[int, ...]:
    return one.rank
