"""The derivation: every value and every δ with its formula, its numbers and its reason."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import groupby
from typing import Any, TypeVar

import numpy as np

from allbps.backprop import Delta, Term
from allbps.backward import Backward
from allbps.errors import unknown_name
from allbps.ir import CONST, Formula, Node, Site, ancestors
from allbps.ir.loops import loop_at
from allbps.mathematics import Math, write
from allbps.mathematics.tree import Matrix, Number, Relation, Symbol
from allbps.ops.reduce import sum_
from allbps.readings.blocks import Heading, Headings, blocks_of, forward_order
from allbps.readings.collapse import Collapses
from allbps.readings.formula import Writer
from allbps.readings.granularity import holder
from allbps.readings.numbers import USUAL, Numerals, is_small, summary, summary_math
from allbps.readings.orientation import columns
from allbps.readings.symbols import symbols as choose_symbols

FEW = 4
"""So many uses of a value are named."""
Made = TypeVar("Made")
Say = Callable[[Writer], Math]
"""Writes one thing with whichever writer it is given."""


@dataclass(frozen=True, eq=False)
class Step:
    """One step of a derivation.

    Attributes:
        name: ``Z1`` for a value, ``dZ1`` for its δ, ``dZ1_1`` for a contribution to it.
        kind: "given" or "forward"; "seed" for a δ that is given, "contribution" for what one of
            several uses adds to a δ, "delta" for any other δ.
        symbol: how the name is written.
        value: the number or array.
        site: the user's line; that of the value for a δ, that of the use for a contribution.
        pen: writes everything about it.
        meaning: writes what the symbol stands for, ``∂L/∂Z₃``; None where there is no loss.
        chain: writes the chain rule, ``(∂Z₃/∂Z₂) δZ₃`` and ``σ′(Z₂) δZ₃``; None for sums.
        of: the node whose number or array it is; None for an absent δ.
        node: the node that computes it; None for what is given and for an absent δ.
        value_of: the number or array of a node.
        reasons: write the because, part by part.
        label: a heading of its own, "Step 3a"; empty for most.
        term: the one use that this δ or contribution comes from; None for sums and values.
        after: δ of the result of that use.
        place: the node where it stands in the run: the value, or the use that contributes.
        within: the headings of the blocks that it stands in, outermost first; by block only.

    """

    name: str
    kind: str
    symbol: str
    value: Any
    site: Site | None
    pen: Writer = field(repr=False)
    head: Say = field(repr=False)
    meaning: Say | None = field(repr=False, default=None)
    chain: Callable[[Writer], list[Math]] | None = field(repr=False, default=None)
    node: Node | None = field(repr=False, default=None)
    value_of: Callable[[Node], Any] = field(repr=False, default=lambda node: None)
    reasons: tuple[Say, ...] = field(repr=False, default=())
    of: Node | None = field(repr=False, default=None)
    label: str = ""
    term: Term | None = field(repr=False, default=None)
    after: Node | None = field(repr=False, default=None)
    place: Node | None = field(repr=False, default=None)
    within: tuple[Heading, ...] = field(repr=False, default=())
    _made: dict[Callable[[Step], Any], Any] = field(repr=False, default_factory=dict, init=False)

    def once(self, make: Callable[[Step], Made]) -> Made:
        """What ``make`` makes of this step, made once for all readings that want it."""
        if make not in self._made:
            self._made[make] = make(self)
        found: Made = self._made[make]
        return found

    @cached_property
    def formula(self) -> str:
        """``δZ₃ = δZ₄ W₂ᵀ``; empty for what is given."""
        return self.stated().inline if self.right() else ""

    @cached_property
    def because(self) -> str:
        """``Z₄ = Z₃ W₂, ∂Z₄/∂Z₃ = W₂ᵀ``."""
        return ", ".join(part.inline for part in self.why())

    @property
    def summary(self) -> str:
        """What is said of a value too large to print; empty for others."""
        return "" if is_small(self.value, self.pen.look) else summary(self.value)

    @property
    def summary_math(self) -> Math:
        """The same as mathematics: words with numbers."""
        return summary_math(self.value)

    def left(self) -> list[Math]:
        """The symbol, and what it stands for."""
        return [self.head(self.pen)] + ([self.meaning(self.pen)] if self.meaning else [])

    def right(self) -> Math | None:
        """The formula in symbols."""
        return self._right

    def stated(self) -> Math:
        """``δZ₃ = δZ₄ W₂ᵀ``, in symbols."""
        sides = [self.head(self.pen), *([self._right] if self._right else [])]
        return Relation(tuple(sides), ("=",) * (len(sides) - 1))

    @cached_property
    def _right(self) -> Math | None:
        return self.pen.formula(self.node) if self.node is not None else None

    def sides(self) -> list[Math]:
        """What stands between the equals signs: chain rule, formula, numbers, value."""
        right = self.right()
        chain = self.chain(self.pen) if self.chain else []
        return [*chain, *([right] if right else []), *self.numbers()]

    def numbers(self) -> list[Math]:
        """The formula in numbers where that says more than the value, then the value."""
        return self._numbers

    @cached_property
    def _numbers(self) -> list[Math]:
        if self.summary:
            return []
        value = self.pen.value(self.value, self.of)
        right = self.right()
        if right is not None and right.inline == value.inline and not isinstance(value, Matrix):
            return []
        filled = None
        if self.node is not None:
            filled = self.pen.substituted(self.node, self.value_of)
        is_plain = (
            filled is None or isinstance(filled, (Matrix, Number)) or filled.inline == value.inline
        )
        return [value] if is_plain or filled is None else [filled, value]

    def why(self) -> list[Math]:
        """The because, part by part, with what words of the formula stand for."""
        said = [reason(self.pen) for reason in self.reasons]
        if self.node is None:
            return said
        explained = self.pen.explained(self.node)
        if not explained:
            return said
        known = {part.inline for part in said}
        return said + [x for x in explained if x.inline not in known]

    def to_json(self) -> dict[str, Any]:
        """Everything about the step as what JSON can hold."""
        numbers = self.numbers()
        blocks = {"block": [heading.label for heading in self.within]} if self.within else {}
        return {
            "name": self.name,
            "kind": self.kind,
            "symbol": self.symbol,
            "formula": self.formula,
            "substitution": numbers[0].inline if len(numbers) == 2 else "",
            "value": None if self.summary else _plain(self.value),
            "summary": self.summary,
            "shape": list(np.shape(self.value)),
            "because": self.because,
            "line": self.site.line if self.site else None,
            "source": self.site.text if self.site else "",
            **blocks,
        }


SECTIONS = {
    "Given": ("given",),
    "Forward": ("forward",),
    "Backward": ("seed", "contribution", "delta"),
}
"""Heading of a section -> the kinds of steps in it."""


@dataclass(frozen=True, eq=False)
class Derivation:
    """A worked function, step by step.

    Attributes:
        title: the function's name.
        doc: its docstring.
        steps: what is given, the forward pass, then back.
        warning: where the first number that is not finite appears; empty if all are.

    """

    title: str
    doc: str
    steps: tuple[Step, ...]
    warning: str

    def __iter__(self) -> Iterator[Step]:
        return iter(self.steps)

    def __getitem__(self, name: str) -> Step:
        """The step of that name, ``dX`` for δX.

        Raises:
            NameUnknownError: there is none.

        """
        if name not in self._by_name:
            raise unknown_name(name, list(self._by_name), "step")
        return self._by_name[name]

    @cached_property
    def _by_name(self) -> dict[str, Step]:
        return {step.name: step for step in self.steps}

    def of_kind(self, *kinds: str) -> list[Step]:
        """The steps of these kinds, in order."""
        return [step for step in self.steps if step.kind in kinds]

    def sections(self) -> Iterator[tuple[str, list[Step]]]:
        """Heading and steps of Given, Forward and Backward, each where it has steps."""
        for heading, kinds in SECTIONS.items():
            if steps := self.of_kind(*kinds):
                yield heading, steps

    def to_json(self) -> dict[str, Any]:
        """Everything as what JSON can hold."""
        return {
            "title": self.title,
            "doc": self.doc,
            "warning": self.warning,
            "steps": [step.to_json() for step in self.steps],
        }


def headings(steps: Sequence[Step]) -> Iterator[str]:
    """A step's own label, or where another turn of a loop begins, or its last has ended.

    ``t = 0``, ``t = 1``, ``After the loop``; backward ``t = 1``, ``t = 0``, ``Arguments``.
    """
    before = ""
    for step, now in zip(steps, _turns(steps), strict=True):
        yield step.label or (now or _outside(step) if now != before else "")
        before = now


def _turns(steps: Sequence[Step]) -> list[str]:
    """In which turn each value was computed; a contribution stands with its sum, which follows."""
    found: list[str] = []
    for step in reversed(steps):
        after = found[-1] if found else ""
        forward = step.kind == "forward"
        goes_with_next = step.kind == "contribution" or (forward and _begins_a_turn(step))
        found.append(after if goes_with_next else _turn(step))
    found.reverse()
    for k, step in enumerate(steps):
        if step.kind == "delta" and k and not found[k] and _begins_a_turn(step):
            found[k] = found[k - 1]
    return found


def _turn(step: Step) -> str:
    return step.site.turn if step.site and not step.within else ""  # by block it has a block


def _begins_a_turn(step: Step) -> bool:
    """Does it stand on the line of a loop, outside of any turn that is known?"""
    site = step.site
    return site is not None and not _turn(step) and loop_at(site.file, site.line) is not None


def _outside(step: Step) -> str:
    """What comes when a loop has been left."""
    if step.kind == "forward":
        return "After the loop"
    primal = step.term.consumer.inputs[step.term.index] if step.term else step.place
    return "Before the loop" if primal is not None and primal.inputs else "Arguments"


def groups(steps: Iterable[Step], depth: int = 0) -> Iterator[tuple[Heading | None, list[Step]]]:
    """Steps after one another in the same block at that depth; None for those in none."""
    for heading, some in groupby(steps, lambda x: x.within[depth] if x.within[depth:] else None):
        yield heading, list(some)


def source_lines(steps: Iterable[Step]) -> Iterator[str]:
    """The user's line beside each forward step; empty where the step before has the same."""
    before = None
    for step in steps:
        site = step.site
        place = (site.file, site.line, site.turn) if site is not None else None
        fresh = step.kind == "forward" and place != before
        yield site.text if fresh and site is not None else ""
        before = place


def derivation(
    backward: Backward,
    values: Mapping[str, Any],
    symbols: Mapping[str, str] | None = None,
    look: Numerals = USUAL,
    by: str = "operation",
    labels: Mapping[str, str] | None = None,
    dust: Set[str] = frozenset(),
    hidden: frozenset[Node] = frozenset(),
) -> Derivation:
    """The derivation of a backward pass.

    Args:
        backward: the graph with its δ nodes.
        values: every number by name, ``values["dX"]`` for δX.
        symbols: name -> how it is written, where the name itself would not do.
        look: how numbers are shown.
        by: each "operation" a step, or each "line" of the user's code, or lines in their "block".
        labels: name of a step, ``dZ1`` for δZ₁ -> the heading above it.
        dust: names of numbers that stand as 0 because they were nothing but rounding.
        hidden: values without a step, which stand in the formulas of others.

    """
    author = _Author(backward, values, symbols or {}, look, by, dust, hidden)
    named = labels or {}
    steps = tuple(replace(step, label=named.get(step.name, "")) for step in author.steps())
    if by == "block":
        steps = tuple(_in_blocks(author, steps))
    traced = backward.traced
    return Derivation(
        traced.title, traced.doc, steps, _first_not_finite(steps, set(traced.graph.outputs))
    )


def _in_blocks(author: _Author, steps: Iterable[Step]) -> Iterator[Step]:
    """The same with their headings; backward the last block first, with all that it hands back."""
    found = blocks_of(author.backward.traced.graph, author.hidden)
    order = forward_order(found)
    headings = Headings(author.backward, author.pen)
    back: list[Step] = []
    for step in steps:
        blocks = found.get(step.place, ()) if step.place is not None else ()
        if step.kind not in SECTIONS["Backward"]:
            yield replace(step, within=tuple(map(headings.forward, blocks)))
        else:
            back.append(replace(step, within=tuple(map(headings.backward, blocks))))
    yield from sorted(
        back, key=lambda step: 1 if step.place is None else -order.get(step.place, -1)
    )


class _Author:
    def __init__(
        self,
        backward: Backward,
        values: Mapping[str, Any],
        chosen: Mapping[str, str],
        look: Numerals,
        by: str,
        dust: Set[str],
        hidden: frozenset[Node],
    ) -> None:
        self.backward, self.values, self.dust, self.hidden = backward, values, dust, hidden
        self.symbols = choose_symbols(backward, chosen)
        self.pen = Writer(self.symbols, look, columns(backward), hidden)
        self.lines = backward.traced.lines if by == "line" else {}
        self.seeds = set(backward.seeds.values())

    def steps(self) -> Iterator[Step]:
        """What is given, the forward pass, then back."""
        graph = self.backward.traced.graph
        large = [n for n in graph.nodes if n.op is CONST and n in self.symbols]
        for node in (*graph.inputs, *large):
            yield self._step(node, "given", node.name or self.symbols[node])
        for node in graph.nodes:
            if node.inputs and node not in self.hidden:
                yield self._step(node, "forward", node.name, computed=True)
        for delta in self.backward.steps:
            if delta.node in self.hidden:
                continue
            yield from self._delta(delta)
        for x in self.backward.unreached:
            yield self._absent(x)

    def value_of(self, node: Node) -> Any:
        return node.value if node.op is CONST else self.values[node.name]

    def _step(
        self, node: Node, kind: str, name: str, computed: bool = False,
        of: Node | None = None, reasons: tuple[Say, ...] = (), **more: Any,
    ) -> Step:  # fmt: skip
        place = node if of is None else of
        if node.name in self.dust:
            reasons += (lambda pen: pen.phrase('"0 but for rounding"'),)
        return Step(
            name=name, kind=kind, symbol=self.symbols[node], value=self.value_of(node),
            site=self._line(place), place=place, pen=self.pen, of=node,
            head=lambda pen: pen.phrase("{x}", x=node), node=node if computed else None,
            value_of=self.value_of, reasons=reasons, **more,
        )  # fmt: skip

    def _line(self, node: Node) -> Site | None:
        """By line that of the variable, even where a function that it calls did the work."""
        return self.lines.get(node, node.site)

    # -- δ -----------------------------------------------------------------------------------------
    def _delta(self, delta: Delta) -> Iterator[Step]:
        terms, primal = delta.terms, delta.primal
        seed = self.backward.seeds.get(primal)
        several = len(terms) > 1
        if several:
            for term in terms:
                if term.node in self.hidden:
                    continue
                yield self._step(
                    term.node, "contribution", term.node.name, True,
                    of=term.consumer, reasons=self._because(term), chain=self._chain(term),
                    term=term, after=self.backward.deltas[term.consumer].node,
                )  # fmt: skip
        reasons = self._because(terms[0]) if len(terms) == 1 else ()
        if several:
            reasons = (self._uses(delta),)
        if primal is self._first_complex:
            said = '{g} "stands for" ∂{L}/∂Re({x}) − i (∂{L}/∂Im({x}))'
            nodes = {"g": delta.node, "L": self._loss, "x": primal}
            reasons += (lambda pen: pen.phrase(said, **nodes),) if self._loss is not None else ()
        given = seed if seed is not None and seed.op is not CONST else None
        if given is not None:
            shown = given if terms else delta.node
            reasons += (lambda pen: pen.phrase('{s} "is given"', s=shown),)
        reasons += self._collapsed(delta)
        is_seed = given is not None and not terms
        only = terms[0] if len(terms) == 1 and given is None else None
        yield self._step(
            delta.node, "seed" if is_seed else "delta", delta.node.name, not is_seed,
            of=primal, meaning=self._meaning(primal), reasons=reasons,
            chain=self._chain(terms[0]) if only is not None else None,
            term=only, after=self.backward.deltas[only.consumer].node if only else None,
        )  # fmt: skip

    @cached_property
    def _collapses(self) -> Collapses | None:
        """What finds closed forms, where one scalar loss is differentiated."""
        if self._loss is None or self._loss.shape != ():
            return None
        graph = self.backward.traced.graph
        shown = [x for x in graph.nodes if x.name and x not in self.hidden]
        return Collapses(self.backward, self.values, shown)

    def _collapsed(self, delta: Delta) -> tuple[Say, ...]:
        """δz = (p − y) / n, where the formula is a longer way to the same."""
        formula = self.pen.formula(delta.node)
        if self._collapses is None or isinstance(formula, Symbol):  # another δ, passed on
            return ()
        found = self._collapses.of(delta.primal)
        if found is None:
            return ()
        nodes = {"p": found.found, "y": found.ideal}
        if self.pen.phrase(found.template(), **nodes).inline == formula.inline:
            return ()
        said = f'"altogether" {{d}} = {found.template()}'
        return (lambda pen: pen.phrase(said, d=delta.node, **nodes),)

    @cached_property
    def _first_complex(self) -> Node | None:
        """The value whose δ is the first complex one on the page, where its meaning is said."""
        return next((x.primal for x in self.backward.steps if x.primal.is_complex), None)

    @cached_property
    def _loss(self) -> Node | None:
        seeds = self.backward.seeds
        losses = [y for y, seed in seeds.items() if seed.op is CONST]
        return losses[0] if len(losses) == len(seeds) == 1 else None

    def _meaning(self, primal: Node) -> Say | None:
        loss = self._loss
        return None if loss is None else lambda pen: pen.phrase("∂{L}/∂{x}", L=loss, x=primal)

    def _chain(self, term: Term) -> Callable[[Writer], list[Math]] | None:
        """∂next/∂this · ∂L/∂next, unless the next is the loss, whose δ is 1."""
        x, y = term.consumer.inputs[term.index], term.consumer
        if y in self.hidden or y is self._loss:
            return None
        after = self.backward.deltas[y].node

        def written(pen: Writer) -> list[Math]:
            """Where the because says what the factor is; its name too, as in σ′(Z₂) δZ₃."""
            local = pen.local_derivative(term)
            factor = pen.phrase("∂{y}/∂{x}", y=y, x=x)
            if not isinstance(local, Relation) or local.sides[0] != factor:
                return []
            chain = pen.phrase("(∂{y}/∂{x}) {g}", y=y, x=x, g=after)
            _, *named, _ = local.sides
            product = "{f} {g}" if y.shape == () else "{f} ⊙ {g}"
            of = [Formula(name, y.shape) for name in named]
            return [chain, *(write(product, f=f, g=pen.named(after)) for f in of)]

        return written

    def _because(self, term: Term) -> tuple[Say, ...]:
        def forward(pen: Writer) -> Math:
            y = self._shown(term.consumer)
            return Relation((pen.named(y).math, pen.formula(y)), ("=",))

        x, y = term.consumer.inputs[term.index], term.consumer
        if y in self.hidden:
            return (forward,)
        if term.node.op is not sum_ or x.shape == y.shape:
            return forward, lambda pen: pen.local_derivative(term)
        rows = (x.ndim, y.ndim) == (1, 2)

        def local(pen: Writer) -> Math:
            said = pen.local_derivative(term)
            one = isinstance(said, Relation) and said.sides[-1] == Number("1")
            return pen.phrase("∂{y}/∂{x} = [1, …, 1]", y=y, x=x) if rows and one else said

        again = "stands in each row" if rows else "is repeated along the axes of the sum"
        return forward, local, lambda pen: pen.phrase(f'{{x}} "{again}"', x=x)

    def _uses(self, delta: Delta) -> Say:
        consumers = dict.fromkeys(self._shown(term.consumer) for term in delta.terms)
        nodes = {f"y{k}": y for k, y in enumerate(consumers)}
        *first, last = [f"{{{k}}}" for k in nodes]
        listed = f'{", ".join(first)} "and" {last}' if first else last
        listed = listed if len(nodes) <= FEW else "{y0}, {y1}, …"
        count = len(delta.terms)
        times = "twice" if count == 2 else f"{count} times"
        template = f'{{x}} "is used {times}, in" {listed}'
        return lambda pen: pen.phrase(template, x=delta.primal, **nodes)

    def _shown(self, node: Node) -> Node:
        return holder(self.backward, node, self.hidden)

    def _absent(self, x: Node) -> Step:
        outputs = self.backward.traced.graph.outputs
        if x in set(ancestors(outputs)):
            said = '{x} "acts only through steps of slope zero"'
        elif len(outputs) == 1:
            said = '{y} "does not depend on" {x}'
        else:
            said = '"no result depends on" {x}'
        symbol = f"δ{self.symbols[x]}"
        return Step(
            name=self.backward.traced.deltas[x.name],
            kind="delta", symbol=symbol, value=0.0, site=None, pen=self.pen,
            head=lambda pen: pen.phrase("δ{x}", x=x),
            meaning=self._meaning(x), reasons=(lambda pen: pen.phrase(said, x=x, y=outputs[0]),),
        )  # fmt: skip


def _first_not_finite(steps: tuple[Step, ...], outputs: Set[Node]) -> str:
    """Where the first NaN or infinity is; −∞ that leaves none behind, as of a mask, is no harm."""
    suspects = [step for step in steps if not np.all(np.isfinite(_inexact(step.value)))]
    if all(step.of not in outputs and _is_masked(step) for step in suspects):
        return ""
    first = suspects[0]
    where = f" (line {first.site.line}: {first.site.text})" if first.site else ""
    return f"{first.symbol} is the first value that is not finite{where}"


def _is_masked(step: Step) -> bool:
    values = _inexact(step.value)
    return step.kind in ("given", "forward") and bool(
        np.all(np.isfinite(values) | np.isneginf(values.real))
    )


def _inexact(value: Any) -> np.ndarray:
    return np.asarray(value, np.result_type(value, np.float64))


def _plain(value: Any) -> Any:
    """Nested lists of numbers; what JSON has no number for becomes text."""
    array = np.asarray(value)
    if array.dtype.kind == "c":  # as pairs
        array = np.stack([array.real, array.imag], axis=-1)
    if array.dtype.kind == "f" and not np.all(np.isfinite(array)):
        array = np.where(np.isfinite(array), array.astype(object), array.astype(str))
    return array.tolist()
