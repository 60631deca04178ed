"""Convolutions that are not plain, as tasks: groups, gaps, two strides or two paddings."""

from __future__ import annotations

from dataclasses import dataclass

from allbps.machine.kernels import groups as kernels
from allbps.machine.language.calls import Call
from allbps.machine.language.operands import HI, LO, Memory, Operand, Scratch
from allbps.machine.language.words import BIAS, RELU
from allbps.machine.planning.layout import Shape, image_layout, weight_layout
from allbps.machine.planning.plan import Value, Work
from allbps.machine.works.conv import conv_label, partial_over_images
from allbps.machine.works.masks import gate_of
from allbps.machine.works.places import Places
from allbps.machine.works.tasks import ONCE, Cut, Program


@dataclass(frozen=True)
class Form:
    """The sizes of a convolution of any form: those of the images, of the window, and how it moves.

    Attributes:
        c: input channels of a group.
        moves: strides, paddings and distances, as the kernels name them.

    """

    N: int
    H: int
    W: int
    C: int
    O: int  # noqa: E741
    c: int
    h: int
    w: int
    moves: dict[str, int]
    groups: int

    @classmethod
    def of(cls, image: Shape, weight: Shape, work: Work) -> Form:
        """The form of a work."""
        N, C, H, W = image if len(image) == 4 else (1, 1, *image)
        O, c, h, w = weight if len(weight) == 4 else (1, 1, *weight)  # noqa: E741
        pairs = [work.attrs[name] for name in ("stride", "padding", "dilation")]
        names = ("sh", "sw", "ph", "pw", "dh", "dw")
        moves = dict(zip(names, [int(k) for pair in pairs for k in pair], strict=True))
        return cls(N, H, W, C, O, c, h, w, moves, int(work.attrs["groups"]))

    @property
    def depthwise(self) -> bool:
        """Is every channel a group of its own, with one result?"""
        return self.groups == self.C == self.O

    @property
    def arguments(self) -> dict[str, Operand]:
        """What its kernels take beside the arrays: sizes, and room for a padded image."""
        own: dict[str, Operand] = {
            "H": self.H, "W": self.W, "C": self.C, "h": self.h, "w": self.w, **self.moves,
            "lo": LO, "hi": HI,
        }  # fmt: skip
        if self.depthwise:
            return own
        rows, columns = self.H + 2 * self.moves["ph"], self.W + 2 * self.moves["pw"]
        padded = Scratch(rows * columns * self.C)
        return {**own, "O": self.O, "groups": self.groups, "scratch": padded}

    def products(self, result: Value) -> int:
        """Multiplications, for a result of the forward direction."""
        return result.size * self.c * self.h * self.w


def emit_grouped(places: Places, work: Work) -> None:
    """J = I * K + b, ReLU."""
    x, w = work.inputs[:2]
    form = Form.of(x.shape, w.shape, work)
    image, weight = _images(places, x), places.as_layout(w, weight_layout(w.shape)).memory
    bias = places.of(work.inputs[2]).memory if work.attrs.get("bias") else None
    out = places.put(work.outputs[0], image_layout(work.outputs[0].shape)).memory
    flags = BIAS * (bias is not None) + RELU * bool(work.attrs.get("relu"))
    kernel = kernels.depthwise_forward if form.depthwise else kernels.grouped_forward
    call = kernel.on(J=out, I=image, K=weight, bias=bias or out, flags=flags, **form.arguments)
    _add(places.program, work, form, form.products(work.outputs[0]), call)


def emit_grouped_input(places: Places, work: Work) -> None:
    """δI, through a ReLU if asked."""
    g, w = work.inputs[:2]
    form = Form.of(work.attrs["shape"], w.shape, work)
    delta, weight = _images(places, g), places.as_layout(w, weight_layout(w.shape)).memory
    made = places.put(work.outputs[0], image_layout(work.outputs[0].shape))
    out, blocks = made.memory, {"D": made.memory, "G": delta}
    if form.depthwise:
        call = kernels.depthwise_input.on(**blocks, K=weight, **form.arguments)
    else:
        turned = _turned(places.program, weight, form)
        call = kernels.grouped_input.on(**blocks, F=turned, **form.arguments)
    gate = gate_of(places, work, made, form.N)
    masked = [gate.on(out)] if gate is not None else []
    _add(places.program, work, form, form.products(g), call, *masked)


def emit_grouped_weights(places: Places, work: Work) -> None:
    """δK, in partial results over images."""
    g, x = work.inputs
    form = Form.of(x.shape, work.attrs["shape"], work)
    delta, image = _images(places, g), _images(places, x)
    out = places.put(work.outputs[0], weight_layout(work.outputs[0].shape))
    cut, parts = partial_over_images(places.program, out, form.N)
    kernel = kernels.depthwise_weights if form.depthwise else kernels.grouped_weights
    call = kernel.on(D=parts.own, G=delta, I=image, **form.arguments)
    _add(places.program, work, form, form.products(g), call, cut=cut)
    parts.combine(places.program, (out.memory, 0, out.layout.size))


def _images(places: Places, x: Value) -> Memory:
    return places.as_layout(x, image_layout(x.shape)).memory


def _turned(program: Program, weight: Memory, form: Form) -> Memory:
    """A task that puts outputs before inputs."""
    turned = program.memory(f"{weight.name}_turned", weight.size)
    call = kernels.turn_weights.on(F=turned, K=weight, c=form.c, O=form.O, taps=form.h * form.w)
    program.add(f"turn({weight.name})", ONCE, call, traffic=2 * weight.size)
    return turned


def _add(
    program: Program, work: Work, form: Form, products: int, *calls: Call, cut: Cut | None = None
) -> None:
    cut = cut or Cut.of(form.N, products // max(form.N, 1))
    program.add(conv_label(work), cut, *calls, flops=2 * products, work=work)


KERNELS = {
    "conv2d": emit_grouped, "conv2d_x": emit_grouped_input, "conv2d_w": emit_grouped_weights,
}  # fmt: skip
"""Kind of work -> what makes its tasks."""
