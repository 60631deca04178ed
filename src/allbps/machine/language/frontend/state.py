"""Where an emission stands: the function that grows, the names it knows, the loops it is in."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from llvmlite import ir

from allbps.machine.language import words
from allbps.machine.language.errors import KernelError
from allbps.machine.language.frontend.values import (
    EXACT,
    REORDERED,
    Expansion,
    Expr,
    Loop,
    Reference,
)

if TYPE_CHECKING:
    from allbps.machine.language.frontend.program import Program


class State:
    """The bottom of the emitter; each file of this room adds one layer of words.

    Args:
        program: what the function belongs to.
        fn: the function to fill.
        kernel: whose text it is.

    """

    def __init__(self, program: Program, fn: ir.Function, kernel: words.Kernel[Any, Any]) -> None:
        self.program, self.fn, self.kernel = program, fn, kernel
        self.flags = REORDERED if kernel.reorder else EXACT
        self.entry = ir.IRBuilder(fn.append_basic_block("slots"))
        self.b = ir.IRBuilder(fn.append_basic_block("start"))
        self.names: dict[str, Expr] = {}
        self.result = "None"
        self.expansion: Expansion | None = None
        self.loops: list[Loop] = []
        self.depth = 0  # of branches and loops that are decided at run time
        self.group: Reference | None = None

    def declare(self, name: str, signature: ir.FunctionType) -> ir.Function:
        """A function of that name, declared at its first use."""
        found = self.program.module.globals.get(name)
        return found or ir.Function(self.program.module, signature, name)

    def blocks(self, *names: str) -> list[ir.Block]:
        """New blocks of code."""
        return [self.fn.append_basic_block(name) for name in names]

    def refuse(self, node: ast.AST | None, why: str) -> KernelError:
        """An error that shows the line."""
        line = getattr(node, "lineno", 0)
        file = self.kernel.function.__code__.co_filename
        text = ast.unparse(node) if node is not None else "this"
        return KernelError(f"{file}:{line} in {self.kernel.name}: {text!r} {why}")
