"""An entry of a file or of a state dict: what is known of it before its numbers are read."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray


@dataclass(frozen=True)
class Entry:
    """An array with a name.

    Attributes:
        shape: its shape.
        kind: of number, by NumPy's word; ``bfloat16``, which NumPy lacks, is read as float32.
        read: its numbers, which nobody else holds.
        place: where they are in memory; entries of one place are one. None for those of files.

    """

    shape: tuple[int, ...]
    kind: str
    read: Callable[[], NDArray[Any]]
    place: Hashable = None


Entries = Mapping[str, Entry]
