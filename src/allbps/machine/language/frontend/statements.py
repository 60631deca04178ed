"""Statements: assignments, branches and loops; all keep Python's meaning."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator, Sequence

from allbps.machine.language import words
from allbps.machine.language.errors import KernelError
from allbps.machine.language.frontend.expressions import Expressions
from allbps.machine.language.frontend.values import Expr, Loop, Reference, Value
from allbps.machine.language.microkernel import I64


class Statements(Expressions):
    """One method for each kind of statement."""

    def body(self, statements: Sequence[ast.stmt]) -> None:
        """Statements one after another, up to one that jumps away."""
        for statement in statements:
            if self.b.block.is_terminated or (self.expansion and self.expansion.returned):
                return
            method = getattr(self, f"_do_{type(statement).__name__}", None)
            if method is None:
                raise self.refuse(statement, "is not a statement of kernels")
            try:
                method(statement)
            except KernelError:
                raise
            except Exception as error:
                raise self.refuse(statement, f"could not be compiled: {error!r}") from error

    def _do_Expr(self, node: ast.Expr) -> None:
        if not isinstance(node.value, ast.Constant):  # a docstring says nothing to LLVM
            self.expr(node.value)

    def _do_Pass(self, node: ast.Pass) -> None:
        pass

    def _do_Assign(self, node: ast.Assign) -> None:
        value = self.expr(node.value)
        for target in node.targets:
            self._assign(target, value)

    def _do_AnnAssign(self, node: ast.AnnAssign) -> None:
        assert node.value is not None
        self._assign(node.target, self.expr(node.value))

    def _do_AugAssign(self, node: ast.AugAssign) -> None:
        if isinstance(node.target, ast.Subscript):
            pointer, index = self.expr(node.target.value), self.expr(node.target.slice)
            place = self.element(pointer, index)
            old = self.load(place, pointer.kind)
            self.store(self.binary(node, node.op, old, self.expr(node.value)), place, pointer.kind)
            return
        assert isinstance(node.target, ast.Name)
        old = self.name(node.target)
        self._assign(node.target, self.binary(node, node.op, old, self.expr(node.value)))

    def _assign(self, target: ast.expr, value: Expr) -> None:
        if isinstance(target, ast.Name):
            self.bind(target.id, value)
        elif isinstance(target, ast.Tuple):
            for part, item in zip(target.elts, value, strict=True):
                self._assign(part, item)
        elif isinstance(target, ast.Subscript):
            pointer, index = self.expr(target.value), self.expr(target.slice)
            self.store(value, self.element(pointer, index), pointer.kind)
        else:
            raise self.refuse(target, "cannot be assigned to")

    def _do_Return(self, node: ast.Return) -> None:
        value = None if node.value is None else self.expr(node.value)
        if self.expansion is not None:
            if self.depth != self.expansion.depth:
                raise self.refuse(node, "returns from inside a branch or loop of a formula")
            self.expansion.result, self.expansion.returned = value, True
        elif self.result == "None":
            self.b.ret_void()
        else:
            self.b.ret(self.as_kind(value, self.result))

    def _do_If(self, node: ast.If) -> None:
        condition = self.expr(node.test)
        if not isinstance(condition, Value):
            self.body(node.body if condition else node.orelse)
            return
        yes, no, after = self.blocks("then", "else", "endif")
        self.b.cbranch(self.truth(condition), yes, no)
        for block, statements in ((yes, node.body), (no, node.orelse)):
            self.b.position_at_end(block)
            self._nested(statements)
            if not self.b.block.is_terminated:
                self.b.branch(after)
        self.b.position_at_end(after)

    def _do_While(self, node: ast.While) -> None:
        head, inside, after = self.blocks("while", "do", "done")
        self.b.branch(head)
        self.b.position_at_end(head)
        self.b.cbranch(self.truth(self.expr(node.test)), inside, after)
        self.b.position_at_end(inside)
        self._loop_body(node.body, Loop(after, head))
        if not self.b.block.is_terminated:
            self.b.branch(head)
        self.b.position_at_end(after)

    def _do_Break(self, node: ast.Break) -> None:
        self.b.branch(self.loops[-1].after)

    def _do_Continue(self, node: ast.Continue) -> None:
        self.b.branch(self.loops[-1].latch)

    def _loop_body(self, statements: Sequence[ast.stmt], loop: Loop) -> None:
        self.loops.append(loop)
        self._nested(statements)
        self.loops.pop()

    def _nested(self, statements: Sequence[ast.stmt]) -> None:
        """Statements that may run any number of times, or not at all."""
        self.depth += 1
        self.body(statements)
        self.depth -= 1

    def _do_For(self, node: ast.For) -> None:
        assert isinstance(node.target, ast.Name)
        assert isinstance(node.iter, ast.Call)
        word = self.expr(node.iter.func)
        arguments = [self.expr(a) for a in node.iter.args]
        if word is words.unroll:
            for i in range(arguments[0]):
                self.names[node.target.id] = i
                self.body(node.body)
            return
        start, stop = (0, arguments[0]) if len(arguments) == 1 else arguments[:2]
        step = arguments[2] if len(arguments) == 3 else 1
        if word is words.lanes:
            options = {k.arg: self.expr(k.value) for k in node.iter.keywords}
            self._in_lanes(node, (start, stop, step), options.get("interleave", 1))
        elif word is builtins.range:
            self._counted(node, start, stop, step, None)
        else:
            raise self.refuse(node, "loops over neither range, lanes nor unroll")

    def _in_lanes(self, node: ast.For, bounds: tuple[Expr, Expr, Expr], interleave: int) -> None:
        """Turns that depend on no other: vectors, and shorter ones for a few that are left."""
        start, stop, _ = bounds
        known = isinstance(start, int) and isinstance(stop, int)
        if not known or stop - start >= LONG * self.program.lanes:
            self._vectors(node, bounds, interleave, self.program.lanes, known=False)
            return
        for first, end, width in _vectors_of(start, stop, self.program.lanes):
            if width == 1:
                self._counted(node, first, end, 1, None)
            else:
                self._vectors(node, (first, end, 1), interleave, width, known=True)

    def _vectors(
        self,
        node: ast.For,
        bounds: tuple[Expr, Expr, Expr],
        interleave: int,
        width: int,
        *,
        known: bool,
    ) -> None:
        """A loop of which LLVM makes vectors of ``width`` numbers."""
        group, loop = self.program.loop_metadata(interleave, width, known=known)
        outer, self.group = self.group, group
        self._counted(node, *bounds, loop)
        self.group = outer

    def _counted(
        self, node: ast.For, start: Expr, stop: Expr, step: Expr, metadata: Reference | None
    ) -> None:
        """A loop with a counter; its slot is private, the visible variable a copy of it."""
        assert isinstance(node.target, ast.Name)
        end, by = self.as_kind(stop, "Int"), self.as_kind(step, "Int")
        counter = self.entry.alloca(I64)
        self.b.store(self.as_kind(start, "Int"), counter)
        head, inside, latch, after = self.blocks("for", "do", "next", "done")
        self.b.branch(head)
        self.b.position_at_end(head)
        i = self.b.load(counter, typ=I64)
        self.b.cbranch(self.b.icmp_signed("<", i, end), inside, after)
        self.b.position_at_end(inside)
        self.names.pop(node.target.id, None)
        self.bind(node.target.id, Value(i, "Int"))
        self._loop_body(node.body, Loop(after, latch))
        if not self.b.block.is_terminated:
            self.b.branch(latch)
        self.b.position_at_end(latch)
        self.b.store(self.b.add(self.b.load(counter, typ=I64), by, flags=("nsw",)), counter)
        back = self.b.branch(head)
        if metadata is not None:
            back.set_metadata("llvm.loop", metadata)
        self.b.position_at_end(after)


LONG = 8
"""Vectors of a loop that hardly notices what is left over behind them."""
SHORTEST = 4
"""Turns that are worth a vector."""


def _vectors_of(start: int, stop: int, lanes: int) -> Iterator[tuple[int, int, int]]:
    """Stretches of a loop, each with a width of vectors that fills it.

    >>> list(_vectors_of(0, 46, 16))
    [(0, 32, 16), (32, 40, 8), (40, 44, 4), (44, 46, 1)]
    """
    width = lanes
    while start < stop:
        end = start + (stop - start) // width * width
        if start < end:
            yield start, end, width
        start, width = end, width // 2 if width >= 2 * SHORTEST else 1
