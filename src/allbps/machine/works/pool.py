"""Pooling as tasks, on images kept as (N, H, W, C); planes are images of one channel."""

from __future__ import annotations

from typing import Any

from allbps.machine.kernels import pool as kernels
from allbps.machine.language.operands import HI, LO
from allbps.machine.planning.layout import Shape, image_layout
from allbps.machine.planning.plan import Work
from allbps.machine.planning.substitutes import plain_pool
from allbps.machine.works.places import Places
from allbps.machine.works.tasks import Cut, NoKernelError

OPERATIONS = 4
"""For each number of an image, roughly."""


def _over(shape: Shape, work: Work, *, gaps: bool = False) -> tuple[Cut, dict[str, Any]]:
    """Images in pieces, and what the kernels want to know of images and windows."""
    if len(shape) == 4:
        n, c, height, width = shape
    else:
        n, c, height, width = (1, 1, *shape) if len(shape) == 2 else (shape[0], 1, *shape[1:])
    sizes: dict[str, Any] = {"H": height, "W": width, "C": c, "lo": LO, "hi": HI}
    names = {"kernel": ("h", "w"), "stride": ("sh", "sw"), "padding": ("ph", "pw")}
    if gaps:
        names["dilation"] = ("dh", "dw")
    for name, pair in names.items():
        sizes |= zip(pair, map(int, work.attrs[name]), strict=True)
    return Cut.of(n, c * height * width * OPERATIONS), sizes


def emit_max_pool(places: Places, work: Work) -> None:
    """The largest of each window, and its place."""
    if work.node is None or not plain_pool(work.node):
        raise NoKernelError
    (x,), relu = work.inputs, bool(work.attrs.get("relu"))
    image = places.as_layout(x, image_layout(x.shape)).memory
    layout = image_layout(work.outputs[0].shape)
    out, winner = (places.put(value, layout).memory for value in work.outputs)
    cut, sizes = _over(x.shape, work, gaps=True)
    call = kernels.max_pool.on(J=out, winner=winner, I=image, relu=relu, **sizes)
    text = f"maxpool({x.name or '…'})"
    label = f"{out.name} = " + (f"ReLU({text})" if relu else text)
    places.program.add(label, cut, call, flops=x.size, work=work)


def emit_max_pool_input(places: Places, work: Work) -> None:
    """δ of the winners."""
    g, y = work.inputs
    delta = places.as_layout(g, image_layout(g.shape)).memory
    pooled, winner = places.of(y).memory, places.of(places.kept(y)).memory
    shape: Shape = work.attrs["shape"]
    out = places.put(work.outputs[0], image_layout(shape)).memory
    cut, sizes = _over(shape, work, gaps=True)
    call = kernels.max_pool_delta.on(
        D=out, G=delta, J=pooled, winner=winner, relu=bool(work.attrs.get("relu")), **sizes
    )
    label = f"{out.name}: δ of the winners"
    places.program.add(label, cut, call, flops=work.outputs[0].size, work=work)


def emit_average_pool(places: Places, work: Work) -> None:
    """The mean of each window."""
    (x,) = work.inputs
    image = places.as_layout(x, image_layout(x.shape)).memory
    out = places.put(work.outputs[0], image_layout(work.outputs[0].shape)).memory
    cut, sizes = _over(x.shape, work)
    call = kernels.average_pool.on(J=out, I=image, **sizes)
    places.program.add(f"{out.name} = avgpool({x.name or '…'})", cut, call, flops=x.size, work=work)


def emit_average_pool_input(places: Places, work: Work) -> None:
    """δ of the cells of each window."""
    (g,), shape = work.inputs, work.attrs["shape"]
    delta = places.as_layout(g, image_layout(g.shape)).memory
    out = places.put(work.outputs[0], image_layout(shape)).memory
    cut, sizes = _over(shape, work)
    call = kernels.average_pool_delta.on(D=out, G=delta, **sizes)
    label = f"{out.name}: shares of δ"
    places.program.add(label, cut, call, flops=work.outputs[0].size, work=work)


KERNELS = {
    "max_pool2d": emit_max_pool, "max_pool_x": emit_max_pool_input,
    "avg_pool2d": emit_average_pool, "avg_pool_x": emit_average_pool_input,
}  # fmt: skip
"""Kind of work -> what makes its tasks."""
