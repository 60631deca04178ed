"""Formulas of nodes: the notation of each operation, with symbols or numbers put in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from allbps.backprop import Term
from allbps.ir import CONST, INPUT, Formula, Node, spelled
from allbps.mathematics import Binding, Math, parse, write
from allbps.mathematics.binding import binding
from allbps.mathematics.letters import UNDERLINE
from allbps.mathematics.signs import negated
from allbps.mathematics.tree import Matrix, Negative, Number, Product, Symbol
from allbps.readings.numbers import (
    USUAL,
    Numerals,
    cells,
    coefficient,
    is_small,
    last_place,
    number,
    read,
)

MOST_DIGITS = 14
"""No number of an equation is shown with more."""

ONES = parse("𝟏")


class Writer:
    """Writes formulas over the symbols of one backward pass.

    Args:
        symbols: node -> its symbol, for every node that has a name.
        look: how numbers are shown.
        columns: the vectors that are columns.
        hidden: named values that formulas spell out all the same.

    """

    def __init__(
        self,
        symbols: Mapping[Node, str],
        look: Numerals = USUAL,
        columns: frozenset[Node] = frozenset(),
        hidden: frozenset[Node] = frozenset(),
    ) -> None:
        self.symbols, self.look, self.columns = symbols, look, columns
        self.hidden = hidden
        self._formulas: dict[Node, Math] = {}

    # -- in symbols --------------------------------------------------------------------------------
    def formula(self, node: Node) -> Math:
        """How ``node`` is computed, in symbols."""
        if node not in self._formulas:
            self._formulas[node] = self._write(self._inlined(node), self._symbolic)[node].math
        return self._formulas[node]

    def phrase(self, template: str, **nodes: Node) -> Math:
        """``template`` with the symbols of nodes: ``"∂{L}/∂{x}"``."""
        return write(template, **{name: self.named(node) for name, node in nodes.items()})

    def local_derivative(self, term: Term) -> Math:
        """The *because* of a contribution: ∂Z₄/∂Z₃ = W₂ᵀ."""
        consumer = term.consumer
        operands = [self.named(x) for x in consumer.inputs]
        filled = {**_by_name(consumer, operands), "y": self.named(consumer), **consumer.attrs}
        if consumer.op.variadic:
            filled["index"] = term.index
        return spelled(term.rule.because, filled)

    def explained(self, node: Node) -> list[Math]:
        """What words in the formula of ``node`` stand for."""
        said = []
        for x in self._inlined(node):
            if x.op.notation.meaning is None or (x is not node and self._is_leaf(x)):
                continue
            operands = [self.named(operand) for operand in x.inputs]
            meaning = x.op.notation.explained(_by_name(x, operands), x.attrs)
            said += [meaning] if meaning is not None else []
        return list({part.inline: part for part in said}.values())

    def named(self, node: Node) -> Formula:
        """The symbol of a node, or the number that it is."""
        known = self._symbolic(node)
        if known is None:
            known = self._write(self._inlined(node), self._symbolic)[node]
        return known

    def _symbolic(self, node: Node) -> Formula | None:
        if node in self.symbols and node not in self.hidden:
            return self._of(node, Symbol(self.symbols[node]))
        return self._of(node, self._constant(node)) if node.op is CONST else None

    def _of(self, node: Node, math: Math) -> Formula:
        return Formula(math, node.shape, node in self.columns)

    # -- in numbers --------------------------------------------------------------------------------
    def substituted(self, node: Node, value_of: Callable[[Node], Any]) -> Math | None:
        """How ``node`` is computed, in numbers; None where an array is too large to print.

        What binds as an atom is shown by its value, and so is a transpose: a mask or pad(…) inside
        a formula appears as the matrix it is. The numbers have as many digits as it takes for the
        printed equation to be true.
        """
        nodes = self._inlined(node)
        values: dict[Node, Any] = {}
        for x in nodes[:-1]:
            values[x] = value_of(x) if self._is_leaf(x) else _run(x, values)
            if not is_small(values[x], self.look):
                return None
        shown = self._shown_by_value(nodes)
        look = self._enough(nodes, shown, values, value_of(node)) if node.inputs else self.look

        marked = node.op.notation.marked if node.inputs and node.inputs[0] in shown else None

        def numeral(x: Node) -> Formula | None:
            if x not in shown:
                return None
            numbers = self._numeral(x, values[x], look)
            if marked is not None and x is node.inputs[0] and isinstance(numbers, Matrix):
                numbers = underlined(numbers, marked(values[x], **node.attrs))
            return self._of(x, numbers)

        return self._write(nodes, numeral)[node].math

    def value(self, value: Any, node: Node | None = None) -> Math:
        """A number, or one array: of that node, which may be a column."""
        return self._numeral(node, value, self.look)

    def _numeral(self, node: Node | None, value: Any, look: Numerals) -> Math:
        if np.shape(value) == ():
            return numeral_math(number(value, look))
        own = node.op.notation.numerals if node is not None else None
        if own is not None and node is not None:
            return Matrix(own(value, *(x.shape for x in node.inputs), **node.attrs))
        texts = cells(value, look)
        return Matrix(texts[:, None] if node in self.columns and texts.ndim == 1 else texts)

    def _constant(self, node: Node) -> Math:
        """A number or array that belongs to the formula itself."""
        if node.shape == ():
            return numeral_math(coefficient(node.value))
        return self._numeral(node, node.value, self.look)

    def _shown_by_value(self, nodes: list[Node]) -> set[Node]:
        """The parts of a formula in numbers that appear as their values."""
        symbolic = self._write(nodes, self._symbolic)
        turned = self._turned_back(nodes)
        return {
            x
            for x in nodes[:-1]
            if self._is_leaf(x)
            or (x.op.name == "transpose" and x not in turned)
            or (
                x not in turned
                and binding(symbolic[x].math) >= Binding.ATOM
                and any(z.ndim for z in x.inputs)
            )
        }

    def _turned_back(self, nodes: list[Node]) -> set[Node]:
        """Factors of a product that is transposed: (Aᵀ B)ᵀ is written Bᵀ A."""
        outer = (x.inputs[0] for x in nodes if x.op.name == "transpose")
        return {
            x for y in outer if y.op.name == "matmul" and not self._is_leaf(y) for x in y.inputs
        }

    def _enough(
        self, nodes: list[Node], shown: set[Node], values: Mapping[Node, Any], result: Any
    ) -> Numerals:
        """The fewest digits with which a reader who computes what is printed finds the result."""
        if any(x.is_complex for x in nodes):
            return self.look
        printed = cells(result, self.look)
        want, half = read(printed), 0.5 * last_place(printed)
        for more in range(MOST_DIGITS - self.look.digits):
            look = self.look.finer(more)
            found = _as_printed(nodes, shown, values, look)
            with np.errstate(invalid="ignore"):  # ∞ − ∞, 0 · ∞: what is not finite is no matter
                off = np.abs(found - want)
                near = off <= half * (1 + 1e-9) + 1e-14 * np.abs(want) * (half == 0)
            if np.all(near | ~np.isfinite(want)):
                return look
        return self.look.finer(MOST_DIGITS - self.look.digits)

    def _is_leaf(self, node: Node) -> bool:
        """Does a formula stop here: at a name or a constant?"""
        return (bool(node.name) and node not in self.hidden) or node.op in (CONST, INPUT)

    def _inlined(self, root: Node) -> list[Node]:
        """``root`` and what stands in its formula, oldest first: down to names and constants."""
        found = {root}
        stack = [root]
        while stack:
            node = stack.pop()
            if node is root or not self._is_leaf(node):
                new = [x for x in node.inputs if x not in found]
                found.update(new)
                stack.extend(new)
        return sorted(found, key=lambda node: node.born)

    # -- the walk ----------------------------------------------------------------------------------
    def _write(
        self, nodes: list[Node], leaf: Callable[[Node], Formula | None]
    ) -> dict[Node, Formula]:
        """The formulas of all ``nodes``, the last one spelled out even where it has a name."""
        done: dict[Node, Formula] = {}
        for node in nodes:
            known = leaf(node) if node is not nodes[-1] else None
            done[node] = known if known is not None else self._spelled(node, done)
        return done

    def _spelled(self, node: Node, done: Mapping[Node, Formula]) -> Formula:
        if node.op is CONST:
            return self._of(node, self._constant(node))
        operands = [done[x] for x in self._factors(node)]
        if node.op.name == "neg":
            return self._of(node, negated(operands[0].math))
        if node.op.name == "mul":
            operands = [_without_ones(x, node.shape, operands) for x in operands]
        return self._of(node, node.op.notation.write(_by_name(node, operands), node.attrs))

    def _factors(self, node: Node) -> tuple[Node, ...]:
        """The operands as they are written: the local derivative before the δ, as on the slides."""
        if node.op.name == "mul":
            g, local = node.inputs
            if self._is_delta(g) and not self._is_delta(local):
                return local, g
        return node.inputs

    def _is_delta(self, node: Node) -> bool:
        """Is it written as a δ: one with a name, or one that is passed on?"""
        math = Symbol(self.symbols.get(node, "")) if self._is_leaf(node) else self.formula(node)
        return isinstance(math, Symbol) and math.text.startswith("δ")


def _without_ones(x: Formula, shape: tuple[int, ...], factors: list[Formula]) -> Formula:
    """A number times 𝟏 as the number, where another factor has the shape of the product."""
    if not any(y is not x and y.shape == shape for y in factors):
        return x
    inner = x.math.x if isinstance(x.math, Negative) else x.math
    if not isinstance(inner, Product) or inner.right != ONES:
        return x
    return Formula(inner.left if inner is x.math else negated(inner.left), ())


def underlined(numbers: Matrix, places: Any) -> Matrix:
    """The same with some numbers underlined."""
    texts = np.array(numbers.values, object)
    for place in zip(*np.nonzero(places), strict=True):
        texts[place] = "".join(f"{sign}{UNDERLINE}" for sign in texts[place])
    return Matrix(texts)


def as_math(value: Any, look: Numerals = USUAL) -> Math:
    """A number or an array as mathematics."""
    return (
        numeral_math(number(value, look)) if np.shape(value) == () else Matrix(cells(value, look))
    )


def numeral_math(text: str) -> Math:
    """The tree of a numeral: one sign string, or the fraction, root or complex sum that it is."""
    return parse(text) if any(c in text for c in "/√πl ") else Number(text)


def _as_printed(
    nodes: list[Node], shown: set[Node], values: Mapping[Node, Any], look: Numerals
) -> Any:
    """What a reader gets who puts the printed numbers into the formula of the last node."""
    printed: dict[Node, Any] = {}
    for x in nodes[:-1]:
        if x in shown:
            rounded = read(cells(values[x], look)) if x.is_float else values[x]
            printed[x] = np.asarray(rounded, x.dtype)[()]
        else:
            printed[x] = _run(x, printed)
    return np.asarray(_run(nodes[-1], printed), np.float64)


def _run(node: Node, values: Mapping[Node, Any]) -> Any:
    with np.errstate(all="ignore"):  # what is not finite is pointed out elsewhere
        return node.op.run([values[x] for x in node.inputs], node.attrs)


def _by_name(node: Node, operands: list[Any]) -> dict[str, Any]:
    """Operand name -> formula, as templates take them."""
    if node.op.variadic:
        return {node.op.names[0]: operands}
    return dict(zip(node.op.names, operands, strict=True))
