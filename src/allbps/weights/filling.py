"""Numbers of entries into a container of parameters, and numbers of parameters into entries."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from allbps.tree import rebuild
from allbps.weights.entry import Entries
from allbps.weights.fitting import Asked, fitted
from allbps.weights.numbers import as_kind
from allbps.weights.own import Own


def filled(like: Any, entries: Entries, asked: Asked) -> Any:
    """A container like ``like`` with the numbers of the entries, in its own kinds of number.

    Parameters that are one array in ``like`` are one in the result.

    Raises:
        UserFileError, ArgumentError: entries do not fit, all are named.

    """
    own = Own.of(like)
    found = fitted(own, entries, asked)
    made: dict[str, NDArray[Any]] = {}
    lost = []
    for name, old in own.arrays.items():
        if name in found:
            numbers, loss = as_kind(entries[found[name]].read(), old.dtype.name)
            lost += [f"{found[name]}: {loss}"] if loss else []
            made[name] = _turned(numbers, name, asked)
        else:
            made[name] = old.copy()
    for first, *others in _alike(own, found, asked):
        for name in others:
            if not _same(made[first], made[name]):
                lost.append(f"{name} and {first}, which are one array, differ")
            made[name] = made[first]
    _refuse(lost, asked)
    return rebuild(like, iter(made.values()))


def _alike(own: Own, found: dict[str, str], asked: Asked) -> list[tuple[str, ...]]:
    """Groups of parameters that are one array: in memory, or by the entry that they have."""
    groups: dict[Any, list[str]] = {}
    for name, entry in found.items():
        key = (entry, own.arrays[name].dtype, name in asked.transposed)
        groups.setdefault(key, []).append(name)
    return [*own.shared, *(tuple(names) for names in groups.values() if len(names) > 1)]


def rendered(own: Own, entries: Entries, asked: Asked) -> dict[str, NDArray[Any]]:
    """Entry -> the numbers of its parameter, in the entry's kind; bfloat16 as float32.

    Entries without a parameter are left out.

    Raises:
        UserFileError, ArgumentError: parameters do not fit, all are named.

    """
    found = fitted(own, entries, asked)
    made: dict[str, NDArray[Any]] = {}
    first: dict[Any, str] = {}
    lost = []
    for name, entry in found.items():
        numbers, loss = as_kind(own.arrays[name].copy(), entries[entry].kind)
        made[entry] = _turned(numbers, name, asked)
        lost += [f"{name}: {loss}"] if loss else []
        other = first.setdefault(entries[entry].place or entry, name)
        if not _same(made[found[other]], made[entry]):
            lost.append(f"{name} and {other}, which are one entry, differ")
    _refuse(lost, asked)
    return made


def _turned(numbers: NDArray[Any], name: str, asked: Asked) -> NDArray[Any]:
    return np.ascontiguousarray(numbers.T) if name in asked.transposed else numbers


def _same(first: NDArray[Any], second: NDArray[Any]) -> bool:
    return first is second or np.array_equal(first, second, equal_nan=first.dtype.kind in "fc")


def _refuse(lost: list[str], asked: Asked) -> None:
    if lost:
        raise asked.error(
            f"numbers of {asked.source} and of the parameters cannot be the same",
            got=("\n" + " " * 12).join(lost),
        )
