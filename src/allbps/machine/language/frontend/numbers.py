"""Words of numbers: functions that LLVM or the bits of a number give."""

from __future__ import annotations

from llvmlite import ir

from allbps.machine.language.frontend.memory import Memory
from allbps.machine.language.frontend.values import Expr, Value
from allbps.machine.language.microkernel import I32, I64


class Numbers(Memory):
    """How the words of numbers are emitted."""

    def is_nan(self, x: Expr) -> Value:
        """Emit ``is_nan(x)``."""
        number = x.ir if isinstance(x, Value) else self.as_kind(x, "Real")
        return Value(self.b.fcmp_unordered("uno", number, number), "Bool")

    def intrinsic(self, name: str, *arguments: Expr) -> Value:
        """A function of Reals, or of Doubles, that LLVM has a name for."""
        kind = next((a.kind for a in arguments if isinstance(a, Value)), "Real")
        values = [self.as_kind(a, kind) for a in arguments]
        width = "f32" if kind == "Real" and self.program.single else "f64"
        signature = ir.FunctionType(values[0].type, [v.type for v in values])
        fn = self.declare(f"llvm.{name}.{width}", signature)
        return Value(self.b.call(fn, values, fastmath=self.flags), kind)

    def remainder(self, x: Expr, y: Expr) -> Value:
        """Emit ``remainder(x, y)``."""
        return Value(self.b.frem(self.as_kind(x, "Real"), self.as_kind(y, "Real")), "Real")

    def _bits(self) -> tuple[ir.IntType, int, int]:
        """The integer as wide as a Real, the bits of its fraction, the bias of its exponent."""
        return (I32, 23, 127) if self.program.single else (I64, 52, 1023)

    def power_of_two(self, n: Expr) -> Value:
        """Emit ``power_of_two(n)``: n + bias, shifted into the place of the exponent."""
        kind, fraction, bias = self._bits()
        whole = self.b.fptosi(self.as_kind(n, "Real"), kind)
        field = self.b.shl(self.b.add(whole, ir.Constant(kind, bias)), ir.Constant(kind, fraction))
        return Value(self.b.bitcast(field, self.program.real), "Real")

    def exponent(self, x: Expr) -> Value:
        """Emit ``exponent(x)``: with √½'s bits subtracted, the exponent field is the answer."""
        kind, fraction, _ = self._bits()
        half_root = 0x3F3504F3 if self.program.single else 0x3FE6A09E667F3BCD
        bits = self.b.bitcast(self.as_kind(x, "Real"), kind)
        field = self.b.ashr(
            self.b.sub(bits, ir.Constant(kind, half_root)), ir.Constant(kind, fraction)
        )
        return Value(self.b.sitofp(field, self.program.real), "Real")

    def transpose_square(self, T: Value, ldt: Expr, A: Value, lda: Expr) -> None:
        """Emit ``transpose_square(T, ldt, A, lda)``: log₂ n rounds of perfect shuffles of the rows.

        Interleaving row i with row i + n/2, for all i, rotates the bits of (row, column) by one;
        after log₂ n rounds row and column have changed places.
        """
        n = self.program.lanes
        vector = ir.VectorType(self.program.real, n)

        def interleave(x: ir.Value, y: ir.Value, half: int) -> ir.Value:
            index = [half * n // 2 + i // 2 + i % 2 * n for i in range(n)]
            mask = ir.Constant(ir.VectorType(I32, n), [ir.Constant(I32, i) for i in index])
            return self.b.shuffle_vector(x, y, mask)

        def row(p: Value, ld: Expr, i: int) -> ir.Value:
            offset = self.b.mul(self.as_kind(ld, "Int"), ir.Constant(I64, i))
            return self.element(p, Value(offset, "Int"))

        size = self.program.itemsize
        rows = [self.b.load(row(A, lda, i), typ=vector, align=size) for i in range(n)]
        for _ in range(n.bit_length() - 1):
            pairs = zip(rows[: n // 2], rows[n // 2 :], strict=True)
            rows = [interleave(x, y, half) for x, y in pairs for half in (0, 1)]
        for i, x in enumerate(rows):
            self.b.store(x, row(T, ldt, i), align=size)
