"""PyTorch modules in a user's file, for the command line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from allbps.errors import ArgumentError
from allbps.torch.losses import WithLoss, named_batch
from allbps.torch.net import Net, from_module

WAYS = "(module, inputs) or (module, loss, batch)"


def is_module(found: Any) -> bool:
    """Is this a module, a class of modules, or what a function returns to describe one?"""
    if isinstance(found, tuple) and len(found) in (2, 3):
        found = found[0]
    return isinstance(found, nn.Module) or (
        isinstance(found, type) and issubclass(found, nn.Module)
    )


def net_of(found: Any, name: str, path: str, inputs: Any) -> tuple[Net, Mapping[str, Any]]:
    """A module of a file as a function, and its inputs by name.

    Args:
        found: a module, a class of modules without arguments, (module, inputs), or
            (module, loss, batch).
        name: what it is called in the file.
        path: the file.
        inputs: those that the file gives for that name, if any: a tensor, a tuple, a dict.

    Raises:
        ArgumentError: there are no inputs, or the class needs arguments.

    """
    loss = None
    if isinstance(found, tuple):
        found, *between, inputs = found
        loss = between[0] if between else None
    if isinstance(found, type):
        found = _instance(found, path)
    if inputs is None:
        raise ArgumentError(
            f"{path} gives no inputs for {name}",
            expected=f"{name}_inputs = (tensor, …), or a function that returns {WAYS}",
            got=f"a {type(found).__name__} alone",
            todo=f"add  {name}_inputs = (torch.randn(…),)  to the file",
        )
    args, kwargs = named_batch(inputs)
    module = (
        found if loss is None else WithLoss(found, loss, len(args) or len(kwargs), bool(kwargs))
    )
    net = from_module(module, *args, **kwargs)
    return net, net.named(args, kwargs)


def _instance(kind: type[Any], path: str) -> Any:
    try:
        return kind()
    except TypeError as error:
        raise ArgumentError(
            f"{kind.__name__} in {path} needs arguments",
            expected="a module, or a function that returns " + WAYS,
            got=str(error),
            todo=f"def build():\n                return {kind.__name__}(…), (torch.randn(…),)",
        ) from None
