"""ATen operation -> how it is written with NumPy and ``allbps.functional``: one table."""

from __future__ import annotations

from allbps.torch.table.elementwise import ELEMENTWISE
from allbps.torch.table.layers import LAYERS
from allbps.torch.table.numbers import NUMBERS
from allbps.torch.table.shapes import SHAPES
from allbps.torch.table.use import Writers

TABLE: dict[str, Writers] = {**ELEMENTWISE, **SHAPES, **NUMBERS, **LAYERS}
"""The name that PyTorch prints for an operation -> how it is written."""
