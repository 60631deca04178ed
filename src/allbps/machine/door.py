"""The short way into a step, for calls with arrays that are as expected: checked in native code.

Whatever is unusual (a list, another dtype or shape, an array that is not dense, a label out of
range) is left to the long way, :meth:`.path.Path.put`, which converts it or says what is wrong.
"""

from __future__ import annotations

import ctypes
import functools
import platform
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from allbps.ir import Node
from allbps.machine.arguments import Slot
from allbps.machine.execution.executable import Executable
from allbps.machine.kernels import door, team
from allbps.machine.language import cache
from allbps.machine.language.target import host
from allbps.machine.templates import Unusual, opened

BEFORE = tuple.__basicsize__
"""Bytes of a tuple before the addresses of its parts."""


class Door:
    """How the arguments of a call become those of a step.

    Args:
        trees: the arguments that a call gives, by name, as nodes.
        slots: where each node goes.
        executable: what runs.

    """

    def __init__(
        self, trees: Mapping[str, Any], slots: Mapping[Node, Slot], executable: Executable
    ) -> None:
        self._opened, nodes = opened(tuple(trees.values()))
        self._alone = executable.threads == 1
        self._step = executable.entry
        self._team = np.zeros(team.team_size(1), np.int64)
        self._table = self._filled([slots[x] for x in nodes])
        self._address = self._table.ctypes.data
        self._enter = _native()

    @classmethod
    def into(
        cls, trees: Mapping[str, Any], slots: Mapping[Node, Slot], executable: Executable
    ) -> Door | None:
        """A door, or None where arguments need more than a look and a copy."""
        try:
            _, nodes = opened(tuple(trees.values()))
        except Unusual:
            return None
        plain = executable.entry is not None and all(slots[x].plain for x in nodes)
        return cls(trees, slots, executable) if plain and _readable() else None

    def enter(self, args: tuple[Any, ...]) -> bool:
        """Copy the arguments and run the step; False, and nothing done, where one is unusual."""
        if self._opened is not None:
            try:
                args = self._opened(*args)
            except (Unusual, KeyError):
                return False
        if not self._enter(id(args) + BEFORE, self._address):
            return False
        if not self._alone:
            assert self._step is not None
            self._step()
        return True

    def _filled(self, slots: Sequence[Slot]) -> np.ndarray[Any, np.dtype[np.int64]]:
        """The table that the native part reads."""
        rows: list[int] = []
        lengths: list[int] = []
        start = door.HEAD + door.ROW * len(slots)
        for slot in slots:
            size = slot.node.size * slot.node.dtype.itemsize
            place = slot.executable.blocks[slot.place.memory].ctypes.data
            axes = start + len(lengths)
            rows += [slot.node.ndim, axes, id(slot.node.dtype), size, place, slot.below]
            lengths += slot.node.shape
        code = arguments = 0
        if self._alone and self._step is not None:
            code, arguments = self._step.code, self._step.arguments.ctypes.data
        head = [len(slots), code, self._team.ctypes.data, arguments, id(np.ndarray)]
        return np.array([*head, *rows, *lengths], np.int64)


@functools.cache
def _native() -> Callable[[int, int], int]:
    """The native part; it holds the lock of the interpreter, since it reads its objects."""
    loaded, _ = cache.load_kernels((door.enter,), host(), single=False)
    found = ctypes.PYFUNCTYPE(ctypes.c_int64, ctypes.c_int64, ctypes.c_int64)
    enter = found(loaded.address(door.enter.name))
    enter.__dict__["code"] = loaded  # in memory as long as the function
    return enter


@functools.cache
def _readable() -> bool:
    """Are arrays and tuples the records that the native part takes them for? Tried on one."""
    if platform.python_implementation() != "CPython" or object.__basicsize__ != 16:
        return False
    array = np.zeros((2, 3))
    args = (array,)
    first = ctypes.c_int64.from_address(id(args) + BEFORE).value
    record = (ctypes.c_int64 * 9).from_address(id(array))[1:]
    return (
        first == id(array)
        and record[door.TYPE] == id(np.ndarray)
        and record[door.DATA] == array.ctypes.data
        and record[door.NDIM] & door.HALF == 2
        and list((ctypes.c_int64 * 2).from_address(record[door.SHAPE])) == [2, 3]
        and record[door.DTYPE_OF] == id(array.dtype)
        and record[door.FLAGS] & door.DENSE == door.DENSE
        and (ctypes.c_int64 * 9).from_address(id(array.T))[1:][door.FLAGS] & door.DENSE
        != door.DENSE
    )
