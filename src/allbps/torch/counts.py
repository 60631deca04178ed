"""Counts of what masks pick, as PyTorch asks about them while it follows a module."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import torch
from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode, ShapeEnv

sympy: Any = importlib.import_module("sympy")  # it has no types


@contextmanager
def counts_not_asked() -> Iterator[None]:
    """Inside, PyTorch does not stop where it looks whether two masks pick as many elements.

    ``counted`` sees to it that they are one mask. And a loss of labels takes it that there is one.
    """
    with ExitStack() as stack:
        stack.enter_context(mock.patch.object(ShapeEnv, "evaluate_expr", _as_many))
        for name in ("cross_entropy_loss", "nll_loss_nd"):
            loss = _of_some(getattr(torch._C._nn, name))
            stack.enter_context(mock.patch.object(torch._C._nn, name, loss))
        yield


_evaluate: Any = ShapeEnv.evaluate_expr


def _as_many(self: Any, expr: Any, *args: Any, **kwargs: Any) -> Any:
    """What is asked about counts; what is taken as given is noted.

    That is that two are equal, and that a mask picks something.
    """
    try:
        return _evaluate(self, expr, *args, **kwargs)
    except GuardOnDataDependentSymNode:
        sides = getattr(expr, "args", ())
        equal = isinstance(expr, sympy.Eq) and all(isinstance(x, sympy.Symbol) for x in sides)
        if not equal and not _asks_for_some(expr):
            raise
        self.guard_or_defer_runtime_assert(expr, "as many elements")
        return sympy.true


def _asks_for_some(expr: Any) -> bool:
    """Is the question whether a count is more than 0?"""
    return isinstance(expr, sympy.Gt) and expr.lhs.is_Symbol and expr.rhs == 0


def _of_some(loss: Any) -> Callable[..., Any]:
    def wrapped(x: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        for size in x.shape:
            if isinstance(size, torch.SymInt):
                torch._check(size >= 1)
        return loss(x, *args, **kwargs)

    return wrapped
