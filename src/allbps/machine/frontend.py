"""The kernel compiler: a Python function over numbers and pointers becomes LLVM code.

It reads the function's syntax tree once, top to bottom, and emits as it goes. Every variable is a
stack slot typed by its first assignment (LLVM's passes turn slots into registers), every constant
expression is worked out here, and everything that is not in the language is refused with the
line that holds it. All shapes of control flow keep Python's meaning, so the same function run by
CPython is the compiler's reference.
"""

from __future__ import annotations

import ast
import builtins
import functools
import inspect
import textwrap
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from llvmlite import ir

from . import words
from .microkernel import BLOCK_ARGUMENTS, I1, I32, I64, PTR, block_name
from .native import symbol
from .target import Target

I8 = ir.IntType(8)
DOUBLE = ir.DoubleType()
EXACT = ("contract",)  # a product and a sum may become one fused multiply-add
REORDERED = ("contract", "reassoc", "nsz")  # and a sum may be split over vector lanes


class KernelError(Exception):
    """A kernel says something that is not in the language of kernels."""


@dataclass(frozen=True)
class Value:
    """A number or pointer at run time. ``kind`` is the name of its type in kernels."""

    ir: ir.Value
    kind: str


#: What an expression yields: a run-time value, a constant, or a tuple of such.
Expr = Any

POINTEES = {"Reals": "Real", "Ints": "Int", "Bytes": "Byte", "Doubles": "Double"}

BINARY: dict[type[ast.operator], tuple[str, str | None, Callable[[Any, Any], Any]]] = {
    # Python operator: integer instruction, real instruction, meaning for constants
    ast.Add: ("add", "fadd", lambda x, y: x + y),
    ast.Sub: ("sub", "fsub", lambda x, y: x - y),
    ast.Mult: ("mul", "fmul", lambda x, y: x * y),
    ast.Div: ("", "fdiv", lambda x, y: x / y),
    ast.FloorDiv: ("floordiv", None, lambda x, y: x // y),
    ast.Mod: ("floormod", None, lambda x, y: x % y),
    ast.BitAnd: ("and_", None, lambda x, y: x & y),
    ast.BitOr: ("or_", None, lambda x, y: x | y),
    ast.LShift: ("shl", None, lambda x, y: x << y),
    ast.RShift: ("ashr", None, lambda x, y: x >> y),
    ast.Pow: ("", None, lambda x, y: x**y),
}

COMPARE: dict[type[ast.cmpop], tuple[str, Callable[[Any, Any], bool]]] = {
    ast.Lt: ("<", lambda x, y: bool(x < y)),
    ast.LtE: ("<=", lambda x, y: bool(x <= y)),
    ast.Gt: (">", lambda x, y: bool(x > y)),
    ast.GtE: (">=", lambda x, y: bool(x >= y)),
    ast.Eq: ("==", lambda x, y: bool(x == y)),
    ast.NotEq: ("!=", lambda x, y: bool(x != y)),
}


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
        self._functions: dict[words.Kernel[Any, Any], ir.Function] = {}
        self._metadata: list[str] = []

    def export(self, kernel: words.Kernel[Any, Any]) -> None:
        """Add a kernel and make it callable from outside."""
        self.function(kernel).linkage = "external"

    def function(self, kernel: words.Kernel[Any, Any]) -> ir.Function:
        """The LLVM function of a kernel, emitted at its first use."""
        if kernel not in self._functions:
            tree = syntax(kernel)
            kinds = [annotation(a.annotation, kernel) for a in tree.args.args]
            result = annotation(tree.returns, kernel)
            kind = ir.VoidType() if result == "None" else self.ir_type(result)
            signature = ir.FunctionType(kind, [self.ir_type(k) for k in kinds])
            fn = ir.Function(self.module, signature, self._symbol(kernel))
            fn.linkage = "internal"
            fn.attributes.add("nounwind")
            if (
                not kernel.small and not self.paste
            ):  # one copy each: pasting them everywhere doubles compile time
                fn.attributes.add("noinline")
            self._functions[kernel] = fn
            Emitter(self, fn, kernel).whole(tree, kinds, result)
        return self._functions[kernel]

    def _symbol(self, kernel: words.Kernel[Any, Any]) -> str:
        if symbol(kernel.name) in self.module.globals:
            raise KernelError(f"two kernels of one program are called {kernel.name}")
        return symbol(kernel.name)

    def text(self) -> str:
        """The module as LLVM text."""
        return "\n".join([str(self.module), *self._metadata])

    def ir_type(self, kind: str) -> ir.Type:
        """The LLVM type of an argument or a variable."""
        if kind in POINTEES:
            return PTR
        return {"Int": I64, "Real": self.real, "Double": DOUBLE, "Bool": I1}[kind]

    def loop_metadata(self, interleave: int) -> tuple[Reference, Reference]:
        """Metadata that names a loop's memory accesses, and says they are independent."""
        first = 10_000 + 8 * len(self._metadata)
        properties = [
            f'!"llvm.loop.parallel_accesses", !{first}',
            f'!"llvm.loop.interleave.count", i32 {interleave}',
            f'!"llvm.loop.vectorize.width", i32 {self.lanes}',
        ]
        if self.insist:
            properties.append('!"llvm.loop.vectorize.enable", i1 true')
        own = ", ".join(f"!{first + 1 + i}" for i in range(len(properties) + 1))
        lines = [f"!{first} = distinct !{{}}", f"!{first + 1} = distinct !{{{own}}}"]
        lines += [f"!{first + 2 + i} = !{{{text}}}" for i, text in enumerate(properties)]
        self._metadata.append("\n".join(lines))
        return Reference(first), Reference(first + 1)


@dataclass(frozen=True)
class Reference:
    """A metadata node written as text, where llvmlite expects a node of its own."""

    number: int

    def get_reference(self) -> str:
        """How LLVM text refers to it."""
        return f"!{self.number}"


@functools.cache
def syntax(kernel: words.Kernel[Any, Any]) -> ast.FunctionDef:
    """The syntax tree of a kernel's function, with the line numbers of its file."""
    if kernel.tree is not None:
        return kernel.tree
    lines, first = inspect.getsourcelines(kernel.function)
    tree = ast.parse(textwrap.dedent("".join(lines)))
    ast.increment_lineno(tree, first - 1)
    found = tree.body[0]
    assert isinstance(found, ast.FunctionDef)
    return found


def annotation(node: ast.expr | None, kernel: words.Kernel[Any, Any]) -> str:
    """The name of a type in a signature."""
    if isinstance(node, ast.Constant) and node.value is None:
        return "None"
    if isinstance(node, ast.Name):
        return {"int": "Int", "float": "Real", "bool": "Bool"}.get(node.id, node.id)
    raise KernelError(f"{kernel.name}: every argument and the result need a type")


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


class Emitter:
    """Emits one LLVM function, with everything that is pasted into it."""

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

    # ---- functions

    def whole(self, tree: ast.FunctionDef, kinds: Sequence[str], result: str) -> None:
        """The function itself: arguments into slots, then the body."""
        start = self.b.block
        self.result = result
        for argument, value, kind in zip(tree.args.args, self.fn.args, kinds, strict=True):
            value.name = argument.arg
            self._assign_name(argument.arg, Value(value, kind))
        self.body(tree.body)
        if not self.b.block.is_terminated:
            if result != "None":
                raise KernelError(f"{self.kernel.name}: a path ends without a return")
            self.b.ret_void()
        self.entry.branch(start)

    def _expand(self, kernel: words.Kernel[Any, Any], arguments: list[Expr]) -> Expr:
        """Paste a formula: its own names and flags, the values of its arguments."""
        tree = syntax(kernel)
        saved = self.kernel, self.names, self.flags, self.expansion
        expansion = Expansion(self.depth)
        self.kernel, self.names, self.expansion = kernel, {}, expansion
        self.flags = REORDERED if kernel.reorder else EXACT
        for parameter, value in zip(tree.args.args, arguments, strict=True):
            if not isinstance(value, tuple) and parameter.arg in assigned_names(tree):
                self._assign_name(parameter.arg, value)
            else:
                self.names[parameter.arg] = value
        self.body(tree.body)
        self.kernel, self.names, self.flags, self.expansion = saved
        return expansion.result

    # ---- statements

    def body(self, statements: Sequence[ast.stmt]) -> None:
        """Statements one after another, up to one that jumps away."""
        for statement in statements:
            if self.b.block.is_terminated or (self.expansion and self.expansion.returned):
                return
            method = getattr(self, f"_do_{type(statement).__name__}", None)
            if method is None:
                raise self._refuse(statement, "is no statement of kernels")
            try:
                method(statement)
            except KernelError:
                raise
            except Exception as error:
                raise self._refuse(statement, f"could not be compiled: {error!r}") from error

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
            place = self._element(pointer, index)
            old = self._load(place, pointer.kind)
            self._store(
                self._binary(node, node.op, old, self.expr(node.value)), place, pointer.kind
            )
            return
        assert isinstance(node.target, ast.Name)
        old = self._name(node.target)
        self._assign(node.target, self._binary(node, node.op, old, self.expr(node.value)))

    def _do_Return(self, node: ast.Return) -> None:
        value = None if node.value is None else self.expr(node.value)
        if self.expansion is not None:
            if self.depth != self.expansion.depth:
                raise self._refuse(node, "returns from inside a branch or loop of a formula")
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
        yes, no, after = self._blocks("then", "else", "endif")
        self.b.cbranch(self.truth(condition), yes, no)
        for block, statements in ((yes, node.body), (no, node.orelse)):
            self.b.position_at_end(block)
            self._nested(statements)
            if not self.b.block.is_terminated:
                self.b.branch(after)
        self.b.position_at_end(after)

    def _do_While(self, node: ast.While) -> None:
        head, inside, after = self._blocks("while", "do", "done")
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
            group, loop = self.program.loop_metadata(options.get("interleave", 1))
            outer, self.group = self.group, group
            self._counted(node, start, stop, step, loop)
            self.group = outer
        elif word is builtins.range:
            self._counted(node, start, stop, step, None)
        else:
            raise self._refuse(node, "loops over neither range, lanes nor unroll")

    def _counted(
        self, node: ast.For, start: Expr, stop: Expr, step: Expr, metadata: Reference | None
    ) -> None:
        """A loop with a counter; its slot is private, the visible variable a copy of it."""
        assert isinstance(node.target, ast.Name)
        end, by = self.as_kind(stop, "Int"), self.as_kind(step, "Int")
        counter = self.entry.alloca(I64)
        self.b.store(self.as_kind(start, "Int"), counter)
        head, inside, latch, after = self._blocks("for", "do", "next", "done")
        self.b.branch(head)
        self.b.position_at_end(head)
        i = self.b.load(counter, typ=I64)
        self.b.cbranch(self.b.icmp_signed("<", i, end), inside, after)
        self.b.position_at_end(inside)
        self.names.pop(node.target.id, None)
        self._assign_name(node.target.id, Value(i, "Int"))
        self._loop_body(node.body, Loop(after, latch))
        if not self.b.block.is_terminated:
            self.b.branch(latch)
        self.b.position_at_end(latch)
        self.b.store(self.b.add(self.b.load(counter, typ=I64), by, flags=("nsw",)), counter)
        back = self.b.branch(head)
        if metadata is not None:
            back.set_metadata("llvm.loop", metadata)
        self.b.position_at_end(after)

    # ---- assignment

    def _assign(self, target: ast.expr, value: Expr) -> None:
        if isinstance(target, ast.Name):
            self._assign_name(target.id, value)
        elif isinstance(target, ast.Tuple):
            for part, item in zip(target.elts, value, strict=True):
                self._assign(part, item)
        elif isinstance(target, ast.Subscript):
            pointer, index = self.expr(target.value), self.expr(target.slice)
            self._store(value, self._element(pointer, index), pointer.kind)
        else:
            raise self._refuse(target, "cannot be assigned to")

    def _assign_name(self, name: str, value: Expr) -> None:
        if isinstance(value, tuple):
            self.names[name] = value
            return
        slot = self.names.get(name)
        if not isinstance(slot, Slot):
            kind = self.kind(value)
            slot = Slot(self.entry.alloca(self.program.ir_type(kind), name=name), kind)
            self.names[name] = slot
        self.b.store(self.as_kind(value, slot.kind), slot.ir)

    # ---- expressions

    def expr(self, node: ast.expr) -> Expr:
        """The value of an expression."""
        method = getattr(self, f"_expr_{type(node).__name__}", None)
        if method is None:
            raise self._refuse(node, "is no expression of kernels")
        return method(node)

    def _expr_Constant(self, node: ast.Constant) -> Expr:
        return node.value

    def _expr_Tuple(self, node: ast.Tuple) -> Expr:
        return tuple(self.expr(e) for e in node.elts)

    def _expr_Name(self, node: ast.Name) -> Expr:
        return self._name(node)

    def _name(self, node: ast.Name) -> Expr:
        if node.id in self.names:
            found = self.names[node.id]
            if isinstance(found, Slot):
                kind = self.program.ir_type(found.kind)
                return Value(self.b.load(found.ir, typ=kind), found.kind)
            return found
        function = self.kernel.function
        outside = inspect.getclosurevars(function).nonlocals if function.__closure__ else {}
        for scope in (outside, function.__globals__, vars(builtins)):
            if node.id in scope:
                found = scope[node.id]
                return found.of_program(self.program) if isinstance(found, words.Static) else found
        raise self._refuse(node, f"uses {node.id}, which has no value here")

    def _expr_Attribute(self, node: ast.Attribute) -> Expr:
        return getattr(self.expr(node.value), node.attr)

    def _expr_UnaryOp(self, node: ast.UnaryOp) -> Expr:
        x = self.expr(node.operand)
        if isinstance(node.op, ast.Not):
            return not x if not isinstance(x, Value) else Value(self.b.not_(self.truth(x)), "Bool")
        assert isinstance(node.op, ast.USub)
        if not isinstance(x, Value):
            return -x
        if x.kind == "Int":
            return Value(self.b.neg(x.ir), "Int")
        return Value(self.b.fneg(x.ir), x.kind)

    def _expr_BinOp(self, node: ast.BinOp) -> Expr:
        return self._binary(node, node.op, self.expr(node.left), self.expr(node.right))

    def _binary(self, node: ast.AST, op: ast.operator, x: Expr, y: Expr) -> Expr:
        integer, floating, meaning = BINARY[type(op)]
        if not isinstance(x, Value) and not isinstance(y, Value):
            return meaning(x, y)
        if isinstance(x, Value) and x.kind in POINTEES and isinstance(op, ast.Add):
            return Value(self._element(x, y), x.kind)
        kind = self._common(node, x, y)
        a, c = self.as_kind(x, kind), self.as_kind(y, kind)
        if kind == "Bool" and integer in ("and_", "or_"):
            return Value(getattr(self.b, integer)(a, c), kind)
        if kind == "Int" and integer:
            if integer in ("floordiv", "floormod"):
                return Value(getattr(self, f"_{integer}")(a, c), kind)
            return Value(getattr(self.b, integer)(a, c), kind)
        if kind in ("Real", "Double") and floating:
            return Value(getattr(self.b, floating)(a, c, flags=self.flags), kind)
        raise self._refuse(node, f"has no such operation on {kind}")

    def _floordiv(self, x: ir.Value, y: ir.Value) -> ir.Value:
        """Python's quotient, rounded down, from the CPU's, which is rounded toward zero."""
        q = self.b.sdiv(x, y)
        return self.b.sub(q, self.b.zext(self._rounded_up(x, y), I64))

    def _floormod(self, x: ir.Value, y: ir.Value) -> ir.Value:
        rest = self.b.srem(x, y)
        return self.b.add(rest, self.b.select(self._rounded_up(x, y), y, ir.Constant(I64, 0)))

    def _rounded_up(self, x: ir.Value, y: ir.Value) -> ir.Value:
        inexact = self.b.icmp_signed("!=", self.b.srem(x, y), ir.Constant(I64, 0))
        signs = self.b.icmp_signed("<", self.b.xor(x, y), ir.Constant(I64, 0))
        return self.b.and_(inexact, signs)

    def _expr_Compare(self, node: ast.Compare) -> Expr:
        parts = [node.left, *node.comparators]
        values = [self.expr(p) for p in parts]
        result: Expr = True
        for op, x, y in zip(node.ops, values, values[1:], strict=False):
            one = self._compare(node, op, x, y)
            if result is True:
                result = one
            elif not isinstance(one, Value):
                result = result if one else False
            else:
                result = Value(self.b.and_(self.truth(result), one.ir), "Bool")
        return result

    def _compare(self, node: ast.AST, op: ast.cmpop, x: Expr, y: Expr) -> Expr:
        symbol, meaning = COMPARE[type(op)]
        if not isinstance(x, Value) and not isinstance(y, Value):
            return meaning(x, y)
        kind = self._common(node, x, y)
        a, c = self.as_kind(x, kind), self.as_kind(y, kind)
        if kind in ("Int", "Bool"):
            return Value(self.b.icmp_signed(symbol, a, c), "Bool")
        compare = self.b.fcmp_unordered if symbol == "!=" else self.b.fcmp_ordered
        return Value(compare(symbol, a, c), "Bool")

    def _expr_BoolOp(self, node: ast.BoolOp) -> Expr:
        """``and`` and ``or`` stop at the first side that decides, as in Python."""
        stops = isinstance(node.op, ast.Or)
        result = self.expr(node.values[0])
        for i, side in enumerate(node.values[1:], 1):
            if not isinstance(result, Value):
                if bool(result) is stops:
                    return result
                result = self.expr(side)
                continue
            rest = ast.BoolOp(node.op, node.values[i:]) if len(node.values) > i + 1 else side
            ast.copy_location(rest, node)
            decided: Callable[[], Expr] = lambda: stops  # noqa: E731
            other: Callable[[], Expr] = lambda rest=rest: self.expr(rest)  # type: ignore[misc]  # noqa: E731
            yes, no = (decided, other) if stops else (other, decided)
            return self._choose(self.truth(result), yes, no, "Bool")
        return result

    def _expr_IfExp(self, node: ast.IfExp) -> Expr:
        condition = self.expr(node.test)
        if not isinstance(condition, Value):
            return self.expr(node.body if condition else node.orelse)
        return self._choose(
            self.truth(condition), lambda: self.expr(node.body), lambda: self.expr(node.orelse)
        )

    def _choose(
        self,
        condition: ir.Value,
        yes: Callable[[], Expr],
        no: Callable[[], Expr],
        kind: str | None = None,
    ) -> Value:
        blocks = self._blocks("yes", "no", "either")
        self.b.cbranch(condition, *blocks[:2])
        self.b.position_at_end(blocks[0])
        x, x_block = yes(), self.b.block
        self.b.position_at_end(blocks[1])
        y, y_block = no(), self.b.block
        kind = kind or self._common(None, x, y)
        ends = []
        for value, block in ((x, x_block), (y, y_block)):
            self.b.position_at_end(block)
            ends.append(self.truth(value) if kind == "Bool" else self.as_kind(value, kind))
            self.b.branch(blocks[2])
        self.b.position_at_end(blocks[2])
        phi = self.b.phi(self.program.ir_type(kind))
        phi.add_incoming(ends[0], x_block)
        phi.add_incoming(ends[1], y_block)
        return Value(phi, kind)

    def _expr_Subscript(self, node: ast.Subscript) -> Expr:
        base, index = self.expr(node.value), self.expr(node.slice)
        if not isinstance(base, Value):
            return base[index]
        return self._load(self._element(base, index), base.kind)

    def _expr_Call(self, node: ast.Call) -> Expr:
        what = self.expr(node.func)
        arguments = [self.expr(a) for a in node.args]
        if isinstance(what, words.Kernel):
            named = {k.arg: self.expr(k.value) for k in node.keywords}
            arguments += [named[a.arg] for a in syntax(what).args.args[len(arguments) :]]
            return self._call_kernel(what, arguments)
        if node.keywords:
            raise self._refuse(node, "passes arguments by name to something other than a kernel")
        if isinstance(what, words.Word):
            return what.emit(self, *arguments)
        if what in (min, max) and len(arguments) == 2:
            x, y = arguments
            if not isinstance(x, Value) and not isinstance(y, Value):
                return what(x, y)
            op: ast.cmpop = ast.Lt() if what is min else ast.Gt()
            return self.select(self._compare(node, op, y, x), y, x)
        if not any(isinstance(a, Value) for a in arguments):
            return what(*arguments)
        raise self._refuse(node, f"calls {what!r}, which is not in the language of kernels")

    def _call_kernel(self, kernel: words.Kernel[Any, Any], arguments: list[Expr]) -> Expr:
        if kernel.expand:
            return self._expand(kernel, arguments)
        fn = self.program.function(kernel)
        tree = syntax(kernel)
        kinds = [annotation(a.annotation, kernel) for a in tree.args.args]
        values = [self.as_kind(a, k) for a, k in zip(arguments, kinds, strict=True)]
        result = self.b.call(fn, values)
        return None if tree.returns is None else Value(result, annotation(tree.returns, kernel))

    # ---- conversions

    def kind(self, value: Expr) -> str:
        """The kind of variable that holds a value."""
        if isinstance(value, Value):
            return value.kind
        return {bool: "Bool", int: "Int", float: "Real"}[type(value)]

    def _common(self, node: ast.AST | None, x: Expr, y: Expr) -> str:
        """The kind of two operands; a constant takes the kind of the other."""
        for a, other in ((x, y), (y, x)):
            if not isinstance(a, Value):
                return str(other.kind)
        if x.kind != y.kind:
            raise self._refuse(node, f"mixes {x.kind} and {y.kind}: convert one of them")
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

    # ---- memory

    def _element(self, pointer: Value, index: Expr) -> ir.Value:
        if not isinstance(pointer, Value) or pointer.kind not in POINTEES:
            raise KernelError(f"{self.kernel.name}: only pointers can be indexed")
        return self.b.gep(
            pointer.ir, [self.as_kind(index, "Int")], source_etype=self._pointee(pointer.kind)
        )

    def _pointee(self, kind: str) -> ir.Type:
        element = POINTEES[kind]
        return I8 if element == "Byte" else self.program.ir_type(element)

    def _load(self, place: ir.Value, kind: str) -> Value:
        value = self.b.load(place, typ=self._pointee(kind))
        self._mark(value)
        if kind == "Bytes":
            return Value(self.b.zext(value, I64), "Int")
        return Value(value, POINTEES[kind])

    def _store(self, value: Expr, place: ir.Value, kind: str) -> None:
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
        place = self._element(table, index)
        return Value(self.b.load(place, typ=PTR), "Reals")

    def stack(self, n: int) -> Value:
        """Emit ``stack(n)``."""
        slot = self.entry.alloca(ir.ArrayType(self.program.real, n))
        slot.align = 64
        return Value(slot, "Reals")

    # ---- arithmetic that Python has no operator for

    def select(self, condition: Expr, x: Expr, y: Expr) -> Expr:
        """Emit ``select(c, x, y)``."""
        if not isinstance(condition, Value):
            return x if condition else y
        if isinstance(x, Value) or isinstance(y, Value):
            kind = self._common(None, x, y)
        else:
            kind = self.kind(x)
        chosen = self.b.select(condition.ir, self.as_kind(x, kind), self.as_kind(y, kind))
        return Value(chosen, kind)

    def is_nan(self, x: Value) -> Value:
        """Emit ``is_nan(x)``."""
        return Value(self.b.fcmp_unordered("uno", x.ir, x.ir), "Bool")

    def intrinsic(self, name: str, *arguments: Expr) -> Value:
        """A function of Reals, or of Doubles, that LLVM has a name for."""
        kind = next(a.kind for a in arguments if isinstance(a, Value))
        values = [self.as_kind(a, kind) for a in arguments]
        width = "f32" if kind == "Real" and self.program.single else "f64"
        signature = ir.FunctionType(values[0].type, [v.type for v in values])
        fn = self._declare(f"llvm.{name}.{width}", signature)
        return Value(self.b.call(fn, values, fastmath=self.flags), kind)

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
            return self._element(p, Value(offset, "Int"))

        size = self.program.itemsize
        rows = [self.b.load(row(A, lda, i), typ=vector, align=size) for i in range(n)]
        for _ in range(n.bit_length() - 1):
            pairs = zip(rows[: n // 2], rows[n // 2 :], strict=True)
            rows = [interleave(x, y, half) for x, y in pairs for half in (0, 1)]
        for i, x in enumerate(rows):
            self.b.store(x, row(T, ldt, i), align=size)

    # ---- threads

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
            self.b.call(
                self._declare("llvm.x86.sse2.pause", ir.FunctionType(ir.VoidType(), [])), []
            )
        elif triple.startswith(("aarch64", "arm64")):
            hint = self._declare("llvm.aarch64.hint", ir.FunctionType(ir.VoidType(), [I32]))
            self.b.call(hint, [ir.Constant(I32, 1)])  # YIELD

    def yield_thread(self) -> None:
        """Emit ``yield_thread()``."""
        self.b.call(self._declare("system_yield", ir.FunctionType(I32, [])), [])

    def nanoseconds(self) -> Value:
        """Emit ``nanoseconds()``: the operating system's clock, of seconds and nanoseconds."""
        pair = self.entry.alloca(ir.ArrayType(I64, 2))
        clock = self._declare("system_clock", ir.FunctionType(I32, [I32, PTR]))
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
        self.program.uses_brgemm = True
        signature = ir.FunctionType(ir.VoidType(), list(BLOCK_ARGUMENTS.values()))
        fn = self._declare(block_name(self.program.real), signature)
        kinds = ["Reals" if kind == PTR else "Int" for kind in BLOCK_ARGUMENTS.values()]
        self.b.call(fn, [self.as_kind(a, k) for a, k in zip(arguments, kinds, strict=True)])

    # ---- small words

    def _declare(self, name: str, signature: ir.FunctionType) -> ir.Function:
        found = self.program.module.globals.get(name)
        return found or ir.Function(self.program.module, signature, name)

    def _blocks(self, *names: str) -> list[ir.Block]:
        return [self.fn.append_basic_block(name) for name in names]

    def _refuse(self, node: ast.AST | None, why: str) -> KernelError:
        line = getattr(node, "lineno", 0)
        file = self.kernel.function.__code__.co_filename
        text = ast.unparse(node) if node is not None else "this"
        return KernelError(f"{file}:{line} in {self.kernel.name}: {text!r} {why}")


@dataclass(frozen=True)
class Slot:
    """A variable: where it lives, and the kind of value it holds."""

    ir: ir.Value
    kind: str


def assigned_names(tree: ast.FunctionDef) -> set[str]:
    """The names that a function assigns to."""
    return {
        node.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
