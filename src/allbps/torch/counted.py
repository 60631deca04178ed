"""Elements that a mask picks, ``x[mask]``: all places stay, and a mask says which of them count.

How many a mask picks follows from values, and ``torch.export`` writes that as a symbol. Here the
symbol's axis becomes as long as the mask. A place that is not picked holds what the first picked
one holds, so that nothing new is computed there, and what sums over the axis passes over it: the
mean of ``x[mask]`` is a masked mean, in one graph for any count. Whatever would mind the places
themselves (a slice, a sort, an axis that is split) is refused.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn
from torch.export import ExportedProgram
from torch.fx import Node as Fx
from torch.utils import _pytree as pytree

from allbps.torch.checks import CHECKED
from allbps.torch.refusals import decides, name_of
from allbps.torch.table.use import Use
from allbps.torch.where import said

aten: Any = torch.ops.aten
Node = Any
"""A node of a graph, whose arguments may be anything."""
_broadcast: Any = torch.broadcast_shapes  # it has no types
Symbol = Any
"""How many elements a mask picks, as PyTorch writes it."""
SAME_PLACES = {
    aten.clone.default, aten.detach.default, aten.alias.default, aten._to_copy.default,
    aten.expand.default, aten.contiguous.default,
}  # fmt: skip
"""Beside what PyTorch calls pointwise."""
RESHAPED = {
    aten.view.default, aten.reshape.default, aten._unsafe_view.default, aten.unsqueeze.default,
    aten.squeeze.dim, aten.squeeze.dims, aten.squeeze.default,
}  # fmt: skip
TURNED = {aten.permute.default, aten.transpose.int, aten.t.default}
JOINED = {aten.cat.default, aten.stack.default}
FILLED = {
    aten.zeros.default, aten.ones.default, aten.full.default, aten.new_zeros.default,
    aten.new_ones.default, aten.new_full.default, aten.zeros_like.default, aten.ones_like.default,
    aten.full_like.default,
}  # fmt: skip
LABELLED = {aten.cross_entropy_loss.default, aten.nll_loss.default, aten.nll_loss_nd.default}
PRODUCTS = {aten.linear.default, aten.matmul.default, aten.mm.default}
NOT_BY_AXIS = {"aten.renorm.default", "aten.quantile.default", "aten.nanquantile.default"}
"""Operations whose ``dim`` is the axis that stays."""


def counted(program: ExportedProgram, module: nn.Module) -> None:
    """Give every axis of the graph a length: that of the mask, where a mask says how many.

    Raises:
        ArgumentError: something would mind which places were picked.

    """
    if any(_symbols(node) for node in program.graph.nodes):
        _Counting(program, module).run()


def _leaves(node: Node) -> list[Any]:
    return pytree.tree_leaves(node.meta.get("val"))


def _symbols(node: Node) -> list[Any]:
    """What of a node's shapes, or of the number that it is, follows from values."""
    sizes = (s for v in _leaves(node) for s in (v.shape if isinstance(v, torch.Tensor) else (v,)))
    return [s.node.expr for s in sizes if isinstance(s, (torch.SymInt, torch.SymFloat))]


class _Counting:
    """One graph, gone through from its arguments on."""

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

    def run(self) -> None:
        asserts = []
        for node in list(self.graph.nodes):
            self.here = node
            self._numbered(node)
            found = _symbols(node)
            uses = [x for x in node.all_input_nodes if x in self.was]
            if not found and not uses:
                continue
            if node.op == "output":
                raise self._refusal(next((x for x in uses if not self._is_number(x)), node))
            self.was[node] = node.meta.get("val")
            if node.target in ASSERTS:
                self._of_one_mask(node.args[0])
                self._picks_some(node)
                asserts.append(node)
            elif not self._is_number(node):
                self._settle(node)
                if not found:
                    self.was.pop(node, None)
        for node in reversed(self.graph.nodes):
            unused = self._is_number(node) and node in self.was and not node.users
            if unused or node in asserts:
                self.graph.erase_node(node)
        if rest := next((n for n in self.graph.nodes if _symbols(n)), None):
            raise self._refusal(rest)

    # -- what symbols mean -------------------------------------------------------------------------
    def _numbered(self, node: Node) -> None:
        """Two nodes of one number are the same expression."""
        if node.op != "call_function" or _draws(node):
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

    def _of_one_mask(self, condition: Any) -> None:
        """Two counts that PyTorch was told are equal, maybe since the user asked, must be the same.

        Raises:
            ArgumentError: they are of two masks: for other values they are not equal.

        """
        if getattr(condition, "target", None) is not operator.eq:
            return
        sides = {self._size(self.was[x]) if isinstance(x, Fx) else x for x in condition.args}
        if len(sides) > 1:
            what = "counts of two masks that are compared"
            raise decides(name_of(self.module), said(condition), what)

    def _picks_some(self, node: Node) -> None:
        """A count that is more than 0, as somebody asked: every batch is checked for that."""
        condition: Any = node.args[0]
        if getattr(condition, "target", None) is not operator.gt or condition.args[1] != 0:
            return
        symbol = self._size(self.was[condition.args[0]])
        if symbol in self.masks and symbol not in self.asked:
            self.asked.add(symbol)
            self._add(CHECKED, self._add(aten.any.default, self.valid[symbol], at=node),
                      said(condition.args[0]), at=node)  # fmt: skip

    # -- new nodes ---------------------------------------------------------------------------------
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

    # -- one operation -----------------------------------------------------------------------------
    def _settle(self, node: Node) -> None:
        target, tags = node.target, getattr(node.target, "tags", ())
        if target in MAKERS and self._made(node):
            return
        self._count_instead_of_symbols(node)
        tensors = [x for x in node.all_input_nodes if not self._is_number(x)]
        if len({self._symbol(x) for x in tensors} - {None}) > 1:
            raise self._refusal(node)
        still_open = any(self._is_open(x) for x in (node, *node.all_input_nodes))
        if target is operator.getitem or not still_open:
            self._keep(node)
        elif target in (aten.index_add.default, aten.index_put.default):
            self._written(node)
        elif _given(node).get("reduction"):
            self._loss(node)
        elif target in FILLED or self._is_row_by_row(node, torch.Tag.pointwise in tags):
            self._keep(node)
        else:
            self._summed(node)

    def _keep(self, node: Node) -> None:
        """Only the shape changes: what it does, it does for each place alone."""
        self._axis(node) if isinstance(self.was[node], torch.Tensor) else None
        node.meta["val"] = pytree.tree_map(self._plain, self.was[node])

    def _made(self, node: Node) -> bool:
        """Picked elements; False where the mask stands for none of its own."""
        if node.target is aten.index.Tensor:
            x, parts = node.args
            masks = [k for k, p in enumerate(parts) if p is not None and _is_mask(p)]
            if not masks:
                return False
            (axis,) = masks if len(masks) == 1 else (-1,)
            if axis < 0 or any(p is not None for k, p in enumerate(parts) if k != axis):
                raise self._refusal(node)
            mask = parts[axis]
        elif node.target is aten.masked_select.default:
            x, mask = node.args
            shape = list(_broadcast(x.meta["val"].shape, mask.meta["val"].shape))
            x, mask = (self._add(aten.expand.default, part, shape, at=node) for part in (x, mask))
            axis = 0
        else:
            (mask,), axis = node.args, 0
            if not _is_mask(mask):
                mask = self._add(aten.ne.Scalar, mask, 0, at=node)
            x = self._places(list(mask.meta["val"].shape), node)
        if x in self.was or mask in self.was:
            raise self._refusal(node)
        symbol = node.meta["val"].shape[axis].node.expr
        fixed = self._fixed(mask) if node.target is aten.index.Tensor else None
        if fixed is not None:
            self.known[symbol] = int(fixed.sum())
            self._keep(node)
            return True
        symbol = self._register(symbol, mask, node)
        shape = list(x.meta["val"].shape)
        rows = [*shape[:axis], self._length(symbol), *shape[axis + mask.meta["val"].ndim :]]
        flat = self._add(aten.reshape.default, x, rows, at=node)
        whole = self._add(aten._to_copy.default, self.valid[symbol], dtype=torch.int64, at=node)
        first = self._add(
            aten.reshape.default, self._add(aten.argmax.default, whole, at=node), [1], at=node
        )
        row = self._add(aten.index_select.default, flat, axis, first, at=node)
        valid = self._along(node, axis, node)
        self._instead(node, self._add(aten.where.self, valid, flat, row, at=node))
        return True

    def _fixed(self, mask: Node) -> torch.Tensor | None:
        """A mask that follows from no argument, as numbers."""
        needed, waiting = {mask}, [mask]
        while waiting:
            for x in waiting.pop().all_input_nodes:
                if x not in needed:
                    needed.add(x)
                    waiting.append(x)
        found: dict[Node, Any] = {}
        constants = self.program.graph_signature.inputs_to_lifted_tensor_constants
        for node in self.graph.nodes:
            if node not in needed:
                continue
            if node.op == "placeholder" and node.name in constants:
                found[node] = self.program.constants[constants[node.name]]
            elif node.op == "call_function" and node not in self.was and not _draws(node):
                args, kwargs = torch.fx.node.map_arg((node.args, dict(node.kwargs)), found.get)
                found[node] = node.target(*args, **kwargs)
            else:
                return None
        known: torch.Tensor = found[mask]
        return known

    def _places(self, shape: list[int], at: Node) -> Node:
        """The places of an array, one behind the other: (N, axes)."""
        columns = []
        for k, n in enumerate(shape):
            steps = self._add(aten.arange.start, 0, n, at=at, dtype=torch.int64)
            steps = self._add(
                aten.reshape.default, steps, [-1 if j == k else 1 for j in range(len(shape))], at=at
            )
            steps = self._add(aten.expand.default, steps, shape, at=at)
            columns.append(self._add(aten.reshape.default, steps, [math.prod(shape)], at=at))
        rows = self._add(aten.stack.default, columns, 1, at=at)
        return self._add(aten.reshape.default, rows, [*shape, len(shape)], at=at)

    def _register(self, symbol: Symbol, mask: Node, at: Node) -> Symbol:
        """What a symbol counts; the symbol of the same mask where there was one before."""
        number, size = self.number[mask], mask.meta["val"].numel()
        for known, (other, _) in self.masks.items():
            if other == number:
                self.same[symbol] = known
                return known
        if symbol in self.masks:  # of two masks that PyTorch takes for one
            raise self._refusal(at)
        self.masks[symbol] = (number, size)
        self.valid[symbol] = self._add(aten.reshape.default, mask, [size], at=at)
        return symbol

    def _count_instead_of_symbols(self, node: Node) -> None:
        """Counts among the arguments: of lengths the mask's, of a quotient or product their own."""

        def settled(x: Any, inside: bool) -> Any:
            if isinstance(x, (list, tuple)):
                return type(x)(settled(part, True) for part in x)
            if not isinstance(x, Fx) or not self._is_number(x):
                return x
            expr = self.was[x].node.expr.subs(self.known)
            if expr.is_Number:
                return int(expr) if expr.is_Integer else float(expr)
            symbols = [self.same.get(s, s) for s in expr.free_symbols]
            if len(symbols) != 1 or symbols[0] not in self.masks:
                raise self._refusal(node)
            if inside or node.target in FILLED:
                return int(expr.subs({s: self._length(symbols[0]) for s in expr.free_symbols}))
            times = expr.coeff(*expr.free_symbols)
            if expr != times * next(iter(expr.free_symbols)) or not times.is_Integer:
                raise self._refusal(node)
            return self._count(symbols[0], node, int(times))

        node.args = tuple(settled(x, False) for x in node.args)
        node.kwargs = {k: settled(x, False) for k, x in node.kwargs.items()}

    def _is_row_by_row(self, node: Node, pointwise: bool) -> bool:
        """Does it go along the picked elements one by one, in their order?"""
        target, out = node.target, self._shape(node)
        tensors = [x for x in pytree.tree_leaves((node.args, node.kwargs)) if isinstance(x, Fx)]
        moving = [x for x in tensors if self._axis(x) is not None]
        if pointwise or target in SAME_PLACES:
            ends = [(self._shape(x), out[len(out) - len(self._shape(x)) :]) for x in tensors]
            return all(a in (b, 1) for own, made in ends for a, b in zip(own, made, strict=True))
        first, axis = node.args[0], self._axis(node)
        asked: dict[Any, Callable[[], bool]] = {
            **dict.fromkeys(RESHAPED, lambda: self._behind(first) == self._behind(node)),
            **dict.fromkeys(TURNED, lambda: True),
            **dict.fromkeys(
                JOINED, lambda: moving == tensors and axis not in _dims(node, len(out))
            ),
            **dict.fromkeys(PRODUCTS, lambda: moving == [first] and axis != len(out) - 1),
            aten.embedding.default: lambda: moving == [node.args[1]],
            aten.index.Tensor: lambda: first not in moving,
            aten.layer_norm.default: lambda: (
                moving == [first] and axis is not None and axis < len(out) - len(node.args[1])
            ),
            aten.one_hot.default: lambda: True,
            aten.gather.default: lambda: self._gathers_rows(node, moving),
        }
        alone = len(moving) == 1 == len(tensors)
        return asked.get(target, lambda: alone and self._beside(node, moving[0]))()

    def _gathers_rows(self, node: Node, moving: Sequence[Node]) -> bool:
        """Is what is picked the places, along the axis that is gathered from?"""
        return moving == [node.args[2]] and self._axis(node) == node.args[1] % len(
            self._shape(node)
        )

    def _behind(self, node: Node) -> Any:
        """The symbol, and how many numbers lie behind its axis."""
        shape, axis = self._shape(node), self._axis(node)
        return None if axis is None else (shape[axis], math.prod(shape[axis + 1 :]))

    def _beside(self, node: Node, x: Node) -> bool:
        """Has it axes of its own, all others than the one of picked elements?"""
        dims = _dims(node, len(self._shape(x)))
        return bool(dims) and self._axis(x) not in dims and str(node.target) not in NOT_BY_AXIS

    # -- what sums over picked elements ------------------------------------------------------------
    def _summed(self, node: Node) -> None:
        target, x = node.target, node.args[0]
        tensors = [y for y in pytree.tree_leaves((node.args, node.kwargs)) if isinstance(y, Fx)]
        name = str(target).split(".")[1]
        if tensors != [x] or name not in {*NEUTRAL, "mean"}:
            raise self._refusal(node)
        val, shape = x.meta["val"], self._shape(x)
        if name == "mean":
            symbol = self._symbol(x)
            dims = _dims(node, len(shape)) or range(len(shape))
            times = math.prod(shape[k] for k in dims if isinstance(shape[k], int))
            over = aten.sum.default if target is aten.mean.default else aten.sum.dim_IntList
            total = self._add(over, self._only(x, 0, node), *node.args[1:], at=node, **node.kwargs)
            self._instead(
                node, self._add(aten.div.Tensor, total, self._count(symbol, node, times), at=node)
            )
            return
        if name in ("amax", "max", "amin", "min") and not val.dtype.is_floating_point:
            raise self._refusal(node)
        only = self._only(x, NEUTRAL[name], node)
        self._instead(node, self._add(target, only, *node.args[1:], at=node, **node.kwargs))

    def _loss(self, node: Node) -> None:
        """A mean or sum of losses: of labels by those that it ignores, else of what each gives."""
        x, y = node.args[:2]
        given = _given(node)
        if node.target in LABELLED:
            if (
                y.meta["val"].dtype.is_floating_point
                or self._axis(y) is None
                or self._axis(x) is None
            ):
                raise self._refusal(node)
            given["target"] = self._only(y, given["ignore_index"], node)
            self._instead(node, self._add(node.target, *given.values(), at=node))
            return
        self._axis(x), self._axis(y)
        each = self._add(node.target, *{**given, "reduction": 0}.values(), at=node)
        if each.meta["val"].shape != x.meta["val"].shape or self._shape(x) != self._shape(y):
            raise self._refusal(node)
        self.was[each] = self.was[x]
        total = self._add(aten.sum.default, self._only(each, 0, node), at=node)
        if given["reduction"] == 1:
            shape = self._shape(x)
            times = math.prod(s for s in shape if isinstance(s, int))
            count = self._count(self._symbol(x), node, times)
            total = self._add(aten.div.Tensor, total, count, at=node)
        self._instead(node, total)

    def _written(self, node: Node) -> None:
        """Picked elements that are added or put somewhere: those that do not count add 0."""
        args = list(node.args)
        x, values = args[0], args[3] if node.target is aten.index_add.default else args[2]
        if x in self.was:
            raise self._refusal(node)
        if node.target is aten.index_add.default:
            if self._axis(values) != args[1] % len(self._shape(x)):
                raise self._refusal(node)
            args[3] = self._only(values, 0, node)
        elif len(args) > 3 and args[3] and not any(map(_is_mask, args[1])) and self._symbol(values):
            args[2] = self._only(values, 0, node)
        else:
            self._put_back(node, x, args[1], values)
            return
        self._instead(node, self._add(node.target, *args, at=node, **node.kwargs))

    def _put_back(self, node: Node, x: Node, parts: Sequence[Any], values: Node) -> None:
        """``x[mask] = values`` of the elements that the same mask has picked."""
        (mask, *more), axis = parts, self._axis(values)
        symbol = None if axis is None else self._shape(values)[axis]
        added = len(node.args) > 3 and node.args[3]
        same = _is_mask(mask) and symbol and self.masks[symbol][0] == self.number[mask]
        if more or axis != 0 or not same or added:
            raise self._refusal(node)
        ndim, shape = mask.meta["val"].ndim, list(x.meta["val"].shape)
        chosen = self._add(
            aten.reshape.default, mask, [*shape[:ndim], *[1] * (len(shape) - ndim)], at=node
        )
        back = self._add(
            aten.reshape.default, values, [*shape[:ndim], *values.meta["val"].shape[1:]], at=node
        )
        self._instead(node, self._add(aten.where.self, chosen, back, x, at=node))

    def _refusal(self, node: Any) -> Exception:
        what = f"{getattr(node, 'target', node)}, whose shape follows from values"
        return decides(name_of(self.module), said(node) if isinstance(node, Fx) else "", what)


ASSERTS = {aten._assert_scalar.default, aten._assert_tensor_metadata.default}
MAKERS = {aten.index.Tensor, aten.masked_select.default, aten.nonzero.default}
NEUTRAL: dict[str, Any] = {
    "sum": 0, "any": False, "all": True, "amax": -math.inf, "max": -math.inf, "amin": math.inf,
    "min": math.inf,
}  # fmt: skip
"""What changes nothing in a sum, a question, an extreme."""


def _draws(node: Node) -> bool:
    return torch.Tag.nondeterministic_seeded in getattr(node.target, "tags", ())


def _is_mask(x: Any) -> bool:
    return isinstance(x, Fx) and x.meta["val"].dtype == torch.bool


def _has_symbols(val: Any) -> bool:
    return any(
        isinstance(s, torch.SymInt)
        for v in pytree.tree_leaves(val) if isinstance(v, torch.Tensor) for s in v.shape
    )  # fmt: skip


def _given(node: Node) -> dict[str, Any]:
    """The arguments of an operation by their names, in its own order; those of Python have none."""
    schema = getattr(node.target, "_schema", None)
    if schema is None:
        return {}
    values = Use.of(node, {}).values
    return {a.name: values[a.name] for a in schema.arguments}


def _dims(node: Node, ndim: int) -> list[int]:
    """The axes that an operation names."""
    given = _given(node)
    dims = given.get("dim", given.get("dims"))
    if dims is None:
        return []
    return [k % ndim for k in (dims if isinstance(dims, (list, tuple)) else [dims])]
