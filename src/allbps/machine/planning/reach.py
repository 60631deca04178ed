"""Do indices that are worked out stay inside of their axes?

A kernel never reads outside of an array, whatever its index says. Where NumPy would refuse an
index, a truth value that the step works out beside everything else is false, the step counts for
nothing, and the function, run on these arguments, says what is wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import reduce

from allbps.ir import CONST, Node, ancestors, placed_at
from allbps.machine.planning.substitutes import is_argument
from allbps.ops.comparison import logical_and
from allbps.ops.index import Parts
from allbps.ops.questions import all_of

INDEXED = ("getitem", "put", "put_add")


def inside(wanted: Iterable[Node], replaced: Iterable[Node]) -> Node | None:
    """Are all numbers of the indices within their axes? None where nothing needs to be asked.

    Args:
        wanted: what is worked out.
        replaced: lookups of rows for which something else stands, so that nobody looks at their
            arguments beforehand.

    """
    asked: dict[tuple[Node, int], Node] = {}
    others = set(replaced)
    for node in ancestors(wanted):
        if node.op.name not in INDEXED or (is_trusted(node) and node not in others):
            continue
        for index, length in _lengths(node):
            if (index, length) not in asked and index.op is not CONST:
                with placed_at(node.site):
                    within = logical_and(index >= -length, index < length)
                    asked[index, length] = all_of(within)
    return reduce(logical_and, asked.values()) if asked else None


def is_trusted(node: Node) -> bool:
    """Rows of a matrix of real numbers at an argument, which is looked at before a step."""
    if node.op.name not in ("getitem", "put_add") or len(node.inputs) != 2 or not node.is_float:
        return False
    table = node.inputs[0].shape if node.op.name == "getitem" else node.shape
    index = node.inputs[1]
    rows = node.attrs["parts"] == ("array",) and len(table) == 2
    return rows and index.dtype == "int64" and is_argument(index)


def _lengths(node: Node) -> Iterator[tuple[Node, int]]:
    """Each array of whole numbers in an index, and the length of the axis that it goes along."""
    arrays = node.inputs[2:] if node.op.name == "put" else node.inputs[1:]
    shape = node.shape if node.op.name == "put_add" else node.inputs[0].shape
    yield from _pairs(node.attrs["parts"], arrays, shape)


def _pairs(
    parts: Parts, arrays: Sequence[Node], shape: tuple[int, ...]
) -> Iterator[tuple[Node, int]]:
    waiting = iter(arrays)
    known = [next(waiting) if part == "array" else None for part in parts]
    widths = [
        0 if part is None or part is Ellipsis else 1 if array is None else _along(array)
        for part, array in zip(parts, known, strict=True)
    ]
    axis = 0
    for part, array, width in zip(parts, known, widths, strict=True):
        if array is not None and array.dtype.kind in "iu":
            yield array, shape[axis]
        axis += len(shape) - sum(widths) if part is Ellipsis else width


def _along(array: Node) -> int:
    """How many axes an array of an index goes along: a mask along as many as it has."""
    return array.ndim if array.dtype.kind == "b" else 1
