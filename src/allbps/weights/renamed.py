"""Entries for parameters as they are, where nothing says how they are to be called."""

from __future__ import annotations

from collections.abc import Collection

from allbps.errors import ArgumentError
from allbps.weights.entry import Entries, Entry
from allbps.weights.fitting import Names, entry_name
from allbps.weights.own import Own


def renamed(own: Own, names: Names, transposed: Collection[str]) -> tuple[Entries, dict[str, str]]:
    """(entries, names left out -> those that stand for them, since both are one array).

    Raises:
        ArgumentError: two parameters go by one name.

    """
    again = {name: group[0] for group in own.shared for name in group[1:]}
    entries: dict[str, Entry] = {}
    called: dict[str, str] = {}
    for name, array in own.arrays.items():
        entry = entry_name(names, name)
        if entry in called.values():
            raise ArgumentError(f"two parameters go by the name {entry}", got=name)
        called[name] = entry
        if name not in again:
            shape = array.shape[::-1] if name in transposed else array.shape
            entries[entry] = Entry(shape, array.dtype.name, array.copy)
    return entries, {called[name]: called[first] for name, first in again.items()}
