"""A module's arguments and results: PyTorch's containers, flattened to arrays and back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch.utils import _pytree as pytree

from allbps.errors import ArgumentError
from allbps.torch.refusals import check_tensor


def array(value: Any) -> Any:
    """A tensor as an array of the same memory; anything else as it is."""
    if isinstance(value, torch.Tensor):
        check_tensor(value, "an argument", "pass x.float().cpu()")
        return value.detach().numpy()
    return value


def as_tensor(value: Any) -> Any:
    """An array as a tensor; anything else as it is."""
    return torch.from_numpy(np.asarray(value)) if isinstance(value, np.ndarray) else value


class Arguments:
    """How a module is called: which containers, and which of their leaves are arrays.

    Args:
        args, kwargs: those that it was exported with.
        names: what the arrays among them are called, in order.

    """

    def __init__(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any], names: Iterable[str]
    ) -> None:
        leaves, self.spec = pytree.tree_flatten((args, dict(kwargs)))
        self.names = tuple(names)
        self.fixed = [None if isinstance(leaf, torch.Tensor) else leaf for leaf in leaves]
        self.places = [k for k, leaf in enumerate(leaves) if isinstance(leaf, torch.Tensor)]
        self.all_positional = not kwargs and all(isinstance(a, torch.Tensor) for a in args)

    def flat(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[Any]:
        """The arrays of a call, in order; tensors as arrays of the same memory.

        Raises:
            ArgumentError: they are arranged in another way than when the module was exported.

        """
        if self.all_positional and not kwargs and len(args) == len(self.names):
            return [array(leaf) for leaf in args]
        if kwargs.keys() | set() and len(args) + len(kwargs) == len(self.names):
            rest = self.names[len(args) :]
            if set(rest) == set(kwargs):
                return [array(leaf) for leaf in (*args, *(kwargs[name] for name in rest))]
        leaves, spec = pytree.tree_flatten((args, dict(kwargs)))
        if spec != self.spec:
            raise ArgumentError(
                "the arguments are not arranged like the example",
                expected=", ".join(self.names), got=f"{len(args)} by position"
                + (f", and {', '.join(kwargs)}" if kwargs else ""),
            )  # fmt: skip
        for k, leaf in enumerate(leaves):
            if k not in self.places and leaf != self.fixed[k]:
                raise ArgumentError(
                    "an option of the module is fixed in the exported graph",
                    expected=repr(self.fixed[k]), got=repr(leaf),
                    todo="call from_module again with another value",
                )  # fmt: skip
        return [array(leaves[k]) for k in self.places]


def results(spec: Any, leaves: Iterable[Any]) -> Any:
    """The module's result from its leaves: tuples, lists and dicts; other containers as dicts."""
    return _unflattened(spec, iter(leaves))


def _unflattened(spec: Any, leaves: Iterator[Any]) -> Any:
    if spec.is_leaf():
        return next(leaves)
    if spec.type is type(None):
        return None
    children = [_unflattened(child, leaves) for child in spec.children()]
    if spec.type in (tuple, list):
        return spec.type(children)
    keys = spec.context
    if isinstance(keys, (list, tuple)) and len(keys) == len(children):
        return dict(zip(map(str, keys), children, strict=True))
    return tuple(children)
