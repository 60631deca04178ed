"""Transposed convolutions, recognised as a whole.

In the graph they are what they mean: zeros between the numbers and around them, then a convolution
with the flipped kernel. That is δI of a convolution, whose kernel multiplies no zeros; its own δ
are that convolution, and its δK.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from allbps.backprop import Delta
from allbps.ir import Graph, Node, placed_at
from allbps.machine.planning.plan import Fused, Stand
from allbps.ops.shape import reshape


@dataclass(frozen=True)
class _Transposed:
    """A transposed convolution.

    Attributes:
        node: the convolution that ends it.
        x, w: what goes in, (N, C, …) and (C, O, …).
        readers: the nodes that read these, which nothing else does what they make.
        attrs: of the convolution whose δI it is.

    """

    node: Node
    x: Node
    w: Node
    readers: tuple[Node, Node]
    attrs: Mapping[str, Any]


def transposed(graph: Graph, deltas: Mapping[Node, Delta]) -> dict[Node, Stand]:
    """Nodes that the kernels of a convolution's δ stand for."""
    found: dict[Node, Stand] = {}
    for node in graph.nodes:
        whole = _whole(graph, node) if node.op.name == "conv2d" and node.size else None
        if whole is not None:
            with placed_at(node.site):
                found.update(_stands(whole, deltas))
    return found


def _stands(whole: _Transposed, deltas: Mapping[Node, Delta]) -> Iterator[tuple[Node, Stand]]:
    node, attrs = whole.node, whole.attrs
    x, w = _as_image(whole.x), _as_image(whole.w)
    made = ((node.shape, node.dtype, node.name),)
    yield node, Fused("conv2d_x", (x, w), {**attrs, "shape": node.shape}, made, 0, node)
    if node not in deltas:
        return
    g = deltas[node].node
    dx = Fused("conv2d", (g, w), attrs, ((x.shape, x.dtype, f"d{whole.x.name}"),), 0, node)
    dw = Fused(
        "conv2d_w", (x, g), {**attrs, "shape": w.shape},
        ((w.shape, w.dtype, f"d{whole.w.name}"),), 0, node,
    )  # fmt: skip
    for source, image, reader, stand in (
        (whole.x, x, whole.readers[0], dx),
        (whole.w, w, whole.readers[1], dw),
    ):
        for term in deltas[source].terms if source in deltas else ():
            if term.consumer is reader:
                yield from _in_shape(term.node, image, stand)


def _in_shape(term: Node, image: Node, stand: Fused) -> Iterator[tuple[Node, Stand]]:
    """``stand`` for a contribution, which may have an axis less."""
    if term.shape == image.shape:
        yield term, stand
        return
    held = reshape(term, shape=image.shape)  # only a name for what is made in this shape
    yield held, stand
    yield term, reshape(held, shape=term.shape)


def _as_image(x: Node) -> Node:
    """(…, L) as (…, 1, L)."""
    return x if x.ndim == 4 else reshape(x, shape=(*x.shape[:-1], 1, x.shape[-1]))


def _whole(graph: Graph, node: Node) -> _Transposed | None:
    """The transposed convolution that ends with ``node``; None where it is another one."""
    plain = node.attrs["stride"] == (1, 1) and node.attrs["padding"] == (0, 0)
    if not (plain and node.attrs["groups"] == 1 and node.attrs["batched"]):
        return None
    kernel = _before(graph, node, 1, ("reshape", "transpose", "flip"))
    image = _before(graph, node, 0, ("reshape", "pad", "dilate"))
    w = kernel[-1].inputs[0] if kernel else node
    if not _turns(kernel, w) or not image:
        return None
    steps, width = (1,) * w.ndim, ((0, 0),) * w.ndim
    for made in image:
        if made.op.name == "reshape" and (made is not image[0] or not _adds_row(made)):
            return None
        steps = made.attrs["steps"] if made.op.name == "dilate" else steps
        width = made.attrs["width"] if made.op.name == "pad" else width
    window = _window(node, w, steps, width)
    if window is None:
        return None
    x = image[-1].inputs[0]
    return _Transposed(node, x, w, (image[-1], kernel[-1]), window)


def _before(graph: Graph, node: Node, index: int, names: tuple[str, ...]) -> list[Node]:
    """Nodes of these kinds, each at most once and in this order, that only lead to an operand."""
    found = list[Node]()
    at, left = node.inputs[index], list(names)
    while at.op.name in left and len(graph.users[at]) == 1:
        if any(at is out for out in graph.outputs):
            break
        left = left[left.index(at.op.name) + 1 :]
        found.append(at)
        at = at.inputs[0]
    return found


def _turns(kernel: list[Node], w: Node) -> bool:
    """Flipped along all of the window, inputs and outputs exchanged, maybe as an image?"""
    names = [made.op.name for made in kernel]
    if names not in (["transpose", "flip"], ["reshape", "transpose", "flip"]):
        return False
    *_, turn, flip = kernel
    axes = tuple(range(2, w.ndim))
    right = tuple(turn.attrs["axes"]) == (1, 0, *axes) and tuple(flip.attrs["axis"]) == axes
    shapes = w.ndim == 4 if len(kernel) == 2 else w.ndim == 3 and _adds_row(kernel[0])
    return right and shapes


def _adds_row(made: Node) -> bool:
    """(…, L) -> (…, 1, L)?"""
    x = made.inputs[0]
    return x.ndim == 3 and made.shape == (*x.shape[:-1], 1, x.shape[-1])


def _window(node: Node, w: Node, steps: Any, width: Any) -> dict[str, Any] | None:
    """The attributes of the convolution whose δI this is; None where there is none."""
    apart = node.attrs["dilation"]
    reach = [(k - 1) * d for k, d in zip((1, *w.shape[2:])[-2:], apart, strict=True)]
    before, after = ([*(0,) * (4 - w.ndim), *(pair[k] for pair in width[2:])] for k in (0, 1))
    padding = tuple(r - b for r, b in zip(reach, before, strict=True))
    stride = (*(1,) * (4 - w.ndim), *steps[2:])
    more = [a - b for a, b in zip(after, before, strict=True)]
    if any(pair != (0, 0) for pair in width[:2]) or steps[:2] != (1, 1) or min(padding) < 0:
        return None
    if any(not 0 <= m < s for m, s in zip(more, stride, strict=True)):
        return None
    return {
        "stride": stride, "padding": padding, "dilation": apart, "groups": 1, "batched": True,
    }  # fmt: skip
