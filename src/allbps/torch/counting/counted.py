"""One graph, gone through from its arguments on, until no length follows from values."""

from __future__ import annotations

import operator
from typing import Any

import torch
from torch import nn
from torch.export import ExportedProgram
from torch.fx import Node as Fx

from allbps.torch.checks import CHECKED
from allbps.torch.counting.picked import Picked
from allbps.torch.counting.rows import Rows
from allbps.torch.counting.sums import Sums
from allbps.torch.counting.symbols import (
    Node,
    aten,
    given_of,
    symbols_of,
)
from allbps.torch.refusals import decides, name_of
from allbps.torch.where import said

FILLED = {
    aten.zeros.default, aten.ones.default, aten.full.default, aten.new_zeros.default,
    aten.new_ones.default, aten.new_full.default, aten.zeros_like.default, aten.ones_like.default,
    aten.full_like.default,
}  # fmt: skip
ASSERTS = {aten._assert_scalar.default, aten._assert_tensor_metadata.default}
PICKING = {aten.index.Tensor, aten.masked_select.default, aten.nonzero.default}


def counted(program: ExportedProgram, module: nn.Module) -> None:
    """Give every axis of the graph a length: that of the mask, where a mask says how many.

    Raises:
        ArgumentError: something would mind which places were picked.

    """
    if any(symbols_of(node) for node in program.graph.nodes):
        _Counting(program, module).run()


class _Counting(Picked, Rows, Sums):
    """One graph, gone through from its arguments on."""

    def run(self) -> None:
        asserts = []
        for node in list(self.graph.nodes):
            self.here = node
            self._numbered(node)
            found = symbols_of(node)
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
        if rest := next((n for n in self.graph.nodes if symbols_of(n)), None):
            raise self._refusal(rest)

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

    def _settle(self, node: Node) -> None:
        target, tags = node.target, getattr(node.target, "tags", ())
        if target in PICKING and self._made(node):
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
        elif given_of(node).get("reduction"):
            self._loss(node)
        elif target in FILLED or self._is_row_by_row(node, torch.Tag.pointwise in tags):
            self._keep(node)
        else:
            self._summed(node)

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
