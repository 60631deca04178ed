"""Expressions: everything that yields a value, but calls."""

from __future__ import annotations

import ast
from collections.abc import Callable

from llvmlite import ir

from allbps.machine.language import words
from allbps.machine.language.frontend.operators import Operators
from allbps.machine.language.frontend.values import Expr, Slot, Value


class Expressions(Operators):
    """One method for each kind of expression."""

    def expr(self, node: ast.expr) -> Expr:
        """The value of an expression."""
        method = getattr(self, f"_expr_{type(node).__name__}", None)
        if method is None:
            raise self.refuse(node, "is not an expression of kernels")
        return method(node)

    def _expr_Constant(self, node: ast.Constant) -> Expr:
        return node.value

    def _expr_Tuple(self, node: ast.Tuple) -> Expr:
        return tuple(self.expr(e) for e in node.elts)

    def _expr_Name(self, node: ast.Name) -> Expr:
        return self.name(node)

    def name(self, node: ast.Name) -> Expr:
        """What a name stands for."""
        if node.id in self.names:
            found = self.names[node.id]
            if isinstance(found, Slot):
                kind = self.program.ir_type(found.kind)
                return Value(self.b.load(found.ir, typ=kind), found.kind)
            return found
        try:
            outer = self.kernel.lookup(node.id)
        except NameError:
            raise self.refuse(node, f"uses {node.id}, which has no value here") from None
        return outer.of_program(self.program) if isinstance(outer, words.Static) else outer

    def _expr_Attribute(self, node: ast.Attribute) -> Expr:
        return getattr(self.expr(node.value), node.attr)

    def _expr_UnaryOp(self, node: ast.UnaryOp) -> Expr:
        x = self.expr(node.operand)
        if isinstance(node.op, ast.Not):
            return not x if not isinstance(x, Value) else Value(self.b.not_(self.truth(x)), "Bool")
        assert isinstance(node.op, ast.USub)
        if not isinstance(x, Value):
            return -x
        if x.kind == "Int":
            return Value(self.b.neg(x.ir), "Int")
        return Value(self.b.fneg(x.ir), x.kind)

    def _expr_BinOp(self, node: ast.BinOp) -> Expr:
        return self.binary(node, node.op, self.expr(node.left), self.expr(node.right))

    def _expr_Compare(self, node: ast.Compare) -> Expr:
        parts = [node.left, *node.comparators]
        values = [self.expr(p) for p in parts]
        result: Expr = True
        for op, x, y in zip(node.ops, values, values[1:], strict=False):
            one = self.compare(node, op, x, y)
            if result is True:
                result = one
            elif not isinstance(one, Value):
                result = result if one else False
            else:
                result = Value(self.b.and_(self.truth(result), one.ir), "Bool")
        return result

    def _expr_BoolOp(self, node: ast.BoolOp) -> Expr:
        """``and`` and ``or`` stop at the first side that decides, as in Python."""
        stops = isinstance(node.op, ast.Or)
        result = self.expr(node.values[0])
        for i, side in enumerate(node.values[1:], 1):
            if not isinstance(result, Value):
                if bool(result) is stops:
                    return result
                result = self.expr(side)
                continue
            rest = ast.BoolOp(node.op, node.values[i:]) if len(node.values) > i + 1 else side
            ast.copy_location(rest, node)
            decided: Callable[[], Expr] = lambda: stops  # noqa: E731
            other: Callable[[], Expr] = lambda rest=rest: self.expr(rest)  # type: ignore[misc]  # noqa: E731
            yes, no = (decided, other) if stops else (other, decided)
            return self._choose(self.truth(result), yes, no, "Bool")
        return result

    def _expr_IfExp(self, node: ast.IfExp) -> Expr:
        condition = self.expr(node.test)
        if not isinstance(condition, Value):
            return self.expr(node.body if condition else node.orelse)
        return self._choose(
            self.truth(condition), lambda: self.expr(node.body), lambda: self.expr(node.orelse)
        )

    def _choose(
        self,
        condition: ir.Value,
        yes: Callable[[], Expr],
        no: Callable[[], Expr],
        kind: str | None = None,
    ) -> Value:
        blocks = self.blocks("yes", "no", "either")
        self.b.cbranch(condition, *blocks[:2])
        self.b.position_at_end(blocks[0])
        x, x_block = yes(), self.b.block
        self.b.position_at_end(blocks[1])
        y, y_block = no(), self.b.block
        kind = kind or self.common(None, x, y)
        ends = []
        for value, block in ((x, x_block), (y, y_block)):
            self.b.position_at_end(block)
            ends.append(self.truth(value) if kind == "Bool" else self.as_kind(value, kind))
            self.b.branch(blocks[2])
        self.b.position_at_end(blocks[2])
        phi = self.b.phi(self.program.ir_type(kind))
        phi.add_incoming(ends[0], x_block)
        phi.add_incoming(ends[1], y_block)
        return Value(phi, kind)

    def _expr_Subscript(self, node: ast.Subscript) -> Expr:
        base, index = self.expr(node.value), self.expr(node.slice)
        if not isinstance(base, Value):
            return base[index]
        return self.load(self.element(base, index), base.kind)
