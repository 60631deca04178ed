"""Which step of a hand-written backward pass is wrong, and which simple mistake explains it.

Each given δ is compared with the right one, and with what follows from the person's own δ nearer
to the loss. The first that does not even follow is wrong; later ones may be consequences. Between
two given δ lie steps that were not given: mistakes are tried at each of them, followed onward, and
compared with all given δ that depend on it.

Numbers that a person rounded are read twice: as rounded once, at the end, and as rounded after
every step, which excuses more; where they are the very numbers that this gives, they are right.
Where the second reading excuses what the first one does not, a mistake may hide: it is looked for,
and what was found decides together with the other gradients.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from allbps.backward import Backward
from allbps.ir import Node
from allbps.verify.doubt import doubted
from allbps.verify.given import Given
from allbps.verify.marks import Mark, State
from allbps.verify.onward import Onward
from allbps.verify.precision import looks
from allbps.verify.reading import Reading
from allbps.verify.stepped import as_stepped
from allbps.verify.verdicts import Verdicts


def marks(
    backward: Backward,
    values: Mapping[str, Any],
    given: Mapping[str, Given],
    decimals: int | None = None,
) -> tuple[Mark, ...]:
    """Mark gradients, nearest to the loss first.

    Args:
        backward: the right backward pass.
        values: its numbers.
        given: primal's name -> the gradient to be marked.
        decimals: to how many they were rounded, if that is known.

    """
    with np.errstate(all="ignore"):
        found = tuple(_marked(backward, values, given, decimals))
    marked = {mark.node for mark in found}
    return (*found, *(_unreached(n, one) for n, one in given.items() if n not in marked))


def _unreached(name: str, given: Given) -> Mark:
    state = State.WRONG if np.any(given.numbers) else State.RIGHT
    note = "the result does not depend on it: its gradient is 0"
    return Mark(name, state, given.label, note=note)


def _marked(
    backward: Backward,
    values: Mapping[str, Any],
    given: Mapping[str, Given],
    decimals: int | None,
) -> Sequence[Mark]:
    onward = Onward(backward, values)
    mine = {d.primal: given[d.primal.name] for d in backward.steps if d.primal.name in given}
    grid = looks({x: (one.numbers, one.dtype) for x, one in mine.items()}, decimals)
    once = Verdicts(Reading(backward, onward, mine, grid, once=True))
    said = once.found()
    if not once.reading.is_rounded or None not in said.values():
        return once.marks(said)
    steps = as_stepped(onward, grid)
    if steps is not None and not once.reading.is_lost:
        return once.marks_of_steps(steps)
    stepwise = Verdicts(Reading(backward, onward, mine, grid, once=False))
    excused = stepwise.found()
    if None in excused.values():
        return doubted(once, said) if once.reading.is_evident else doubted(stepwise, excused)
    return _compared(once, said, stepwise, excused)


def _compared(
    once: Verdicts,
    said: Mapping[Node, Mark | None],
    stepwise: Verdicts,
    excused: Mapping[Node, Mark | None],
) -> Sequence[Mark]:
    """Marks where rounding after every step explains all, and rounding at the end does not."""
    wrong = [x for x, mark in said.items() if mark is None]
    names = once.reading.explanations(wrong)
    by_mistakes = all(x in names for x in wrong)
    if by_mistakes and once.reading.is_evident:
        return doubted(once, said)
    if not by_mistakes and not once.reading.is_evident:
        return stepwise.marks(excused)
    return stepwise.marks(excused, {x: names.get(x, []) for x in wrong})
