"""The user's own functions, as the lines that a derivation points at."""

from __future__ import annotations

import ast
import linecache
import os
import re
from collections.abc import Iterable
from functools import lru_cache

import allbps
from allbps.ir import Site

Line = tuple[int, str]
LECTURE = os.path.join(os.path.dirname(allbps.__file__), "lecture", "")
"""Here stand functions as a student would write them, but for the types that our checker wants."""
_ANY = re.compile(r"(: | -> )Any\b")


def listing(sites: Iterable[Site]) -> list[Line]:
    """The functions that these lines stand in, whole, in order; the lines alone where unreadable.

    Only the file of the first line is shown: helpers from elsewhere have names on every step.
    """
    wanted = list(sites)
    if not wanted:
        return []
    file = wanted[0].file
    numbers = {site.line for site in wanted if site.file == file}
    text = linecache.getlines(file)
    if file.startswith(LECTURE):
        text = [_ANY.sub("", one) for one in text]
    shown = sorted({k for number in numbers for k in _around(file, number, len(text))})
    return _dedented([(k, text[k - 1].rstrip("\n")) for k in shown if k <= len(text)])


def _around(file: str, number: int, length: int) -> range:
    """The line numbers of the innermost function that holds a line."""
    spans = [s for s in _functions(file, length) if s[0] <= number <= s[1]]
    first, last = max(spans, default=(number, number))
    return range(first, last + 1)


@lru_cache(maxsize=64)
def _functions(file: str, length: int) -> tuple[tuple[int, int], ...]:
    try:
        tree = ast.parse("".join(linecache.getlines(file)))
    except SyntaxError:  # a cell with magics, or text that changed since
        return ()
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = [node for node in ast.walk(tree) if isinstance(node, kinds)]
    return tuple((node.lineno, node.end_lineno or node.lineno) for node in nodes)


def _dedented(lines: list[Line]) -> list[Line]:
    margins = [len(text) - len(text.lstrip()) for _, text in lines if text.strip()]
    margin = min(margins, default=0)
    return [(number, text[margin:]) for number, text in lines]
