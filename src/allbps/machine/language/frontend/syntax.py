"""Syntax trees of kernels, and what a signature says."""

from __future__ import annotations

import ast
import functools
import inspect
import textwrap
from typing import Any

from allbps.machine.language import words
from allbps.machine.language.frontend.errors import KernelError


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


@functools.cache
def assigned_names(kernel: words.Kernel[Any, Any]) -> frozenset[str]:
    """The names that a kernel's function assigns to."""
    return frozenset(
        node.id
        for node in ast.walk(syntax(kernel))
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    )
