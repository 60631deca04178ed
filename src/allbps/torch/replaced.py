"""A module called with other tensors in place of its own parameters and buffers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn


def held(module: nn.Module) -> dict[str, torch.Tensor]:
    """Where parameters and buffers are held, each place once, by its path.

    PyTorch's ``functional_call`` leaves copies in a module that has two names, if given both.
    """
    return {
        f"{path}.{name}" if path else name: tensor
        for path, part in module.named_modules()
        for name, tensor in {**part._parameters, **part._buffers}.items()
        if tensor is not None
    }


def called_with(
    module: nn.Module, tensors: Mapping[int, torch.Tensor], args: Any, kwargs: Any = None
) -> Any:
    """What a module makes of arguments with other tensors, tied ones together.

    Args:
        module: it; afterwards it has its own again.
        tensors: id of a parameter or buffer -> what stands for it.
        args: the arguments.
        kwargs: those by keyword.

    """
    state = {place: tensors[id(t)] for place, t in held(module).items() if id(t) in tensors}
    return torch.func.functional_call(module, state, args, kwargs, tie_weights=False)
