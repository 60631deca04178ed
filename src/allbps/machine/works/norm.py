"""Batch norm and layer norm as tasks, and the δ of what they scale, of gain and of shift."""

from __future__ import annotations

from allbps.machine.kernels import norm as kernels
from allbps.machine.language.operands import HI, LO
from allbps.machine.language.words import RELU, SKIP
from allbps.machine.planning.layout import Layout, channels_inside, row_major
from allbps.machine.planning.plan import Value, Work
from allbps.machine.works.places import Places
from allbps.machine.works.tasks import ONCE, Cut, Place, partial


def _rows(x: Value, channel: int) -> tuple[Layout, int, int]:
    """The layout in which channels are dense, how many rows there are, and how many channels."""
    layout = channels_inside(x.shape) if channel == 1 else row_major(x.shape)
    return layout, x.size // x.shape[channel], x.shape[channel]


def emit_batch_norm(places: Places, work: Work) -> None:
    """Moments in pieces, statistics, then every row."""
    program, (x, gain, shift) = places.program, work.inputs[:3]
    layout, rows, C = _rows(x, 1)
    here = places.as_layout(x, layout).memory
    g, b = places.of(gain).memory, places.of(shift).memory
    skip = places.as_layout(work.inputs[3], layout).memory if work.attrs.get("skip") else here
    out = places.put(work.outputs[0], layout).memory
    stats = places.put(work.outputs[1], row_major(work.outputs[1].shape)).memory
    cut = Cut.of(rows, C * 8)
    parts = partial(program, out.name, 2 * C, cut)
    places.put_into(work.outputs[2], Place(stats, row_major((C,))))
    squares = places.put(work.outputs[3], row_major((C,))).memory
    name, size = f"{out.name} = norm({here.name})", x.size
    moments = kernels.batch_moments.on(P=parts.own, X=here, C=C, lo=LO, hi=HI)
    program.add(f"{name}: moments", cut, moments, flops=5 * size, work=work)
    statistics = kernels.batch_statistics.on(
        S=stats, squares=squares, P=parts.memory, pieces=parts.count, R=rows, C=C,
        eps=float(work.attrs["eps"]),
    )  # fmt: skip
    program.add(f"{name}: statistics", ONCE, statistics, flops=parts.count * C, work=work)
    flags = RELU * bool(work.attrs.get("relu")) + SKIP * bool(work.attrs.get("skip"))
    call = kernels.batch_norm.on(
        Y=out, X=here, S=stats, gain=g, shift=b, skip=skip, flags=flags, C=C, lo=LO, hi=HI
    )
    text = name + (" + skip" if flags & SKIP else "") + (", ReLU" if flags & RELU else "")
    program.add(text, cut, call, flops=5 * size, work=work)


def emit_batch_norm_delta(places: Places, work: Work) -> None:
    """Sums over rows in pieces, then δ of every row."""
    program, (upstream, y, x, gain) = places.program, work.inputs
    layout, rows, C = _rows(x, 1)
    delta, here, made = (places.as_layout(v, layout).memory for v in (upstream, x, y))
    stats, g = places.of(places.kept(y)).memory, places.of(gain).memory
    out = places.put(work.outputs[0], layout).memory
    d_gain, d_shift = (places.put(v, row_major(v.shape)).memory for v in work.outputs[1:])
    cut = Cut.of(rows, C * 8)
    flags = RELU * bool(work.attrs.get("relu"))
    parts = partial(program, out.name, 2 * C, cut)
    sums = program.memory(f"{out.name}_sums", 2 * C)
    blocks = {"G": delta, "X": here, "Y": made, "S": stats}
    call = kernels.batch_norm_sums.on(P=parts.own, **blocks, flags=flags, C=C, lo=LO, hi=HI)
    name = f"{out.name}: δ of a batch norm"
    program.add(f"{name}, sums", cut, call, flops=4 * x.size, work=work)
    parts.combine(program, (sums, 0, 2 * C), (d_shift, 0, C), (d_gain, C, C), work=work)
    call = kernels.batch_norm_delta.on(
        D=out, **blocks, gain=g, sums=sums, flags=flags, R=rows, C=C, lo=LO, hi=HI
    )
    program.add(name, cut, call, flops=8 * x.size, work=work)


def emit_layer_norm(places: Places, work: Work) -> None:
    """Every row by itself."""
    x, gain, shift = work.inputs
    layout, rows, C = _rows(x, -1)
    here = places.as_layout(x, layout).memory
    g, b = places.of(gain).memory, places.of(shift).memory
    out = places.put(work.outputs[0], layout).memory
    stats = places.put(work.outputs[1], row_major(work.outputs[1].shape)).memory
    call = kernels.layer_norm.on(
        Y=out, S=stats, X=here, gain=g, shift=b, eps=float(work.attrs["eps"]), C=C, lo=LO, hi=HI
    )
    label = f"{out.name} = norm({here.name})"
    places.program.add(label, Cut.of(rows, C * 8), call, flops=8 * x.size, work=work)


def emit_layer_norm_delta(places: Places, work: Work) -> None:
    """δ of every row, and partial δ of gain and shift."""
    program, (upstream, y, x, gain) = places.program, work.inputs
    layout, rows, C = _rows(x, -1)
    delta, here = (places.as_layout(v, layout).memory for v in (upstream, x))
    stats, g = places.of(places.kept(y)).memory, places.of(gain).memory
    out = places.put(work.outputs[0], layout).memory
    d_gain, d_shift = (places.put(v, row_major(v.shape)).memory for v in work.outputs[1:])
    cut = Cut.of(rows, C * 12)
    parts = partial(program, out.name, 2 * C, cut)
    call = kernels.layer_norm_delta.on(
        D=out, P=parts.own, G=delta, X=here, S=stats, gain=g, add=False, C=C, lo=LO, hi=HI
    )
    program.add(f"{out.name}: δ of a layer norm", cut, call, flops=16 * x.size, work=work)
    parts.combine(program, (d_shift, 0, C), (d_gain, C, C), work=work)


KERNELS = {
    "batch_norm": emit_batch_norm, "batch_norm_x": emit_batch_norm_delta,
    "layer_norm": emit_layer_norm, "layer_norm_x": emit_layer_norm_delta,
}  # fmt: skip
"""Kind of work -> what makes its tasks."""
