"""Which of our functions a name of PyTorch's means.

First ``allbps.functional`` under PyTorch's own name, called as PyTorch is; then NumPy or SciPy, by
their name for it, with ``dim`` and ``keepdim`` as ``axis`` and ``keepdims``. Only what NumPy spells
otherwise than by another name stands in the table of spellings.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

import allbps.functional as F
from allbps.scipy import special
from vocabulary import spelled_algebra, spelled_arrays  # noqa: F401  (they fill the table)
from vocabulary.spelled import SPELLINGS

NUMPYS_NAMES = {
    "acos": "arccos", "acosh": "arccosh", "asin": "arcsin", "asinh": "arcsinh", "atan": "arctan",
    "atan2": "arctan2", "atanh": "arctanh", "cat": "concatenate", "mul": "multiply",
    "sub": "subtract", "neg": "negative", "div": "divide", "true_divide": "divide",
    "clamp": "clip", "conj_physical": "conj", "mm": "matmul", "bmm": "matmul", "mv": "matmul",
    "ger": "outer", "swapdims": "swapaxes", "transpose": "swapaxes", "permute": "transpose",
    "moveaxis": "movedim", "amax": "max", "amin": "min",
    "float_power": "power", "pow": "power", "unsqueeze": "expand_dims",
    "remainder": "mod", "trapz": "trapezoid", "pinverse": "pinv",
}  # fmt: skip
"""PyTorch's name -> NumPy's, where both mean the same."""

KEYWORDS = {"dim": "axis", "keepdim": "keepdims", "dims": "axes"}
ROOMS = {
    "": (F, np),
    "nn.functional": (F,),
    "special": (F, special, np),
    "linalg": (np.linalg, F),
    "fft": (np.fft,),
}
"""Where a name with that prefix is looked up, in this order."""


OTHERS = {"median", "nanmedian", "mode"}
"""Where NumPy's function of that name means something else."""


def resolve(name: str, variant: str = "") -> Callable[..., Any] | None:
    """Our function for an OpInfo entry, to be called with PyTorch's arguments; None: there is none.

    >>> resolve("nn.functional.relu") is F.relu
    True
    """
    for spelled in (f"{name}.{variant}", name):
        if spelled in SPELLINGS:
            return SPELLINGS[spelled]
    prefix, _, last = name.rpartition(".")
    for room in ROOMS.get(prefix, ()):
        numpys = last if room is F else NUMPYS_NAMES.get(last, last)
        if (room is F and numpys not in dir(F)) or numpys.startswith("_"):
            continue
        if room is np and last in OTHERS:
            continue
        function = getattr(room, numpys, None)
        if callable(function):
            return function if room is F else _in_numpys_words(function)
    return None


def _in_numpys_words(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, told ``axis`` where PyTorch says ``dim``."""
    known = _parameters(function)

    def called(*args: Any, **kwargs: Any) -> Any:
        kwargs.pop("input", None)
        renamed = {
            KEYWORDS[key] if key in KEYWORDS and (not known or KEYWORDS[key] in known) else key: x
            for key, x in kwargs.items()
        }
        return function(*args, **renamed)

    return called


def _parameters(function: Callable[..., Any]) -> set[str]:
    try:
        return set(inspect.signature(function).parameters)
    except (TypeError, ValueError):  # not every built-in says what it takes
        return set()
