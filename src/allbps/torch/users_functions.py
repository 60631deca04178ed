"""Where a ``torch.autograd.Function`` of the user's is applied, however it is called.

``sine = Sine.apply`` is taken before anybody can put something else in the place of ``apply``. What
that method calls in its turn is looked up each time: there the Function is met.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import torch

_function: Any = torch.autograd.function
_Single: Any = _function._SingleLevelFunction

Run = Callable[[Any, tuple[Any, ...], dict[str, Any], Callable[[], Any]], Any]
"""(the Function, its arguments, those with names, how PyTorch applies it) -> what it returns."""


@contextmanager
def applied_by(run: Run) -> Iterator[None]:
    """Inside, the user's Functions are applied by ``run``; PyTorch's own are what they were."""
    under_transforms = _function.custom_function_call

    def alone(cls: Any, *args: Any, **kwargs: Any) -> Any:
        return met(cls, args, kwargs, lambda: super(_Single, cls).apply(*args, **kwargs))

    def transformed(cls: Any, *args: Any, **kwargs: Any) -> Any:
        return met(cls, args, kwargs, lambda: under_transforms(cls, *args, **kwargs))

    def met(cls: Any, args: Any, kwargs: Any, original: Callable[[], Any]) -> Any:
        if cls.__module__.startswith("torch."):
            return original()
        return run(cls, args, kwargs, original)

    with (
        mock.patch.object(_Single, "apply", classmethod(alone)),
        mock.patch.object(_function, "custom_function_call", transformed),
    ):
        yield
