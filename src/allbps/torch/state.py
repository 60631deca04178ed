"""State dicts of PyTorch into the parameters of a NumPy net, and back."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from allbps.errors import ArgumentError, DtypeError
from allbps.weights.entry import Entries, Entry
from allbps.weights.filling import filled, rendered
from allbps.weights.fitting import Asked, Names
from allbps.weights.own import Own
from allbps.weights.renamed import renamed

SOURCE = "the state dict"
State = Mapping[str, torch.Tensor]


def from_state(
    state: State | torch.nn.Module, like: Any, *, names: Names | None = None,
    transposed: Collection[str] = (), strict: bool = True,
) -> Any:  # fmt: skip
    """Parameters with the numbers of a state dict.

    Args:
        state: a module, or its ``state_dict()``: ``torch.load(path, weights_only=True)`` gives one.
        like: the net's parameters as they are now, as of ``bp.weights.load``.
        names: parameter -> entry, likewise.
        transposed: parameters that hold (in, out) where PyTorch has (out, in).
        strict: refuse entries without a parameter, and parameters without an entry.

    Returns:
        A container like ``like``; nothing shares memory with the state dict.

    Raises:
        ArgumentError: entries are missing, unexpected or misshaped, and all are named; numbers that
            ``like`` cannot hold.
        DtypeError: a tensor is sparse, quantised or has no numbers.

    >>> import numpy as np, torch
    >>> linear = torch.nn.Linear(3, 4)
    >>> params = from_state(linear, like={"weight": np.zeros((4, 3)), "bias": np.zeros(4)})
    >>> bool((params["weight"] == linear.weight.detach().numpy()).all())
    True

    """
    asked = Asked(SOURCE, names or {}, transposed, strict, error=ArgumentError)
    return filled(like, _entries(_tensors(state)), asked)


def to_state(
    params: Any, like: State | torch.nn.Module | None = None, *, names: Names | None = None,
    transposed: Collection[str] = (), strict: bool = True,
) -> dict[str, torch.Tensor]:  # fmt: skip
    """Parameters as a state dict, for ``module.load_state_dict``.

    Args:
        params: arrays in any containers.
        like: a module or its state dict, whose names, kinds of number and devices are taken; what
            the parameters lack (counters of batches, buffers) is taken over.
        names: parameter -> entry, as of ``bp.weights.load``.
        transposed: parameters that hold (in, out) where PyTorch has (out, in).
        strict: refuse entries of ``like`` without a parameter, and parameters without an entry.

    Returns:
        Name -> tensor. Parameters that share memory are one tensor.

    Raises:
        ArgumentError: parameters do not fit ``like``, and all that do not are named.
        DtypeError: a parameter is no array of numbers.

    >>> import numpy as np
    >>> to_state({"fc1": {"weight": np.zeros((4, 3), np.float32)}})["fc1.weight"].shape
    torch.Size([4, 3])

    """
    own = Own.of(params)
    asked = Asked(SOURCE, names or {}, transposed, strict, error=ArgumentError)
    if like is None:
        entries, again = renamed(own, names or {}, transposed)
        made = {name: torch.from_numpy(a) for name, a in rendered(own, entries, asked).items()}
        return made | {name: made[first] for name, first in again.items()}
    given = _tensors(like)
    entries = _entries(given)
    places = {name: entry.place or name for name, entry in entries.items()}
    new = {
        places[name]: torch.from_numpy(numbers).to(given[name].device, given[name].dtype)
        for name, numbers in rendered(own, entries, asked).items()
    }
    return {name: new.get(places[name], tensor.detach()) for name, tensor in given.items()}


def _tensors(state: Any) -> State:
    given = state.state_dict() if isinstance(state, torch.nn.Module) else state
    if not isinstance(given, Mapping):
        raise ArgumentError(
            f"{type(state).__name__} is not a state dict",
            expected="a module, or a dict of tensors by name",
            got=type(state).__name__,
        )
    others = [f"{name} is a {type(x).__name__}" for name, x in given.items() if not _holds(x)]
    if others:
        raise ArgumentError(
            "the state dict holds more than tensors",
            expected="a tensor under every name",
            got=", ".join(others[:8]) + (", …" if len(others) > 8 else ""),
            todo='a checkpoint has it inside: checkpoint["model"], checkpoint["state_dict"]',
        )
    return given


def _holds(x: Any) -> bool:
    return isinstance(x, torch.Tensor)


def _entries(tensors: State) -> Entries:
    return {str(name): _entry(str(name), tensor) for name, tensor in tensors.items()}


def _entry(name: str, tensor: torch.Tensor) -> Entry:
    kind = str(tensor.dtype).removeprefix("torch.")
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_meta:
        raise DtypeError(
            f"{name} has no plain numbers",
            expected="a dense tensor",
            got=f"{kind}, {tensor.layout}, {tensor.device}",
            todo=f"{name}.to_dense() or {name}.dequantize()",
        )

    def read() -> NDArray[Any]:
        plain = tensor.detach().cpu()
        narrow = plain.is_floating_point() and plain.dtype not in WIDE
        return np.array((plain.float() if narrow else plain).resolve_conj().resolve_neg().numpy())

    place = (tensor.data_ptr(), tensor.shape, tensor.stride()) if tensor.numel() else None
    return Entry(tuple(tensor.shape), kind, read, place)


WIDE = (torch.float64, torch.float32, torch.float16)
"""Floating-point numbers that NumPy has; the others are narrower than float32 and fit into it."""
