"""A Node: one immutable use of an operation."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from operator import attrgetter
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from allbps.ir.arraylike import ArrayLike
from allbps.ir.site import Site

if TYPE_CHECKING:
    from allbps.ir.op import Op

NO_ATTRS: Mapping[str, Any] = MappingProxyType({})
_births = count()  # only the order matters: a node is younger than its inputs


def births() -> int:
    """A number that every node from here on exceeds."""
    return next(_births)


ON_DEMAND = object()
"""The value of a node whose number is worked out when somebody asks for it."""


class Node(ArrayLike):
    """The result of one operation: what made it, from what, and its shape and dtype.

    A node never changes. While user code is traced it carries the value that was computed
    (``value``), so that ``if`` and ``while`` on values work; a node of an abstract graph has none.

    Attributes:
        op: the operation.
        inputs: the nodes it was applied to.
        attrs: its constant arguments, such as an axis.
        shape: lengths of the axes.
        dtype: NumPy dtype.
        value: the array, or None in an abstract graph; maybe worked out when it is first read.
        name: the user's variable; empty while tracing.
        site: the user's line.
        traces: bit k is set where the node depends on an input of the trace at depth k.
        born: running number; a node is younger than its inputs.

    """

    __slots__ = (
        "_value",
        "attrs",
        "born",
        "dtype",
        "inputs",
        "name",
        "op",
        "shape",
        "site",
        "traces",
    )

    op: Op
    inputs: tuple[Node, ...]
    attrs: Mapping[str, Any]
    born: int
    site: Site | None
    _value: Any

    def __init__(
        self,
        op: Op,
        inputs: tuple[Node, ...],
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        *,
        attrs: Mapping[str, Any] = NO_ATTRS,
        value: Any = None,
        name: str = "",
        site: Site | None = None,
        traces: int = 0,
    ) -> None:
        put = object.__setattr__
        put(self, "op", op)
        put(self, "inputs", inputs)
        put(self, "attrs", attrs)
        put(self, "shape", shape)
        put(self, "dtype", dtype)
        put(self, "_value", value)
        put(self, "name", name)
        put(self, "site", site)
        put(self, "traces", traces)
        put(self, "born", next(_births))

    @property
    def has_value(self) -> bool:
        """Is there a value, be it one that is worked out when it is read?"""
        return self._value is not None

    @property
    def is_worked_out(self) -> bool:
        """Is the value there already?"""
        return self._value is not None and self._value is not ON_DEMAND

    @property
    def value(self) -> Any:
        """The array, or None in an abstract graph."""
        if self._value is ON_DEMAND:
            self._work_out()
        return self._value

    def _work_out(self) -> None:
        """Values of this node and of everything it needs, oldest first: no recursion."""
        missing = {self}
        stack = [self]
        while stack:
            waiting = [x for x in stack.pop().inputs if x._value is ON_DEMAND and x not in missing]
            missing.update(waiting)
            stack += waiting
        for node in sorted(missing, key=attrgetter("born")):
            number = node.op.run([x._value for x in node.inputs], node.attrs)
            object.__setattr__(node, "_value", number)

    def __repr__(self) -> str:
        label = f"{self.name}: " if self.name else ""
        return f"Node({label}{self.op.name}, shape={self.shape}, {self.dtype})"
