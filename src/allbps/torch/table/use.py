"""One use of an ATen operation, and its arguments as source."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.fx import Node

from allbps.errors import NoRuleError

DTYPES: dict[torch.dtype, str] = {
    torch.float64: "np.float64",
    torch.float32: "np.float32",
    torch.complex128: "np.complex128",
    torch.complex64: "np.complex64",
    torch.int64: "np.int64",
    torch.int32: "np.int32",
    torch.int16: "np.int16",
    torch.int8: "np.int8",
    torch.uint8: "np.uint8",
    torch.bool: "np.bool_",
}
"""PyTorch's dtype -> how it is written; others are refused."""


REDUCTIONS = ("none", "mean", "sum")
"""What PyTorch counts as 0, 1, 2."""


class NotWrittenError(NoRuleError):
    """An operation, or an argument of one, that the table does not write."""


@dataclass(frozen=True)
class Use:
    """One use of an operation.

    Attributes:
        node: in the exported graph.
        values: argument name, as in the operation's schema -> a node, a number, a list of them.
        defaults: argument name -> its default.
        names: node -> the variable that holds it.

    """

    node: Node
    values: Mapping[str, Any]
    defaults: Mapping[str, Any]
    names: Mapping[Node, str]

    @classmethod
    def of(cls, node: Node, names: Mapping[Node, str]) -> Use:
        """A node of a graph, its arguments by name."""
        schema = node.target._schema.arguments  # type: ignore[union-attr]
        defaults = {a.name: a.default_value for a in schema if a.has_default_value()}
        given = dict(zip((a.name for a in schema), node.args, strict=False))
        return cls(node, {**defaults, **given, **node.kwargs}, defaults, names)

    def __getitem__(self, name: str) -> Any:
        """The argument itself: a node, a number, a list of them, None."""
        return self.values[name]

    def text(self, name: str) -> str:
        """The argument as it is written."""
        return self.written(self.values[name])

    def written(self, value: Any) -> str:
        """Anything that may be an argument, as it is written."""
        if isinstance(value, Node):
            return self.names[value]
        if isinstance(value, (list, tuple)):
            inside = ", ".join(self.written(part) for part in value)
            return f"({inside},)" if len(value) == 1 else f"({inside})"
        return number(value)

    def texts(self) -> dict[str, str]:
        """All arguments as they are written."""
        return {name: self.written(value) for name, value in self.values.items()}

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor argument; () of a number."""
        return shape_of(self.values[name])

    def dtype(self, name: str) -> torch.dtype:
        """The dtype of a tensor argument."""
        found: torch.dtype = self.values[name].meta["val"].dtype
        return found

    @property
    def out(self) -> Any:
        """What stands for the result: it has a shape and a dtype."""
        return self.node.meta["val"]

    @property
    def out_shape(self) -> tuple[int, ...]:
        """The shape of the result."""
        return tuple(map(int, self.out.shape))

    @property
    def out_dtype(self) -> str:
        """The dtype of the result as it is written."""
        return dtype_text(self.out.dtype)

    def is_default(self, name: str) -> bool:
        """Does an argument say nothing that its default would not?"""
        return name in self.defaults and _same(self.values[name], self.defaults[name])

    def is_constant(self, name: str) -> bool:
        """Does a tensor follow from nothing but buffers that stay, and numbers of ``forward``?"""
        waiting, seen = [self.values[name]], set[Node]()
        while waiting:
            node = waiting.pop()
            if not isinstance(node, Node) or node in seen:
                continue
            if node.op == "placeholder" and not self.names[node].startswith("constants["):
                return False
            seen.add(node)
            waiting += node.all_input_nodes
        return True

    def require(self, name: str, *allowed: Any) -> None:
        """Refuse a value of an argument that is not written yet.

        Raises:
            NotWrittenError: it has another one.

        """
        if not any(_same(self.values[name], one) for one in allowed):
            raise NotWrittenError(f"{name}={self.values[name]!r}")


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, Node) or isinstance(b, Node):
        return a is b
    return bool(a == b) and (a is None) == (b is None)


def shape_of(value: Any) -> tuple[int, ...]:
    """The shape of a node's tensor; () of a number."""
    return tuple(map(int, value.meta["val"].shape)) if isinstance(value, Node) else ()


def number(value: Any) -> str:
    """A number, a dtype, None or a word as source; what is negative in brackets."""
    if isinstance(value, torch.dtype):
        return dtype_text(value)
    if isinstance(value, float) and not math.isfinite(value):
        return "np.nan" if math.isnan(value) else "np.inf" if value > 0 else "(-np.inf)"
    if isinstance(value, complex):
        return f"({value!r})"
    if isinstance(value, (bool, int, float, str)) or value is None:
        return f"({value!r})" if isinstance(value, (int, float)) and value < 0 else repr(value)
    if isinstance(value, (torch.layout, torch.memory_format, torch.device)):
        return "None"
    raise NotWrittenError(f"an argument of {type(value).__name__}, {value!r}")


def dtype_text(dtype: torch.dtype) -> str:
    """A dtype as source.

    Raises:
        NotWrittenError: allbps does not compute in it.

    """
    if dtype not in DTYPES:
        raise NotWrittenError(f"numbers of {dtype}")
    return DTYPES[dtype]


def numpy_dtype(dtype: torch.dtype) -> np.dtype[Any]:
    """NumPy's dtype of the same numbers."""
    found: np.dtype[Any] = np.dtype(getattr(np, dtype_text(dtype).removeprefix("np.")))
    return found


Writer = str | Callable[[Use], str]
"""How an operation is written: a text with its arguments by name in braces, or what makes one."""
Writers = Writer | tuple[Writer | None, ...]
"""One for each of several results, where they are written apart; None for one that is not."""


def call(function: str, words: str, rename: Mapping[str, str] | None = None) -> Writer:
    """A writer for a function whose arguments are those of the operation.

    Args:
        function: as it is written.
        words: the operation's arguments in the function's order; those behind * by keyword only.
        rename: the operation's argument -> the function's, where it is called otherwise.

    """
    plain, _, keywords = (part.split() for part in words.partition("*"))
    renamed = rename or {}

    def write(use: Use) -> str:
        parts: list[str] = []
        skipped = False
        for name in [*plain, *keywords]:
            if use.is_default(name):
                skipped = True
                continue
            by_keyword = skipped or name in keywords
            text = use.text(name)
            parts.append(f"{renamed.get(name, name)}={text}" if by_keyword else text)
        return f"{function}({', '.join(parts)})"

    return write
