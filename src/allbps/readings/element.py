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

Cells = list[list[int]]
"""For each operand that is shown as a matrix, the places that take part, counted row by row."""
Look = Callable[[Node, list[Any], tuple[int, ...]], Cells]


def inside(derivation: Derivation) -> dict[str, Any]:
    """Name of a step -> for each element of its result the operands' places and the sum.

    For products of matrices, convolutions of single images and max pooling, as far as operands and
    result are shown number by number.
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
    return seen[0]["said"] if seen and len(seen[0]["parts"][0]) <= LONGEST else ""


def _seen(step: Step, most: int | None = None) -> list[dict[str, Any]]:
    """The elements of a result, as many as asked for, each with the places that meet in it."""
    node = step.node
    if node is None or node.op.name not in LOOKS or len(step.numbers()) != 2:
        return []
    filled, _ = step.numbers()
    shown = [np.asarray(matrix.values, object) for matrix in matrices(filled)]
    if (
        len(shown) != len(node.inputs)
        or any(x.ndim != 2 for x in shown)
        or np.ndim(step.value) != 2
    ):
        return []
    result = np.asarray(cells(step.value, step.pen.look), object)
    look, write = LOOKS[node.op.name]
    found = []
    for place in islice(np.ndindex(result.shape), most):
        parts = look(node, shown, place)
        if parts is None:
            return []
        texts = [[str(x.flat[k]) for k in part] for x, part in zip(shown, parts, strict=True)]
        index = ", ".join(str(k + 1) for k in place)
        found.append(
            {"parts": parts, "said": f"{step.symbol}({index}) = {write(texts)} = {result[place]}"}
        )
    return found


def _product(node: Node, shown: list[Any], place: tuple[int, ...]) -> Cells | None:
    """Row i of the left matrix and column j of the right one: (n, m) · (m, k) -> (n, k)."""
    (_, inner), (_, columns) = shown[0].shape, shown[1].shape
    if [x.shape for x in shown] != [x.shape for x in node.inputs]:
        return None  # one of them is shown in another form, transposed or in part
    i, j = place
    return [[i * inner + k for k in range(inner)], [k * columns + j for k in range(inner)]]


def _window(node: Node, shown: list[Any], place: tuple[int, ...]) -> Cells | None:
    """The window of the image that the kernel lies on: J(i, j) = Σ I(i+l−1, j+m−1) K(l, m)."""
    image, kernel = shown
    (height, width), (h, w) = image.shape, kernel.shape
    i, j = place
    if (height - h + 1, width - w + 1) != node.shape[-2:]:
        return None
    window = [(i + p) * width + j + q for p, q in np.ndindex(h, w)]
    return [window, list(range(h * w))]


def _pooled(node: Node, shown: list[Any], place: tuple[int, ...]) -> Cells | None:
    """The window that one number is the largest of."""
    width = shown[0].shape[1]
    size, stride = _pair(node.attrs.get("kernel")), _pair(node.attrs.get("stride"))
    if size is None or stride is None or _pair(node.attrs.get("padding")) != (0, 0):
        return None
    top, left = place[0] * stride[0], place[1] * stride[1]
    return [[(top + p) * width + left + q for p, q in np.ndindex(*size)]]


def _pair(value: Any) -> tuple[int, int] | None:
    if isinstance(value, int):
        return value, value
    return tuple(value) if isinstance(value, (tuple, list)) and len(value) == 2 else None


def _sum_of_products(texts: list[list[str]]) -> str:
    return " + ".join(f"{_factor(a)}·{_factor(b)}" for a, b in zip(*texts, strict=True))


def _maximum(texts: list[list[str]]) -> str:
    return f"max({', '.join(texts[0])})"


def _factor(text: str) -> str:
    return f"({text})" if text.startswith("−") else text


LOOKS: Mapping[str, tuple[Callable[..., Any], Callable[[list[list[str]]], str]]] = {
    "matmul": (_product, _sum_of_products),
    "conv2d": (_window, _sum_of_products),
    "max_pool2d": (_pooled, _maximum),
}
"""Operation -> the places that meet in an element, and how the element is written out."""
