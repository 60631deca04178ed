"""Is a right hand-in ever called wrong, or a wrong one right? python benchmarks/right_hand_ins.py

Nets are drawn at random (``planted/drawn.py``). Their right gradients, of all values, of some or of
the arguments, are handed in as people write them: in full or to 2 or 3 decimals, with ``decimals=``
or without; rounded at the end, after each line, after each step inside of lines too, after any of
them by chance; and the forward values likewise. Then one of them is spoilt: zeros, ones, a wrong
sign, a wrong factor; alone, or with all that follows from it.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from planted.drawn import Drawn, drawn

from allbps.backward import Backward, backward
from allbps.ir import CONST, INPUT, Node
from allbps.names import is_numbered
from allbps.readings.source import emit
from allbps.trace import trace
from allbps.verify import Mark, State, check
from allbps.verify.onward import Onward

SPOILT: dict[str, Callable[[Any], Any]] = {
    "zeros": lambda g: 0 * g,
    "ones": lambda g: 0 * g + 1.0,
    "sign": lambda g: -g,
    "doubled": lambda g: 2 * g,
    "halved": lambda g: g / 2,
    "times its length": lambda g: g * np.shape(g)[0] if np.shape(g) else 3 * g,
}

DUST = 1e-13
"""Twice what rounding has left of 0 is 0 as well."""


class Steps(StrEnum):
    """After which steps numbers are rounded, before others are computed from them."""

    END = "at the end"
    LINES = "after each line"
    INSIDE = "inside of lines too"
    SOME = "after some steps"
    VALUES = "forward values alone"
    BOTH = "forward values and after each line"
    ANY = "after some steps, forward and back"

    def forward(self, named: bool, rng: np.random.Generator) -> bool:
        """Is a forward value rounded; does the student's line name it?"""
        if self is Steps.ANY:
            return bool(rng.random() < 0.5)
        return named and self in (Steps.VALUES, Steps.BOTH)

    def back(self, named: bool, rng: np.random.Generator) -> bool:
        """The same of a δ."""
        if self in (Steps.SOME, Steps.ANY):
            return bool(rng.random() < 0.5)
        return self is Steps.INSIDE or (named and self in (Steps.LINES, Steps.BOTH))


@dataclass(frozen=True)
class Way:
    """How a hand-in is written.

    Attributes:
        which: gradients of what are handed in.
        decimals: None for numbers in full.
        said: is ``decimals=`` given?
        steps: what is rounded on the way.
        seed: of chance, where that decides.

    """

    which: str
    decimals: int | None
    said: bool
    steps: Steps = Steps.END
    seed: int = 0

    @property
    def written(self) -> str:
        """How the numbers are written, in words."""
        if self.decimals is None:
            return "in full"
        said = "said" if self.said else "not said"
        return f"{self.decimals} decimals, {said}, rounded {self.steps}"

    def __str__(self) -> str:
        return f"{self.which}, {self.written}"

    def rounded(self, g: Any) -> Any:
        """Numbers as they are written."""
        return g if self.decimals is None else np.round(g, self.decimals) + 0.0


@dataclass(frozen=True)
class Passed:
    """A drawn net with its backward pass in numbers."""

    net: Drawn
    passes: Backward
    onward: Onward

    @property
    def written(self) -> list[Node]:
        """The values that the student's lines name, nearest to the loss first."""
        return [
            d.primal for d in self.onward.deltas if d.terms and not is_numbered(d.primal.name)
        ]  # fmt: skip

    def chosen(self, which: str, rng: np.random.Generator) -> list[Node]:
        """The values whose gradients are handed in."""
        arguments = [x for x in self.written if x.name in self.net.values]
        if which == "arguments":
            return arguments
        if which == "all":
            return self.written
        return [x for x in self.written if rng.random() < 0.4] or arguments

    def values(self, way: Way, rng: np.random.Generator) -> dict[Node, Any]:
        """Every forward value, some of them rounded before others are computed from them."""
        known = dict(self.onward.right)
        if way.steps in (Steps.VALUES, Steps.BOTH, Steps.ANY):
            for x in self.passes.traced.graph.nodes:
                if x.op not in (CONST, INPUT):
                    operands = [i.value if i.op is CONST else known[i] for i in x.inputs]
                    value = x.op.run(operands, x.attrs)
                    rounds = x.is_float and way.steps.forward(not is_numbered(x.name), rng)
                    known[x] = way.rounded(value) if rounds else value
        return known

    def hand_in(
        self, way: Way, names: list[Node], spoil: tuple[Node, str, bool] | None = None
    ) -> dict[str, Any]:
        """Gradients as they are handed in, one of them spoilt.

        Args:
            way: how they are written.
            names: of what.
            spoil: where, how, and whether what follows is computed from it.

        """
        with np.errstate(all="ignore"):  # rounded values may be divided by 0
            return self._hand_in(way, names, spoil)

    def _hand_in(
        self, way: Way, names: list[Node], spoil: tuple[Node, str, bool] | None
    ) -> dict[str, Any]:
        rng, wanted = np.random.default_rng(way.seed), set(names)
        known = self.values(way, rng)
        given: dict[str, Any] = {}
        for delta in self.onward.deltas:
            x = delta.primal
            g = self.onward.compute(delta.node, known) if delta.terms else known[delta.node]
            shown = g
            if spoil and x is spoil[0]:
                shown = SPOILT[spoil[1]](g)
                g = shown if spoil[2] else g
            rounds = delta.terms and way.steps.back(not is_numbered(x.name), rng)
            known[delta.node] = way.rounded(g) if rounds else g
            if x in wanted:
                given[x.name] = way.rounded(shown)
        return given


def passed(net: Drawn) -> Passed:
    """A net and its backward pass."""
    traced = trace(net.forward, **net.values)
    passes = backward(traced)
    numbers = emit(passes).run({x.name: g for x, g in traced.values.items()})
    return Passed(net, passes, Onward(passes, numbers))


def marks_of(one: Passed, way: Way, given: dict[str, Any]) -> tuple[Mark, ...]:
    """The checker's marks; its own derivation is not verified again each time."""
    decimals = way.decimals if way.said else None
    return check(
        one.net.forward, gradients=given, decimals=decimals, judges=[], **one.net.values
    ).marks  # fmt: skip


def ways(rng: np.random.Generator, styles: Sequence[Steps], places: Sequence[int]) -> Iterator[Way]:
    """Ways to write the gradients of one net: in full, and two for each number of decimals."""
    which = str(rng.choice(["arguments", "all", "some"]))
    yield Way(which, None, False)
    for decimals in places:
        for said in (True, False):
            steps = styles[rng.integers(len(styles))]
            yield Way(which, decimals, said, steps, int(rng.integers(1 << 30)))


@dataclass(frozen=True)
class Outcome:
    """What was said of one hand-in; ``spoilt`` is empty for a right one."""

    seed: int
    way: Way
    spoilt: str
    said: tuple[Mark, ...]

    @property
    def state(self) -> str:
        """right, wrong, or undecided: the worst of all marks."""
        states = {mark.state for mark in self.said}
        if states & {State.WRONG, State.FOLLOWS}:
            return "wrong"
        return "undecided" if State.UNDECIDED in states else "right"

    @property
    def is_fault(self) -> bool:
        """Is a right one called wrong, or a wrong one right?"""
        return self.state == ("right" if self.spoilt else "wrong")

    def __str__(self) -> str:
        marks = "\n".join(str(mark) for mark in self.said if self.spoilt or not mark)
        head = f"{self.seed}: {self.way}: {self.spoilt or 'right'}, said to be {self.state}"
        return f"{head}\n{marks}".replace("\n", "\n    ")


def spoilt(
    one: Passed, way: Way, names: list[Node], rng: np.random.Generator
) -> Iterator[tuple[str, dict[str, Any]]]:
    """(mistake, hand-in) for one mistake, if it shows in the numbers as they are written."""
    right = one.hand_in(way, names)
    kind, where = str(rng.choice(list(SPOILT))), names[rng.integers(len(names))]
    followed = bool(rng.random() < 0.5)
    wrong = one.hand_in(way, names, (where, kind, followed))
    if not all(np.allclose(right[k], wrong[k], rtol=0, atol=DUST) for k in right):
        yield f"{kind} at {where.name}{', followed' * followed}", wrong


def is_lost(way: Way, given: dict[str, Any]) -> bool:
    """Did rounding leave nothing to hand in?

    Rounded forward values may be divided by 0. Where nothing but whole numbers is left at all and
    nothing is said, there are no decimals to see.
    """
    if not all(np.all(np.isfinite(g)) for g in given.values()):
        return True
    return not way.said and all(np.array_equal(g, np.round(g)) for g in given.values())


def outcomes(
    seed: int, mistakes: bool, styles: Sequence[Steps], places: Sequence[int] = (3, 2)
) -> Iterator[Outcome]:
    """Right and spoilt hand-ins of one net."""
    with np.errstate(all="ignore"):
        one = passed(drawn(seed))
    rng = np.random.default_rng([1, seed])
    for way in ways(rng, styles, places):
        names = one.chosen(way.which, rng)
        right = one.hand_in(way, names)
        if is_lost(way, right):
            continue
        yield Outcome(seed, way, "", marks_of(one, way, right))
        for kind, given in spoilt(one, way, names, rng) if mistakes else ():
            yield Outcome(seed, way, kind, marks_of(one, way, given))


def table(found: Counter[tuple[str, str, str]]) -> str:
    """How many of each kind were said to be what, in Markdown."""
    rows = sorted({(kind, way) for kind, way, _ in found})
    lines = ["| hand-in | | right | undecided | wrong |", "|---|---|---|---|---|"]
    for kind, way in rows:
        counts = (str(found[kind, way, state]) for state in ("right", "undecided", "wrong"))
        lines.append(f"| {kind} | {way} | {' | '.join(counts)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nets", type=int, default=2000, help="with five hand-ins each")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--mistakes", action="store_true", help="spoil each hand-in once, too")
    parser.add_argument("--decimals", type=int, nargs="+", default=[3, 2], help="twice each")
    parser.add_argument("--failures", action="store_true", help="print what is said of faults")
    parser.add_argument("--steps", help="how all are rounded, such as END; else drawn, half END")
    options = parser.parse_args()
    styles = [Steps[options.steps]] if options.steps else [*Steps, *[Steps.END] * (len(Steps) - 2)]
    found: Counter[tuple[str, str, str]] = Counter()
    faults = 0
    try:
        for seed in range(options.first, options.first + options.nets):
            for one in outcomes(seed, options.mistakes, styles, options.decimals):
                found["spoilt" if one.spoilt else "right", one.way.written, one.state] += 1
                faults += one.is_fault
                if options.failures and one.is_fault:
                    print(one, flush=True)
    except KeyboardInterrupt:  # a long run that is cut short says how far it came
        print("interrupted")
    print(table(found))
    print(f"\n{faults} faults in {sum(found.values())} hand-ins")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
