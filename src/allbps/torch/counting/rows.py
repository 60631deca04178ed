"""What goes along picked elements one by one."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from torch.fx import Node as Fx
from torch.utils import _pytree as pytree

from allbps.torch.counting.symbols import (
    Node,
    Symbols,
    aten,
    dims_of,
)

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
PRODUCTS = {aten.linear.default, aten.matmul.default, aten.mm.default}
NOT_BY_AXIS = {"aten.renorm.default", "aten.quantile.default", "aten.nanquantile.default"}
"""Operations whose ``dim`` is the axis that stays."""


class Rows(Symbols):
    """Which operations do for each place alone what they do."""

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
                JOINED, lambda: moving == tensors and axis not in dims_of(node, len(out))
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
        dims = dims_of(node, len(self._shape(x)))
        return bool(dims) and self._axis(x) not in dims and str(node.target) not in NOT_BY_AXIS
