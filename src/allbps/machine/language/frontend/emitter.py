"""The emitter: one kernel as one LLVM function."""

from __future__ import annotations

from allbps.machine.language.errors import KernelError
from allbps.machine.language.frontend.calls import Calls
from allbps.machine.language.frontend.numbers import Numbers
from allbps.machine.language.frontend.threads import Threads
from allbps.machine.language.frontend.values import Value
from allbps.machine.language.syntax import kinds


class Emitter(Calls, Numbers, Threads):
    """Emits one LLVM function, with everything that is pasted into it."""

    def whole(self, result: str) -> None:
        """The function itself: arguments into slots, then the body."""
        start = self.b.block
        self.result = result
        for (name, kind), value in zip(kinds(self.kernel).items(), self.fn.args, strict=True):
            value.name = name
            self.bind(name, Value(value, kind))
        self.body(self.kernel.tree.body)
        if not self.b.block.is_terminated:
            if result != "None":
                raise KernelError(f"{self.kernel.name}: a path ends without a return")
            self.b.ret_void()
        self.entry.branch(start)
