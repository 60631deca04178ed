"""How one of our operations is written in ONNX."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np

from allbps.ir import Node, promote
from allbps.onnx.writer import Refused, Writer


class Operands(Enum):
    """The dtype that operands are cast to before they are used; ONNX itself promotes nothing."""

    RESULT = "that of the result"
    PROMOTED = "the one NumPy promotes them to"
    KEPT = "each its own"


@dataclass(frozen=True)
class Entry:
    """One row of the table.

    Attributes:
        build: ``build(o, *values, **attrs)`` writes nodes with the writer ``o``, gives the result.
        operands: what its operands are cast to.

    """

    build: Callable[..., Any]
    operands: Operands = Operands.RESULT

    def dtype(self, node: Node, operand: Node) -> np.dtype[Any]:
        """What this operand of ``node`` is cast to."""
        if self.operands is Operands.RESULT:
            return node.dtype
        return operand.dtype if self.operands is Operands.KEPT else promote(*node.inputs)


def plain(operator: str, operands: Operands = Operands.RESULT, **attrs: Any) -> Entry:
    """ONNX's operator of the same meaning; our attributes are not its own."""

    def build(o: Writer, *values: Any, **ours: Any) -> Any:
        return o.write(operator, *values, **attrs)

    return Entry(build, operands)


def promoted(build: Callable[..., Any]) -> Entry:
    """Operands in one dtype, the result in another."""
    return Entry(build, Operands.PROMOTED)


def kept(build: Callable[..., Any]) -> Entry:
    """Operands as they are: some are indices or truth values."""
    return Entry(build, Operands.KEPT)


def refused(reason: str) -> Entry:
    """Cannot be written, and why."""

    def build(o: Writer, *values: Any, **attrs: Any) -> Any:
        raise Refused(reason)

    return Entry(build, Operands.KEPT)


def axes_of(axis: Any, ndim: int) -> list[int]:
    """The axes that ``axis`` (None, one, or several) means, counted from 0."""
    chosen = range(ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    return [k % ndim for k in chosen]
