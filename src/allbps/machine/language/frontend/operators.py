"""Operators and comparisons, with Python's meaning, and those that Python has no sign for."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from llvmlite import ir

from allbps.machine.language.frontend.memory import Memory
from allbps.machine.language.frontend.values import Expr, Value
from allbps.machine.language.microkernel import I64
from allbps.machine.language.words import POINTEES

BINARY: dict[type[ast.operator], tuple[str, str | None, Callable[[Any, Any], Any]]] = {
    # Python operator: integer instruction, real instruction, meaning for constants
    ast.Add: ("add", "fadd", lambda x, y: x + y),
    ast.Sub: ("sub", "fsub", lambda x, y: x - y),
    ast.Mult: ("mul", "fmul", lambda x, y: x * y),
    ast.Div: ("", "fdiv", lambda x, y: x / y),
    ast.FloorDiv: ("floordiv", None, lambda x, y: x // y),
    ast.Mod: ("floormod", None, lambda x, y: x % y),
    ast.BitAnd: ("and_", None, lambda x, y: x & y),
    ast.BitOr: ("or_", None, lambda x, y: x | y),
    ast.BitXor: ("xor", None, lambda x, y: x ^ y),
    ast.LShift: ("shl", None, lambda x, y: x << y),
    ast.RShift: ("ashr", None, lambda x, y: x >> y),
    ast.Pow: ("", None, lambda x, y: x**y),
}

COMPARE: dict[type[ast.cmpop], tuple[str, Callable[[Any, Any], bool]]] = {
    ast.Lt: ("<", lambda x, y: bool(x < y)),
    ast.LtE: ("<=", lambda x, y: bool(x <= y)),
    ast.Gt: (">", lambda x, y: bool(x > y)),
    ast.GtE: (">=", lambda x, y: bool(x >= y)),
    ast.Eq: ("==", lambda x, y: bool(x == y)),
    ast.NotEq: ("!=", lambda x, y: bool(x != y)),
}


class Operators(Memory):
    """What two values make."""

    def binary(self, node: ast.AST, op: ast.operator, x: Expr, y: Expr) -> Expr:
        """What an operator makes of two values."""
        integer, floating, meaning = BINARY[type(op)]
        if not isinstance(x, Value) and not isinstance(y, Value):
            return meaning(x, y)
        if isinstance(x, Value) and x.kind in POINTEES and isinstance(op, ast.Add):
            return Value(self.element(x, y), x.kind)
        kind = self.common(node, x, y)
        a, c = self.as_kind(x, kind), self.as_kind(y, kind)
        if kind == "Bool" and integer in ("and_", "or_"):
            return Value(getattr(self.b, integer)(a, c), kind)
        if kind == "Int" and integer:
            if integer in ("floordiv", "floormod"):
                return Value(getattr(self, f"_{integer}")(a, c), kind)
            return Value(getattr(self.b, integer)(a, c), kind)
        if kind in ("Real", "Double") and floating:
            return Value(getattr(self.b, floating)(a, c, flags=self.flags), kind)
        raise self.refuse(node, f"has no such operation on {kind}")

    def _floordiv(self, x: ir.Value, y: ir.Value) -> ir.Value:
        """Python's quotient, rounded down, from the CPU's, which is rounded toward zero."""
        q = self.b.sdiv(x, y)
        return self.b.sub(q, self.b.zext(self._rounded_up(x, y), I64))

    def _floormod(self, x: ir.Value, y: ir.Value) -> ir.Value:
        rest = self.b.srem(x, y)
        return self.b.add(rest, self.b.select(self._rounded_up(x, y), y, ir.Constant(I64, 0)))

    def _rounded_up(self, x: ir.Value, y: ir.Value) -> ir.Value:
        inexact = self.b.icmp_signed("!=", self.b.srem(x, y), ir.Constant(I64, 0))
        signs = self.b.icmp_signed("<", self.b.xor(x, y), ir.Constant(I64, 0))
        return self.b.and_(inexact, signs)

    def compare(self, node: ast.AST, op: ast.cmpop, x: Expr, y: Expr) -> Expr:
        """What a comparison makes of two values."""
        symbol, meaning = COMPARE[type(op)]
        if not isinstance(x, Value) and not isinstance(y, Value):
            return meaning(x, y)
        kind = self.common(node, x, y)
        a, c = self.as_kind(x, kind), self.as_kind(y, kind)
        if kind in ("Int", "Bool"):
            return Value(self.b.icmp_signed(symbol, a, c), "Bool")
        compare = self.b.fcmp_unordered if symbol == "!=" else self.b.fcmp_ordered
        return Value(compare(symbol, a, c), "Bool")

    def select(self, condition: Expr, x: Expr, y: Expr) -> Expr:
        """Emit ``select(c, x, y)``."""
        if not isinstance(condition, Value):
            return x if condition else y
        kind = self.common(None, x, y)
        chosen = self.b.select(condition.ir, self.as_kind(x, kind), self.as_kind(y, kind))
        return Value(chosen, kind)
