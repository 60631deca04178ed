"""The loops of a file, and what their turns are called."""

from __future__ import annotations

import ast
import linecache
from collections.abc import Iterator, Mapping
from functools import cache
from typing import NamedTuple

import numpy as np


class Loop(NamedTuple):
    """A loop in a file.

    Attributes:
        line, end: where it begins, and where its body ends.
        names: the variables that it gives values to, without those that nobody wants to read.
        label: what stands before and behind the number of a turn where no variable counts.
        first: the number of the first turn.
        takes: does its own line compute nothing but what its variables get each turn?
    """

    line: int
    end: int
    names: tuple[str, ...] = ()
    label: tuple[str, str] = ("turn ", "")
    first: int = 1
    takes: bool = False

    def turn(self, count: int) -> str:
        """The turn after ``count`` others: ``turn 1``, ``x = xs[0]``, ``t = 0``."""
        return f"{self.first + count}".join(self.label)

    def counted(self, values: Mapping[str, object]) -> str:
        """``t = 0``: its variables that hold a whole number or a text; empty where none does.

        A traced number says of itself that it is NumPy's, and must not be asked for its digits.
        """
        held = ((name, values.get(name)) for name in self.names)
        return ", ".join(
            f"{name} = {value}"
            for name, value in held
            if issubclass(type(value), (int, str, np.integer)) and type(value) is not bool
        )


def loops_around(file: str, line: int) -> tuple[Loop, ...]:
    """The loops whose turns a line stands in, outermost first.

    >>> loops_around(__file__, 1)
    ()
    """
    return _around(file).get(line, ())


def loop_at(file: str, line: int) -> Loop | None:
    """The loop that begins there."""
    return _beginning(file).get(line)


@cache
def _around(file: str) -> dict[int, tuple[Loop, ...]]:
    found: dict[int, tuple[Loop, ...]] = {}
    for loop, body in _loops(file):  # outer loops come first
        for line in range(loop.line if loop.takes else body, loop.end + 1):
            if line not in found or found[line][-1] != loop:
                found[line] = (*found.get(line, ()), loop)
    return found


@cache
def _beginning(file: str) -> dict[int, Loop]:
    return {loop.line: loop for loop, _ in _loops(file)}


def _loops(file: str) -> Iterator[tuple[Loop, int]]:
    """The loops of a file, outer ones first, each with the first line of its body."""
    try:
        tree = _tree("".join(linecache.getlines(file)))
    except (SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, (ast.For, ast.AsyncFor, ast.While)) and node.body:
            loop = Loop(node.lineno, node.body[-1].end_lineno or node.lineno)
            if not isinstance(node, ast.While):
                loop = _named(loop, node)
            yield loop, node.body[0].lineno


def _tree(text: str) -> ast.AST:
    """The syntax tree. Python 3.11 miscounts its depth where objects die meanwhile: then again."""
    try:
        return ast.parse(text)
    except SystemError:
        return ast.parse(text)


def _named(loop: Loop, node: ast.For | ast.AsyncFor) -> Loop:
    """The same with what its variables and what it goes through say of its turns."""
    targets = [x.id for x in ast.walk(node.target) if isinstance(x, ast.Name)]
    names = tuple(name for name in targets if _is_readable(name))
    label, first = loop.label, loop.first
    kind, over = _gone_through(node.iter)
    whole = all(map(_is_plain, over))
    if names and whole and names[0] == targets[0] and kind != "reversed":
        target = ast.unparse(node.target).strip("()") if not kind else names[0]
        counter = "" if kind == "enumerate" else f"{ast.unparse(over[0])}["
        label, first = (f"{target} = {counter}", "]" if counter else ""), 0
    return Loop(loop.line, loop.end, names, label, first, whole)


def _gone_through(x: ast.expr) -> tuple[str, list[ast.expr]]:
    """``zip(xs, ys)`` -> "zip" and its arguments; anything else -> "" and itself."""
    name = x.func.id if isinstance(x, ast.Call) and isinstance(x.func, ast.Name) else ""
    if isinstance(x, ast.Call) and (
        name == "zip" or (name in ("enumerate", "reversed") and not x.keywords)
    ):
        return name, x.args
    return "", [x]


def _is_plain(x: ast.expr) -> bool:
    """Is it something that has a name, and is computed already?"""
    return isinstance(x, ast.Name) or (isinstance(x, ast.Attribute) and _is_plain(x.value))


def _is_readable(name: str) -> bool:
    """Names that begin with an underscore are those of nobody who wants to read them."""
    return not name.startswith("_")
