"""How statements and expressions of the graph are named in a message."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial

from allbps.backprop import Delta, Term
from allbps.ir import CONST, Node, Rule
from allbps.names import is_numbered
from allbps.readings.dialect import NUMPY, expression, tidy
from allbps.readings.literals import Likes

LONGEST = 60


def edges_of(delta: Delta) -> tuple[str, ...]:
    """One text for each use that a δ comes through: ``d_relu, from Z3 = np.maximum(Z2, 0)``."""
    return tuple(_edge(term) for term in delta.terms)


def _edge(term: Term) -> str:
    rule = term.rule.build.__name__ if isinstance(term.rule, Rule) else "no rule"
    return f"{rule}, from {statement(term.consumer)}"


PLAIN = Likes(NUMPY, {}, "")
"""Constants as NumPy has them."""


def statement(node: Node) -> str:
    """What computes a value: ``Z3 = np.maximum(Z2, 0)``."""
    return _assigned(node, [x.name or code_of(x) for x in node.inputs])


def line_of(node: Node) -> str:
    """What computes a value, as a person would write it: ``Z3 = np.maximum(X @ W, 0)``."""
    return _assigned(node, [code_of(x) for x in node.inputs])


def _assigned(node: Node, operands: list[str]) -> str:
    return tidy(f"{node.name} = {expression(node, operands, NUMPY)}")


def code_of(node: Node) -> str:
    """A value as a person would write it: its name, or the expression that gives it.

    Values that the person never named are written out, unless that gets long.
    """
    texts: dict[Node, str] = {}
    for x in _inner(node):
        if x.op is CONST:
            texts[x] = x.name or (PLAIN.literal(x) if x.size <= 4 else "constant")
        elif not x.inputs or (x.name and not is_numbered(x.name)):
            texts[x] = "δ" if is_numbered(x.name[1:]) else x.name  # of a value without a name
        else:
            text = tidy(expression(x, [texts[i] for i in x.inputs], NUMPY))
            texts[x] = text if len(text) <= LONGEST else x.name or "…"
            if texts[x] == "…":
                texts[x] = f"{x.op.name}(...)"
    return texts[node]


def _inner(node: Node) -> list[Node]:
    """``node`` and what it is computed from down to the person's names, oldest first."""
    stack, seen = [node], {node}
    while stack:
        x = stack.pop()
        if not x.name or is_numbered(x.name):
            new = [i for i in x.inputs if i not in seen]
            seen.update(new)
            stack.extend(new)
    return sorted(seen, key=lambda x: x.born)


def name_of(primal: Node) -> str:
    """A primal in a sentence: its name, or the person's expression for it."""
    return code_of(primal) if is_numbered(primal.name) else primal.name


def delta_name(primal: Node) -> str:
    """δ of a primal in a sentence: ``δZ1``, ``δ(Q @ K.T)``."""
    text = name_of(primal)
    return f"δ{text}" if text.isidentifier() else f"δ({text})"


def timeless(text: str, turn: str = "") -> str:
    """A text without the numbers that tell the turns of a loop apart: ``h`` for ``h_2``.

    Args:
        text: about what happened in one turn.
        turn: which it was, ``k = 2``: an index ``[2]`` is ``[k]``, and ``[3]`` is ``[k+1]``.

    >>> timeless("h_2 is used instead of h_1, W1 is not")
    'h is used instead of h, W1 is not'
    >>> timeless("h_2 @ X[2, 0] - g[3]", "k = 2")
    'h @ X[k, 0] - g[k+1]'
    """
    name, _, count = turn.partition(" = ")
    if count.isdigit():
        near = {int(count) + by: f"{name}{by:+d}" if by else name for by in (-1, 0, 1)}
        text = re.sub(
            r"\[[^\[\]]*\]",
            lambda index: re.sub(r"(?<![\w.-])\d+(?![\w.])", partial(_in_turn, near), index[0]),
            text,
        )
    return re.sub(r"(?<=[^\W_])_\d+\b", "", text)


def _in_turn(near: Mapping[int, str], number: re.Match[str]) -> str:
    return near.get(int(number[0]), number[0])
