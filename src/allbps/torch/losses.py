"""A module and its loss as one module, which is what is exported."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from allbps.errors import ArgumentError, NotScalarError

Loss = Callable[..., Any] | None


class WithLoss(nn.Module):
    """A module and its loss.

    Args:
        net: the module.
        loss: of (output, target), of (module, *batch), of the output alone, or None where the
            output is the loss, or has it as ``.loss``.
        count: how many parts a batch has.
        named: are they given by keyword?

    Raises:
        ArgumentError: the loss takes another number of arguments.

    """

    def __init__(self, net: nn.Module, loss: Loss, count: int, named: bool) -> None:
        super().__init__()
        self.module_of_the_step, self.loss = net, loss
        self.way = _way(loss, count, named)
        self.training = net.training

    def words(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[str]:
        """What the parts of a batch are called: as the module calls its arguments, and target."""
        if kwargs or not all(isinstance(part, torch.Tensor) for part in args):
            return []
        if self.way == "module":
            signature = _signature(self.loss)
            return list(signature.parameters)[1:] if signature is not None else []
        known = list(inspect.signature(self.module_of_the_step.forward).parameters)
        if self.way == "target":
            inputs = known[: len(args) - 1]
            return [*inputs, "target"] if len(inputs) == len(args) - 1 else []
        return known

    def forward(self, *batch: Any, **named: Any) -> Any:
        """The loss of a batch in the parameters' type, or a tuple that begins with it."""
        found = self._found(*batch, **named)
        several = isinstance(found, (tuple, list))
        loss = found[0] if several and found else found
        first = next((p for p in self.parameters() if p.is_floating_point()), None)
        if first is None or not isinstance(loss, torch.Tensor) or loss.dtype == first.dtype:
            return found
        if not loss.is_floating_point():
            return found
        cast = loss.to(first.dtype)  # models work out some losses in single precision
        return (cast, *found[1:]) if several else cast

    def _found(self, *batch: Any, **named: Any) -> Any:
        if self.way == "module":
            assert self.loss is not None
            return self.loss(self.module_of_the_step, *batch, **named)
        if self.way == "target":
            assert self.loss is not None
            return self.loss(self.module_of_the_step(*batch[:-1]), batch[-1])
        output = self.module_of_the_step(*batch, **named)
        if self.way == "output":
            assert self.loss is not None
            return self.loss(output)
        if isinstance(output, torch.Tensor):
            return output
        return output["loss"] if isinstance(output, dict) else output.loss


def _way(loss: Loss, count: int, named: bool) -> str:
    """How a loss is called: "module", "target", "output", or "own" where the module has it."""
    if loss is None:
        return "own"
    if not callable(loss):
        raise ArgumentError(
            "loss is not a function", expected="F.cross_entropy, nn.MSELoss(), a function, or None",
            got=repr(loss),
        )  # fmt: skip
    least = _least(loss)
    if named:
        return "output" if least == 1 and not _first(loss) else "module"
    if least == 1 and not _first(loss):
        return "output"
    if _first(loss) or (least == count + 1 and count != 1) or (least == 2 and count == 1):
        return "module"
    if least in (2, None) and count >= 2:
        return "target"
    raise ArgumentError(
        "loss takes another number of arguments than a batch gives it",
        expected=f"loss(output, target), or loss(module, {', '.join('xyzuvw'[:count])})",
        got=f"{getattr(loss, '__name__', type(loss).__name__)}{_signature(loss)}, and a batch of"
        f" {count} tensors",
    )


def _signature(loss: Any) -> inspect.Signature | None:
    try:
        return inspect.signature(loss.forward if isinstance(loss, nn.Module) else loss)
    except (TypeError, ValueError):  # a built-in without a signature
        return None


def _least(loss: Any) -> int | None:
    """How many arguments a loss must be given; None where nobody knows."""
    signature = _signature(loss)
    if signature is None:
        return None
    kinds = inspect.Parameter
    positional = (kinds.POSITIONAL_ONLY, kinds.POSITIONAL_OR_KEYWORD)
    parameters = list(signature.parameters.values())
    least = sum(p.kind in positional and p.default is p.empty for p in parameters)
    return least or (None if any(p.kind is p.VAR_POSITIONAL for p in parameters) else 0)


def _first(loss: Any) -> bool:
    """Does a loss say that its first argument is the module: by name, annotation, ``*batch``?"""
    signature = _signature(loss)
    if signature is None or not signature.parameters:
        return False
    first, *others = signature.parameters.values()
    if others and others[0].kind is others[0].VAR_POSITIONAL:
        return True
    kind = first.annotation
    typed = isinstance(kind, type) and issubclass(kind, nn.Module)
    return first.name in ("module", "model", "net", "network") or typed


def check_loss(found: Any, loss: Loss) -> None:
    """Refuse a loss, or what stands for one, that is no single number.

    Raises:
        NotScalarError: it is not.

    """
    first = found
    if isinstance(first, torch.Tensor) and first.shape == () and first.is_floating_point():
        return
    got = f"a tensor of shape {tuple(first.shape)}" if isinstance(first, torch.Tensor) else (
        type(first).__name__
    )  # fmt: skip
    named = getattr(loss, "__name__", type(loss).__name__)
    raise NotScalarError(
        "the module's output is no loss" if loss is None else f"{named} does not return a loss",
        expected="one floating-point number, or a tuple that begins with one",
        got=got,
        todo="loss=F.cross_entropy, or another function of (output, target)"
        if loss is None
        else "reduction='mean'"
        if isinstance(first, torch.Tensor)
        else "",
    )


def named_batch(batch: Any) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
    """A batch as arguments by position and by name: a tensor, a tuple or list, a dict."""
    if isinstance(batch, torch.Tensor):
        return (batch,), {}
    if isinstance(batch, Mapping):
        return (), dict(batch)
    if isinstance(batch, (tuple, list)):
        return tuple(batch), {}
    raise ArgumentError(
        "this is not a batch", expected="a tuple of tensors, or a dict of them",
        got=type(batch).__name__,
    )  # fmt: skip
