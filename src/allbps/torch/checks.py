"""Checks in a forward pass, ``assert …`` and ``if …: raise …``: each batch has to pass them.

What such a check finds follows from values, which a graph does not look at. But only one outcome
goes on: the graph is that of a passed check, and asks the same of every batch.
"""

from __future__ import annotations

import ast
import linecache
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from types import FrameType
from typing import Any
from unittest import mock

import torch

from allbps.ir import Site

CHECKED: Any = torch.ops.aten._assert_async.msg
"""The operation that a check is in a graph: of one truth value, and what to say."""


@contextmanager
def checks_kept() -> Iterator[None]:
    """Inside, the truth of a tensor that a check asks for is what passes it, noted in the graph."""
    kind: Any = torch.Tensor
    original = kind.__bool__

    def passed(tensor: torch.Tensor) -> bool:
        frame = sys._getframe(1)
        wanted = outcome_of(frame)
        if wanted is None or tensor.numel() != 1:
            return bool(original(tensor))
        met = tensor.reshape(()).to(torch.bool)
        site = Site(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name)
        CHECKED(met if wanted else ~met, str(site))
        return wanted

    with mock.patch.object(kind, "__bool__", passed):
        yield


def outcome_of(frame: FrameType) -> bool | None:
    """The truth value that a running line asks for, if it is a check that passes; else None."""
    tree = _parsed(frame.f_code.co_filename)
    place = list(frame.f_code.co_positions())[frame.f_lasti // 2]
    line, _, column, _ = place
    if tree is None or line is None or column is None:
        return None
    for node in ast.walk(tree):
        if isinstance(node, ast.Assert):
            wanted = True
        elif isinstance(node, ast.If) and not node.orelse and isinstance(node.body[-1], ast.Raise):
            wanted = False
        else:
            continue
        end = (node.test.end_lineno, node.test.end_col_offset)
        if (node.lineno, node.col_offset) <= (line, column) < end:
            parts = _asked(node.test, wanted)
            exact = [one for part, one in parts if _place(part) == place]
            asked = set(exact or [one for _, one in parts])
            return asked.pop() if len(asked) == 1 else None
    return None


def _asked(test: ast.expr, wanted: bool) -> list[tuple[ast.expr, bool | None]]:
    """What each part of a test has to be so that all of it is what is wanted; None of any.

    Which part a running line asks for, Python does not always say.
    """
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        return _asked(test.operand, not wanted)
    if isinstance(test, ast.BoolOp):
        parts = [part for part in test.values if not _is_pythons(part)]
        if isinstance(test.op, ast.And) != wanted and len(parts) > 1:  # one of them is enough
            return [(test, None)]
        return [one for part in parts for one in _asked(part, wanted)]
    several = isinstance(test, ast.Compare) and len(test.ops) > 1
    return [(test, None if several and not wanted else wanted)]


def _place(part: ast.expr) -> tuple[int | None, ...]:
    return part.lineno, part.end_lineno, part.col_offset, part.end_col_offset


def _is_pythons(test: ast.expr) -> bool:
    """Is it a question that Python answers whatever numbers a tensor holds?"""
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        return _is_pythons(test.operand)
    if isinstance(test, ast.Compare):
        return all(isinstance(op, (ast.Is, ast.IsNot)) for op in test.ops)
    return (
        isinstance(test, ast.Call) and isinstance(test.func, ast.Name)
        and test.func.id in ("isinstance", "hasattr", "callable")
    )  # fmt: skip


@lru_cache(maxsize=64)
def _parsed(file: str) -> ast.Module | None:
    """A file's syntax; None where it has none that can be read."""
    try:
        return ast.parse("".join(linecache.getlines(file)) or "=")
    except SyntaxError:
        return None
