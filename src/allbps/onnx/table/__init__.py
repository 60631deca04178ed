"""The table: how each operation is written in ONNX, by families, or why it cannot be."""

from collections.abc import Mapping

from allbps.onnx.table import arithmetic, functions, index, nets, reductions, shapes, without
from allbps.onnx.table.use import Entry

ROOMS = (arithmetic, functions, reductions, shapes, index, nets, without)
TABLE: Mapping[str, Entry] = {name: entry for room in ROOMS for name, entry in room.TABLE.items()}
"""Operation -> how it is written. One that is not here is written as its ``expand`` says."""

__all__ = ["TABLE"]
