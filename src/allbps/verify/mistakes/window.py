"""Pools, convolutions and indices: windows that overlap, places that repeat."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import numpy as np

from allbps.ir import Node
from allbps.ops.index import numpy_index
from allbps.ops.pool import pool_windows
from allbps.verify.mistakes.declare import Site, Slip, attempt, mistake
from allbps.verify.mistakes.rewritten import Way, steps

Share = Callable[[Any], Any]
"""Windows (…, cells) -> what part of δ each cell gets."""


def _one(cells: Any, index: Any) -> Any:
    return (np.arange(cells.shape[-1]) == index) * np.ones(cells.shape)


SHARES: dict[str, Share] = {
    "the whole window gets the δ instead of the winner alone: broadcast to all": np.ones_like,
    "the δ is shared by the whole window, averaged, instead of going to the winner": lambda c: (
        np.full_like(c, 1 / c.shape[-1])
    ),
    "the first cell of each window gets the δ instead of the winner": lambda c: _one(c, 0),
    "the last cell of each window gets the δ instead of the winner": lambda c: _one(
        c, c.shape[-1] - 1
    ),
    "the smallest of each window gets the δ instead of the largest": lambda c: _one(
        c, np.argmin(c, -1)[..., None]
    ),
    "the δ of the winner is multiplied by its value": lambda c: (
        c * _one(c, np.argmax(c, -1)[..., None])
    ),
    "every one of the equal maxima of a tie gets the whole δ": lambda c: (
        (c == np.max(c, -1, keepdims=True)) * 1.0
    ),
}


@mistake("pool's winner", "A pool's δ goes to all cells, to the wrong one, or to every tie.", 0)
def winner(site: Site) -> Iterator[Slip]:
    for k, term in enumerate(site.terms):
        y = term.consumer
        if y.op.name == "max_pool2d":
            g = site.upstream(y)
            for text, share in SHARES.items():
                yield Slip(text, site.with_part(k, attempt(_pooled, site, y, g, share)))
    for text, share in SHARES.items():
        yield from steps(site, partial(_winners, text, share), "winner")


def _winners(text: str, share: Share, node: Node, site: Site) -> Iterator[Way]:
    axis = node.attrs["axis"]

    def shared(x: Any) -> Any:
        x = np.asarray(x)
        axes = (
            tuple(range(x.ndim)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
        )
        last = tuple(range(-len(axes), 0))
        moved = np.moveaxis(x, axes, last)
        flat = moved.reshape(*moved.shape[: moved.ndim - len(axes)], -1)
        return np.moveaxis(share(flat).reshape(moved.shape), last, axes)

    yield text, shared


def _windows(site: Site, y: Node) -> tuple[Any, Any]:
    """The windows of a pooled image, flat: (…, rows, columns, cells); and the pixel of each."""
    attrs = {k: y.attrs[k] for k in ("kernel", "stride", "padding", "dilation")}
    x = site.x
    values = pool_windows(x, **attrs)
    places = pool_windows(np.arange(x.size).reshape(x.shape), **attrs, fill=-1)
    flat = values.shape[:-2]
    return values.reshape(*flat, -1), places.reshape(*flat, -1)


def _pooled(site: Site, y: Node, g: Any, share: Share) -> Any:
    values, places = _windows(site, y)
    parts = share(values) * g[..., None]
    out = np.zeros(site.x.size + 1)
    np.add.at(out, places.ravel(), parts.ravel())  # padding lies at −1
    return out[:-1].reshape(site.x.shape)


@mistake("overwritten", "What overlaps or repeats is assigned instead of added.", 0)
def overwritten(site: Site) -> Iterator[Slip]:
    text = "overwritten instead of added where places repeat or windows overlap: = for +="
    for k, term in enumerate(site.terms):
        y = term.consumer
        if y.op.name == "max_pool2d":
            yield Slip(text, site.with_part(k, attempt(_pool_assigned, site, y)))
        if y.op.name == "conv2d" and term.index == 0:
            yield Slip(text, site.with_part(k, attempt(_conv_assigned, site, y)))
    for first in (False, True):
        yield from steps(site, partial(_put, first, text), "put_add")
    yield from _parts_assigned(site, text)


def _parts_assigned(site: Site, text: str) -> Iterator[Slip]:
    """Several uses of a value, some of them of a part of it, whose δ are assigned in turn."""
    parts = [_part_of(site, term.consumer) for term in site.terms]
    if len(parts) < 2 or all(part is None for part in parts):
        return
    whole = [g for part, g in zip(parts, site.parts, strict=True) if part is None]
    before, zeros = sum(whole, np.zeros(site.primal.shape)), np.zeros(site.primal.shape)
    for ordered in (parts, parts[::-1]):
        yield Slip(text, _assigned(before, ordered))
        if whole:
            yield Slip(text, before + _assigned(zeros, ordered))


def _assigned(start: Any, parts: Iterable[tuple[Any, Any] | None]) -> Any:
    """Numbers into which one part after the other is written."""
    out = start.copy()
    for index, g in filter(None, parts):
        out[index] = g
    return out


def _part_of(site: Site, use: Node) -> tuple[Any, Any] | None:
    """The index of a use of a part, and its δ; None for a use of all."""
    if use.op.name != "getitem":
        return None
    arrays = [site.value(x) for x in use.inputs[1:]]
    return numpy_index(use.attrs["parts"], arrays), site.upstream(use)


def _put(first: bool, text: str, node: Node, site: Site) -> Iterator[Way]:
    def assigned(g: Any, *arrays: Any) -> Any:
        index = numpy_index(node.attrs["parts"], list(arrays))
        out = np.zeros(node.shape)
        if first:
            places = np.arange(out.size).reshape(out.shape)[index]
            flat, unique = np.unique(places.ravel(), return_index=True)
            out.flat[flat] = np.asarray(g).ravel()[unique]
        else:
            out[index] = g
        return out

    how = "the first one stays" if first else "the last one stays"
    yield f"{text} ({how})", assigned


def _pool_assigned(site: Site, y: Node) -> Any:
    values, places = _windows(site, y)
    winners = np.argmax(values, -1)[..., None]
    where = np.take_along_axis(places, winners, -1).ravel()
    out = np.zeros(site.x.size)
    out[where] = site.upstream(y).ravel()
    return out.reshape(site.x.shape)


def _conv_assigned(site: Site, y: Node) -> Any:
    """δI of a convolution whose windows are assigned one after the other."""
    w, g = site.value(y.inputs[1]), site.upstream(y)
    if not y.attrs["batched"]:
        w, g = w[None, None], g[None, None]
    if y.attrs["groups"] != 1:
        return None
    (s, t), (p, q), (d, e) = (y.attrs[k] for k in ("stride", "padding", "dilation"))
    H, W = site.x.shape[-2:]
    out = np.zeros((g.shape[0], w.shape[1], H + 2 * p, W + 2 * q))
    h, v = (w.shape[2] - 1) * d + 1, (w.shape[3] - 1) * e + 1
    for i in range(g.shape[2]):
        for j in range(g.shape[3]):
            patch = np.einsum("no,ocab->ncab", g[:, :, i, j], w)
            out[:, :, i * s : i * s + h : d, j * t : j * t + v : e] = patch
    inner = out[:, :, p : p + H, q : q + W]
    return inner if y.attrs["batched"] else inner[0, 0]


@mistake("kernel turned", "The kernel's gradient is turned by 180° or flipped along one axis.", 1)
def turned(site: Site) -> Iterator[Slip]:
    right = np.asarray(site.right)
    if right.ndim >= 2:
        yield Slip("turned by 180°", np.flip(right, (-2, -1)))
        yield Slip("flipped along the last axis only", np.flip(right, -1))
        yield Slip("flipped along the axis before the last only", np.flip(right, -2))
    elif right.ndim == 1:
        yield Slip("flipped: in reverse order", right[::-1])


SIDE_BY_SIDE = "a stride or dilation is ignored: what should lie apart lies side by side"


@mistake("stride ignored", "A stride or dilation is ignored in the backward convolution.", 1)
def stride(site: Site) -> Iterator[Slip]:
    def ways(node: Node, site: Site) -> Iterator[Way]:
        for name in ("dilation", "stride"):
            if node.attrs[name] != (1, 1):
                yield SIDE_BY_SIDE, partial(_dense, node, name)

    yield from steps(site, ways, "conv2d")

    def spread(node: Node, site: Site) -> Iterator[Way]:
        def side_by_side(g: Any) -> Any:
            out = np.zeros(node.shape)
            out[tuple(slice(n) for n in g.shape)] = g
            return out

        yield SIDE_BY_SIDE, side_by_side

    yield from steps(site, spread, "dilate")


def _dense(node: Node, name: str, x: Any, w: Any) -> Any:
    """A convolution without its stride or dilation, as far as its result goes."""
    full = node.op.run([x, w], {**node.attrs, name: (1, 1)})
    return full[..., : node.shape[-2], : node.shape[-1]]


@mistake("padding wrong", "Shifted by a pixel or more: padding is forgotten or wrong.", 2)
def padding(site: Site) -> Iterator[Slip]:
    def ways(node: Node, site: Site) -> Iterator[Way]:
        width = node.attrs["width"]
        ndim = len(width)

        def moved(g: Any, by: tuple[int, int]) -> Any:
            full = np.zeros(node.shape)
            here = np.zeros(node.shape)
            inner = tuple(
                slice(max(a, 0), max(a, 0) + n) for (a, _), n in zip(width, g.shape, strict=True)
            )
            here[inner] = g
            full[...] = np.roll(here, by, (-2, -1))
            return full

        if ndim < 2:
            return
        for a in (-2, -1, 0, 1, 2):
            for b in (-2, -1, 0, 1, 2):
                if (a, b) != (0, 0):
                    yield (
                        "wrong padding: shifted by some pixels",
                        (lambda g, by=(a, b): moved(g, by)),
                    )

    for k in site.formulas:
        for node in site.expression(k):
            if node.op.name == "pad":
                for text, function in ways(node, site):
                    yield Slip(text, site.rewritten(k, {node: function}))
