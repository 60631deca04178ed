"""What ``torch.export`` would lose of a forward pass, noticed while it follows that."""

from __future__ import annotations

import random
import re
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch.utils import checkpoint

from allbps.errors import ArgumentError, NotDifferentiableError
from allbps.torch.where import calling_line, is_users


@contextmanager
def nothing_lost() -> Iterator[None]:
    """Inside, a forward pass may be followed.

    Raises:
        NotDifferentiableError: it puts a hook on a tensor.
        ArgumentError: it puts other numbers in a tensor's place, or draws by Python or NumPy.

    """
    with ExitStack() as stack:
        for watched in (
            without_checkpoints, no_hook_inside,
            no_other_data, no_draws_of_python,
        ):  # fmt: skip
            stack.enter_context(watched())
        yield


@contextmanager
def without_checkpoints() -> Iterator[None]:
    """Inside, nothing is computed a second time for the backward pass: the numbers are the same.

    A graph keeps what it needs; and a second computation would be one of other parameters where a
    module is called with copies of them.
    """
    own: Any = checkpoint
    generator = own._checkpoint_without_reentrant_generator

    def once(run: Any, preserve_rng_state: Any, *args: Any) -> Any:
        return run(*args)

    def nothing(*args: Any, **kwargs: Any) -> Iterator[None]:
        yield

    own.CheckpointFunction.apply = once
    own._checkpoint_without_reentrant_generator = nothing
    try:
        yield
    finally:
        del own.CheckpointFunction.apply
        own._checkpoint_without_reentrant_generator = generator


@contextmanager
def no_hook_inside() -> Iterator[None]:
    """Inside, hooks on tensors are refused: native code would not call them.

    Raises:
        NotDifferentiableError: one was put on a tensor.

    """
    original: Any = torch.Tensor.register_hook

    def refused(tensor: Any, hook: Any) -> Any:
        if not _asked_by_the_user():
            return original(tensor, hook)
        raise NotDifferentiableError(
            "forward puts a hook on a tensor, which native code would not call",
            where=calling_line(),
            expected="a forward pass without register_hook",
            got=getattr(hook, "__qualname__", repr(hook)),
            todo="for clipped gradients pass max_norm=",
        )

    torch.Tensor.register_hook = refused  # type: ignore[method-assign]
    try:
        yield
    finally:
        torch.Tensor.register_hook = original  # type: ignore[method-assign]


@contextmanager
def no_other_data() -> Iterator[None]:
    """Inside, ``tensor.data`` is ``tensor.detach()``, which a graph has, and cannot be set.

    Raises:
        ArgumentError: it was set.

    """
    original: Any = torch._C.TensorBase.__dict__["data"]

    def read(tensor: Any) -> Any:
        if not _asked_by_the_user():
            return original.__get__(tensor)
        if tensor.grad_fn is not None and _WRITTEN.search(calling_line()):
            raise _other_numbers("tensor.data that is written into")
        return tensor.detach()

    def write(tensor: Any, value: Any) -> None:
        if _asked_by_the_user():
            raise _other_numbers("tensor.data = …")
        original.__set__(tensor, value)

    torch.Tensor.data = property(read, write)  # type: ignore[assignment]
    try:
        yield
    finally:
        del torch.Tensor.data


_WRITTEN = re.compile(r"\.data\s*(\.\s*\w+_\(|\[.*\]\s*[-+*/]?=[^=])")
"""A line that writes into ``tensor.data``: what follows from the tensor itself would be lost."""


def _other_numbers(got: str) -> ArgumentError:
    return ArgumentError(
        "forward puts other numbers in a tensor's place, which torch.export does not follow",
        where=calling_line(),
        expected="tensors that are made anew, and buffers that are written into",
        got=got,
        todo="multiply by the mask: F.linear(x, self.weight * self.mask); of a buffer"
        " self.mean.copy_(…); what changes parameters belongs behind the step",
    )


@contextmanager
def no_draws_of_python() -> Iterator[None]:
    """Inside, draws from Python's or NumPy's generator are noticed: a graph would keep one.

    Raises:
        ArgumentError: something was drawn.

    """
    before, lines = _generators(), dict[str, str]()
    with ExitStack() as stack:
        for name, module in (("random", random), ("numpy.random", np.random)):
            for word in _DRAWS.intersection(vars(module)):
                noting = _noting(getattr(module, word), name, lines)
                stack.enter_context(mock.patch.object(module, word, noting))
        yield
    moved = [name for name, state in _generators().items() if state != before[name]]
    if moved:
        raise ArgumentError(
            f"forward draws from {' and '.join(moved)}: a graph would keep what it has drawn once",
            where=lines.get(moved[0], ""),
            expected="random numbers of torch, as a tensor: torch.rand(()), F.dropout",
            got=" and ".join(moved),
            todo="for a layer that is left out at random: torch.where(torch.rand(()) < p, x, y)",
        )


_DRAWS = {
    "random", "randint", "uniform", "choice", "choices", "sample", "shuffle", "gauss", "randrange",
    "normalvariate", "betavariate", "getrandbits", "rand", "randn", "normal", "permutation", "beta",
    "random_sample", "binomial", "standard_normal", "exponential",
}  # fmt: skip
"""What is drawn with as a rule: calls of these are told with their line."""


def _noting(draw: Any, name: str, lines: dict[str, str]) -> Any:
    """``draw``, which notes the first line that calls it."""

    def noted(*args: Any, **kwargs: Any) -> Any:
        if _asked_by_the_user():
            lines.setdefault(name, calling_line())
        return draw(*args, **kwargs)

    return noted


def _generators() -> dict[str, str]:
    numpys: Any = np.random.get_state()  # noqa: NPY002  (nothing is drawn)
    return {"random": repr(random.getstate()), "numpy.random": repr(numpys[1:3])}


def _asked_by_the_user() -> bool:
    """Was what calls this called by code that is neither PyTorch's nor ours?"""
    return is_users(sys._getframe(2).f_code.co_filename)
