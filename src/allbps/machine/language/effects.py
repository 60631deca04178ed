"""Which of its pointers a kernel reads from and stores to, found in its syntax tree.

A pointer that is moved along (``row = P + i * W``) points into what it came from; what a kernel
that is called does to its arguments is done to what was passed for them. Which way a branch goes is
not looked at: what may be read or written counts.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from allbps.machine.language.syntax import kinds, parameters
from allbps.machine.language.words import POINTEES, Routine

Names = frozenset[str]
NOTHING: Names = frozenset()


@dataclass(frozen=True)
class Effects:
    """Names of a kernel's pointer arguments: those it reads from, and those it stores to."""

    reads: Names
    writes: Names


@functools.cache
def effects(routine: Routine) -> Effects:
    """What a kernel, or a word of the language, does to what its arguments point to."""
    walk = _Walk(routine)
    return Effects(frozenset(walk.reads), frozenset(walk.writes))


class _Walk:
    def __init__(self, routine: Routine) -> None:
        self.routine = routine
        pointers = [name for name, kind in kinds(routine).items() if kind in POINTEES]
        self.origin = {name: frozenset((name,)) for name in pointers}
        self.reads: set[str] = set()
        self.writes: set[str] = set()
        nodes = list(ast.walk(routine.tree))
        self._follow_pointers(nodes)
        for node in nodes:
            if isinstance(node, ast.Subscript):
                self._element(node)
            elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Subscript):
                self.reads |= self._origin(node.target.value)
            elif isinstance(node, ast.Call):
                self._call(node)

    def _follow_pointers(self, nodes: Sequence[ast.AST]) -> None:
        """Where the pointers in local variables come from, until nothing new is found."""
        bound = [pair for node in nodes for pair in _bindings(node)]
        before = -1
        while before != (now := sum(map(len, self.origin.values()))):
            before = now
            for name, value in bound:
                if found := self._origin(value):
                    self.origin[name] = self.origin.get(name, NOTHING) | found

    def _origin(self, node: ast.expr) -> Names:
        """The arguments that an expression may point into; none if it is a number."""
        match node:
            case ast.Name():
                return self.origin.get(node.id, NOTHING)
            case ast.BinOp():
                return self._origin(node.left) | self._origin(node.right)
            case ast.IfExp():
                return self._origin(node.body) | self._origin(node.orelse)
            case ast.Call():
                return NOTHING.union(*map(self._origin, node.args))
        return NOTHING

    def _element(self, node: ast.Subscript) -> None:
        touched = self.writes if isinstance(node.ctx, ast.Store) else self.reads
        touched |= self._origin(node.value)

    def _call(self, node: ast.Call) -> None:
        given = [*node.args, *(k.value for k in node.keywords)]
        if not isinstance(node.func, ast.Name) or not any(map(self._origin, given)):
            return
        what = self.routine.lookup(node.func.id)
        if not isinstance(what, Routine):
            return
        passed = dict(zip(parameters(what), node.args, strict=False))
        passed |= {k.arg: k.value for k in node.keywords if k.arg is not None}
        own = effects(what)
        for name, value in passed.items():
            if name in own.reads:
                self.reads |= self._origin(value)
            if name in own.writes:
                self.writes |= self._origin(value)


def _bindings(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """Names that a statement gives a value, each with that value."""
    if isinstance(node, ast.Assign):
        for target in node.targets:
            if isinstance(target, ast.Name):
                yield target.id, node.value
            elif isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                for part, value in zip(target.elts, node.value.elts, strict=True):
                    if isinstance(part, ast.Name):
                        yield part.id, value
