"""New arrays in the image of a traced one, and those assembled from traced numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from allbps.errors import ShapeError
from allbps.ir import Node, constant, lift, numpy_function, user_site
from allbps.numpy_api.joining import stack
from allbps.numpy_api.shapes import moveaxis
from allbps.ops.arithmetic import raise_to
from allbps.ops.comparison import where
from allbps.ops.function import astype, exp, log
from allbps.ops.index import getitem, getitem_by
from allbps.ops.join import joined
from allbps.ops.shape import broadcast_to, reshape, reshape_to


# -- of the same shape -----------------------------------------------------------------------------
def _like(make: Callable[..., Any]) -> Callable[..., Any]:
    def new(
        a: Any,
        dtype: Any = None,
        order: str = "K",
        subok: bool = True,
        shape: Any = None,
        *,
        device: Any = None,
    ) -> Any:
        node = lift(a)
        return constant(make(node.shape if shape is None else shape, dtype or node.dtype))

    return new


numpy_function(np.zeros_like)(_like(np.zeros))
numpy_function(np.ones_like)(_like(np.ones))
numpy_function(np.empty_like)(_like(np.zeros))


@numpy_function(np.full_like)
def full_like(
    a: Any,
    fill_value: Any,
    dtype: Any = None,
    order: str = "K",
    subok: bool = True,
    shape: Any = None,
    *,
    device: Any = None,
) -> Node:
    """``numpy.full_like``; the value it is filled with may be traced."""
    node = lift(a)
    filled = broadcast_to(lift(fill_value), shape=node.shape if shape is None else tuple(shape))
    wanted = np.dtype(dtype or node.dtype)
    return filled if filled.dtype == wanted else astype(filled, dtype=wanted)


# -- from numbers ----------------------------------------------------------------------------------
@numpy_function(np.linspace)
def linspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: Any = None,
    axis: int = 0,
    *,
    device: Any = None,
) -> Any:
    """``numpy.linspace`` with traced ends."""
    start, stop = lift(start), lift(stop)
    gaps = num - 1 if endpoint else num
    step = (stop - start) / float(max(gaps, 1))
    places = np.arange(num, dtype=step.dtype).reshape((-1,) + (1,) * step.ndim)
    made = places * step + start
    if endpoint and num > 1:
        made = where(places == num - 1, stop, made)
    made = made if axis == 0 else moveaxis(made, 0, axis)
    made = made if dtype is None else astype(made, dtype=np.dtype(dtype))
    return (made, step) if retstep else made


@numpy_function(np.logspace)
def logspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    base: Any = 10.0,
    dtype: Any = None,
    axis: int = 0,
) -> Node:
    """``numpy.logspace`` with traced ends."""
    powers = raise_to(base, linspace(start, stop, num, endpoint, axis=axis))
    return powers if dtype is None else astype(powers, dtype=np.dtype(dtype))


@numpy_function(np.geomspace)
def geomspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0
) -> Node:
    """``numpy.geomspace`` between two positive traced ends."""
    made = exp(linspace(log(start), log(stop), num, endpoint, axis=axis))
    return made if dtype is None else astype(made, dtype=np.dtype(dtype))


@numpy_function(np.meshgrid)
def meshgrid(
    *xi: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy"
) -> tuple[Node, ...]:
    """``numpy.meshgrid``."""
    nodes = [lift(x) for x in xi]
    ndim = len(nodes)
    places = list(range(ndim))
    if indexing == "xy" and ndim > 1:
        places[:2] = [1, 0]
    sizes = [0] * ndim
    for place, node in zip(places, nodes, strict=True):
        sizes[place] = node.size
    made = []
    for place, node in zip(places, nodes, strict=True):
        thin = [1] * ndim
        thin[place] = node.size
        spread = reshape(node, shape=tuple(thin))
        made.append(spread if sparse else broadcast_to(spread, shape=tuple(sizes)))
    return tuple(made)


@numpy_function(np.array, np.asarray, np.asanyarray)
def assembled(values: Any, dtype: Any = None, **options: Any) -> Node:
    """``numpy.array``: nested lists of traced numbers or arrays as one array."""
    node = _assemble(values)
    return node if dtype is None else astype(node, dtype=np.dtype(dtype))


def _assemble(values: Any) -> Node:
    if isinstance(values, np.ndarray) and values.dtype.kind == "O":
        return _of_objects(values)
    if not isinstance(values, (list, tuple)):
        return lift(values)
    parts = [_assemble(part) for part in values]
    if not parts:
        return lift(np.array([]))
    if len({part.shape for part in parts}) > 1:
        raise ShapeError(
            "the rows of an array must have the same shape",
            where=str(user_site() or ""),
            expected=str(parts[0].shape),
            got=", ".join(str(part.shape) for part in parts),
        )
    return stack(parts)


def _of_objects(elements: Any) -> Node:
    """An array of traced numbers; those that are neighbours in an array stay together."""
    parts = [_together(run) for run in _runs(elements)]
    row = parts[0] if len(parts) == 1 else joined(parts, 0)
    return row if row.shape == elements.shape else reshape(row, shape=elements.shape)


class _Run(NamedTuple):
    """Elements ``start`` to ``stop`` of ``source`` in row-major order, or one number."""

    source: Node
    start: int
    stop: int


def _runs(elements: Any) -> list[_Run]:
    found: list[_Run] = []
    for element in elements.flat:
        source, place = _origin(lift(element))
        if found and found[-1].source is source and found[-1].stop == place > 0:
            found[-1] = found[-1]._replace(stop=place + 1)
        else:
            found.append(_Run(source, place, place + 1))
    return found


def _origin(element: Node) -> tuple[Node, int]:
    """The array that a number was taken out of, and its place there."""
    places = element.attrs.get("parts", ())
    if element.op is not getitem or not all(type(k) is int for k in places):
        return element, 0
    source = element.inputs[0]
    if len(places) != source.ndim or min(places) < 0:
        return element, 0
    return source, int(np.ravel_multi_index(places, source.shape))


def _together(run: _Run) -> Node:
    row = run.source if run.source.ndim == 1 else reshape_to(run.source, -1)
    return row if run.stop - run.start == row.size else getitem_by(row, slice(run.start, run.stop))
