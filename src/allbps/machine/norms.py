"""Batch norm and layer norm: recognised as a whole, with gain and shift, and their tasks.

In the graph they are standardise, a product and a sum. The kernels do all three, and of the
backward pass δx, δgain and δshift together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from allbps.backprop import Delta
from allbps.ir import Graph, Node
from allbps.ops.shapes import normal_axes

from .images import image_layout
from .layout import Layout, row_major
from .places import Places, memories
from .plan import Fused, Made, Plan, Value, Work
from .tasks import Place, Program, Task, bounds, line_of, moved, pieces_for

RELU, ADD = 4, 8


# -- recognising -----------------------------------------------------------------------------------
def norms(graph: Graph, deltas: Mapping[Node, Delta]) -> dict[Node, Fused]:
    """Nodes that a norm's kernel stands for."""
    found: dict[Node, Fused] = {}
    for node in graph.nodes:
        kind = _kind(node) if node.op.name == "standardise" else None
        scaled = _alone(graph, node, "mul") if kind else None
        end = _alone(graph, scaled, "add") if scaled is not None else None
        if kind is None or scaled is None or end is None:
            continue
        gain, shift = _other(scaled, node), _other(end, scaled)
        if _fits(kind, node, gain) and _fits(kind, node, shift) and (end in deltas or not deltas):
            found.update(_stands(graph, kind, node, scaled, end, gain, shift, deltas))
    return found


def _kind(node: Node) -> str | None:
    """Layer norm goes over the last axis, batch norm over all but the second."""
    axes, ndim = normal_axes(node.attrs["axes"], node.ndim), node.ndim
    if axes == (ndim - 1,):
        return "layer_norm"
    return "batch_norm" if ndim == 4 and axes == (0, 2, 3) else None


def _alone(graph: Graph, node: Node, name: str) -> Node | None:
    """The one node that reads ``node``, if it is such an operation."""
    uses = graph.users[node]
    wanted = any(node is out for out in graph.outputs)
    fits = len(uses) == 1 and uses[0][0].op.name == name and not wanted
    return uses[0][0] if fits else None


def _other(node: Node, operand: Node) -> Node:
    return node.inputs[1] if node.inputs[0] is operand else node.inputs[0]


def _fits(kind: str, node: Node, vector: Node) -> bool:
    """One number for each channel, of the same dtype."""
    if vector.dtype != node.dtype:
        return False
    if kind == "layer_norm":
        return vector.shape == node.shape[-1:]
    return vector.shape in ((node.shape[1], 1, 1), (1, node.shape[1], 1, 1))


def _stands(
    graph: Graph, kind: str, node: Node, scaled: Node, end: Node, gain: Node, shift: Node,
    deltas: Mapping[Node, Delta],
) -> Iterator[tuple[Node, Fused]]:  # fmt: skip
    x = node.inputs[0]
    attrs = {"eps": node.attrs["eps"]}
    channels = x.shape[-1] if kind == "layer_norm" else x.shape[1]
    rows = x.size // channels if kind == "layer_norm" else channels
    outputs: tuple[Made, ...] = (
        (x.shape, x.dtype, end.name),
        ((rows, 2), x.dtype, f"{end.name}_moments"),
    )
    if kind == "batch_norm":
        outputs += (((channels,), x.dtype, "mean"), ((channels,), x.dtype, "squares"))
        for node_too, index in _statistics(graph, x):
            yield node_too, Fused(kind, (x, gain, shift), attrs, outputs, index, end)
    yield end, Fused(kind, (x, gain, shift), attrs, outputs, 0, end)
    if end not in deltas:
        return
    made = tuple((v.shape, v.dtype, f"d{v.name}") for v in (x, gain, shift))
    inputs = (deltas[end].node, end, x, gain)
    uses = {(node, 0): 0, (scaled, _index(scaled, gain)): 1, (end, _index(end, shift)): 2}
    for delta in deltas.values():
        for term in delta.terms:
            which = uses.get((term.consumer, term.index))
            if which is not None:
                yield term.node, Fused(f"{kind}_x", inputs, attrs, made, which, end)


def _statistics(graph: Graph, x: Node) -> Iterator[tuple[Node, int]]:
    """Nodes that are the mean of each channel, or its squared deviations summed: index 2 and 3."""
    for mean, _ in graph.users[x]:
        if mean.op.name != "mean" or not _over_images(mean):
            continue
        if not mean.attrs["keepdims"]:
            yield mean, 2
            continue
        for deviation, index in graph.users[mean]:
            if deviation.op.name == "sub" and index == 1 and deviation.inputs[0] is x:
                yield from ((total, 3) for total in _sums_of_squares(graph, deviation))


def _sums_of_squares(graph: Graph, x: Node) -> Iterator[Node]:
    for square, _ in graph.users[x]:
        if square.op.name == "power" and square.attrs["exponent"] == 2:
            for total, _ in graph.users[square]:
                if total.op.name == "sum" and _over_images(total) and not total.attrs["keepdims"]:
                    yield total


def _over_images(node: Node) -> bool:
    axis, ndim = node.attrs["axis"], node.inputs[0].ndim
    return isinstance(axis, tuple) and normal_axes(axis, ndim) == (0, 2, 3)


def _index(node: Node, operand: Node) -> int:
    return 0 if node.inputs[0] is operand else 1


# -- ReLU and a skip connection behind a batch norm ------------------------------------------------
def clip_in_norm(plan: Plan) -> Plan:
    """ReLU(norm(x)) and ReLU(norm(x) + skip) are one work each."""
    if not any(work.kind == "batch_norm" for work in plan.works):
        return plan
    for relu in plan.works:
        if relu.kind == "relu":
            plan = _clip(plan, relu)
    return plan


def _clip(plan: Plan, relu: Work) -> Plan:
    use, maker = plan.users, plan.maker
    before = maker.get(relu.inputs[0])
    add = before if before is not None and before.kind == "add" else None
    ends = add.inputs if add is not None else relu.inputs
    if add is not None and (use[add.outputs[0]] != [relu] or add.inputs[0] is add.inputs[1]):
        return plan
    for value in ends:
        norm = maker.get(value)
        if norm is None or norm.kind != "batch_norm" or norm.attrs.get("relu"):
            continue
        backs = [work for work in use[value] if work.kind == "batch_norm_x"]
        if len(use[value]) == 1 + len(backs) and value not in plan.wanted:
            skip = [x for x in ends if x is not value]
            if all(x.shape == value.shape and x.uniform is None for x in skip):
                return _clipped(plan, norm, add, relu, backs, skip)
    return plan


def _clipped(
    plan: Plan, norm: Work, add: Work | None, relu: Work, backs: list[Work], skip: list[Value]
) -> Plan:
    attrs = {**norm.attrs, "relu": True, "skip": bool(skip)}
    joined = replace(
        norm, inputs=(*norm.inputs, *skip), outputs=(*relu.outputs, *norm.outputs[1:]), attrs=attrs
    )
    placed = {relu: joined}
    removed = {norm, *([add] if add is not None else [])}
    use, maker = plan.users, plan.maker
    for back in backs:
        g, inputs, attrs = back.inputs[0], list(back.inputs), dict(back.attrs)
        inputs[1] = relu.outputs[0]
        mask = maker.get(g)
        if mask is not None and mask.kind == "where" and use[g] == [back]:
            sign = maker.get(mask.inputs[0])
            if sign is not None and sign.kind == "greater" and sign.inputs[0] is relu.outputs[0]:
                inputs[0], attrs["relu"] = mask.inputs[1], True
                removed.add(mask)
                if use[sign.outputs[0]] == [mask]:
                    removed.add(sign)
        placed[back] = replace(back, inputs=tuple(inputs), attrs=attrs)
    works = [placed.get(work, work) for work in plan.works if work not in removed]
    return replace(plan, works=tuple(works))


# -- tasks -----------------------------------------------------------------------------------------
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
