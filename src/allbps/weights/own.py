"""The parameters of a net, by the names that they have in files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from allbps.errors import ArgumentError, DtypeError
from allbps.tree import flatten
from allbps.weights.numbers import KINDS


@dataclass(frozen=True)
class Own:
    """Parameters.

    Attributes:
        arrays: name -> array, in the order of ``flatten``.
        shared: names of arrays that are one and the same memory, group by group.

    """

    arrays: Mapping[str, NDArray[Any]]
    shared: tuple[tuple[str, ...], ...]

    @classmethod
    def of(cls, params: Any) -> Own:
        """Those of a container.

        Raises:
            ArgumentError: it is no container, or two parameters have one name.
            DtypeError: it holds something else than arrays of numbers.

        """
        arrays: dict[str, NDArray[Any]] = {}
        for path, leaf in flatten(params):
            name = path[1:]
            if not name:
                raise ArgumentError(
                    "a parameter needs a name",
                    expected='a container of arrays, as {"weight": W}',
                    got=type(params).__name__,
                )
            if name in arrays:
                raise ArgumentError(
                    f"two parameters have the name {name}",
                    todo="a dot in a key counts as a step into a container: rename one",
                )
            arrays[name] = _array(name, leaf)
        return cls(arrays, tuple(_shared(arrays)))


def _array(name: str, leaf: Any) -> NDArray[Any]:
    try:
        array = np.asarray(leaf)
    except (TypeError, RuntimeError, ValueError):
        array = np.asarray(None)
    if array.dtype.name not in KINDS.values():
        raise DtypeError(
            f"the parameter {name} is not an array of numbers that a file can hold",
            expected="an array of float64, float32, float16 or whole numbers",
            got=f"{type(leaf).__name__} of {getattr(leaf, 'dtype', array.dtype)}",
        )
    return array


def _shared(arrays: Mapping[str, NDArray[Any]]) -> list[tuple[str, ...]]:
    places: dict[Any, list[str]] = {}
    for name, array in arrays.items():
        if array.size:
            place = (array.__array_interface__["data"], array.shape, array.strides, array.dtype)
            places.setdefault(place, []).append(name)
    return [tuple(names) for names in places.values() if len(names) > 1]
