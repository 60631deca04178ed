"""Formulas, written from the notation of each operation: in Unicode or in LaTeX, one code for both.

Arrays stand in a formula as pieces: single private characters that each reading draws as it can.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from allbps.backprop import Term
from allbps.ir import CONST, INPUT, Formula, Node, Precedence
from allbps.readings.numbers import (
    DIGITS,
    MOST_DIGITS,
    cells,
    coefficient,
    is_small,
    last_place,
    number,
    read,
    slices,
)
from allbps.readings.signs import LOWERED, PIECE, RAISED, expand, fenced, latex, symbol_latex

ARRAYS = 0xF0000
"""First piece for an array."""
FRAGMENTS = 0xF8000
"""First piece for LaTeX that an operation wrote itself: a fraction or a root, tall as an array."""
SYMBOLS = 0x100000
"""First piece for the LaTeX of a symbol."""


@dataclass(frozen=True)
class Written:
    """Mathematics in one language.

    Attributes:
        text: Unicode or LaTeX, with a piece for each array.
        arrays: piece -> the array, as the texts of its numbers.

    """

    text: str
    arrays: Mapping[str, Any] = field(default_factory=dict)

    @property
    def inline(self) -> str:
        """The text on one line, arrays as ``[1 2; 3 4]``."""
        return expand(self.text, lambda piece: in_line(self.arrays[piece]))

    @property
    def spelled(self) -> str:
        """LaTeX with its arrays written out."""
        text = re.sub(rf"\\left\(({PIECE})\\right\)", self._in_parentheses, self.text)
        return expand(text, lambda piece: array_latex(self.arrays[piece]))

    def _in_parentheses(self, found: re.Match[str]) -> str:
        """σ of a matrix: one pair of brackets is enough."""
        array = self.arrays[found[1]]
        return array_latex(array, "pmatrix") if np.ndim(array) <= 2 else found[0]


def in_line(value: Any) -> str:
    """An array on one line.

    >>> in_line(np.array([[1.0, 2.0], [3.0, 4.0]]))
    '[1 2; 3 4]'
    """
    matrices = [
        "[" + "; ".join(" ".join(row) for row in cells(part).tolist()) + "]"
        for _, part in slices(value)
    ]
    return " ".join(matrices)


def array_latex(value: Any, environment: str = "bmatrix") -> str:
    r"""A number, a matrix, or labelled matrices side by side.

    >>> array_latex(np.array([[1.0, 0.0], [-0.5, 2.0]]))
    '\\begin{bmatrix} 1.0 & 0 \\\\ -0.5 & 2.0 \\end{bmatrix}'
    """
    if np.shape(value) == ():
        return latex(number(value))
    return r"\quad ".join(_matrix(label, part, environment) for label, part in slices(cells(value)))


def _matrix(label: str, texts: Any, environment: str) -> str:
    rows = r" \\ ".join(" & ".join(map(latex, one)) for one in texts)
    matrix = rf"\begin{{{environment}}} {rows} \end{{{environment}}}"
    return rf"\overset{{{label}}}{{{matrix}}}" if label else matrix


class Writer:
    """Writes formulas over the symbols of one backward pass.

    Args:
        symbols: node -> its symbol, for every node that has a name.
        in_latex: LaTeX, or Unicode.
        digits: significant digits of a value.

    """

    def __init__(self, symbols: Mapping[Node, str], in_latex: bool, digits: int = DIGITS) -> None:
        self.symbols, self.in_latex, self.digits = symbols, in_latex, digits

    def formula(self, node: Node) -> Written:
        """How ``node`` is computed, in symbols."""
        sheet = _Sheet(self.in_latex)
        return sheet.finish(self._write(inlined(node), sheet, self._symbolic(sheet)))

    def substituted(self, node: Node, value_of: Callable[[Node], Any]) -> Written | None:
        """How ``node`` is computed, in numbers; None where an array is too large to print.

        What binds as an atom is shown by its value, and so are a transpose and a sum over axes: a
        mask or pad(…) inside a formula appears as the matrix it is. The numbers have as many
        digits as it takes for the printed equation to be true.
        """
        nodes = inlined(node)
        values: dict[Node, Any] = {}
        for x in nodes[:-1]:
            values[x] = value_of(x) if _is_leaf(x) else _run(x, values)
            if not is_small(values[x]):
                return None
        digits = self._enough(nodes, values, value_of(node)) if node.inputs else self.digits
        sheet = _Sheet(self.in_latex, digits)

        def numeral(x: Node) -> Formula | None:
            return sheet.value(values[x]) if _is_leaf(x) else None

        def settled(x: Node, formula: Formula) -> Formula:
            return sheet.value(values[x]) if _by_value(x, formula.precedence) else formula

        return sheet.finish(self._write(nodes, sheet, numeral, settled))

    def _write(
        self,
        nodes: list[Node],
        sheet: _Sheet,
        leaf: _Leaf,
        settled: Callable[[Node, Formula], Formula] = lambda node, formula: formula,
    ) -> Formula:
        """The formula of the last of ``nodes``."""
        done: dict[Node, Formula] = {}
        for node in nodes[:-1]:
            known = leaf(node)
            if known is None:
                known = settled(node, sheet.fill(node, [done[x] for x in self._factors(node)]))
            done[node] = known
        return sheet.fill(nodes[-1], [done[x] for x in self._factors(nodes[-1])])

    def _factors(self, node: Node) -> tuple[Node, ...]:
        """The operands as they are written: of two numbers the local derivative before the δ."""
        if node.op.name == "mul" and node.shape == ():
            g, local = node.inputs
            if self._is_delta(g) and not self._is_delta(local):
                return local, g
        return node.inputs

    def _is_delta(self, node: Node) -> bool:
        return self.symbols.get(node, "").startswith("δ")

    def _enough(self, nodes: list[Node], values: Mapping[Node, Any], result: Any) -> int:
        """The fewest digits with which a reader who computes what is printed finds the result."""
        shown = cells(result, self.digits)
        want, half = read(shown), 0.5 * last_place(shown)
        for digits in range(self.digits, MOST_DIGITS):
            found = _as_printed(nodes, values, digits)
            with np.errstate(invalid="ignore"):  # ∞ − ∞: what is not finite is not compared
                off = np.abs(found - want)
            if np.all((off <= half * (1 + 1e-9)) | ~np.isfinite(want)):
                return digits
        return MOST_DIGITS

    def value(self, value: Any) -> Written:
        """A number, or one array."""
        sheet = _Sheet(self.in_latex, self.digits)
        return sheet.finish(sheet.value(value))

    def phrase(self, template: str, **nodes: Node) -> Written:
        """``template`` with the symbols of nodes: ``"∂{L}/∂{x}"``."""
        sheet = _Sheet(self.in_latex)
        leaf = self._symbolic(sheet)
        filled = template.format(**{name: leaf(node) for name, node in nodes.items()})
        return sheet.finish(Formula(filled))

    def local_derivative(self, term: Term) -> Written:
        """The *because* of a contribution: ∂Z₄/∂Z₃ = W₂ᵀ."""
        sheet = _Sheet(self.in_latex)
        leaf = self._symbolic(sheet)
        consumer, because = term.consumer, term.rule.because
        named = _by_name(consumer, [leaf(x) for x in consumer.inputs])
        filled = {**named, "y": leaf(consumer), **consumer.attrs}
        if isinstance(because, str):
            return sheet.finish(Formula(because.format(**filled)))
        if consumer.op.variadic:
            filled["index"] = term.index
        return sheet.finish(Formula(because(**filled)))

    def _symbolic(self, sheet: _Sheet) -> _Leaf:
        def leaf(node: Node) -> Formula | None:
            if node in self.symbols:
                return sheet.symbol(self.symbols[node], node.shape)
            return sheet.constant(node.value) if node.op is CONST else None

        return leaf


# -- what stands in a formula ----------------------------------------------------------------------
_LOW, _HIGH = frozenset(LOWERED), frozenset(RAISED)
_Leaf = Callable[[Node], Formula | None]


def _is_leaf(node: Node) -> bool:
    return bool(node.name) or node.op in (CONST, INPUT)


def inlined(root: Node) -> list[Node]:
    """``root`` and what stands in its formula, oldest first: down to names and constants."""
    found = {root}
    stack = [root]
    while stack:
        node = stack.pop()
        if node is root or not _is_leaf(node):
            new = [x for x in node.inputs if x not in found]
            found.update(new)
            stack.extend(new)
    return sorted(found, key=lambda node: node.born)


def _by_value(node: Node, precedence: int) -> bool:
    """Does a part of a formula in numbers appear as its value?"""
    atom = precedence >= Precedence.ATOM and any(z.ndim for z in node.inputs)
    smaller = node.size < max(z.size for z in node.inputs)
    return atom or smaller or node.op.name == "transpose"


def _as_printed(nodes: list[Node], values: Mapping[Node, Any], digits: int) -> Any:
    """What a reader gets who puts the printed numbers into the formula of the last node."""
    printed: dict[Node, Any] = {}
    for x in nodes[:-1]:
        if _is_leaf(x) or _by_value(x, x.op.notation.precedence):
            rounded = read(cells(values[x], digits)) if x.is_float else values[x]
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


class _Sheet:
    """The pieces of one formula and what they stand for."""

    def __init__(self, in_latex: bool, digits: int = DIGITS) -> None:
        self.in_latex, self.digits = in_latex, digits
        self.arrays: dict[str, Any] = {}
        self.latex: dict[str, str] = {}

    # -- leaves ------------------------------------------------------------------------------------
    def symbol(self, symbol: str, shape: tuple[int, ...]) -> Formula:
        """The name of a variable."""
        precedence = Precedence.LETTER
        if symbol[0] == "δ" or not _LOW.isdisjoint(symbol):
            precedence = Precedence.ATOM
        if not _HIGH.isdisjoint(symbol):
            precedence = Precedence.POWER
        text = self._piece(SYMBOLS, symbol_latex(symbol)) if self.in_latex else symbol
        return Formula(text, precedence, shape)

    def value(self, value: Any) -> Formula:
        """A number as digits, an array as a piece."""
        if np.shape(value) == ():
            return _numeral(number(value, self.digits))
        piece = chr(ARRAYS + len(self.arrays))
        self.arrays[piece] = cells(value, self.digits)
        return Formula(piece, Precedence.LETTER, np.shape(value))

    def constant(self, value: Any) -> Formula:
        """A number or array that belongs to the formula itself."""
        return _numeral(coefficient(value)) if np.shape(value) == () else self.value(value)

    def _piece(self, first: int, meaning: str) -> str:
        piece = chr(first + len(self.latex))
        self.latex[piece] = meaning
        return piece

    # -- operations --------------------------------------------------------------------------------
    def fill(self, node: Node, operands: list[Formula]) -> Formula:
        """The notation of an operation with its operands put in."""
        if node.op is CONST:
            return self.constant(node.value)
        notation, name = node.op.notation, node.op.name
        text = notation.render(notation.text, _by_name(node, operands), node.attrs)
        if isinstance(text, Formula):
            return replace(text, shape=node.shape)
        if self.in_latex and notation.latex is not None:
            own = [self._own_latex(operand) for operand in operands]
            written = notation.render(notation.latex, _by_name(node, own), node.attrs)
            text = self._piece(FRAGMENTS, str(written))
        return Formula(text, notation.precedence, node.shape, op=name)

    def _own_latex(self, formula: Formula) -> _LatexFormula:
        text = self._spelled(latex(formula.text))
        return _LatexFormula(text, formula.precedence, formula.shape, formula.is_number, formula.op)

    def _spelled(self, text: str) -> str:
        """LaTeX with only the arrays left as pieces."""
        return expand(text, lambda piece: self.latex.get(piece, piece))

    def finish(self, formula: Formula) -> Written:
        text = self._spelled(latex(formula.text)) if self.in_latex else formula.text
        return Written(text, self.arrays)


class _LatexFormula(Formula):
    """A formula that is LaTeX already, with parentheses that grow."""

    def __format__(self, spec: str) -> str:
        loose = spec and self.precedence < int(spec)
        return fenced(self.text) if loose else self.text


def _numeral(text: str) -> Formula:
    precedence = Precedence.ATOM
    if "·" in text:
        precedence = Precedence.PRODUCT
    if text.startswith("−"):
        precedence = Precedence.NEGATION
    return Formula(text, precedence, (), is_number=True)
