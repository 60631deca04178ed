"""What a symbol means: how many elements a mask picks, and which places those are."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.export import ExportedProgram
from torch.fx import Node as Fx
from torch.utils import _pytree as pytree

from allbps.torch.refusals import decides, name_of
from allbps.torch.table.use import Use
from allbps.torch.where import said

aten: Any = torch.ops.aten
Node = Any
"""A node of a graph, whose arguments may be anything."""
Symbol = Any
"""How many elements a mask picks, as PyTorch writes it."""


class Symbols:
    """The symbols of one graph, and nodes that are put in the places of others.

    Args:
        program: the graph.
        module: what it is of, for messages.

    """

    def __init__(self, program: ExportedProgram, module: nn.Module) -> None:
        self.graph, self.module, self.program = program.graph, module, program
        self.was: dict[Node, Any] = {}  # node -> what stood for it, with symbols
        self.masks: dict[Symbol, tuple[Node, int]] = {}  # which mask, by its number, and its size
        self.valid: dict[Symbol, Node] = {}  # which places count, (N,)
        self.same: dict[Symbol, Symbol] = {}  # two masks that are one expression
        self.known: dict[Symbol, int] = {}  # counts of masks that are the same in every call
        self.asked = set[Symbol]()  # of which masks somebody asks that they pick something
        self.numbers: dict[Any, int] = {}
        self.number: dict[Node, int] = {}
        self.here: Node | None = None

    def _numbered(self, node: Node) -> None:
        """Two nodes of one number are the same expression."""
        if node.op != "call_function" or draws(node):
            self.number[node] = self.numbers.setdefault(node, len(self.numbers))
            return
        args = pytree.tree_map(
            lambda x: ("node", self.number[x]) if isinstance(x, Fx) else x,
            (node.args, dict(node.kwargs)), is_leaf=lambda x: isinstance(x, Fx),
        )  # fmt: skip
        self.number[node] = self.numbers.setdefault((node.target, repr(args)), len(self.numbers))

    def _is_number(self, node: Node) -> bool:
        """Is it a count, or follows from one in Python?"""
        val = self.was.get(node, node.meta.get("val"))
        return isinstance(val, (torch.SymInt, torch.SymFloat, torch.SymBool))

    def _shape(self, node: Any) -> list[Any]:
        """Lengths of axes: numbers, and symbols for those of picked elements."""
        if not isinstance(node, Fx):
            return []
        val = self.was.get(node, node.meta.get("val"))
        sizes = val.shape if isinstance(val, torch.Tensor) else ()
        return [self._size(s) for s in sizes]

    def _size(self, size: Any) -> Any:
        if not isinstance(size, torch.SymInt):
            return int(size)
        symbol = size.node.expr.subs(self.known)
        return int(symbol) if symbol.is_Integer else self.same.get(symbol, symbol)

    def _is_open(self, node: Node) -> bool:
        """Is there a length that masks decide?"""
        val = self.was.get(node, node.meta.get("val"))
        tensors = (v for v in pytree.tree_leaves(val) if isinstance(v, torch.Tensor))
        return any(not isinstance(self._size(s), int) for v in tensors for s in v.shape)

    def _axis(self, node: Any) -> int | None:
        """Which axis of a node is one of picked elements.

        Raises:
            ArgumentError: there are several, or one is split or joined.

        """
        found = [k for k, s in enumerate(self._shape(node)) if not isinstance(s, int)]
        if len(found) > 1 or any(self._shape(node)[k] not in self.masks for k in found):
            raise self._refusal(self.here)
        return found[0] if found else None

    def _symbol(self, node: Node) -> Symbol | None:
        """What says how many elements of a node count."""
        axis = self._axis(node)
        return None if axis is None else self._shape(node)[axis]

    def _length(self, symbol: Symbol) -> int:
        return self.masks[symbol][1]

    def _plain(self, val: Any) -> Any:
        """What stands for a node, with the lengths of masks in the places of symbols."""
        if isinstance(val, torch.Tensor):
            sizes = [
                s if isinstance(s, int) else self._length(s) for s in map(self._size, val.shape)
            ]
            return torch.empty(sizes, dtype=val.dtype, device="meta")
        return val

    def _keep(self, node: Node) -> None:
        """Only the shape changes: what it does, it does for each place alone."""
        self._axis(node) if isinstance(self.was[node], torch.Tensor) else None
        node.meta["val"] = pytree.tree_map(self._plain, self.was[node])

    def _add(self, target: Any, *args: Any, at: Node, **kwargs: Any) -> Node:
        with self.graph.inserting_before(at):
            made = self.graph.call_function(target, args, kwargs)
        metas = pytree.tree_map(
            lambda x: x.meta["val"].to("meta") if isinstance(x, Fx) else x, (args, kwargs),
            is_leaf=lambda x: isinstance(x, Fx),
        )  # fmt: skip
        made.meta = {**at.meta, "val": target(*metas[0], **metas[1])}
        self._numbered(made)
        return made

    def _instead(self, node: Node, new: Node) -> None:
        """Let ``new`` take the place of a node, whose symbols it stands for from now on."""
        node.replace_all_uses_with(new)
        val = self.was.pop(node)
        if _has_symbols(val):
            self.was[new] = val
        self.graph.erase_node(node)

    def _along(self, x: Node, axis: int, at: Node) -> Node:
        """Which places of an array count, with axes of length 1 around the one that was picked."""
        symbol, ndim = self._shape(x)[axis], len(self._shape(x))
        shape = [-1 if k == axis else 1 for k in range(ndim)]
        return self._add(aten.reshape.default, self.valid[symbol], shape, at=at)

    def _only(self, x: Node, fill: Any, at: Node) -> Node:
        """``x`` with a number in the places that do not count."""
        axis = self._axis(x)
        if axis is None:
            return x
        made = self._add(aten.where.ScalarOther, self._along(x, axis, at), x, fill, at=at)
        self.was[made] = self.was[x]
        return made

    def _count(self, symbol: Symbol, at: Node, times: int = 1) -> Node:
        """How many places count, times a number."""
        count = self._add(aten.sum.default, self.valid[symbol], at=at)
        return count if times == 1 else self._add(aten.mul.Scalar, count, times, at=at)

    def _refusal(self, node: Any) -> Exception:
        what = f"{getattr(node, 'target', node)}, whose shape follows from values"
        return decides(name_of(self.module), said(node) if isinstance(node, Fx) else "", what)


def _leaves(node: Node) -> list[Any]:
    return pytree.tree_leaves(node.meta.get("val"))


def symbols_of(node: Node) -> list[Any]:
    """What of a node's shapes, or of the number that it is, follows from values."""
    sizes = (s for v in _leaves(node) for s in (v.shape if isinstance(v, torch.Tensor) else (v,)))
    return [s.node.expr for s in sizes if isinstance(s, (torch.SymInt, torch.SymFloat))]


def draws(node: Node) -> bool:
    return torch.Tag.nondeterministic_seeded in getattr(node.target, "tags", ())


def is_mask(x: Any) -> bool:
    return isinstance(x, Fx) and x.meta["val"].dtype == torch.bool


def _has_symbols(val: Any) -> bool:
    return any(
        isinstance(s, torch.SymInt)
        for v in pytree.tree_leaves(val) if isinstance(v, torch.Tensor) for s in v.shape
    )  # fmt: skip


def given_of(node: Node) -> dict[str, Any]:
    """The arguments of an operation by their names, in its own order; those of Python have none."""
    schema = getattr(node.target, "_schema", None)
    if schema is None:
        return {}
    values = Use.of(node, {}).values
    return {a.name: values[a.name] for a in schema.arguments}


def dims_of(node: Node, ndim: int) -> list[int]:
    """The axes that an operation names."""
    given = given_of(node)
    dims = given.get("dim", given.get("dims"))
    if dims is None:
        return []
    return [k % ndim for k in (dims if isinstance(dims, (list, tuple)) else [dims])]
