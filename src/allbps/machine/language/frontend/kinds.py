"""Kinds of numbers: which one a value has, and how it becomes another."""

from __future__ import annotations

import ast

from llvmlite import ir

from allbps.machine.language.errors import KernelError
from allbps.machine.language.frontend.state import State
from allbps.machine.language.frontend.values import DOUBLE, Expr, Value
from allbps.machine.language.microkernel import I1, I64


class Kinds(State):
    """Conversions."""

    def kind(self, value: Expr) -> str:
        """The kind of variable that holds a value."""
        if isinstance(value, Value):
            return value.kind
        return {bool: "Bool", int: "Int", float: "Real"}[type(value)]

    def common(self, node: ast.AST | None, x: Expr, y: Expr) -> str:
        """The kind of two operands; a constant takes the kind of the other."""
        for a, other in ((x, y), (y, x)):
            if not isinstance(a, Value):
                return self.kind(other)
        if x.kind != y.kind:
            raise self.refuse(node, f"mixes {x.kind} and {y.kind}: convert one of them")
        return str(x.kind)

    def as_kind(self, value: Expr, kind: str) -> ir.Value:
        """The LLVM value of an expression that must be of that kind."""
        if not isinstance(value, Value):
            if kind in ("Int", "Bool") and isinstance(value, float):
                raise KernelError(f"{self.kernel.name}: the constant {value} is not {kind}")
            return ir.Constant(self.program.ir_type(kind), value)
        if value.kind != kind:
            raise KernelError(f"{self.kernel.name}: {kind} expected, got {value.kind}")
        return value.ir

    def truth(self, value: Expr) -> ir.Value:
        """A condition as one bit."""
        if not isinstance(value, Value):
            return ir.Constant(I1, bool(value))
        if value.kind == "Int":
            return self.b.icmp_signed("!=", value.ir, ir.Constant(I64, 0))
        return value.ir

    def to_real(self, x: Expr) -> Expr:
        """Emit ``real(x)``."""
        if not isinstance(x, Value):
            return float(x)
        if x.kind == "Int":
            return Value(self.b.sitofp(x.ir, self.program.real), "Real")
        if x.kind == "Double" and self.program.single:
            return Value(self.b.fptrunc(x.ir, self.program.real), "Real")
        return Value(x.ir, "Real")

    def to_double(self, x: Expr) -> Expr:
        """Emit ``double(x)``."""
        if not isinstance(x, Value):
            return Value(ir.Constant(DOUBLE, float(x)), "Double")
        if x.kind == "Int":
            return Value(self.b.sitofp(x.ir, DOUBLE), "Double")
        if x.kind == "Real" and self.program.single:
            return Value(self.b.fpext(x.ir, DOUBLE), "Double")
        return Value(x.ir, "Double")

    def to_int(self, x: Expr) -> Expr:
        """Emit ``integer(x)``."""
        if not isinstance(x, Value):
            return int(x)
        return x if x.kind == "Int" else Value(self.b.fptosi(x.ir, I64), "Int")
