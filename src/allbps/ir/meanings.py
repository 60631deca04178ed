"""What NumPy's functions do with arrays, not numbers: write, give views of them, give arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

IN_PLACE: dict[Any, Callable[..., Any]] = {}
"""NumPy function that may write into its argument -> what it does with names, not nodes."""

SAME: dict[Any, Callable[..., bool]] = {}
"""NumPy function -> whether it gives the array itself that is its first argument."""

VIEWS: set[Any] = set()
"""NumPy functions whose result may share the memory of their argument."""

COMPUTING: set[Any] = {np.einsum, np.imag}
"""Those of them that may also give numbers of their own."""

ARRAYS: set[Any] = set()
"""NumPy functions that give an array even where it has no axes, and not a number."""
