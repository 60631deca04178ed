"""Windows that a person slices by hand, one after the other: a stride is forgotten."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import reduce
from math import gcd
from typing import Any, NamedTuple

import numpy as np

from allbps.ir import Node
from allbps.ops.index import put_add
from allbps.verify.mistakes.declare import WHOLE, Site, Slip, mistake


class Stretch(NamedTuple):
    """What one part of an index takes of its axis; ``length`` is None for a single number."""

    start: int
    length: int | None
    step: int

    @property
    def part(self) -> Any:
        """As NumPy takes it."""
        if self.length is None:
            return self.start
        return slice(self.start, self.start + (self.length - 1) * self.step + 1, self.step)


Window = tuple[Stretch, ...]


@mistake("stride of slices", "A stride or a step is wrong where windows are sliced by hand.", 1)
def stride_of_slices(site: Site) -> Iterator[Slip]:
    for windows in _families(site):
        for text, moved in _elsewhere(list(windows.values())):
            otherwise = {
                node: _taken(node, window)
                for node, window in zip(windows, moved, strict=True)
            }  # fmt: skip
            yield Slip(text, site.rewritten(WHOLE, otherwise))


def _families(site: Site) -> Iterator[Mapping[Node, Window]]:
    """Slices of one value in a formula, or those into which its δ is added: step -> window."""
    found: dict[tuple[Any, ...], dict[Node, Window]] = {}
    for node in site.expression(WHOLE):
        if node.op.name in ("getitem", "put_add"):
            shape = node.inputs[0].shape if node.op.name == "getitem" else node.shape
            window = _window(node.attrs["parts"], shape)
            if window is not None:
                source = node.inputs[0] if node.op.name == "getitem" else shape
                found.setdefault((source, len(window)), {})[node] = window
    yield from found.values()


def _window(parts: Sequence[Any], shape: tuple[int, ...]) -> Window | None:
    """What an index of numbers and slices takes; None for any other."""
    if len(parts) > len(shape):
        return None
    found = []
    for part, n in zip(parts, shape, strict=False):
        if isinstance(part, tuple):
            taken = range(n)[slice(*part)]
            if taken.step < 1 or not taken:
                return None
            found.append(Stretch(taken.start, len(taken), taken.step))
        elif type(part) is int:
            found.append(Stretch(part % n, None, 1))
        else:
            return None
    return tuple(found)


def _elsewhere(windows: Sequence[Window]) -> Iterator[tuple[str, list[Window]]]:
    """(what is said, the windows) where a stride or a step is another, on one axis or on all."""
    axes = range(len(windows[0]))
    strides = {a: reduce(gcd, (w[a].start - windows[0][a].start for w in windows)) for a in axes}
    steps = {a: reduce(gcd, (w[a].step for w in windows)) for a in axes}
    for what, own, move in (("stride", strides, _closer), ("step (stride)", steps, _denser)):
        wide = [a for a in axes if own[a] > 1]
        for some in [wide, *([a] for a in wide if len(wide) > 1)]:
            for by in sorted({1, *(own[a] - 1 for a in some)} - {0}) if some else ():
                right = own[some[0]]
                where = "" if some == wide else f" along axis {some[0]}"
                forgotten = "is forgotten" if by == 1 else "is wrong"
                yield (
                    f"the {what} {right} of the slices {forgotten}{where}: {by} instead of {right}",
                    [_changed(w, windows[0], {a: own[a] for a in some}, by, move) for w in windows],
                )


@mistake("slices exchanged", "What should be put where it was taken from is put the other way.", 2)
def exchanged(site: Site) -> Iterator[Slip]:
    """δ of ``x[:, :-1]``, used as ``y[:, 1:]``, is ``dy[:, 1:]`` put into ``[:, :-1]``."""
    for put in site.expression(WHOLE):
        if put.op.name != "put_add" or put.inputs[0].op.name != "getitem":
            continue
        taken = put.inputs[0]
        to = _window(put.attrs["parts"], put.shape)
        source = _window(taken.attrs["parts"], taken.inputs[0].shape)
        if to and source and to != source and put.shape == taken.inputs[0].shape:
            otherwise = {put: _taken(put, source), taken: _taken(taken, to)}
            yield Slip("the slices are exchanged: shifted the other way",
                       site.rewritten(WHOLE, otherwise))  # fmt: skip


Move = Callable[[Stretch, Stretch, int, int], Stretch]
"""(a stretch, that of the first window, the right stride, the wrong one) -> where it is put."""


def _closer(own: Stretch, first: Stretch, right: int, wrong: int) -> Stretch:
    return own._replace(start=first.start + (own.start - first.start) // right * wrong)


def _denser(own: Stretch, first: Stretch, right: int, wrong: int) -> Stretch:
    return own._replace(step=own.step // right * wrong)


def _changed(
    window: Window, first: Window, axes: Mapping[int, int], by: int, move: Move
) -> Window:  # fmt: skip
    return tuple(
        move(own, first[a], axes[a], by) if a in axes else own for a, own in enumerate(window)
    )


def _taken(node: Node, window: Window) -> Callable[..., Any]:
    """A step that takes another window, or adds into it."""
    index = tuple(stretch.part for stretch in window)
    if node.op.name == "put_add":
        return lambda g: put_add(g, node.shape, index)

    def picked(x: Any) -> Any:
        found = np.asarray(x)[index]
        if found.shape != node.shape:
            raise ValueError("the window does not fit")
        return found

    return picked
