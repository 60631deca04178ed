"""A program: an LLVM module that grows by the kernels it is asked for and those they call."""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from allbps.machine.language import words
from allbps.machine.language.errors import KernelError
from allbps.machine.language.frontend.emitter import Emitter
from allbps.machine.language.frontend.values import DOUBLE, Reference
from allbps.machine.language.microkernel import I1, I64, PTR
from allbps.machine.language.native import symbol
from allbps.machine.language.syntax import kinds, result_kind
from allbps.machine.language.target import Target


class Program:
    """An LLVM module that grows by the kernels it is asked for and those they call.

    Args:
        target: the CPU.
        single: whether Real is float32.
        paste: let LLVM paste every kernel into its callers: for small nets with constant shapes.
        insist: let LLVM warn on stderr about ``lanes`` loops that it makes no vectors of.

    """

    def __init__(
        self, target: Target, *, single: bool, paste: bool = False, insist: bool = False
    ) -> None:
        self.target, self.single, self.paste, self.insist = target, single, paste, insist
        self.real: ir.Type = ir.FloatType() if single else DOUBLE
        self.itemsize = 4 if single else 8
        self.lanes = target.lanes(self.itemsize)
        self.module = ir.Module("allbps")
        self.uses_brgemm = False
        self._exported: list[words.Kernel[Any, Any]] = []
        self._functions: dict[words.Kernel[Any, Any], ir.Function] = {}
        self._metadata: list[str] = []

    def export(self, *kernels: words.Kernel[Any, Any]) -> None:
        """Add kernels and make them callable from outside, by their own names."""
        for kernel in kernels:
            if kernel.name in [k.name for k in self._exported if k is not kernel]:
                raise KernelError(f"two kernels of one program are called {kernel.name}")
            self._exported.append(kernel)
        for kernel in kernels:
            self.function(kernel).linkage = "external"

    def function(self, kernel: words.Kernel[Any, Any]) -> ir.Function:
        """The LLVM function of a kernel, emitted at its first use; inside, names may repeat."""
        if kernel not in self._functions:
            name = symbol(kernel.name) if kernel in self._exported else f"local.{kernel.name}"
            result = result_kind(kernel)
            kind = ir.VoidType() if result == "None" else self.ir_type(result)
            signature = ir.FunctionType(kind, [self.ir_type(k) for k in kinds(kernel).values()])
            fn = ir.Function(self.module, signature, self.module.get_unique_name(name))
            fn.linkage = "internal"
            fn.attributes.add("nounwind")
            if (
                not kernel.small and not self.paste
            ):  # one copy each: pasting them everywhere doubles compile time
                fn.attributes.add("noinline")
            if kernel.plain:
                fn.attributes.update(("noinline", "optnone"))
            self._functions[kernel] = fn
            Emitter(self, fn, kernel).whole(result)
        return self._functions[kernel]

    def text(self) -> str:
        """The module as LLVM text."""
        return "\n".join([str(self.module), *self._metadata])

    def ir_type(self, kind: str) -> ir.Type:
        """The LLVM type of an argument or a variable."""
        if kind in words.POINTEES:
            return PTR
        return {"Int": I64, "Real": self.real, "Double": DOUBLE, "Bool": I1}[kind]

    def loop_metadata(
        self, interleave: int, width: int, *, known: bool
    ) -> tuple[Reference, Reference]:
        """Metadata that names a loop's memory accesses, and says they are independent.

        Where the number of turns is ``known``, LLVM is kept from writing them out one by one before
        it thinks of vectors.
        """
        first = 10_000 + 8 * len(self._metadata)
        properties = [
            f'!"llvm.loop.parallel_accesses", !{first}',
            f'!"llvm.loop.interleave.count", i32 {interleave}',
            f'!"llvm.loop.vectorize.width", i32 {width}',
        ]
        if known:
            properties.append('!"llvm.loop.unroll.disable"')
        if self.insist:
            properties.append('!"llvm.loop.vectorize.enable", i1 true')
        own = ", ".join(f"!{first + 1 + i}" for i in range(len(properties) + 1))
        lines = [f"!{first} = distinct !{{}}", f"!{first + 1} = distinct !{{{own}}}"]
        lines += [f"!{first + 2 + i} = !{{{text}}}" for i, text in enumerate(properties)]
        self._metadata.append("\n".join(lines))
        return Reference(first), Reference(first + 1)
