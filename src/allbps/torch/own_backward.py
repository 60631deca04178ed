"""A ``torch.autograd.Function`` in a forward pass: its own backward pass goes into the graph.

``torch.export`` would follow ``forward`` and forget ``backward``. A backward pass is linear in the
gradient that it is given, so it is the derivative of a function that is linear in the inputs: its
transpose. While a module is exported, what a Function returns is

    forward(x) as a constant  +  transpose of backward, applied to x − (x as a constant),

which has the value of ``forward`` and the gradient of ``backward``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from unittest import mock

import torch

from allbps.errors import NotDifferentiableError
from allbps.torch.subject import is_inexact
from allbps.torch.users_functions import applied_by
from allbps.torch.where import calling_line


@contextmanager
def backward_passes_kept() -> Iterator[None]:
    """Inside, a Function is applied with its own backward pass.

    Raises:
        NotDifferentiableError: one does what a graph cannot hold.

    """
    with applied_by(lambda cls, args, kwargs, _: _applied(cls, args, kwargs)):
        yield


class _Context(torch.autograd.function.FunctionCtx):
    """What forward keeps for backward."""

    def __init__(self, args: Sequence[Any]) -> None:
        self.needs_input_grad = tuple(map(is_inexact, args))
        self.to_save: tuple[Any, ...] = ()
        self.non_differentiable: tuple[Any, ...] = ()
        self.dirty_tensors: tuple[Any, ...] = ()

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """What was saved."""
        return self.to_save


def _applied(cls: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What a Function returns, with its own backward pass."""
    ctx = _Context(args)
    given = [x.clone() if is_inexact(x) else x for x in args]  # under a name of its own
    if cls.setup_context is torch.autograd.Function.setup_context:
        returned = cls.forward(ctx, *given, **kwargs)
    else:
        returned = cls.forward(*given, **kwargs)
        cls.setup_context(ctx, tuple(given), returned)
    if ctx.dirty_tensors:
        raise _refused(cls, "writes into its arguments (mark_dirty)")
    outputs = list(returned) if isinstance(returned, (tuple, list)) else [returned]
    moving = [
        k for k, y in enumerate(outputs)
        if is_inexact(y) and not any(y is fixed for fixed in ctx.non_differentiable)
    ]  # fmt: skip
    found = [y.detach() if isinstance(y, torch.Tensor) else y for y in outputs]
    for k, linear in zip(moving, _transpose(cls, ctx, given, outputs, moving), strict=True):
        found[k] = found[k] + linear
    return tuple(found) if isinstance(returned, (tuple, list)) else found[0]


def _transpose(
    cls: Any, ctx: _Context, args: Sequence[Any], outputs: Sequence[Any], moving: Sequence[int]
) -> Sequence[torch.Tensor]:
    """For each output that moves, the transpose of backward at x − (x as a constant): zeros."""
    deltas = {k: torch.zeros_like(outputs[k]).clone() for k in moving}
    given = [
        deltas.get(k, torch.zeros_like(y) if isinstance(y, torch.Tensor) else None)
        for k, y in enumerate(outputs)
    ]
    backward = getattr(cls.backward, "__wrapped__", cls.backward)  # of once_differentiable
    with _gradients_on():
        returned = backward(ctx, *given)
    gradients = list(returned) if isinstance(returned, (tuple, list)) else [returned]
    pairs = [
        (g.sum_to_size(x.shape).to(x.dtype), x - x.detach())
        for g, x in zip(gradients, args, strict=False)
        if isinstance(g, torch.Tensor) and is_inexact(x)
    ]
    operation: Any = torch.ops.allbps.transposed.default
    if not pairs or not deltas:
        return [torch.zeros_like(outputs[k]) for k in moving]
    pulled, at = (list(part) for part in zip(*pairs, strict=True))
    return list(operation(pulled, list(deltas.values()), at))


def _gradients_on() -> AbstractContextManager[Any]:
    """Inside, ``torch.no_grad`` does nothing: what is asked for is the backward pass itself."""
    return mock.patch.multiple(
        torch.no_grad, __enter__=lambda self: None, __exit__=lambda self, *args: None
    )


def _refused(cls: Any, what: str) -> NotDifferentiableError:
    return NotDifferentiableError(
        f"{cls.__name__} {what}, which no graph can hold",
        where=calling_line(),
        expected="a torch.autograd.Function that leaves its arguments as they are",
        got=f"torch.autograd.Function: {cls.__name__}",
        todo="write it with torch's operations",
    )
