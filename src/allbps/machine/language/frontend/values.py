"""What expressions of a kernel stand for while it is compiled, and the types they may have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from llvmlite import ir

I8 = ir.IntType(8)
DOUBLE = ir.DoubleType()
EXACT = ("contract",)  # a product and a sum may become one fused multiply-add
REORDERED = ("contract", "reassoc", "nsz")  # and a sum may be split over vector lanes


@dataclass(frozen=True)
class Value:
    """A number or pointer at run time. ``kind`` is the name of its type in kernels."""

    ir: ir.Value
    kind: str


#: What an expression yields: a run-time value, a constant, or a tuple of such.
Expr = Any


@dataclass(frozen=True)
class Slot:
    """A variable: where it lives, and the kind of value it holds."""

    ir: ir.Value
    kind: str


@dataclass(frozen=True)
class Reference:
    """A metadata node written as text, where llvmlite expects a node of its own."""

    number: int

    def get_reference(self) -> str:
        """How LLVM text refers to it."""
        return f"!{self.number}"


@dataclass
class Expansion:
    """A formula being pasted: where it began, and what it returned."""

    depth: int
    result: Expr = None
    returned: bool = False


@dataclass
class Loop:
    """Where ``break`` and ``continue`` go."""

    after: ir.Block
    latch: ir.Block
