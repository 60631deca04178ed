"""Windows: the part of an array that a basic index picks, left where it lies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from allbps.machine.planning.layout import Layout, Run
from allbps.machine.planning.plan import Work


def is_window(work: Work) -> bool:
    """An index of numbers and slices alone."""
    return len(work.inputs) == 1 and "array" not in work.attrs["parts"]


def is_slice(work: Work) -> bool:
    """Does a work pick a part of an array by numbers and slices?"""
    return work.kind == "getitem" and is_window(work)


def window(layout: Layout, parts: Sequence[Any]) -> tuple[Layout, int] | None:
    """Where the part that an index picks lies, and how far behind the start.

    None where an axis is scattered in memory.
    """
    if any(len(layout.runs(k)) > 1 for k in range(len(layout.axes))):
        return None
    start = 0
    axes: list[list[Run]] = []
    axis = 0
    for part in _complete(parts, len(layout.axes)):
        if part is None:
            axes.append([])
            continue
        dims = [(layout.dims[d], layout.strides[d]) for d in layout.axes[axis]]
        run = layout.runs(axis)[0] if dims else (1, 0)
        picked = range(run[0])[part if isinstance(part, int) else slice(*part)]
        axis += 1
        if isinstance(picked, int):
            start += picked * run[1]
        elif picked == range(run[0]):
            axes.append(dims)
        else:
            start += (picked.start if len(picked) else 0) * run[1]
            axes.append([(len(picked), picked.step * run[1])] if len(picked) != 1 else [])
    return _layout(axes), start


def indexed(parts: Sequence[Any], shape: Sequence[int]) -> list[range]:
    """Which numbers of each axis an index picks."""
    named = [part for part in _complete(parts, len(shape)) if part is not None]
    return [
        range(n)[part : part + 1 or None] if isinstance(part, int) else range(n)[slice(*part)]
        for part, n in zip(named, shape, strict=True)
    ]


def _complete(parts: Sequence[Any], ndim: int) -> list[Any]:
    """One part for each axis, and None for each new one: whole axes where the index is silent."""
    named = sum(part is not None and part is not Ellipsis for part in parts)
    whole = list(parts) if any(part is Ellipsis for part in parts) else [*parts, Ellipsis]
    at = next(k for k, part in enumerate(whole) if part is Ellipsis)
    return [*whole[:at], *[(None, None, None)] * (ndim - named), *whole[at + 1 :]]


def _layout(axes: Sequence[Sequence[Run]]) -> Layout:
    """The layout whose axes are these runs."""
    runs = [(run, k) for k, axis in enumerate(axes) for run in axis]
    runs.sort(key=lambda found: -abs(found[0][1]))
    owned: list[list[int]] = [[] for _ in axes]
    for d, (_, k) in enumerate(runs):
        owned[k].append(d)
    return Layout(
        tuple(length for (length, _), _ in runs),
        tuple(tuple(axis) for axis in owned),
        tuple(step for (_, step), _ in runs),
    )
