"""Memory: variables in stack slots, elements behind pointers."""

from __future__ import annotations

from llvmlite import ir

from allbps.machine.language.errors import KernelError
from allbps.machine.language.frontend.kinds import Kinds
from allbps.machine.language.frontend.values import I8, Expr, Slot, Value
from allbps.machine.language.microkernel import I64, PTR
from allbps.machine.language.words import POINTEES


class Memory(Kinds):
    """Reading and writing."""

    def bind(self, name: str, value: Expr) -> None:
        """Give a name a value: a slot of its own at the first time."""
        if isinstance(value, tuple):
            self.names[name] = value
            return
        slot = self.names.get(name)
        if not isinstance(slot, Slot):
            kind = self.kind(value)
            slot = Slot(self.entry.alloca(self.program.ir_type(kind), name=name), kind)
            self.names[name] = slot
        self.b.store(self.as_kind(value, slot.kind), slot.ir)

    def element(self, pointer: Value, index: Expr) -> ir.Value:
        """The address of an element."""
        if not isinstance(pointer, Value) or pointer.kind not in POINTEES:
            raise KernelError(f"{self.kernel.name}: only pointers can be indexed")
        return self.b.gep(
            pointer.ir, [self.as_kind(index, "Int")], source_etype=self._pointee(pointer.kind)
        )

    def _pointee(self, kind: str) -> ir.Type:
        element = POINTEES[kind]
        return I8 if element == "Byte" else self.program.ir_type(element)

    def load(self, place: ir.Value, kind: str) -> Value:
        """The number at an address."""
        value = self.b.load(place, typ=self._pointee(kind))
        self._mark(value)
        if kind == "Bytes":
            return Value(self.b.zext(value, I64), "Int")
        return Value(value, POINTEES[kind])

    def store(self, value: Expr, place: ir.Value, kind: str) -> None:
        """Write a number to an address."""
        if kind == "Bytes":
            number = self.b.trunc(self.as_kind(value, "Int"), I8)
        else:
            number = self.as_kind(value, POINTEES[kind])
        self._mark(self.b.store(number, place))

    def _mark(self, access: ir.Instruction) -> None:
        """Inside ``lanes``: this access depends on no other turn of the loop."""
        if self.group is not None:
            access.set_metadata("llvm.access.group", self.group)

    def retype(self, pointer: Value, kind: str) -> Value:
        """Emit ``as_ints(p)`` and its like."""
        return Value(pointer.ir, kind)

    def pointer_at(self, table: Value, index: Expr) -> Value:
        """Emit ``pointer_at(table, i)``."""
        place = self.element(table, index)
        return Value(self.b.load(place, typ=PTR), "Reals")

    def stack(self, n: int) -> Value:
        """Emit ``stack(n)``."""
        slot = self.entry.alloca(ir.ArrayType(self.program.real, n))
        slot.align = 64
        return Value(slot, "Reals")
