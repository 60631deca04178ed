"""A net of hundreds of values or more: its pieces, closed, to be opened one by one.

Everything is in the file as text, so that it reads and can be searched without script; the script
only opens the pieces around a name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

import numpy as np

from allbps.backward import Backward
from allbps.page.heat import heat
from allbps.readings.derivation import Derivation, Step
from allbps.readings.pieces import Piece, pieces

LARGE = 250
"""Nets of more values than this are shown in pieces."""
SHOWN = 8
"""Arrays of so many numbers are printed."""
MOST_HEATED = 200
"""Arrays that get a heat map, so that a page does not grow without bound."""


def is_large(backward: Backward) -> bool:
    """Is this net shown in pieces?"""
    return len(backward.traced.graph.nodes) > LARGE


def in_pieces(
    backward: Backward, derivation: Derivation, verdicts: Mapping[str, str], *, plain: bool = False
) -> str:
    """The derivation as closed pieces; box k of the overview links to ``part-k``.

    Args:
        backward: the graph with its δ nodes.
        derivation: its steps; values without a step stand in the formulas of others.
        verdicts: name of a δ -> what the judges said of it.
        plain: the pieces stand open, and no array has a picture.
    """
    return _Author(backward, derivation, verdicts, plain).text()


class _Author:
    def __init__(
        self, backward: Backward, derivation: Derivation, verdicts: Mapping[str, str], plain: bool
    ) -> None:
        self.backward, self.derivation, self.verdicts = backward, derivation, verdicts
        self.deltas = backward.traced.deltas
        self.most_heated, self.open = (0, ' open="open"') if plain else (MOST_HEATED, "")
        self.heated = 0
        self.contributions: dict[str, list[Step]] = {}
        steps = {step.name: step for step in derivation if step.kind != "given"}
        for delta in backward.steps:
            for term in delta.terms if len(delta.terms) > 1 else ():
                own = self.contributions.setdefault(term.consumer.name, [])
                own += [steps[term.node.name]] if term.node.name in steps else []
        self.steps = steps

    def text(self) -> str:
        graph = self.backward.traced.graph
        parts = pieces([node for node in graph.nodes if node.inputs])
        given = [step for step in self.derivation if step.kind == "given"]
        deltas = (self.deltas[x.name] for x in graph.inputs)
        own = [self.steps[name] for name in deltas if name in self.steps]
        content = "".join(map(self.step, [*given, *own]))
        shown = [
            f'<details class="piece"{self.open} id="part-0"><summary>Given</summary>'
            f"{content}</details>"
        ]
        shown += [self.piece(part, f"part-{k}") for k, part in enumerate(parts, 1)]
        return "\n".join(shown)

    def piece(self, piece: Piece, name: str = "") -> str:
        """One piece and, inside of it, its parts; as deep as there are bundles of bundles."""
        inner = "".join(map(self.piece, piece.parts)) or "".join(self.leaf(piece))
        count = len(piece.nodes)
        named = f' id="{name}"' if name else ""
        return (
            f'<details class="piece"{self.open}{named}><summary>{escape(piece.label)}'
            f" <small>{count} value{'s' * (count != 1)}</small></summary>{inner}</details>"
        )

    def leaf(self, piece: Piece) -> Iterator[str]:
        """The values of a piece forward, then their δ backward."""
        shown = (self.steps[node.name] for node in piece.nodes if node.name in self.steps)
        yield from map(self.step, shown)
        for node in reversed(piece.nodes):
            if self.deltas.get(node.name) in self.steps:
                yield self.step(self.steps[self.deltas[node.name]])
            yield from map(self.step, self.contributions.get(node.name, ()))

    def step(self, step: Step) -> str:
        """One line: formula = value, because; with a picture of a large array."""
        because = f" <i>because {escape(step.because)}</i>" if step.because else ""
        said = self.verdicts.get(step.name, "")
        verdict = f" <small>{escape(said)}</small>" if said else ""
        back = "back" if step.kind in ("seed", "contribution", "delta") else step.kind
        return (
            f'<p class="{back}" data-name="{escape(step.name)}">'
            f"{escape(step.formula or step.symbol)}"
            f" = {escape(_short(step.value))}{because}{verdict}{self.picture(step)}</p>"
        )

    def picture(self, step: Step) -> str:
        if not step.summary or self.heated >= self.most_heated:
            return ""
        self.heated += 1
        return heat(step.value, step.symbol)


def _short(value: Any) -> str:
    """A few numbers, or what there is to say of many.

    >>> _short(np.array([[0.5, -1.0]])), _short(np.arange(100.0))
    ('[0.5 −1]', 'shape (100,), from 0 to 99')
    """
    array = np.asarray(value)
    if array.size > SHOWN:
        low, high = array.min(), array.max()
        return f"shape {array.shape}, from {low:.4g} to {high:.4g}".replace("-", "−")
    texts = [f"{x:.4g}" for x in array.flat]
    if array.ndim == 0:
        return texts[0].replace("-", "−")
    columns = array.shape[-1]
    rows = [" ".join(texts[k : k + columns]) for k in range(0, len(texts), columns)]
    return f"[{'; '.join(rows)}]".replace("-", "−")
