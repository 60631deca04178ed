"""ATen operation -> how it is written with NumPy and ``allbps.functional``: one table."""

from __future__ import annotations

from typing import Any

from allbps.torch.table.algebra import ALGEBRA
from allbps.torch.table.elementwise import ELEMENTWISE
from allbps.torch.table.functions import FUNCTIONS
from allbps.torch.table.layers import LAYERS
from allbps.torch.table.named import by_name
from allbps.torch.table.numbers import NUMBERS
from allbps.torch.table.shapes import SHAPES
from allbps.torch.table.use import Writers

TABLE: dict[str, Writers] = {
    **ELEMENTWISE, **SHAPES, **NUMBERS, **FUNCTIONS, **ALGEBRA, **LAYERS,
}  # fmt: skip
"""The name that PyTorch prints for an operation -> how it is written."""


def writers_of(operation: Any) -> Writers | None:
    """How an operation is written; None where PyTorch must take it apart."""
    return TABLE.get(str(operation)) or by_name(operation)
