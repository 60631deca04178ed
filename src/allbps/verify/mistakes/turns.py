"""A variable of a loop whose values are taken from another turn, or from another variable."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from allbps.ir import CONST, Node
from allbps.names import is_numbered
from allbps.verify.edges import code_of, timeless
from allbps.verify.mistakes.declare import WHOLE, Delayed, Site, Slip, attempt, mistake


@dataclass(frozen=True)
class Operand:
    """A place in a backward formula where a value stands.

    Attributes:
        step: the step that takes it.
        slot: as which of its operands.
        turn: whose it is, counted from 0; −1 for what the variable holds before the loop.

    """

    step: Node
    slot: int
    turn: int

    def given(self, value: Any) -> tuple[Node, Callable[..., Any]]:
        """The step with another value there."""

        def run(*operands: Any) -> Any:
            others = [*operands[: self.slot], value, *operands[self.slot + 1 :]]
            return self.step.op.run(others, self.step.attrs)

        return self.step, run


@dataclass(frozen=True)
class Held:
    """What a variable holds in the turns of a loop, and where a formula takes it."""

    name: str
    values: Sequence[Node]
    operands: Sequence[Operand]

    @property
    def is_several(self) -> bool:
        """Does the formula take the values of several turns?"""
        return len({one.turn for one in self.operands}) > 1


EVERY = "in every turn of the loop"

MOST_OPERANDS = 200
"""Of a formula with more, changing them all takes too long."""

Kind = tuple[str, int, tuple[int, ...]]
"""How a value is taken: (the operation, as which operand, its shape)."""


@mistake("another turn", "A value of another turn of the loop is used: hₜ in place of hₜ₋₁.", 2)
def another_turn(site: Site) -> Iterator[Slip]:
    for one in _held(site):
        where = f"{EVERY}, " if one.is_several else ""
        for by, which in ((1, "next"), (-1, "last")):
            yield Slip(f"{where}{one.name} of the {which} turn is used",
                       _moved(one, one.values, by))  # fmt: skip


@mistake("another variable in every turn", "In every turn another variable is used.", 4)
def another_variable(site: Site) -> Iterator[Slip]:
    for one in (one for one in _held(site) if one.is_several):
        for name, values in _variables(site).items():
            fits = len(values) == len(one.values) and values[0].shape == one.values[0].shape
            for by in (0, 1) if name != one.name and fits else ():
                yield Slip(f"{EVERY}, {name} is used instead of {one.name}",
                           _moved(one, values, by))  # fmt: skip


@mistake("left out in every turn", "In every turn a factor is left out.", 4)
def left_out(site: Site) -> Iterator[Slip]:
    for one in _held(site):
        factors = [operand for operand in one.operands if operand.step.op.name == "mul"]
        if one.is_several and factors:
            ones = partial(_always, np.ones(one.values[0].shape))
            yield Slip(f"{EVERY}, the factor {one.name} is left out",
                       _otherwise(factors, ones))  # fmt: skip


def _always(value: Any, site: Site, turn: int) -> Any:
    return value


def _variables(site: Site) -> Mapping[str, list[Node]]:
    """Name -> what a variable, or an array indexed by the turn, held; several values."""
    memory, key = site.onward.memory, ("turns", site.onward.deltas[0].primal)
    if key not in memory:
        found: dict[str, list[Node]] = {}
        for x in site.onward.floats:
            name = _indexed(x) if is_numbered(x.name) else timeless(x.name)
            if name:
                found.setdefault(name, []).append(x)
        memory[key] = [{name: values for name, values in found.items() if len(values) > 1}]
    variables: dict[str, list[Node]] = memory[key][0]
    return variables


def _indexed(x: Node) -> str:
    """``u[k]`` for ``u[3]`` where the turn is ``k = 3``; nothing for anything else."""
    turn, _, count = (x.site.turn if x.site else "").partition(" = ")
    if x.op.name != "getitem" or is_numbered(x.inputs[0].name) or not count.isdigit():
        return ""
    array, index = x.inputs[0].name, code_of(x).removeprefix(x.inputs[0].name)
    name = re.sub(rf"\b{count}\b", turn, index)
    return f"{array}{name}" if name != index else ""


def _held(site: Site) -> list[Held]:
    """What a backward formula takes of the variables of a loop: everywhere, and in each way."""
    memory, key = site.onward.memory, ("held", site.primal)
    if key not in memory:
        memory[key] = list(_find_held(site)) if _variables(site) else []
    held: list[Held] = memory[key]
    return held


def _find_held(site: Site) -> Iterator[Held]:
    variables, before = _variables(site), dict[Kind, list[Operand]]()
    found: dict[str, dict[Kind, list[Operand]]] = {}
    turns = {x: (name, k) for name, values in variables.items() for k, x in enumerate(values)}
    for step in site.expression(WHOLE):
        if step in site.onward.right and step not in site.deltas:
            continue  # a forward value that has no name
        for slot, x in enumerate(step.inputs):
            kind = step.op.name, slot, x.shape
            if x.op is CONST:
                before.setdefault(kind, []).append(Operand(step, slot, -1))
            elif x in turns:
                name, turn = turns[x]
                found.setdefault(name, {}).setdefault(kind, []).append(Operand(step, slot, turn))
    inside = site.primal.site is not None and site.primal.site.turn
    for name, ways in found.items():
        full = {kind: [*before.get(kind, ()), *operands] for kind, operands in ways.items()}
        every = [one for operands in full.values() for one in operands]
        for operands in (every, *full.values()) if len(full) > 1 else (every,):
            one = Held(name, variables[name], operands)
            if len(operands) <= MOST_OPERANDS and (inside or one.is_several):
                yield one


def _otherwise(operands: Sequence[Operand], value: Callable[[Site, int], Any]) -> Delayed:
    """The δ where each operand is what ``value`` says of its turn; None leaves it as it is."""

    def delta(site: Site) -> Any:
        numbers = [(operand, value(site, operand.turn)) for operand in operands]
        instead = dict(operand.given(x) for operand, x in numbers if x is not None)
        return attempt(site.onward.compute, site.delta.node, site.known, instead, True)

    return delta


def _moved(one: Held, values: Sequence[Node], by: int) -> Delayed:
    """The δ where each operand is what ``values`` are so many turns later."""

    def value(site: Site, turn: int) -> Any:
        k = turn + by
        if k >= len(values) or (k < 0 and not by):
            return None
        if k < 0 and not is_numbered(values[0].name):
            return np.zeros(values[0].shape)[()]  # before the loop
        return site.known[values[k]]  # an index of −1 is the last

    return _otherwise(one.operands, value)
