"""Batch norm and layer norm as tasks, and the δ of what they scale, of gain and of shift."""

from __future__ import annotations

from allbps.machine.planning.layout import Layout, row_major
from allbps.machine.planning.plan import Value, Work
from allbps.machine.works.images import image_layout
from allbps.machine.works.places import Places, memories
from allbps.machine.works.tasks import Place, Program, Task, bounds, line_of, moved, pieces_for

RELU, ADD = 4, 8


def _rows(x: Value, kind: str) -> tuple[Layout, int, int]:
    """The layout in which channels are dense, how many rows there are, and how many channels."""
    if kind == "layer_norm":
        return row_major(x.shape), x.size // x.shape[-1], x.shape[-1]
    return image_layout(x.shape), x.size // x.shape[1], x.shape[1]


def _add(
    program: Program, work: Work, label: str, pieces: int, lines: tuple[str, ...],
    reads: list[Place], writes: list[Place], each: int,
) -> None:  # fmt: skip
    program.tasks.append(
        Task(
            label, pieces, lines, memories(reads), memories(writes), flops=each,
            traffic=moved((*work.inputs, *work.outputs)), site=line_of(work),
        )
    )  # fmt: skip


def emit_batch_norm(program: Program, places: Places, work: Work) -> None:
    """Moments in pieces, statistics, then every row."""
    program.use("kernels.norm", "batch_moments", "batch_statistics", "batch_norm")
    x, gain, shift = work.inputs[:3]
    layout, rows, C = _rows(x, work.kind)
    here = places.as_layout(x, layout)
    g, b = places.of(gain), places.of(shift)
    skip = places.as_layout(work.inputs[3], layout) if work.attrs.get("skip") else here
    out = places.put(work.outputs[0], layout)
    stats = places.put(work.outputs[1], row_major(work.outputs[1].shape))
    pieces = pieces_for(rows, C * 8)
    parts = _block(program, f"{out.memory.name}_parts", pieces * 2 * C)
    places.put_into(work.outputs[2], Place(stats.memory, row_major((C,))))
    squares = places.put(work.outputs[3], row_major((C,)))
    name, size = f"{out.memory.name} = norm({here.memory.name})", x.size
    call = f"batch_moments({parts.memory.name} + p * {2 * C}, {here.memory.name}, {C}, lo, hi)"
    _add(program, work, f"{name}: moments", pieces, (*bounds(rows, pieces), call), [here],
         [parts], 5 * size)  # fmt: skip
    call = (
        f"batch_statistics({stats.memory.name}, {squares.memory.name}, {parts.memory.name}, "
        f"{pieces}, {rows}, {C}, {work.attrs['eps']!r})"
    )
    _add(program, work, f"{name}: statistics", 1, (call,), [parts], [stats, squares], pieces * C)
    flags = RELU * bool(work.attrs.get("relu")) + ADD * bool(work.attrs.get("skip"))
    call = (
        f"batch_norm({out.memory.name}, {here.memory.name}, {stats.memory.name}, "
        f"{g.memory.name}, {b.memory.name}, {skip.memory.name}, {flags}, {C}, lo, hi)"
    )
    text = name + (" + skip" if flags & ADD else "") + (", ReLU" if flags & RELU else "")
    _add(program, work, text, pieces, (*bounds(rows, pieces), call), [here, stats, g, b, skip],
         [out], 5 * size)  # fmt: skip


def emit_batch_norm_delta(program: Program, places: Places, work: Work, moments: Value) -> None:
    """Sums over rows in pieces, then δ of every row."""
    program.use("kernels.norm", "batch_norm_sums", "batch_norm_delta")
    program.use("kernels.reduce", "combine")
    upstream, y, x, gain = work.inputs
    layout, rows, C = _rows(x, "batch_norm")
    delta, here, made = (places.as_layout(v, layout) for v in (upstream, x, y))
    stats, g = places.of(moments), places.of(gain)
    out = places.put(work.outputs[0], layout)
    d_gain, d_shift = (places.put(v, row_major(v.shape)) for v in work.outputs[1:])
    pieces = pieces_for(rows, C * 8)
    flags = RELU * bool(work.attrs.get("relu"))
    parts = _block(program, f"{out.memory.name}_parts", pieces * 2 * C)
    sums = _block(program, f"{out.memory.name}_sums", 2 * C)
    operands = f"{delta.memory.name}, {here.memory.name}, {made.memory.name}, {stats.memory.name}"
    call = f"batch_norm_sums({parts.memory.name} + p * {2 * C}, {operands}, {flags}, {C}, lo, hi)"
    name = f"{out.memory.name}: δ of a batch norm"
    _add(program, work, f"{name}, sums", pieces, (*bounds(rows, pieces), call),
         [delta, here, made, stats], [parts], 4 * x.size)  # fmt: skip
    lines = (
        f"combine({sums.memory.name}, {parts.memory.name}, {2 * C}, {pieces}, 0, {2 * C})",
        f"combine({d_shift.memory.name}, {sums.memory.name}, {C}, 1, 0, {C})",
        f"combine({d_gain.memory.name}, {sums.memory.name} + {C}, {C}, 1, 0, {C})",
    )
    _add(program, work, f"{name}, sum of {pieces} partial results", 1, lines, [parts],
         [sums, d_shift, d_gain], pieces * 2 * C)  # fmt: skip
    call = (
        f"batch_norm_delta({out.memory.name}, {operands}, {g.memory.name}, {sums.memory.name}, "
        f"{flags}, {rows}, {C}, lo, hi)"
    )
    _add(program, work, name, pieces, (*bounds(rows, pieces), call),
         [delta, here, made, stats, g, sums], [out], 8 * x.size)  # fmt: skip


def emit_layer_norm(program: Program, places: Places, work: Work) -> None:
    """Every row by itself."""
    program.use("kernels.norm", "layer_norm")
    x, gain, shift = work.inputs
    layout, rows, C = _rows(x, work.kind)
    here, g, b = places.as_layout(x, layout), places.of(gain), places.of(shift)
    out = places.put(work.outputs[0], layout)
    stats = places.put(work.outputs[1], row_major(work.outputs[1].shape))
    pieces = pieces_for(rows, C * 8)
    call = (
        f"layer_norm({out.memory.name}, {stats.memory.name}, {here.memory.name}, {g.memory.name}, "
        f"{b.memory.name}, {work.attrs['eps']!r}, {C}, lo, hi)"
    )
    _add(program, work, f"{out.memory.name} = norm({here.memory.name})", pieces,
         (*bounds(rows, pieces), call), [here, g, b], [out, stats], 8 * x.size)  # fmt: skip


def emit_layer_norm_delta(program: Program, places: Places, work: Work, moments: Value) -> None:
    """δ of every row, and partial δ of gain and shift."""
    program.use("kernels.norm", "layer_norm_delta")
    program.use("kernels.reduce", "combine")
    upstream, _, x, gain = work.inputs
    layout, rows, C = _rows(x, "layer_norm")
    delta, here = places.as_layout(upstream, layout), places.as_layout(x, layout)
    stats, g = places.of(moments), places.of(gain)
    out = places.put(work.outputs[0], layout)
    d_gain, d_shift = (places.put(v, row_major(v.shape)) for v in work.outputs[1:])
    pieces = pieces_for(rows, C * 12)
    parts = _block(program, f"{out.memory.name}_parts", pieces * 2 * C)
    call = (
        f"layer_norm_delta({out.memory.name}, {parts.memory.name} + p * {2 * C}, "
        f"{delta.memory.name}, {here.memory.name}, {stats.memory.name}, {g.memory.name}, False, "
        f"{C}, lo, hi)"
    )
    name = f"{out.memory.name}: δ of a layer norm"
    _add(program, work, name, pieces, (*bounds(rows, pieces), call), [delta, here, stats, g],
         [out, parts], 16 * x.size)  # fmt: skip
    lines = (
        f"combine({d_shift.memory.name}, {parts.memory.name}, {2 * C}, {pieces}, 0, {C})",
        f"combine({d_gain.memory.name}, {parts.memory.name} + {C}, {2 * C}, {pieces}, 0, {C})",
    )
    _add(program, work, f"{name}, sum of {pieces} partial results", 1, lines, [parts],
         [d_shift, d_gain], pieces * 2 * C)  # fmt: skip


def _block(program: Program, name: str, size: int) -> Place:
    return Place(program.memory(name, size), row_major((size,)))
