"""Words of threads, and of code that lives elsewhere."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from llvmlite import ir

from allbps.machine.language.frontend.memory import Memory
from allbps.machine.language.frontend.values import Expr, Value
from allbps.machine.language.microkernel import (
    BLOCK_ARGUMENTS,
    GROUP_ARGUMENTS,
    I32,
    I64,
    PANEL_ARGUMENTS,
    PTR,
    block_name,
    group_name,
    panel_name,
)


class Threads(Memory):
    """How the words of threads are emitted."""

    def atomic_add(self, p: Value, n: Expr) -> Value:
        """Emit ``atomic_add(p, n)``."""
        old = self.b.atomic_rmw("add", p.ir, self.as_kind(n, "Int"), "acq_rel")
        return Value(old, "Int")

    def atomic_load(self, p: Value) -> Value:
        """Emit ``atomic_load(p)``."""
        return Value(self.b.load_atomic(p.ir, "acquire", 8, typ=I64), "Int")

    def atomic_store(self, p: Value, n: Expr) -> None:
        """Emit ``atomic_store(p, n)``."""
        self.b.atomic_rmw("xchg", p.ir, self.as_kind(n, "Int"), "seq_cst")

    def compare_and_swap(self, p: Value, old: Expr, new: Expr) -> Value:
        """Emit ``compare_and_swap(p, old, new)``."""
        pair = self.b.cmpxchg(
            p.ir, self.as_kind(old, "Int"), self.as_kind(new, "Int"), "seq_cst", "seq_cst"
        )
        return Value(self.b.extract_value(pair, 1), "Bool")

    def pause(self) -> None:
        """Emit ``pause()``."""
        triple = self.program.target.triple
        if triple.startswith(("x86_64", "i386", "i686")):
            self.b.call(self.declare("llvm.x86.sse2.pause", ir.FunctionType(ir.VoidType(), [])), [])
        elif triple.startswith(("aarch64", "arm64")):
            hint = self.declare("llvm.aarch64.hint", ir.FunctionType(ir.VoidType(), [I32]))
            self.b.call(hint, [ir.Constant(I32, 1)])  # YIELD

    def yield_thread(self) -> None:
        """Emit ``yield_thread()``."""
        self.b.call(self.declare("system_yield", ir.FunctionType(I32, [])), [])

    def nanoseconds(self) -> Value:
        """Emit ``nanoseconds()``: the operating system's clock, of seconds and nanoseconds."""
        pair = self.entry.alloca(ir.ArrayType(I64, 2))
        clock = self.declare("system_clock", ir.FunctionType(I32, [I32, PTR]))
        self.b.call(clock, [ir.Constant(I32, time.CLOCK_MONOTONIC), pair])
        seconds = self.b.load(pair, typ=I64)
        rest = self.b.load(self.b.gep(pair, [ir.Constant(I64, 1)], source_etype=I64), typ=I64)
        return Value(self.b.add(self.b.mul(seconds, ir.Constant(I64, 10**9)), rest), "Int")

    def call(self, code: Value, *arguments: Expr) -> None:
        """Emit ``call(code, tid, threads, team, arguments)``."""
        signature = ir.FunctionType(ir.VoidType(), [I64, I64, PTR, PTR])
        fn = self.b.inttoptr(code.ir, signature.as_pointer())
        numbers = [self.as_kind(a, "Int") for a in arguments]
        self.b.call(fn, [*numbers[:2], *(self.b.inttoptr(n, PTR) for n in numbers[2:])])

    def brgemm(self, *arguments: Expr) -> None:
        """Emit ``brgemm(...)``: the microkernel lives in an object file of its own."""
        self._microkernel(block_name(self.program.real), BLOCK_ARGUMENTS, arguments)

    def panels(self, *arguments: Expr) -> None:
        """Emit ``panels(...)``: the same microkernel."""
        self._microkernel(panel_name(self.program.real), PANEL_ARGUMENTS, arguments)

    def groups(self, *arguments: Expr) -> None:
        """Emit ``groups(...)``: the same microkernel."""
        self._microkernel(group_name(self.program.real), GROUP_ARGUMENTS, arguments)

    def _microkernel(
        self, name: str, takes: Mapping[str, ir.Type], arguments: Sequence[Expr]
    ) -> None:
        self.program.uses_brgemm = True
        fn = self.declare(name, ir.FunctionType(ir.VoidType(), list(takes.values())))
        kinds = ["Reals" if kind == PTR else "Int" for kind in takes.values()]
        self.b.call(fn, [self.as_kind(a, k) for a, k in zip(arguments, kinds, strict=True)])
