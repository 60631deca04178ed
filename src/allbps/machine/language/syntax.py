"""Syntax trees of kernels, what a signature says, and what a name in a kernel stands for."""

from __future__ import annotations

import ast
import builtins
import functools
import inspect
import linecache
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from allbps.machine.language.errors import KernelError

if TYPE_CHECKING:
    from allbps.machine.language.words import Routine

BLOCKS = (ast.Module, ast.FunctionDef, ast.ClassDef, ast.If, ast.With, ast.Try, ast.ExceptHandler)
"""Nodes that hold statements, among which a function may be defined."""


@functools.cache
def _module(file: str) -> dict[int, ast.FunctionDef]:
    """The functions of a file by the line they begin on, decorators included."""
    functions = _functions(ast.parse("".join(linecache.getlines(file))))
    return {min([f.lineno, *(d.lineno for d in f.decorator_list)]): f for f in functions}


def _functions(module: ast.Module) -> Iterator[ast.FunctionDef]:
    """All functions, those within others too; expressions hold none and are not looked at."""
    waiting: list[ast.AST] = [module]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef):
            yield node
        for name in ("body", "orelse", "handlers", "finalbody"):
            waiting += getattr(node, name, ()) if isinstance(node, BLOCKS) else ()


def tree_of(function: Callable[..., Any]) -> ast.FunctionDef:
    """The syntax tree of a function, with the line numbers of its file."""
    code = inspect.unwrap(function).__code__
    return _module(code.co_filename)[code.co_firstlineno]


def annotation(node: ast.expr | None, name: str) -> str:
    """The name of a type in the signature of ``name``."""
    if isinstance(node, ast.Constant) and node.value is None:
        return "None"
    if isinstance(node, ast.Name):
        return {"int": "Int", "float": "Real", "bool": "Bool"}.get(node.id, node.id)
    raise KernelError(f"{name}: every argument and the result need a type")


def parameters(routine: Routine) -> list[str]:
    """The names of the arguments of a kernel, in order."""
    return [a.arg for a in routine.tree.args.args]


@functools.cache
def kinds(routine: Routine) -> dict[str, str]:
    """The arguments of a kernel in order: name -> kind."""
    given = routine.tree.args.args
    return {a.arg: annotation(a.annotation, routine.name) for a in given}


def result_kind(routine: Routine) -> str:
    """The kind of what a kernel returns."""
    return annotation(routine.tree.returns, routine.name)


@functools.cache
def assigned_names(routine: Routine) -> frozenset[str]:
    """The names that a kernel's function assigns to."""
    return frozenset(
        node.id
        for node in ast.walk(routine.tree)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    )


def meaning(function: Callable[..., Any], name: str) -> Any:
    """What a name stands for inside a function that does not assign to it.

    Raises:
        NameError: nothing.

    """
    outside = inspect.getclosurevars(function).nonlocals if function.__closure__ else {}
    for scope in (outside, function.__globals__, vars(builtins)):
        if name in scope:
            return scope[name]
    raise NameError(name)
