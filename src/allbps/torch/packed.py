"""Packed sequences: while a module is exported they are padded ones with a mask.

How many elements PyTorch packs follows from the lengths, which no graph can have as a shape. What
is packed is ``x[mask]`` here, in the same order, which ``counted`` reads; recurrent layers are
operations of padded sequences and the mask; and what is padded again has the length that it had.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest import mock

import torch
from torch.nn.utils.rnn import PackedSequence

_modules: Any = torch.nn.modules.module
_libraries: Any = torch.library  # it has no types
_library = _libraries.Library("allbps", "FRAGMENT")
KINDS = ("lstm", "gru", "rnn_tanh", "rnn_relu")
for _kind in KINDS:
    _library.define(
        f"packed_{_kind}(Tensor x, Tensor mask, Tensor[] hx, Tensor[] params, bool has_biases, int"
        " num_layers, float dropout, bool train, bool bidirectional) -> Tensor[]"
    )
_library.define("padded(Tensor x, Tensor mask, int length, bool exact) -> Tensor")


def _shapes(x: Any, mask: Any, hx: Any, params: Any, *options: Any) -> list[torch.Tensor]:
    """Outputs (T, N, directions · width) and last states, without numbers."""
    directions = 2 if options[-1] else 1
    out = x.new_empty(*x.shape[:2], directions * hx[0].shape[-1])
    return [out, *(torch.empty_like(h) for h in hx)]


for _kind in KINDS:
    _library.impl(f"packed_{_kind}", _shapes, "Meta")
_library.impl("padded", lambda x, _, length, __: x.new_empty(length, *x.shape[1:]), "Meta")


@contextmanager
def packed_as_padded() -> Iterator[None]:
    """Inside, ``torch.nn.utils.rnn`` and recurrent layers work on padded sequences and a mask."""
    functions: Any = _Functions()
    unsorted: Any = _Unsorted()
    with (
        mock.patch.object(torch.nn.utils.rnn, "torch", unsorted),
        mock.patch.object(torch.nn.utils.rnn, "_VF", functions),
        mock.patch.object(torch.nn.modules.rnn, "_VF", functions),
    ):
        yield


class _Unsorted:
    """``torch`` for what packs: with a mask, sequences need not be sorted by their lengths."""

    def __getattr__(self, name: str) -> Any:
        return getattr(torch, name)

    @staticmethod
    def sort(lengths: torch.Tensor, **_: Any) -> tuple[torch.Tensor, torch.Tensor]:
        """The lengths as they are, and that each stands where it stood."""
        return lengths, torch.arange(len(lengths))


class _Longest(int):
    """How long the longest sequence is at most: no length that is asked for is too short yet."""

    def __gt__(self, other: object) -> bool:
        return False


class _Sizes:
    """What stands for ``PackedSequence.batch_sizes``: which steps of which sequence there are.

    Args:
        mask: (T, N).

    """

    device = torch.device("cpu")

    def __init__(self, mask: torch.Tensor) -> None:
        self.mask = mask

    def __getitem__(self, k: int) -> int:
        if k:
            raise TypeError("unbacked: how many sequences have a step follows from their lengths")
        return self.mask.shape[1]

    def size(self, axis: int = 0) -> int:
        """How many steps there are."""
        return _Longest(self.mask.shape[0])

    def to(self, *args: Any, **kwargs: Any) -> _Sizes:
        """Itself, which is nowhere."""
        return self

    cpu = to


class _Functions:
    """``torch._VF``, in which functions of packed sequences are of padded ones."""

    def __getattr__(self, name: str) -> Any:
        original = getattr(torch._VF, name)
        if name not in KINDS:
            return original

        def either(x: torch.Tensor, sizes: Any, *rest: Any) -> Any:
            if not isinstance(sizes, _Sizes):
                return original(x, sizes, *rest)
            return _recurrent(name, x, sizes.mask, *rest)

        return either

    def _pack_padded_sequence(
        self, x: torch.Tensor, lengths: torch.Tensor, batch_first: bool
    ) -> tuple[torch.Tensor, _Sizes]:
        x = x.transpose(0, 1) if batch_first else x
        mask = torch.arange(x.shape[0])[:, None] < lengths
        return x[mask], _Sizes(mask)

    def _pad_packed_sequence(
        self, data: torch.Tensor, sizes: _Sizes, batch_first: bool, padding: float, length: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        mask = sizes.mask
        x, steps = _rows(data, mask, padding), mask.shape[0]
        if length > steps:
            more = x.new_full((length - steps, *x.shape[1:]), padding)
            x = torch.cat([x, more])
        elif length < steps or isinstance(length, _Longest):
            exact = isinstance(length, _Longest)
            x = torch.ops.allbps.padded(x, mask, int(length), exact)
        return (x.transpose(0, 1) if batch_first else x), mask.sum(0)


def _rows(data: torch.Tensor, mask: torch.Tensor, fill: float = 0.0) -> torch.Tensor:
    """What was packed, (elements, …), as (T, N, …)."""
    rows = data.new_full((*mask.shape, *data.shape[1:]), fill)
    rows[mask] = data
    return rows


def _recurrent(
    kind: str, data: torch.Tensor, mask: torch.Tensor, hx: Any, params: Sequence[torch.Tensor],
    *options: Any,
) -> tuple[torch.Tensor, ...]:  # fmt: skip
    """A recurrent layer on packed elements: outputs, packed too, and its last states."""
    states = [hx] if isinstance(hx, torch.Tensor) else list(hx)
    operation: Any = getattr(torch.ops.allbps, f"packed_{kind}")
    out, *last = operation(_rows(data, mask), mask, states, list(params), *options)
    return (out[mask], *last)


# -- the same draws in PyTorch's own packed sequences ----------------------------------------------
@contextmanager
def packed_noticed() -> Iterator[list[PackedSequence]]:
    """Inside, the list holds the packed sequence that a recurrent layer is working on."""
    working: list[PackedSequence] = []

    def before(module: torch.nn.Module, args: Any) -> None:
        if isinstance(module, torch.nn.RNNBase) and args and isinstance(args[0], PackedSequence):
            working.append(args[0])

    def after(module: torch.nn.Module, args: Any, _: Any) -> None:
        if args and working and args[0] is working[-1]:
            working.pop()

    with (
        _modules.register_module_forward_pre_hook(before),
        _modules.register_module_forward_hook(after),
    ):
        yield working


def packed_shape(packed: PackedSequence, width: Sequence[int]) -> tuple[int, ...]:
    """The shape of the same sequences padded, (T, N, width)."""
    return (len(packed.batch_sizes), int(packed.batch_sizes[0]), *width)


def packed_like(packed: PackedSequence, padded: torch.Tensor) -> torch.Tensor:
    """The elements (T, N, …) that are in a packed sequence, in its order."""
    if packed.sorted_indices is not None:
        padded = padded.index_select(1, packed.sorted_indices)
    return padded[torch.arange(padded.shape[1]) < packed.batch_sizes[:, None]]
