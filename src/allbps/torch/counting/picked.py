"""Where elements are picked: ``x[mask]``, ``masked_select``, ``nonzero``."""

from __future__ import annotations

import math
from typing import Any

import torch

from allbps.torch.counting.symbols import (
    Node,
    Symbol,
    Symbols,
    aten,
    draws,
    is_mask,
)

_broadcast: Any = torch.broadcast_shapes  # it has no types


class Picked(Symbols):
    """What picks elements, with all places in their stead."""

    def _made(self, node: Node) -> bool:
        """Picked elements; False where the mask stands for none of its own."""
        if node.target is aten.index.Tensor:
            x, parts = node.args
            masks = [k for k, p in enumerate(parts) if p is not None and is_mask(p)]
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
            if not is_mask(mask):
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
            elif node.op == "call_function" and node not in self.was and not draws(node):
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
