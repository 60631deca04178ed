"""Which things PyTorch differentiates, and not allbps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from allbps.trace import ArrangesArguments
from allbps.tree import leaves


def concerns_torch(f: Any, xs: Sequence[Any], gradients: Any) -> bool:
    """Is a module or a Function to be checked, or a function of tensors?"""
    if is_torchs(f) or is_torchs(gradients):
        return True
    of_tensors = any(isinstance(x, torch.Tensor) for x in leaves(list(xs)))
    return of_tensors and not isinstance(f, ArrangesArguments)


def is_torchs(thing: Any) -> bool:
    """Is it a Function, its ``apply``, or a module?"""
    return isinstance(thing, nn.Module) or function_of(thing) is not None


def function_of(thing: Any) -> type[torch.autograd.Function] | None:
    """The Function that something is, or is the ``apply`` of."""
    owner = getattr(thing, "__self__", None) if getattr(thing, "__name__", "") == "apply" else thing
    is_one = isinstance(owner, type) and issubclass(owner, torch.autograd.Function)
    return owner if is_one else None
