"""Convolutions that are not plain, as tasks: groups, gaps, two strides or two paddings."""

from __future__ import annotations

from allbps.machine.planning.layout import row_major
from allbps.machine.planning.plan import Value, Work
from allbps.machine.works.images import conv_label, image_layout, weight_layout
from allbps.machine.works.masks import gate_of, masked
from allbps.machine.works.places import Places, memories
from allbps.machine.works.rows import combine
from allbps.machine.works.tasks import (
    Memory,
    Place,
    Program,
    Task,
    bounds,
    line_of,
    moved,
    pieces_for,
)

BIAS, RELU = 2, 4
PARTS = 16
"""Into how many partial results a δK is cut."""


class Form:
    """The sizes of a convolution of any form."""

    def __init__(self, image: tuple[int, ...], weight: tuple[int, ...], work: Work) -> None:
        self.N, self.C, self.H, self.W = image if len(image) == 4 else (1, 1, *image)
        self.O, self.c, self.h, self.w = weight if len(weight) == 4 else (1, 1, *weight)
        self.pairs = [work.attrs[name] for name in ("stride", "padding", "dilation")]
        self.groups = int(work.attrs["groups"])

    @property
    def depthwise(self) -> bool:
        """Is every channel a group of its own, with one result?"""
        return self.groups == self.C == self.O

    @property
    def kernel(self) -> str:
        """What the names of its kernels begin with."""
        return "depthwise" if self.depthwise else "grouped"

    @property
    def sizes(self) -> str:
        """As the kernels take them."""
        channels = (self.C,) if self.depthwise else (self.C, self.O)
        groups = () if self.depthwise else (self.groups,)
        numbers = (self.H, self.W, *channels, self.h, self.w, *(k for p in self.pairs for k in p))
        return ", ".join(map(str, (*numbers, *groups)))

    @property
    def padded(self) -> int:
        """Numbers of one padded image."""
        rows, columns = map(int, self.pairs[1])
        return int((self.H + 2 * rows) * (self.W + 2 * columns) * self.C)

    def products(self, result: Value) -> int:
        """Multiplications, for a result of the forward direction."""
        return result.size * self.c * self.h * self.w


def emit_grouped(program: Program, places: Places, work: Work) -> None:
    """J = I * K + b, ReLU."""
    x, w = work.inputs[:2]
    form = Form(x.shape, w.shape, work)
    image, weight = _images(places, x), places.as_layout(w, weight_layout(w.shape))
    bias = places.of(work.inputs[2]) if work.attrs.get("bias") else None
    out = places.put(work.outputs[0], image_layout(work.outputs[0].shape))
    flags = BIAS * (bias is not None) + RELU * bool(work.attrs.get("relu"))
    blocks = _names(out.memory, image.memory, weight.memory, (bias or out).memory)
    reads = [image, weight, *([bias] if bias else [])]
    scratch = _scratch(program, form)
    call = f"{form.kernel}_forward({blocks}, {flags}, {scratch}{form.sizes}, lo, hi)"
    program.use("kernels.groups", f"{form.kernel}_forward")
    _add(program, work, form, form.products(work.outputs[0]), (call,), reads, out.memory)


def emit_grouped_input(program: Program, places: Places, work: Work) -> None:
    """δI, through a ReLU if asked."""
    g, w = work.inputs[:2]
    form = Form(work.attrs["shape"], w.shape, work)
    delta, weight = _images(places, g), places.as_layout(w, weight_layout(w.shape))
    out = places.put(work.outputs[0], image_layout(work.outputs[0].shape))
    taps = weight if form.depthwise else _turned(program, weight.memory, form)
    blocks = _names(out.memory, delta.memory, taps.memory)
    call = f"{form.kernel}_input({blocks}, {_scratch(program, form)}{form.sizes}, lo, hi)"
    program.use("kernels.groups", f"{form.kernel}_input")
    gate = gate_of(places, work, out)
    line = masked(program, out.memory.name, gate, out.layout.size // form.N)
    reads = [delta, taps, *([gate] if gate is not None else [])]
    _add(program, work, form, form.products(g), (call, *line), reads, out.memory)


def emit_grouped_weights(program: Program, places: Places, work: Work) -> None:
    """δK, in partial results over images."""
    g, x = work.inputs
    form = Form(x.shape, work.attrs["shape"], work)
    delta, image = _images(places, g), _images(places, x)
    out = places.put(work.outputs[0], weight_layout(work.outputs[0].shape))
    pieces, size = max(1, min(PARTS, form.N)), out.layout.size
    parts = program.memory(f"{out.memory.name}_parts", pieces * size)
    target = f"{parts.name} + p * {size}"
    call = (
        f"{form.kernel}_weights({target}, {_names(delta.memory, image.memory)}, "
        f"{_scratch(program, form)}{form.sizes}, lo, hi)"
    )
    program.use("kernels.groups", f"{form.kernel}_weights")
    _add(program, work, form, form.products(g), (call,), [delta, image], parts, pieces)
    combine(program, out, Place(parts, row_major((pieces * size,))), pieces)


def _images(places: Places, x: Value) -> Place:
    return places.as_layout(x, image_layout(x.shape))


def _names(*blocks: Memory) -> str:
    return ", ".join(block.name for block in blocks)


def _scratch(program: Program, form: Form) -> str:
    """The argument for a padded image, where the kernel needs one."""
    if form.depthwise:
        return ""
    program.scratch = max(program.scratch, form.padded)
    return "scratch, "


def _turned(program: Program, weight: Memory, form: Form) -> Place:
    """A task that puts outputs before inputs."""
    program.use("kernels.groups", "turn_weights")
    turned = program.memory(f"{weight.name}_turned", weight.size)
    call = f"turn_weights({turned.name}, {weight.name}, {form.c}, {form.O}, {form.h * form.w})"
    program.tasks.append(
        Task(f"turn({weight.name})", 1, (call,), (weight,), (turned,), traffic=2 * weight.size)
    )
    return Place(turned, row_major((turned.size,)))


def _add(
    program: Program, work: Work, form: Form, products: int, calls: tuple[str, ...],
    reads: list[Place], out: Memory, pieces: int | None = None,
) -> None:  # fmt: skip
    pieces = pieces or pieces_for(form.N, products // max(form.N, 1))
    program.tasks.append(
        Task(conv_label(work), pieces, (*bounds(form.N, pieces), *calls), memories(reads), (out,),
             flops=2 * products, traffic=moved((*work.inputs, *work.outputs)), site=line_of(work))
    )  # fmt: skip
