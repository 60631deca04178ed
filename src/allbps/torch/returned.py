"""What Functions return from ``backward``, before PyTorch makes it fit its inputs."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch

from allbps.torch.subject import Subject
from allbps.torch.users_functions import applied_by


class Call(NamedTuple):
    """A Function that was applied, and its arguments."""

    function: Any
    args: tuple[Any, ...]

    def summed(self) -> Iterator[str]:
        """As the function ``summed``, of this call."""
        return summed(self.function, self.args, names_in_forward(self.function, len(self.args)))


def summed(function: Any, inputs: Sequence[Any], names: Sequence[str]) -> Iterator[str]:
    """Gradients in the shape that an input was broadcast to, which PyTorch sums to the input's.

    Args:
        function: a ``torch.autograd.Function``.
        inputs: its arguments.
        names: what they are called.

    """
    returned: list[Any] = []

    class Noting(function):  # type: ignore[misc]
        @staticmethod
        def backward(ctx: Any, *deltas: Any) -> Any:
            found = function.backward(ctx, *deltas)
            returned[:] = found if isinstance(found, (tuple, list)) else [found]
            return found

    subject = Subject.of(Noting.apply, inputs)
    try:
        subject.pulled(subject.cotangents(subject.run(subject.fresh()), 0))
    except Exception:  # told as a fault
        return
    for name, x, g in zip(names, inputs, returned, strict=False):
        if isinstance(g, torch.Tensor) and isinstance(x, torch.Tensor) and g.shape != x.shape:
            yield (
                f"backward returns the gradient of {name} as {tuple(g.shape)}, and PyTorch sums it"
                f" to {tuple(x.shape)}: right in autograd, and for whoever calls backward by hand"
                f" a sum is missing"
            )


@contextmanager
def functions_inside() -> Iterator[list[Call]]:
    """The Functions that are applied inside, with their arguments."""
    noted: list[Call] = []

    def note(cls: Any, args: Any, _: Any, original: Callable[[], Any]) -> Any:
        given = [
            x.detach().clone().requires_grad_(x.requires_grad)
            if isinstance(x, torch.Tensor) else x for x in args
        ]  # fmt: skip
        noted.append(Call(cls, tuple(given)))
        return original()

    with applied_by(note):
        yield noted


def argument_names(function: Callable[..., Any], count: int, first: int = 0) -> list[str]:
    """What so many arguments of a function of tensors are called, from one on."""
    found = [
        name for name, p in inspect.signature(function).parameters.items()
        if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ][first:]  # fmt: skip
    return [*found[:count], *(f"x{k}" for k in range(len(found), count))]


def names_in_forward(function: Any, count: int) -> list[str]:
    """What the arguments of a Function are called."""
    return argument_names(function.forward, count, int(has_ctx(function)))


def has_ctx(function: Any) -> bool:
    """Does its ``forward`` take the context?"""
    return function.setup_context is torch.autograd.Function.setup_context
