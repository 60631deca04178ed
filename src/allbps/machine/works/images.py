"""Convolution and pooling as tasks, on images kept as (N, H, W, C) and weights as (h, w, C, O)."""

from __future__ import annotations

import numpy as np

from allbps.machine.kernels import winograd
from allbps.machine.planning.layout import Layout, Shape, in_order, row_major
from allbps.machine.planning.plan import Value, Work
from allbps.machine.works.masks import gate_of, masked
from allbps.machine.works.places import Places, memories
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
SMALL_CONV = 20_000
"""Up to this many multiplications plain loops beat the microkernel's overhead."""
PARTS = 16
"""Into how many partial results a δK is cut."""


def image_layout(shape: Shape) -> Layout:
    """Channels last; a matrix is an image with one channel."""
    return in_order(shape, (0, 2, 3, 1)) if len(shape) == 4 else row_major(shape)


def weight_layout(shape: Shape) -> Layout:
    """(h, w, C, O)."""
    return in_order(shape, (2, 3, 1, 0)) if len(shape) == 4 else row_major(shape)


class Window:
    """The sizes of a convolution: (N, H, W, C) * (h, w, C, O), stride s, padding p."""

    def __init__(self, image: Shape, weight: Shape, work: Work) -> None:
        self.N, self.C, self.H, self.W = image if len(image) == 4 else (1, 1, *image)
        self.O, _, self.h, self.w = weight if len(weight) == 4 else (1, 1, *weight)
        self.s, self.p = int(work.attrs["stride"][0]), int(work.attrs["padding"][0])
        self.oh = (self.H + 2 * self.p - self.h) // self.s + 1
        self.ow = (self.W + 2 * self.p - self.w) // self.s + 1

    @property
    def sizes(self) -> str:
        """As the direct kernels take them."""
        return f"{self.H}, {self.W}, {self.C}, {self.O}, {self.h}, {self.w}, {self.s}, {self.p}"

    @property
    def products(self) -> int:
        """Multiplications of the direct form."""
        return self.N * self.oh * self.ow * self.O * self.C * self.h * self.w

    @property
    def small(self) -> bool:
        """One tiny image: plain loops."""
        return self.N == 1 and self.s == 1 and self.p == 0 and self.products <= SMALL_CONV

    @property
    def padded(self) -> int:
        """Numbers of one padded image."""
        return (self.H + 2 * self.p) * (self.W + 2 * self.p) * self.C


def is_plain(work: Work) -> bool:
    """Do the direct kernels take it: no groups, no gaps, one stride, a padding below the window?"""
    a = work.attrs
    if a["groups"] != 1 or a["dilation"] != (1, 1):
        return False
    weight = work.inputs[1].shape if work.kind != "conv2d_w" else a["shape"]
    alike = a["stride"][0] == a["stride"][1] and a["padding"][0] == a["padding"][1]
    return bool(alike and a["padding"][0] < min(weight[-2:]))


def by_winograd(program: Program, win: Window) -> bool:
    """Is it done by Winograd's algorithm? 3×3 windows of stride 1 in float32 can be.

    Left to itself the machine does so where it pays: where channels fill vectors and an image has
    at least one whole tile.
    """
    square = win.h == win.w == 3 and win.s == 1 and win.p in (0, 1)
    if not square or program.real != np.float32 or program.convolution == "direct":
        return False
    wide = win.C >= 16 and win.O >= 16 and win.oh >= 4 and win.ow >= 4
    return wide or program.convolution == "winograd"


def emit_conv(program: Program, places: Places, work: Work) -> None:
    """J = I * K + b, ReLU."""
    x, w = work.inputs[:2]
    win = Window(x.shape, w.shape, work)
    image = places.as_layout(x, image_layout(x.shape))
    weight = places.as_layout(w, weight_layout(w.shape))
    bias = places.of(work.inputs[2]) if work.attrs.get("bias") else None
    out = places.put(work.outputs[0], image_layout(work.outputs[0].shape))
    flags = BIAS * (bias is not None) + RELU * bool(work.attrs.get("relu"))
    names = f"{out.memory.name}, {image.memory.name}"
    reads = [image, weight, *([bias] if bias else [])]
    shift = (bias or out).memory.name
    if win.small and not flags:
        program.use("kernels.small", "small_conv_forward")
        sizes = f"{win.H}, {win.W}, {win.C}, {win.O}, {win.h}, {win.w}"
        call = f"small_conv_forward({names}, {weight.memory.name}, {sizes})"
        add_conv(program, work, win, 1, (call,), reads, out.memory)
    elif by_winograd(program, win):
        points = _transformed(program, weight.memory, win.C, win.O)
        _winograd_forward(program, work, win, out, image, points, shift, flags, reads)
    else:
        program.use("kernels.conv", "conv_forward")
        program.scratch = max(program.scratch, win.padded)
        pieces = pieces_for(win.N, win.products // win.N)
        call = (
            f"conv_forward({names}, {weight.memory.name}, {shift}, {flags}, scratch, "
            f"{win.sizes}, lo, hi)"
        )
        add_conv(program, work, win, pieces, (*bounds(win.N, pieces), call), reads, out.memory)


def _transformed(program: Program, weight: Memory, C: int, O: int) -> Memory:  # noqa: E741
    """A task that gives weights Winograd's form."""
    program.use("kernels.winograd", "winograd_weights")
    points = program.memory(f"{weight.name}_points", winograd.POINTS * C * O)
    pieces = max(1, min(16, C))
    call = f"winograd_weights({points.name}, {weight.name}, {C}, {O}, lo, hi)"
    program.tasks.append(
        Task(f"{weight.name} in Winograd's form", pieces, (*bounds(C, pieces), call),
             (weight,), (points,), flops=C * O * 100, traffic=C * O * 45)
    )  # fmt: skip
    return points


def _winograd_forward(
    program: Program, work: Work, win: Window, out: Place, image: Place, points: Memory,
    bias: str, flags: int, reads: list[Place], more: tuple[str, ...] = (),
) -> None:  # fmt: skip
    program.use("kernels.winograd", "winograd_forward")
    program.scratch = max(program.scratch, winograd.scratch_size(win.C, win.O))
    tiles = -(-win.oh // 4) * -(-win.ow // 4)
    pieces = pieces_for(win.N, win.products // win.N)
    call = (
        f"winograd_forward({out.memory.name}, {image.memory.name}, {points.name}, {bias}, {flags}, "
        f"scratch, {win.H}, {win.W}, {win.C}, {win.O}, {win.p}, lo * {tiles}, hi * {tiles})"
    )
    add_conv(program, work, win, pieces, (*bounds(win.N, pieces), call, *more),
         [*reads, Place(points, row_major((points.size,)))], out.memory)  # fmt: skip


def add_conv(
    program: Program, work: Work, win: Window, pieces: int, lines: tuple[str, ...],
    reads: list[Place], out: Memory,
) -> None:  # fmt: skip
    """A task that does a convolution in one of its three directions."""
    way = ", by Winograd" if any("winograd" in line for line in lines) else ""
    program.tasks.append(
        Task(conv_label(work) + way, pieces, lines, memories(reads), (out,), flops=2 * win.products,
             traffic=moved((*work.inputs, *work.outputs)), site=line_of(work))
    )  # fmt: skip


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
def emit_conv_input(program: Program, places: Places, work: Work) -> None:
    """δI = pad(δJ) * flip(K), through a ReLU if asked."""
    g, w = work.inputs[:2]
    win = Window(work.attrs["shape"], w.shape, work)
    delta = places.as_layout(g, image_layout(g.shape))
    weight = places.as_layout(w, weight_layout(w.shape))
    out = places.put(work.outputs[0], image_layout(win_shape(work)))
    gate, each = gate_of(places, work, out), out.layout.size // win.N
    gates = [gate] if gate is not None else []
    if win.small:
        program.use("kernels.small", "small_conv_input")
        sizes = f"{win.H}, {win.W}, {win.C}, {win.O}, {win.h}, {win.w}"
        call = (
            f"small_conv_input({out.memory.name}, {delta.memory.name}, {weight.memory.name}, "
            f"{sizes})"
        )
        line = masked(program, out.memory.name, gate, each, "0, 1")
        add_conv(program, work, win, 1, (call, *line), [delta, weight, *gates], out.memory)
        return
    line = masked(program, out.memory.name, gate, each)
    flipped = _flipped(program, weight.memory, win)
    if by_winograd(program, win) and win.p in (0, 1):
        points = _transformed(program, flipped, win.O, win.C)
        back = Window((win.N, win.O, win.oh, win.ow), (win.C, win.O, 3, 3), work)
        back.p = 2 - win.p
        back.oh, back.ow = win.H, win.W
        reads = [delta, *gates]
        _winograd_forward(program, work, back, out, delta, points, out.memory.name, 0, reads, line)
        return
    program.use("kernels.conv", "conv_input")
    program.scratch = max(program.scratch, padded_delta(win))
    pieces = pieces_for(win.N, win.products // win.N)
    call = (
        f"conv_input({out.memory.name}, {delta.memory.name}, {flipped.name}, scratch, "
        f"{win.sizes}, lo, hi)"
    )
    whole = Place(flipped, row_major((flipped.size,)))
    lines = (*bounds(win.N, pieces), call, *line)
    add_conv(program, work, win, pieces, lines, [delta, whole, *gates], out.memory)


def win_shape(work: Work) -> Shape:
    """The shape of a δ that has the shape of what it belongs to."""
    shape: Shape = work.attrs["shape"]
    return shape


def padded_delta(win: Window) -> int:
    """Numbers of one padded δJ, as conv_input needs them."""
    th, tw = (win.h - 1) // win.s, (win.w - 1) // win.s
    rows = max(win.oh, (win.H - 1 + win.p) // win.s + 1) + th
    columns = max(win.ow, (win.W - 1 + win.p) // win.s + 1) + tw
    return rows * columns * win.O


def _flipped(program: Program, weight: Memory, win: Window) -> Memory:
    """A task that turns weights round, outputs before inputs."""
    program.use("kernels.conv", "flip_weights")
    flipped = program.memory(f"{weight.name}_flipped", win.h * win.w * win.C * win.O)
    call = (
        f"flip_weights({flipped.name}, {weight.name}, {win.C}, {win.O}, {win.h}, {win.w}, {win.s})"
    )
    program.tasks.append(
        Task(f"flip({weight.name})", 1, (call,), (weight,), (flipped,), traffic=2 * weight.size)
    )
    return flipped


# -- δK --------------------------------------------------------------------------------------------
def emit_conv_weights(program: Program, places: Places, work: Work) -> None:
    """δK = I * δJ, in partial results over images."""
    g, x = work.inputs
    win = Window(x.shape, work.attrs["shape"], work)
    delta = places.as_layout(g, image_layout(g.shape))
    image = places.as_layout(x, image_layout(x.shape))
    out = places.put(work.outputs[0], weight_layout(win_shape(work)))
    if win.small:
        program.use("kernels.small", "small_conv_weights")
        sizes = f"{win.H}, {win.W}, {win.C}, {win.O}, {win.h}, {win.w}"
        call = (
            f"small_conv_weights({out.memory.name}, {delta.memory.name}, {image.memory.name}, "
            f"{sizes})"
        )
        add_conv(program, work, win, 1, (call,), [delta, image], out.memory)
        return
    size = out.layout.size
    pieces = max(1, min(PARTS, win.N))
    parts = program.memory(f"{out.memory.name}_parts", pieces * size)
    target = f"{parts.name} + p * {size}"
    lines: tuple[str, ...]
    if by_winograd(program, win):
        program.use("kernels.winograd", "winograd_delta", "winograd_weights_delta")
        tiles = -(-win.oh // 4) * -(-win.ow // 4)
        room = winograd.scratch_size(win.C, win.O)
        program.scratch = max(program.scratch, room + winograd.POINTS * win.C * win.O)
        lines = (
            f"winograd_delta(scratch + {room}, {delta.memory.name}, {image.memory.name}, 0, "
            f"scratch, {win.H}, {win.W}, {win.C}, {win.O}, {win.p}, lo * {tiles}, hi * {tiles})",
            f"winograd_weights_delta({target}, scratch + {room}, {win.C}, {win.O}, 0, {win.C})",
        )
    else:
        program.use("kernels.conv", "conv_weights")
        program.scratch = max(program.scratch, win.padded)
        lines = (
            f"conv_weights({target}, {delta.memory.name}, {image.memory.name}, scratch, 0, "
            f"{win.sizes}, lo, hi)",
        )
    add_conv(program, work, win, pieces, (*bounds(win.N, pieces), *lines), [delta, image], parts)
    program.use("kernels.reduce", "combine")
    cut = pieces_for(size, pieces)
    call = f"combine({out.memory.name}, {parts.name}, {size}, {pieces}, lo, hi)"
    program.tasks.append(
        Task(f"{out.memory.name}: sum of {pieces} partial results", cut, (*bounds(size, cut), call),
             (parts,), (out.memory,), flops=pieces * size, traffic=pieces * size)
    )  # fmt: skip


# -- pooling ---------------------------------------------------------------------------------------
def _pool_sizes(shape: Shape, work: Work, *, dilated: bool = True) -> tuple[int, str]:
    """How many images, and what the kernels want to know of them; planes are images."""
    if len(shape) == 4:
        n, c, height, width = shape
    else:
        n, c, height, width = (1, 1, *shape) if len(shape) == 2 else (shape[0], 1, *shape[1:])
    pairs = [work.attrs[name] for name in ("kernel", "stride", "padding")]
    pairs += [work.attrs["dilation"]] if dilated else []
    return n, ", ".join(str(k) for k in (height, width, c, *(k for pair in pairs for k in pair)))


def emit_max_pool(program: Program, places: Places, work: Work) -> None:
    """The largest of each window, and its place."""
    program.use("kernels.pool", "max_pool")
    x = work.inputs[0]
    image = places.as_layout(x, image_layout(x.shape))
    layout = image_layout(work.outputs[0].shape)
    out, winner = (places.put(value, layout) for value in work.outputs)
    n, sizes = _pool_sizes(x.shape, work)
    pieces = pieces_for(n, x.size // n * 4)
    call = (
        f"max_pool({out.memory.name}, {winner.memory.name}, {image.memory.name}, "
        f"{bool(work.attrs.get('relu'))}, {sizes}, lo, hi)"
    )
    text = "ReLU(maxpool" if work.attrs.get("relu") else "maxpool"
    program.tasks.append(
        Task(f"{out.memory.name} = {text}({x.name or '…'}" + ")" * (1 + (text[0] == "R")), pieces,
             (*bounds(n, pieces), call), (image.memory,), (out.memory, winner.memory),
             flops=x.size, traffic=moved((x, *work.outputs)), site=line_of(work))
    )  # fmt: skip


def emit_max_pool_input(program: Program, places: Places, work: Work, winner: Value) -> None:
    """δ of the winners."""
    program.use("kernels.pool", "max_pool_delta")
    g, y = work.inputs
    delta = places.as_layout(g, image_layout(g.shape))
    pooled, places_won = places.of(y), places.of(winner)
    shape = win_shape(work)
    out = places.put(work.outputs[0], image_layout(shape))
    n, sizes = _pool_sizes(shape, work)
    pieces = pieces_for(n, work.outputs[0].size // n * 4)
    call = (
        f"max_pool_delta({out.memory.name}, {delta.memory.name}, {pooled.memory.name}, "
        f"{places_won.memory.name}, {bool(work.attrs.get('relu'))}, {sizes}, lo, hi)"
    )
    program.tasks.append(
        Task(f"{out.memory.name}: δ of the winners", pieces, (*bounds(n, pieces), call),
             memories([delta, pooled, places_won]), (out.memory,), flops=work.outputs[0].size,
             traffic=moved((*work.inputs, *work.outputs)), site=line_of(work))
    )  # fmt: skip


def emit_average_pool(program: Program, places: Places, work: Work) -> None:
    """The mean of each window."""
    program.use("kernels.pool", "average_pool")
    x = work.inputs[0]
    image = places.as_layout(x, image_layout(x.shape))
    out = places.put(work.outputs[0], image_layout(work.outputs[0].shape))
    n, sizes = _pool_sizes(x.shape, work, dilated=False)
    pieces = pieces_for(n, x.size // n * 4)
    call = f"average_pool({out.memory.name}, {image.memory.name}, {sizes}, lo, hi)"
    program.tasks.append(
        Task(f"{out.memory.name} = avgpool({x.name or '…'})", pieces, (*bounds(n, pieces), call),
             (image.memory,), (out.memory,), flops=x.size, traffic=moved((x, *work.outputs)),
             site=line_of(work))
    )  # fmt: skip


def emit_average_pool_input(program: Program, places: Places, work: Work) -> None:
    """δ of the cells of each window."""
    program.use("kernels.pool", "average_pool_delta")
    (g,), shape = work.inputs, win_shape(work)
    delta = places.as_layout(g, image_layout(g.shape))
    out = places.put(work.outputs[0], image_layout(shape))
    n, sizes = _pool_sizes(shape, work, dilated=False)
    pieces = pieces_for(n, work.outputs[0].size // n * 4)
    call = f"average_pool_delta({out.memory.name}, {delta.memory.name}, {sizes}, lo, hi)"
    program.tasks.append(
        Task(f"{out.memory.name}: shares of δ", pieces, (*bounds(n, pieces), call),
             (delta.memory,), (out.memory,), flops=work.outputs[0].size,
             traffic=moved((g, *work.outputs)), site=line_of(work))
    )  # fmt: skip
