"""The emitter: one kernel as one LLVM function."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from allbps.machine.language.frontend.calls import Calls
from allbps.machine.language.frontend.errors import KernelError
from allbps.machine.language.frontend.numbers import Numbers
from allbps.machine.language.frontend.threads import Threads
from allbps.machine.language.frontend.values import Value


class Emitter(Calls, Numbers, Threads):
    """Emits one LLVM function, with everything that is pasted into it."""

    def whole(self, tree: ast.FunctionDef, kinds: Sequence[str], result: str) -> None:
        """The function itself: arguments into slots, then the body."""
        start = self.b.block
        self.result = result
        for argument, value, kind in zip(tree.args.args, self.fn.args, kinds, strict=True):
            value.name = argument.arg
            self.bind(argument.arg, Value(value, kind))
        self.body(tree.body)
        if not self.b.block.is_terminated:
            if result != "None":
                raise KernelError(f"{self.kernel.name}: a path ends without a return")
            self.b.ret_void()
        self.entry.branch(start)
