"""What a page asks for, read from JSON and kept within limits."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from allbps.errors import ArgumentError

MOST = 10_000
"""Numbers in an array that a page sends or asks for."""
DEEPEST = 8
"""Axes that it may have."""
LARGEST_SEED = 2**32 - 1


@dataclass(frozen=True)
class Wanted:
    """A request.

    Attributes:
        source: "file", "formula", or the name of a lecture's system.
        formula: the text of the formula.
        shapes: the shapes given beside it, ``X: 2×3``.
        seed: of other numbers than the chosen ones; None for those.
        numbers: label of an array -> its numbers, where the reader has changed them.
        sizes: label of an array -> the shape that the reader wants it to have.
    """

    source: str
    formula: str = ""
    shapes: str = ""
    seed: int | None = None
    numbers: Mapping[str, Any] = field(default_factory=dict)
    sizes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


def wanted(asked: Any) -> Wanted:
    """A request as a page sends it.

    Raises:
        ArgumentError: it is not one.

    >>> wanted({"source": "formula", "formula": "X W", "seed": 3}).seed
    3
    """
    if not isinstance(asked, dict):
        raise ArgumentError("the request is not an object", got=type(asked).__name__)
    numbers, sizes = _object(asked, "numbers"), _object(asked, "sizes")
    return Wanted(
        source=_text(asked, "source"),
        formula=_text(asked, "formula"),
        shapes=_text(asked, "shapes"),
        seed=_seed(asked.get("seed")),
        numbers={label: _array(label, x) for label, x in numbers.items()},
        sizes={label: _shape(label, x) for label, x in sizes.items()},
    )


def _text(asked: Mapping[str, Any], key: str) -> str:
    value = asked.get(key, "")
    if not isinstance(value, str) or len(value) > 1000:
        raise ArgumentError(f"{key} is not a short text", got=repr(value)[:40])
    return value


def _object(asked: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = asked.get(key) or {}
    if not isinstance(value, dict):
        raise ArgumentError(f"{key} is not an object", got=type(value).__name__)
    return value


def _seed(value: Any) -> int | None:
    if value is None:
        return None
    if type(value) is not int or not 0 <= value <= LARGEST_SEED:
        raise ArgumentError(
            "the seed is not a whole number in range",
            expected=f"0 to {LARGEST_SEED}", got=repr(value)[:40],
        )  # fmt: skip
    return value


def _array(label: str, value: Any) -> Any:
    try:
        array = np.asarray(value, np.float64)
    except (TypeError, ValueError):
        raise ArgumentError(f"{label} is not an array of numbers", got=repr(value)[:40]) from None
    if not np.all(np.isfinite(array)):
        raise ArgumentError(f"{label} holds something that is not a number", expected="numbers")
    _small(label, array.shape)
    return array


def _shape(label: str, value: Any) -> tuple[int, ...]:
    whole = isinstance(value, list) and all(type(n) is int and n >= 1 for n in value)
    if not whole:
        raise ArgumentError(
            f"the shape of {label} cannot be read", expected="sizes of at least 1, as 2×3",
            got=repr(value)[:40],
        )  # fmt: skip
    _small(label, tuple(value))
    return tuple(value)


def _small(label: str, shape: tuple[int, ...]) -> None:
    if len(shape) > DEEPEST:
        raise ArgumentError(
            f"{label} has too many axes", expected=f"at most {DEEPEST}", got=f"{len(shape)}"
        )
    if math.prod(shape) > MOST:
        raise ArgumentError(
            f"{label} is too large to change here", expected=f"at most {MOST} numbers",
            got=f"{math.prod(shape)} numbers",
        )  # fmt: skip
