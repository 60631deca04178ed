"""Python's operators on names of nodes.

``h + b`` makes a node and gives it a name; ``h += b`` lets the name h, and every other name of the
same array, stand for the node that it makes. Where h is a number, it is replaced, as by Python.
``TracedArray`` is imported from here, with its operators.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from allbps.errors import ShapeError
from allbps.ir.arraylike import ArrayLike, label_of
from allbps.ir.handle import TracedArray, handed, resolved
from allbps.ir.lookups import hash_of
from allbps.ir.site import user_site

__all__ = ["TracedArray"]


def _operator(name: str) -> Callable[..., Any]:
    plain = getattr(ArrayLike, name)

    def operate(self: TracedArray, *operands: Any) -> Any:
        return handed(plain(self.node, *map(resolved, operands)), number=True)

    operate.__name__ = operate.__qualname__ = name
    operate.__doc__ = plain.__doc__
    return operate


def _hash(self: TracedArray) -> int:
    return hash_of(self, sys._getframe(1))


def _in_place_operator(name: str) -> Callable[..., Any]:
    plain = getattr(ArrayLike, f"__{name}__")

    def operate(self: TracedArray, other: Any) -> Any:
        made = plain(self.node, resolved(other))
        if not isinstance(self.memory, np.ndarray):
            return handed(made, number=True)  # a number is replaced, and other names keep it
        if made.shape != self.shape:
            raise ShapeError(
                f"{label_of(self.node)} cannot take this in place",
                where=str(user_site() or ""),
                expected=f"what can be broadcast to {self.shape}",
                got=f"a result of shape {made.shape}",
            )
        self.assign(made)
        return self

    operate.__name__ = operate.__qualname__ = f"__i{name}__"
    return operate


def _asked(name: str) -> Callable[..., Any]:
    def ask(self: TracedArray, *args: Any) -> Any:
        return getattr(self.node, name)(*args)

    ask.__name__ = ask.__qualname__ = name
    return ask


_BINARY = ["add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and", "or", "xor"]
for _name in (
    *(f"__{side}{name}__" for name in _BINARY for side in ("", "r")),
    *(f"__{name}__" for name in ("lt", "le", "gt", "ge", "eq", "ne", "neg", "pos", "abs")),
    *(f"__{name}__" for name in ("divmod", "rdivmod", "floor", "ceil", "trunc", "round")),
    "__invert__",
):
    if hasattr(ArrayLike, _name):
        setattr(TracedArray, _name, _operator(_name))
for _name in _BINARY:
    setattr(TracedArray, f"__i{_name}__", _in_place_operator(_name))
TracedArray.__hash__ = _hash  # type: ignore[method-assign,assignment]
for _name in ("known", "item", "tolist", "__bool__", "__int__", "__index__", "__float__"):
    setattr(TracedArray, _name, _asked(_name))
