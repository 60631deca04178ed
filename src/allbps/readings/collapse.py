"""Where the pieces of a hand-written loss collapse: δz = (p − y) / n behind softmax and log.

A chain of local derivatives hides what a person knows about the whole. The closed form is looked
for among the differences of two values and kept only where it is still true after everything else
in the net has moved.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from allbps.backward import Backward
from allbps.ir import CONST, INPUT, Node, ancestors
from allbps.noise import SHORT, is_short, run_nodes

CLOSE = 1e-9
NOTHING = 1e-3
"""Numbers up to this do not show whether they belong into the formula."""
MOVES = 2
"""So often everything else is moved."""
HIGHEST, MOST = 4, SHORT
"""The largest k and m in k (p − y) / m."""


@dataclass(frozen=True)
class Collapse:
    """δ of ``primal`` is ``k (found − ideal) / m``, whatever the rest of the net is.

    Attributes:
        found: a value that ``primal`` leads to, or ``primal`` itself.
        ideal: what it is compared with: an argument or a constant.
        onehot: is ``ideal`` a vector of class indices, compared as rows of 0 and 1?
        factor: k / m.
    """

    found: Node
    ideal: Node
    onehot: bool
    factor: Fraction

    def template(self) -> str:
        """How it is written, of ``p`` and ``y``."""
        ideal = "onehot({y})" if self.onehot else "{y}"
        k, m = self.factor.numerator, self.factor.denominator
        if (k, m) == (1, 1):
            return f"{{p}} − {ideal}"
        return (f"{k} " if k > 1 else "") + f"({{p}} − {ideal})" + (f" / {m}" if m > 1 else "")


class Collapses:
    """The closed forms of a backward pass.

    Args:
        backward: the graph with its δ nodes, of one scalar loss.
        values: every number by name.
        shown: the values that may appear in a closed form.
    """

    def __init__(
        self, backward: Backward, values: Mapping[str, Any], shown: Iterable[Node]
    ) -> None:
        self.backward = backward
        nodes = [node for node in shown if node.is_float and not node.is_complex]
        self.shown = nodes
        roots = [delta.node for delta in backward.deltas.values()]
        self.order = ancestors((*backward.traced.graph.outputs, *roots))
        self.given = {x: values[x.name] for x in self.order if x.op is INPUT and x.name in values}
        self.is_small = is_short(self.order)
        self.leaves = [x for x in self.order if x.op in (INPUT, CONST) and x.name]
        self._runs: dict[tuple[Node | None, int], Mapping[Node, Any]] = {}
        self._tables: dict[tuple[int, ...], tuple[list[Node], np.ndarray[Any, Any]]] = {}

    def of(self, primal: Node) -> Collapse | None:
        """The closed form of δ of that value; None where none was found."""
        if not self.is_small or not primal.is_float or primal.is_complex:
            return None
        delta = self.backward.deltas[primal].node
        after: set[Node] | None = None
        for ideal, onehot in self._ideals(primal.shape):
            for found in self._near(delta, primal.shape, ideal, onehot):
                after = _after(primal, self.order) if after is None else after
                if ideal is primal or ideal in after or not (found is primal or found in after):
                    continue
                factor = self._factor(delta, found, ideal, onehot)
                if factor is not None:
                    return Collapse(found, ideal, onehot, factor)
        return None

    def _ideals(self, shape: tuple[int, ...]) -> Iterator[tuple[Node, bool]]:
        """What a value of that shape may be compared with."""
        for x in self.leaves if shape else ():
            if x.shape == shape:
                yield x, False
            elif x.dtype.kind in "iu" and x.shape == shape[:-1] and x.ndim == 1:
                yield x, True

    def _near(
        self, delta: Node, shape: tuple[int, ...], ideal: Node, onehot: bool
    ) -> Iterator[Node]:
        """The values that differ from the ideal by a multiple of δ, at the numbers as given."""
        values = self._run(ideal, 0)
        compared = _compared(values[ideal], shape, onehot)
        if compared is None:
            return
        candidates, table = self._of_shape(shape)
        off = table - compared.ravel()  # (candidates, numbers)
        slope = np.asarray(values[delta], np.float64).ravel()
        with np.errstate(all="ignore"):
            factors = off @ slope / np.sum(off * off, axis=1)
            apart = np.max(np.abs(slope - factors[:, None] * off), axis=1, initial=0.0)
        near = apart <= CLOSE * np.max(np.abs(slope), initial=0.0)
        yield from (candidates[k] for k in np.flatnonzero(near))

    def _of_shape(self, shape: tuple[int, ...]) -> tuple[list[Node], np.ndarray[Any, Any]]:
        """The shown values of that shape, and their numbers as rows."""
        if shape not in self._tables:
            nodes = [node for node in self.shown if node.shape == shape]
            values = self._run(None, 0)
            rows = [np.asarray(values[x], np.float64).ravel() for x in nodes]
            size = int(np.prod(shape))
            self._tables[shape] = nodes, np.array(rows).reshape(len(rows), size)
        return self._tables[shape]

    def _factor(self, delta: Node, found: Node, ideal: Node, onehot: bool) -> Fraction | None:
        """The same simple factor as given and after each move; None where there is none."""
        factor = None
        for move in range(MOVES + 1):
            values = self._run(ideal, move)
            compared = _compared(values[ideal], found.shape, onehot)
            if compared is None:
                return None
            now = _ratio(np.asarray(values[delta]), np.asarray(values[found]) - compared)
            if now is None or factor not in (None, now):
                return None
            factor = now
        return factor

    def _run(self, still: Node | None, move: int) -> Mapping[Node, Any]:
        """Every value after that move of all arguments but one; the numbers as given for 0."""
        key = still if move else None, move
        if key not in self._runs:
            rng = np.random.default_rng(move)
            given = {
                x: _moved(value, rng) if move and x is not still else value
                for x, value in self.given.items()
            }
            self._runs[key] = run_nodes(self.order, given)
        return self._runs[key]


def _compared(ideal: Any, shape: tuple[int, ...], onehot: bool) -> np.ndarray[Any, Any] | None:
    """The ideal values in that shape; None where they are 0 or a class index is out of range."""
    array = np.asarray(ideal)
    if not onehot:
        return array if np.max(np.abs(array), initial=0.0) > NOTHING else None
    if array.size == 0 or array.min() < 0 or array.max() >= shape[-1]:
        return None
    rows: np.ndarray[Any, Any] = np.eye(shape[-1])[array]
    return rows


def _after(primal: Node, order: Iterable[Node]) -> set[Node]:
    """Everything that depends on it."""
    found = {primal}
    for node in order:
        if any(x in found for x in node.inputs):
            found.add(node)
    return found - {primal}


def _moved(value: Any, rng: np.random.Generator) -> Any:
    array = np.asarray(value)
    if array.dtype.kind != "f":
        return value
    factor, shift = rng.uniform(-0.2, 0.2, (2, *array.shape))
    return (array * (1 + factor) + shift).astype(array.dtype)[()]  # zeros move too


def _ratio(delta: np.ndarray[Any, Any], difference: np.ndarray[Any, Any]) -> Fraction | None:
    """δ / difference where that is one simple positive fraction for all elements."""
    length = float(np.sum(difference * difference))
    if not (np.isfinite(length) and length > 0 and np.all(np.isfinite(delta))):
        return None
    exact = float(np.sum(delta * difference)) / length
    factor = Fraction(exact).limit_denominator(MOST)
    if not 1 <= factor.numerator <= HIGHEST:
        return None
    off = np.max(np.abs(delta - float(factor) * difference))
    return factor if off <= CLOSE * np.max(np.abs(delta)) else None
