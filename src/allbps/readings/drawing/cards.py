"""What the picture shows of each value: a card with its symbol, its number and its δ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from allbps.backprop import Term
from allbps.backward import Backward
from allbps.ir import CONST, INPUT, Node
from allbps.mathematics.arrays import in_line
from allbps.readings.drawing.measure import text_width
from allbps.readings.formula import Writer
from allbps.readings.granularity import holder
from allbps.readings.numbers import Numerals, cells, is_small, number, summary

PADDING, LINE, GRID_LINE = 9.0, 18.0, 15.0
COLUMN_GAP, BRACKET = 8.0, 5.0
SMALLEST = 36.0
LONGEST = 30
"""Characters of a formula on a card; the whole one is in the tooltip."""
GRID_ROWS, GRID_WIDTH, GRID = 5, 230.0, Numerals(digits=3)
"""Arrays within these bounds are shown number by number, larger ones by their shape."""
DETAILED = 16
"""In a picture of more cards than this, arrays are shown by their shape alone."""

Grid = tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Row:
    """One row of a card: ``δZ₁ = −2``.

    Attributes:
        symbol: set in bold.
        text: what follows.
        grid: the numbers of a small array after the text; empty for none.

    """

    symbol: str
    text: str
    grid: Grid = ()

    @property
    def width(self) -> float:
        """In pixels."""
        room = sum(column_widths(self.grid)) + 2 * BRACKET if self.grid else 0.0
        return self.text_width + room

    @property
    def text_width(self) -> float:
        """In pixels, without the grid."""
        return text_width(self.symbol, bold=True) + text_width(self.text)

    @property
    def height(self) -> float:
        """In pixels."""
        return max(LINE, GRID_LINE * len(self.grid) + 5.0)


def column_widths(grid: Grid) -> list[float]:
    """One for each column, with the gap between columns."""
    return [max(map(text_width, column)) + COLUMN_GAP for column in zip(*grid, strict=True)]


@dataclass(frozen=True)
class Card:
    """What stands in one box.

    Attributes:
        node: the value.
        kind: "given", "wanted" (its δ was asked for), "computed" or "result".
        rows: the value.
        delta: its δ; None where there is none.
        tooltip: formulas, numbers and reasons in full, with the user's line.

    """

    node: Node
    kind: str
    rows: tuple[Row, ...]
    delta: Row | None
    tooltip: str

    @property
    def width(self) -> float:
        """In pixels."""
        rows = [*self.rows, *([self.delta] if self.delta else [])]
        return 2 * PADDING + max(SMALLEST, *(row.width for row in rows))

    @property
    def height(self) -> float:
        """In pixels."""
        return self.upper + self.lower

    @property
    def upper(self) -> float:
        """Height of the part that shows the value."""
        return PADDING + sum(row.height for row in self.rows)

    @property
    def lower(self) -> float:
        """Height of the part that shows the δ."""
        return self.delta.height + PADDING if self.delta else PADDING / 2


def grid_of(value: Any) -> Grid:
    """A small matrix or vector as texts; empty for other arrays.

    >>> grid_of(np.eye(2)), grid_of(np.zeros((3, 20)))
    ((('1', '0'), ('0', '1')), ())
    """
    if not 1 <= np.ndim(value) <= 2 or not is_small(value):
        return ()
    texts = np.atleast_2d(cells(value, GRID))
    grid = tuple(tuple(row) for row in texts.tolist())
    fits = len(grid) <= GRID_ROWS and sum(column_widths(grid)) <= GRID_WIDTH
    return grid if fits else ()


def row_of(symbol: str, value: Any, detailed: bool) -> Row:
    """``W₁ = 0.25``, ``W₁ = `` with its grid, or ``W₁ 3×20`` with its shape."""
    if np.ndim(value) == 0:
        return Row(symbol, f" = {number(value)}")
    if detailed:
        return Row(symbol, " = ", grid_of(value))
    lengths = np.shape(value)  # a single one in brackets, or it would read as the value
    shape = "×".join(map(str, lengths)) if len(lengths) > 1 else f"({lengths[0]})"
    return Row(symbol, f" {shape}")


class Dealer:
    """Makes the cards of one backward pass.

    Args:
        backward: the graph with its δ nodes.
        values: every number by name.
        symbols: node -> how it is written.
        only: these values and what they are computed from have cards; all where None.
        hidden: these have none: they stand in the formulas of others.

    """

    def __init__(
        self,
        backward: Backward,
        values: Mapping[str, Any],
        symbols: Mapping[Node, str],
        only: Set[Node] | None = None,
        hidden: frozenset[Node] = frozenset(),
    ) -> None:
        self.only, self.hidden = only, hidden
        self.backward, self.values, self.symbols = backward, values, symbols
        self.pen = Writer(symbols, hidden=hidden)
        self.outputs = set(backward.traced.graph.outputs)
        self.wanted = set(backward.wrt)
        self.unreached = set(backward.unreached)

    @cached_property
    def shown(self) -> tuple[Node, ...]:
        """The values with a card of their own, arguments nobody uses first."""
        graph = self.backward.traced.graph
        unused = [x for x in graph.inputs if x not in graph.users]
        named = [
            node
            for node in (*unused, *graph.nodes)
            if node in self.symbols and node not in self.hidden
        ]
        if self.only is None:
            return tuple(named)
        wanted = {*self.only, *(x for node in self.only for x in node.inputs)}
        return tuple(node for node in named if node in wanted)

    def card(self, node: Node) -> Card:
        """The card of one value."""
        detailed = self.is_detailed(node)
        return Card(
            node=node,
            kind=self.kind(node),
            rows=self.rows(node, detailed),
            delta=self.delta(node, detailed),
            tooltip="\n".join(self.told(node)),
        )

    def is_detailed(self, node: Node) -> bool:
        """Are both the value and its δ shown number by number?"""
        delta = self.backward.deltas.get(node)
        arrays = [self.value(x) for x in (node, delta.node if delta else node)]
        return len(self.shown) <= DETAILED and all(grid_of(array) for array in arrays)

    def kind(self, node: Node) -> str:
        """What its frame looks like."""
        if node in self.outputs:
            return "result"
        if node.op not in (INPUT, CONST):
            return "computed"
        return "wanted" if node in self.wanted else "given"

    def rows(self, node: Node, detailed: bool) -> tuple[Row, ...]:
        """``W₁ = 0.5``, or ``Z₁ = X W₁`` with its number below."""
        row = row_of(self.symbols[node], self.value(node), detailed)
        if node.op in (INPUT, CONST):
            return (row,)
        how = self.pen.formula(node).inline
        short = how if len(how) <= LONGEST else f"{how[: LONGEST - 1]}…"
        below = Row("", row.text.lstrip(), row.grid)
        return Row(self.symbols[node], f" = {short}"), below

    def delta(self, node: Node, detailed: bool) -> Row | None:
        """``δZ₁ = −2``."""
        if node in self.unreached:
            return Row(f"δ{self.symbols[node]}", " = 0")
        delta = self.backward.deltas.get(node)
        if delta is None:
            return None
        return row_of(self.symbols[delta.node], self.value(delta.node), detailed)

    def contribution(self, term: Term) -> str:
        """What one of several uses adds: ``δx₁ = 4``, ``δW₁`` for an array."""
        value = f" = {number(self.value(term.node))}" if term.node.shape == () else ""
        return self.symbols[term.node] + value

    def value(self, node: Node) -> Any:
        """Its number or array."""
        return node.value if node.op is CONST else self.values[node.name]

    def told(self, node: Node) -> Iterator[str]:
        """The lines of the tooltip."""
        yield self.equation(node)
        delta = self.backward.deltas.get(node)
        if delta is not None:
            yield self.equation(delta.node)
            many = len(delta.terms) > 1
            for term in delta.terms:
                reason = self.reason(term)
                yield (
                    f"{self.equation(term.node)}, because {reason}"
                    if many
                    else (f"because {reason}")
                )
        elif node in self.unreached:
            yield f"δ{self.symbols[node]} = 0, because no result depends on {self.symbols[node]}"
        if node.site:
            yield str(node.site)

    def reason(self, term: Term) -> str:
        """∂Z₄/∂Z₃ = W₂ᵀ; of a use inside of a formula, that formula."""
        if term.consumer not in self.hidden:
            return self.pen.local_derivative(term).inline
        user = self.user(term.consumer)
        return f"{self.symbols[user]} = {self.pen.formula(user).inline}"

    def user(self, node: Node) -> Node:
        """The value with a card into whose formula a hidden one goes; itself, if it has a card."""
        return holder(self.backward, node, self.hidden)

    def equation(self, node: Node) -> str:
        """``Z₁ = X W₁ = 1``."""
        value = self.value(node)
        shown = number(value) if np.ndim(value) == 0 else in_line(cells(value))
        told = f" = {shown}" if is_small(value) else f": {summary(value)}"
        how = f" = {self.pen.formula(node).inline}" if node.op not in (INPUT, CONST) else ""
        return f"{self.symbols[node]}{how}{told}"
