"""What sums over picked elements, or puts them somewhere: those that do not count add nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from torch.fx import Node as Fx
from torch.utils import _pytree as pytree

from allbps.torch.counting.symbols import (
    Node,
    Symbols,
    aten,
    dims_of,
    given_of,
    is_mask,
)

LABELLED = {aten.cross_entropy_loss.default, aten.nll_loss.default, aten.nll_loss_nd.default}
NEUTRAL: dict[str, Any] = {
    "sum": 0, "any": False, "all": True, "amax": -math.inf, "max": -math.inf, "amin": math.inf,
    "min": math.inf,
}  # fmt: skip
"""What changes nothing in a sum, a question, an extreme."""


class Sums(Symbols):
    """Sums, means, extremes, losses and writes of those elements that count."""

    def _summed(self, node: Node) -> None:
        target, x = node.target, node.args[0]
        tensors = [y for y in pytree.tree_leaves((node.args, node.kwargs)) if isinstance(y, Fx)]
        name = str(target).split(".")[1]
        if tensors != [x] or name not in {*NEUTRAL, "mean"}:
            raise self._refusal(node)
        val, shape = x.meta["val"], self._shape(x)
        if name == "mean":
            symbol = self._symbol(x)
            dims = dims_of(node, len(shape)) or range(len(shape))
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
        given = given_of(node)
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
        elif len(args) > 3 and args[3] and not any(map(is_mask, args[1])) and self._symbol(values):
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
        same = is_mask(mask) and symbol and self.masks[symbol][0] == self.number[mask]
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
