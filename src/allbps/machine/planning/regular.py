"""Are matrices that are inverted regular, and those that are factorised positive definite?

Where NumPy would raise an error, a truth value that the step works out beside everything else is
false, the step counts for nothing, and the function, run on these arguments, raises it.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce

from allbps.ir import Node, ancestors, placed_at
from allbps.ops.comparison import equal, logical_and, not_equal
from allbps.ops.linalg import signdet
from allbps.ops.questions import all_of

LARGE = 128
"""Rows of the largest matrix that a kernel takes; LAPACK's blocks are faster with larger ones."""


def regular(wanted: Iterable[Node]) -> Node | None:
    """Can all matrices be solved with, inverted or factorised? None where there are none."""
    asked: dict[Node, Node] = {}
    for node in ancestors(wanted):
        if node.op.name not in ("solve", "inv", "cholesky") or not node.is_float:
            continue
        matrix = node.inputs[0]
        if matrix.shape[-1] <= LARGE and node.size:
            with placed_at(node.site):
                if node.op.name == "cholesky":
                    asked[node] = all_of(equal(node, node))
                elif matrix not in asked:
                    asked[matrix] = all_of(not_equal(signdet(matrix), 0.0))
    return reduce(logical_and, asked.values()) if asked else None
