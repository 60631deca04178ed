"""Inside an operation: which numbers meet in one element of a result, and the sum written out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any

import numpy as np

from allbps.ir import Node
from allbps.mathematics.visit import matrices
from allbps.readings.derivation import Derivation, Step
from allbps.readings.numbers import cells
from allbps.readings.paths import PATHS, Told, factor, pair, products, through

Cells = list[list[int]]
"""For each operand that is shown as a matrix, the places that take part, counted row by row."""
Look = Callable[[Node, list[Any], tuple[int, ...]], Cells]


def inside(derivation: Derivation) -> dict[str, Any]:
    """Name of a step -> for each element of its result the places that meet, and how it is written.

    As far as operands and result are shown number by number. Beside the places and the text an
    element may have a table: the rows of a softmax' Jacobian, the pieces of a loss.
    """
    return {step.name: seen for step in derivation if (seen := _seen(step))}


LONGEST = 12
"""A sum of more products is not written out in a text."""


def first_element(step: Step) -> str:
    """``J(1, 1) = 1·1 + 2·3 + … = 17``; empty where no element is a short sum of products."""
    node = step.node
    if node is None or node.op.name not in ("matmul", "conv2d") or np.size(step.value) < 2:
        return ""
    seen = _seen(step, 1)
    is_short = seen and seen[0]["parts"] and len(seen[0]["parts"][0]) <= LONGEST
    return seen[0]["said"] if is_short else ""


def _seen(step: Step, most: int | None = None) -> list[dict[str, Any]]:
    """The elements of a result, as many as asked for, each with the places that meet in it."""
    if step.node is None or step.summary or not 1 <= np.ndim(step.value) <= 2:
        return []
    before = step.numbers()[:-1]
    shown = [np.asarray(matrix.values, object) for x in before for matrix in matrices(x)]
    texts = np.asarray(cells(step.value, step.pen.look), object)
    use = step.term.consumer.op.name if step.term else ""
    path = PATHS.get((use, step.term.index)) if step.term else None
    if path is not None:
        return _along(step, path, shown, texts, most)
    if step.node.op.name in LOOKS and before:
        return _written(step, step.node, shown, texts, most)
    return []


def _along(
    step: Step, path: Callable[..., Told], shown: list[Any], texts: Any, most: int | None
) -> list[dict[str, Any]]:
    """Each element of a δ by the paths that lead to it."""
    via = through(step)
    if via is None or via.x.shape != texts.shape:
        return []
    found = []
    for place in islice(np.ndindex(texts.shape), most):
        told = path(via, place, str(texts[place]))
        if told.won is not None:
            parts = [told.won if x.size == via.y.size else [] for x in shown]
        else:
            parts = [_line(x, place, texts.shape) for x in shown]
        found.append(_element(step, place, told, texts, parts))
    return found


def _line(matrix: Any, place: tuple[int, ...], shape: tuple[int, ...]) -> list[int]:
    """The row of an element in a matrix that is shown in the shape of the result."""
    if tuple(n for n in matrix.shape if n > 1) != tuple(n for n in shape if n > 1):
        return []
    start = int(np.ravel_multi_index((*place[:-1], 0), shape))
    return list(range(start, start + shape[-1]))


def _written(
    step: Step, node: Node, shown: list[Any], texts: Any, most: int | None
) -> list[dict[str, Any]]:
    if len(shown) != len(node.inputs) or any(x.ndim != 2 for x in shown):
        return []
    look, write = LOOKS[node.op.name]
    found = []
    for place in islice(np.ndindex(texts.shape), most):
        parts = look(node, shown, place)
        if parts is None:
            return []
        operands = [[str(x.flat[k]) for k in part] for x, part in zip(shown, parts, strict=True)]
        found.append(_element(step, place, Told(*write(operands)), texts, parts))
    return found


def _element(
    step: Step, place: tuple[int, ...], told: Told, texts: Any, parts: Cells
) -> dict[str, Any]:
    index = ", ".join(str(k + 1) for k in place)
    sides = filter(None, (f"{step.symbol}({index})", told.formula, str(texts[place])))
    said = ", ".join(filter(None, (" = ".join(sides), told.remark)))
    return {"parts": parts, "said": said, **({"table": told.table} if told.table else {})}


def _product(node: Node, shown: list[Any], place: tuple[int, ...]) -> Cells | None:
    """Row i of the left matrix and column j of the right one: (n, m) · (m, k) -> (n, k)."""
    if len(place) != 2:
        return None
    (_, inner), (_, columns) = shown[0].shape, shown[1].shape
    if [x.shape for x in shown] != [x.shape for x in node.inputs]:
        return None  # one of them is shown in another form, transposed or in part
    i, j = place
    return [[i * inner + k for k in range(inner)], [k * columns + j for k in range(inner)]]


def _window(node: Node, shown: list[Any], place: tuple[int, ...]) -> Cells | None:
    """The window of the image that the kernel lies on: J(i, j) = Σ I(i+l−1, j+m−1) K(l, m)."""
    stride, padding, dilation = (pair(node.attrs[key]) for key in ("stride", "padding", "dilation"))
    image, kernel = (x.shape for x in node.inputs)
    bordered = tuple(n + 2 * p for n, p in zip(image, padding, strict=False))
    if len(place) != 2 or shown[1].shape != kernel or shown[0].shape not in (image, bordered):
        return None
    if shown[0].shape == bordered:  # the zeros around the image are shown with it
        padding = (0, 0)
    (height, width), (h, w) = (x.shape for x in shown)
    met: Cells = [[], []]
    for inner in np.ndindex(h, w):
        row, column = (place[t] * stride[t] - padding[t] + inner[t] * dilation[t] for t in (0, 1))
        if 0 <= row < height and 0 <= column < width:  # outside there are zeros
            met[0].append(row * width + column)
            met[1].append(inner[0] * w + inner[1])
    return met


def _row(node: Node, shown: list[Any], place: tuple[int, ...]) -> Cells | None:
    """All of a row, which softmax and a norm make comparable; of the axis that they go along."""
    axis = node.attrs.get("axis", node.attrs.get("axes"))
    if axis not in (-1, (-1,), node.inputs[0].ndim - 1, (node.inputs[0].ndim - 1,)):
        return None
    columns = shown[0].shape[1]
    start = place[0] * columns if len(place) == 2 else 0
    own = start + place[-1]
    return [[own, *(k for k in range(start, start + columns) if k != own)]]


def _summed(node: Node, shown: list[Any], place: tuple[int, ...]) -> Cells | None:
    """The rows or columns of a matrix that are added."""
    axis = node.attrs["axis"]
    rows, columns = shown[0].shape
    if shown[0].shape != node.inputs[0].shape or len(place) != 1 + node.attrs["keepdims"]:
        return None
    if axis in (0, (0,), -2, (-2,)):
        return [[row * columns + place[-1] for row in range(rows)]]
    if axis in (1, (1,), -1, (-1,)):
        return [[place[0] * columns + column for column in range(columns)]]
    return None


def _queried(node: Node, shown: list[Any], place: tuple[int, ...]) -> Cells | None:
    """A query and the key that it looks at."""
    if len(place) != 2 or [x.shape for x in shown] != [x.shape for x in node.inputs]:
        return None
    i, j = place
    if node.attrs["causal"] and j > i:
        return [[], []]
    width = shown[0].shape[1]
    return [[row * width + k for k in range(width)] for row in (i, j)]


def _pooled(node: Node, shown: list[Any], place: tuple[int, ...]) -> Cells | None:
    """The window that one number is the largest of."""
    size, stride = pair(node.attrs["kernel"]), pair(node.attrs["stride"])
    plain = pair(node.attrs["padding"]) == (0, 0) and pair(node.attrs["dilation"]) == (1, 1)
    if len(place) != 2 or not plain:
        return None
    width = shown[0].shape[1]
    top, left = place[0] * stride[0], place[1] * stride[1]
    return [[(top + p) * width + left + q for p, q in np.ndindex(*size)]]


def _sum_of_products(texts: list[list[str]]) -> Said:
    return (products(*texts),)


def _maximum(texts: list[list[str]]) -> Said:
    return (f"max({', '.join(texts[0])})",)


def _sum(texts: list[list[str]]) -> Said:
    return (" + ".join(map(factor, texts[0])),)


def _share(texts: list[list[str]]) -> Said:
    own, *others = (f"exp({text})" for text in texts[0])
    return (f"{own} / ({' + '.join([own, *others])})",)


def _centred(texts: list[list[str]]) -> Said:
    return f"({texts[0][0]} − μ) / s", f"μ and s are those of {', '.join(texts[0])}"


def _attended(texts: list[list[str]]) -> Said:
    if not texts[0]:
        return "", "a later key, which this query does not see"
    return "", f"so much this query looks at this key, with q · k the sum {products(*texts)}"


Said = tuple[str] | tuple[str, str]
"""A formula in numbers and what else is said."""
LOOKS: Mapping[str, tuple[Callable[..., Cells | None], Callable[[list[list[str]]], Said]]] = {
    "matmul": (_product, _sum_of_products),
    "conv2d": (_window, _sum_of_products),
    "max_pool2d": (_pooled, _maximum),
    "sum": (_summed, _sum),
    "softmax": (_row, _share),
    "standardise": (_row, _centred),
    "attention_weights": (_queried, _attended),
}
"""Operation -> the places that meet in an element, and how the element is written out."""
