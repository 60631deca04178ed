"""What a module may not hold or do, each said in one message before anything is computed."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from allbps.errors import AllBPsError, ArgumentError, DtypeError
from allbps.torch.table.use import DTYPES
from allbps.torch.where import PREFIX, raised_at


def check_module(module: Any) -> None:
    """Refuse what is no module, and modules of which something would be lost.

    Raises:
        ArgumentError: it is not a module, or has backward hooks or lazy parameters.
        DtypeError: a parameter or buffer is not made of numbers that allbps computes with.

    """
    if not isinstance(module, nn.Module):
        raise ArgumentError(
            f"{type(module).__name__} is not a torch.nn.Module",
            expected="an instance of torch.nn.Module",
            got=f"the class {module.__name__}" if isinstance(module, type) else repr(module)[:60],
            todo="pass an instance: Net(), not Net" if isinstance(module, type) else "",
        )
    if isinstance(module, torch.jit.ScriptModule):
        raise ArgumentError(
            "a scripted module cannot be read", expected="the nn.Module it was made from",
            got=type(module).__name__,
        )  # fmt: skip
    for path, part in module.named_modules():
        if QUANTISED in type(part).__module__:
            raise ArgumentError(
                f"{path or type(part).__name__} is quantised: whole numbers have no derivative",
                expected="the module before it was quantised", got=type(part).__qualname__,
            )  # fmt: skip
    _check_hooks(module)
    tensors = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    for name, tensor in tensors.items():
        check_tensor(tensor, name, "module.float().cpu()")


QUANTISED = "quantized"
"""In the name of PyTorch's rooms for quantised modules."""


def _check_hooks(module: nn.Module) -> None:
    for path, part in module.named_modules():
        hooks = {**part._backward_hooks, **part._backward_pre_hooks}
        if hooks:
            raise _hooked(path or type(module).__name__, next(iter(hooks.values())))
    for name, p in module.named_parameters():
        found = {**(p._backward_hooks or {}), **(p._post_accumulate_grad_hooks or {})}
        if found:
            raise _hooked(name, next(iter(found.values())))


def _hooked(name: str, hook: Any) -> ArgumentError:
    return ArgumentError(
        f"{name} has a backward hook, which PyTorch's autograd runs and allbps would not",
        expected="modules and parameters without backward hooks",
        got=getattr(hook, "__qualname__", repr(hook)),
        todo="remove the hook; for clipped gradients pass max_norm=",
    )


def check_tensor(tensor: Any, name: str, cure: str) -> None:
    """Refuse numbers of another kind, or on another device.

    Raises:
        DtypeError: it holds them.
        ArgumentError: it has no numbers yet.

    """
    if nn.parameter.is_lazy(tensor):
        raise ArgumentError(
            f"{name} has no shape yet", got="a lazy parameter",
            todo="call the module once on an example",
        )  # fmt: skip
    kind = "sparse" if tensor.layout != torch.strided else "quantised" * tensor.is_quantized
    if kind or tensor.dtype not in DTYPES or tensor.device.type != "cpu":
        raise DtypeError(
            f"{name} is {kind + ' ' if kind else ''}{tensor.dtype} on {tensor.device}",
            expected="dense float32 or float64 on the CPU (or whole numbers, or bool)",
            got=f"{tensor.dtype}, {tensor.layout}, {tensor.device}",
            todo=cure,
        )


DECIDES = (
    "data-dependent", "DataDependent", "unbacked", "_local_scalar_dense", "Could not guard",
    "DynamicOutputShape", "type must be tuple of ints,but got FakeTensor",
)  # fmt: skip
"""How PyTorch says that a forward pass looks at values."""


def name_of(module: nn.Module) -> str:
    """What a module is called: by its class; a module with its loss by the module's."""
    return type(getattr(module, PREFIX, module)).__name__


def decides(name: str, where: str, got: str) -> ArgumentError:
    """The error for a forward pass that is not the same for all values."""
    return ArgumentError(
        f"{name}.forward decides by the values of tensors",
        where=where,
        expected="a forward pass that is the same for all values",
        got=got,
        todo="torch.where(condition, a, b) for if; weights of 0 and 1 where x[mask] is more than"
        " summed; a mask for sequences of several lengths; no .item() or .tolist(); minlength="
        " for torch.bincount",
    )


def in_words(error: Exception, module: nn.Module) -> AllBPsError:
    """What torch.export raised on a module, as an error with the user's line."""
    name = name_of(module)
    what = f"{name} cannot be exported as one graph"
    text = str(error)
    first = next((line.strip() for line in text.splitlines() if line.strip()), "")
    where = raised_at(error)
    if any(sign in type(error).__name__ + text for sign in DECIDES):
        return decides(name, where, first[:200])
    return ArgumentError(what, where=where, expected="a forward pass that torch.export can follow",
                         got=f"{type(error).__name__}: {first[:300]}")  # fmt: skip
