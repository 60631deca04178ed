"""Plain convolutions as tasks, on images kept as (N, H, W, C) and weights as (h, w, C, O).

One tiny image is done by plain loops, 3×3 windows over many channels by Winograd's algorithm, a
few taps by a kernel of their own (see :mod:`.taps`), everything else directly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from allbps.machine.kernels import conv as kernels
from allbps.machine.kernels import small, winograd
from allbps.machine.language.calls import Call
from allbps.machine.language.operands import HI, LO, Memory, Operand, Scratch
from allbps.machine.language.words import BIAS, RELU
from allbps.machine.planning.layout import Shape, image_layout, weight_layout
from allbps.machine.planning.plan import Work
from allbps.machine.works import taps
from allbps.machine.works.masks import Gate, gate_of
from allbps.machine.works.places import Places
from allbps.machine.works.tasks import ONCE, Cut, NoKernelError, Partial, Place, Program, partial

SMALL_CONV = 20_000
"""Up to this many multiplications plain loops beat the microkernel's overhead."""
PARTS = 16
"""Into how many partial results a δK is cut."""


@dataclass(frozen=True)
class Window:
    """The sizes of a convolution: (N, H, W, C) * (h, w, C, O), stride s, padding p."""

    N: int
    H: int
    W: int
    C: int
    O: int  # noqa: E741
    h: int
    w: int
    s: int
    p: int

    @classmethod
    def of(cls, image: Shape, weight: Shape, work: Work) -> Window:
        """The window of a work that the direct kernels take.

        Raises:
            NoKernelError: it has groups, gaps, two strides or paddings, or a wide padding.

        """
        a = work.attrs
        alike = a["stride"][0] == a["stride"][1] and a["padding"][0] == a["padding"][1]
        plain = a["groups"] == 1 and a["dilation"] == (1, 1)
        if not (plain and alike and a["padding"][0] < min(weight[-2:])):
            raise NoKernelError
        N, C, H, W = image if len(image) == 4 else (1, 1, *image)
        O, _, h, w = weight if len(weight) == 4 else (1, 1, *weight)  # noqa: E741
        return cls(N, H, W, C, O, h, w, int(a["stride"][0]), int(a["padding"][0]))

    @property
    def oh(self) -> int:
        """Rows of the result."""
        return (self.H + 2 * self.p - self.h) // self.s + 1

    @property
    def ow(self) -> int:
        """Columns of the result."""
        return (self.W + 2 * self.p - self.w) // self.s + 1

    @property
    def channels(self) -> dict[str, int]:
        """Sizes of an image and its channels, as all kernels take them."""
        return {"H": self.H, "W": self.W, "C": self.C, "O": self.O}

    @property
    def taps(self) -> dict[str, int]:
        """These and the window's, as the kernels for tiny images take them."""
        return {**self.channels, "h": self.h, "w": self.w}

    @property
    def sizes(self) -> dict[str, int]:
        """All of them, as the direct kernels take them."""
        return {**self.taps, "s": self.s, "p": self.p}

    @property
    def products(self) -> int:
        """Multiplications of the direct form."""
        return self.N * self.oh * self.ow * self.O * self.C * self.h * self.w

    @property
    def images(self) -> Cut:
        """Its images in pieces."""
        return Cut.of(self.N, self.products // self.N)

    @property
    def small(self) -> bool:
        """One tiny image: plain loops."""
        return self.N == 1 and self.s == 1 and self.p == 0 and self.products <= SMALL_CONV

    @property
    def padded(self) -> int:
        """Numbers of one padded image."""
        return (self.H + 2 * self.p) * (self.W + 2 * self.p) * self.C

    @property
    def padded_delta(self) -> int:
        """Numbers of one padded δJ, as conv_input needs them."""
        th, tw = (self.h - 1) // self.s, (self.w - 1) // self.s
        rows = max(self.oh, (self.H - 1 + self.p) // self.s + 1) + th
        columns = max(self.ow, (self.W - 1 + self.p) // self.s + 1) + tw
        return rows * columns * self.O

    @property
    def tiles(self) -> int:
        """Winograd's tiles of an image."""
        return -(-self.oh // 4) * -(-self.ow // 4)

    def by_winograd(self, program: Program) -> bool:
        """Is it done by Winograd's algorithm? 3×3 windows of stride 1 in float32 can be.

        Left to itself the machine does so where it pays: where channels fill vectors and an image
        has at least one whole tile.
        """
        square = self.h == self.w == 3 and self.s == 1 and self.p in (0, 1)
        if not square or program.real != np.float32 or program.convolution == "direct":
            return False
        wide = self.C >= 16 and self.O >= 16 and self.oh >= 4 and self.ow >= 4
        return wide or program.convolution == "winograd"

    def backwards(self) -> Window:
        """The window that makes δI of δJ with flipped weights; for stride 1."""
        return Window(
            self.N, self.oh, self.ow, self.O, self.C, self.h, self.w, 1, self.h - 1 - self.p
        )


def emit_conv(places: Places, work: Work) -> None:
    """J = I * K + b, ReLU."""
    program, (x, w) = places.program, work.inputs[:2]
    win = Window.of(x.shape, w.shape, work)
    image = places.as_layout(x, image_layout(x.shape)).memory
    weight = places.as_layout(w, weight_layout(w.shape)).memory
    bias = places.of(work.inputs[2]).memory if work.attrs.get("bias") else None
    out = places.put(work.outputs[0], image_layout(work.outputs[0].shape)).memory
    flags = BIAS * (bias is not None) + RELU * bool(work.attrs.get("relu"))
    blocks: dict[str, Operand] = {"J": out, "I": image, "K": weight}
    epilogue: dict[str, Operand] = {"bias": bias or out, "flags": flags}
    images: dict[str, Operand] = {"scratch": Scratch(win.padded), "lo": LO, "hi": HI}
    if win.small and not flags:
        _add(program, work, win, ONCE, small.small_conv_forward.on(**blocks, **win.taps))
    elif win.by_winograd(program):
        _by_winograd(program, work, win, out, image, weight, epilogue)
    elif taps.are_few(win.h * win.w * win.C, win.C, win.O):
        kernel = taps.written_for(program, win, flags, out.name)
        call = kernel.on(**blocks, bias=bias or out, **images)
        _add(program, work, win, win.images, call)
    else:
        call = kernels.conv_forward.on(**blocks, **epilogue, **win.sizes, **images)
        _add(program, work, win, win.images, call)


def _by_winograd(
    program: Program, work: Work, win: Window, out: Memory, image: Memory, weight: Memory,
    epilogue: dict[str, Operand], gate: Gate | None = None,
) -> None:  # fmt: skip
    """Weights in Winograd's form, then tiles of the result."""
    points = program.memory(f"{weight.name}_points", winograd.POINTS * win.C * win.O)
    size = win.C * win.O
    program.add(
        f"{weight.name} in Winograd's form", Cut(win.C, max(1, min(16, win.C))),
        winograd.winograd_weights.on(U=points, K=weight, C=win.C, O=win.O, lo=LO, hi=HI),
        flops=size * 100, traffic=size * 45,
    )  # fmt: skip
    call = winograd.winograd_forward.on(
        J=out, I=image, U=points, **epilogue, scratch=_room(win), **win.channels, p=win.p,
        lo=LO * win.tiles, hi=HI * win.tiles,
    )  # fmt: skip
    masked = [gate.on(out)] if gate is not None else []
    _add(program, work, win, win.images, call, *masked, way=WINOGRAD)


WINOGRAD = ", by Winograd"


def _room(win: Window) -> Scratch:
    return Scratch(winograd.scratch_size(win.C, win.O))


def _add(program: Program, work: Work, win: Window, cut: Cut, *calls: Call, way: str = "") -> None:
    program.add(conv_label(work) + way, cut, *calls, flops=2 * win.products, work=work)


def conv_label(work: Work) -> str:
    """What a convolution does, for people."""
    names = [value.name or "…" for value in work.inputs]
    out = work.outputs[0].name or "…"
    if work.kind == "conv2d_x":
        text = f"{out} = pad({names[0]}) * flip({names[1]})"
        return text + (f" where {names[2]} > 0" if work.attrs.get("mask") else "")
    text = f"{out} = {names[1]} * {names[0]}" if work.kind == "conv2d_w" else (
        f"{out} = {names[0]} * {names[1]}"
    )  # fmt: skip
    text += f" + {names[2]}" if work.attrs.get("bias") else ""
    return text + (", ReLU" if work.attrs.get("relu") else "")


# -- δI --------------------------------------------------------------------------------------------
def emit_conv_input(places: Places, work: Work) -> None:
    """δI = pad(δJ) * flip(K), through a ReLU if asked."""
    program, (g, w) = places.program, work.inputs[:2]
    shape: Shape = work.attrs["shape"]
    win = Window.of(shape, w.shape, work)
    delta = places.as_layout(g, image_layout(g.shape)).memory
    weight = places.as_layout(w, weight_layout(w.shape)).memory
    made = places.put(work.outputs[0], image_layout(shape))
    gate, out = gate_of(places, work, made, made.layout.size // win.N), made.memory
    if win.small:
        call = small.small_conv_input.on(D=out, G=delta, K=weight, **win.taps)
        _add(program, work, win, ONCE, call, *([gate.on(out, 0, 1)] if gate is not None else []))
        return
    flipped = _flipped(program, weight, win)
    if win.by_winograd(program):
        back, plain = win.backwards(), dict[str, Operand](bias=out, flags=0)
        _by_winograd(program, work, back, out, delta, flipped, plain, gate)
        return
    call = kernels.conv_input.on(
        D=out, G=delta, F=flipped, scratch=Scratch(win.padded_delta), **win.sizes, lo=LO, hi=HI
    )
    _add(program, work, win, win.images, call, *([gate.on(out)] if gate is not None else []))


def _flipped(program: Program, weight: Memory, win: Window) -> Memory:
    """A task that turns weights round, outputs before inputs."""
    flipped = program.memory(f"{weight.name}_flipped", win.h * win.w * win.C * win.O)
    call = kernels.flip_weights.on(F=flipped, K=weight, C=win.C, O=win.O, h=win.h, w=win.w, s=win.s)
    program.add(f"flip({weight.name})", ONCE, call, traffic=2 * weight.size)
    return flipped


# -- δK --------------------------------------------------------------------------------------------
def emit_conv_weights(places: Places, work: Work) -> None:
    """δK = I * δJ, in partial results over images."""
    program, (g, x) = places.program, work.inputs
    shape: Shape = work.attrs["shape"]
    win = Window.of(x.shape, shape, work)
    delta = places.as_layout(g, image_layout(g.shape)).memory
    image = places.as_layout(x, image_layout(x.shape)).memory
    out = places.put(work.outputs[0], weight_layout(shape))
    if win.small:
        call = small.small_conv_weights.on(D=out.memory, G=delta, I=image, **win.taps)
        _add(program, work, win, ONCE, call)
        return
    cut, parts = partial_over_images(program, out, win.N)
    if win.by_winograd(program):
        room = _room(win)
        points = Scratch(winograd.POINTS * win.C * win.O, room.size)
        calls = (
            winograd.winograd_delta.on(
                D=points, G=delta, I=image, flags=0, scratch=room, **win.channels, p=win.p,
                lo=LO * win.tiles, hi=HI * win.tiles,
            ),
            winograd.winograd_weights_delta.on(
                D=parts.own, U=points, C=win.C, O=win.O, lo=0, hi=win.C
            ),
        )  # fmt: skip
        _add(program, work, win, cut, *calls, way=WINOGRAD)
    else:
        call = kernels.conv_weights.on(
            D=parts.own, G=delta, I=image, scratch=Scratch(win.padded), flags=0, **win.sizes,
            lo=LO, hi=HI,
        )  # fmt: skip
        _add(program, work, win, cut, call)
    parts.combine(program, (out.memory, 0, out.layout.size))


def partial_over_images(program: Program, out: Place, images: int) -> tuple[Cut, Partial]:
    """Images in pieces, and memory for a δK of each piece."""
    cut = Cut(images, max(1, min(PARTS, images)))
    return cut, partial(program, out.memory.name, out.layout.size, cut, out.memory)


KERNELS = {"conv2d": emit_conv, "conv2d_x": emit_conv_input, "conv2d_w": emit_conv_weights}
"""Kind of work -> what makes its tasks."""
