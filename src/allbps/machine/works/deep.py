"""Convolutions of many channels on few pixels: products that read the weights where they lie.

The weights are far larger than the images, so it is these that are arranged: as windows, what is
seen at each pixel of the result. Weights are (O, C·h·w), as NumPy and PyTorch keep them, and so is
their δ, whose rows an optimiser may move as soon as they are made.

    Jᵀ (O, pixels)            = K (O, C·h·w) · windows (C·h·w, pixels)
    δK (O, C·h·w)             = δJᵀ (O, pixels) · windowsᵀ (pixels, C·h·w)
    δwindows (pixels, C·h·w)  = δJ (pixels, O) · K (O, C·h·w), folded back onto the image
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from allbps.machine.kernels import windows as kernels
from allbps.machine.kernels.gemm import finish_product
from allbps.machine.language.operands import HI, LO, Memory, Scratch
from allbps.machine.language.words import BIAS, RELU
from allbps.machine.planning.layout import image_layout, row_major
from allbps.machine.planning.plan import Value, Work
from allbps.machine.works.loops import transposition
from allbps.machine.works.masks import gate_of
from allbps.machine.works.places import Places
from allbps.machine.works.products import Walk
from allbps.machine.works.tasks import Cut, Program
from allbps.machine.works.window import Window


def emit_forward(places: Places, work: Work, win: Window, label: str) -> None:
    """J = I * K + b, ReLU."""
    program, (x, w) = places.program, work.inputs[:2]
    weight = places.as_layout(w, row_major(w.shape)).memory
    seen, pixels, K = _windows(places, x, win), win.N * win.oh * win.ow, _terms(win)
    turned = program.memory(f"{work.outputs[0].name}_turned", win.O * pixels)
    walk = Walk(weight, K, 1, seen, pixels, 1, win.O, pixels, K)
    walk.product(program, work, label, turned).emit()
    out = places.put(work.outputs[0], image_layout(work.outputs[0].shape)).memory
    flags = BIAS * bool(work.attrs.get("bias")) + RELU * bool(work.attrs.get("relu"))
    made = program.memory(f"{out.name}_plain", out.size) if flags else out
    _turn(program, turned, made, win.O, pixels)
    if flags:
        bias = places.of(work.inputs[2]).memory if flags & BIAS else made
        call = finish_product.on(
            C=out, ldc=win.O, partials=made, count=1, M=pixels, N=win.O, flags=flags, bias=bias,
            lo=LO, hi=HI,
        )  # fmt: skip
        program.add(f"{out.name}: bias, ReLU", Cut.of(pixels, win.O * 2), call, work=work)


def emit_input(places: Places, work: Work, win: Window, label: str) -> None:
    """δI, through a ReLU if asked."""
    program, (g, w) = places.program, work.inputs[:2]
    weight = places.as_layout(w, row_major(w.shape)).memory
    delta = places.as_layout(g, image_layout(g.shape)).memory
    pixels, K = win.N * win.oh * win.ow, _terms(win)
    seen = program.memory(f"{delta.name}_windows", pixels * K)
    walk = Walk(delta, win.O, 1, weight, K, 1, pixels, K, win.O)
    walk.product(program, work, label, seen).emit()
    made = places.put(work.outputs[0], image_layout(work.outputs[0].shape))
    gate = gate_of(places, work, made, win.N)
    call = kernels.fold.on(
        D=made.memory, P=seen, H=win.H, W=win.W, C=win.C, h=win.h, w=win.w, s=win.s, p=win.p,
        lo=LO, hi=HI,
    )  # fmt: skip
    calls = (call, *([gate.on(made.memory)] if gate is not None else []))
    cut = Cut.of(win.N, win.H * win.W * K)
    program.add(f"{made.memory.name}: folded", cut, *calls, flops=seen.size, traffic=seen.size)


def emit_weights(places: Places, work: Work, win: Window, label: str) -> None:
    """δK."""
    program, (g, x) = places.program, work.inputs
    delta = places.as_layout(g, image_layout(g.shape)).memory
    seen, pixels, K = _windows(places, x, win), win.N * win.oh * win.ow, _terms(win)
    across = program.memory(f"{seen.name}_across", pixels * K)
    _turn(program, seen, across, K, pixels)
    out = places.put(work.outputs[0], row_major(work.outputs[0].shape)).memory
    walk = Walk(delta, 1, win.O, across, K, 1, win.O, K, pixels)
    walk.product(program, work, label, out).emit()


def _terms(win: Window) -> int:
    """Numbers in a window."""
    return win.C * win.h * win.w


def _turn(program: Program, here: Memory, there: Memory, rows: int, columns: int) -> None:
    """A task that makes (columns, rows) of (rows, columns)."""
    cut, call = transposition(there, rows, here, columns, columns, rows)
    program.add(f"{here.name} turned", cut, call, traffic=2 * here.size)


def _windows(places: Places, x: Value, win: Window) -> Memory:
    """Memory for (C·h·w, N·oh·ow), what the window sees; made once for J and δK."""
    key = x, win
    if key not in places.windows:
        program = places.program
        image = places.as_layout(x, image_layout(x.shape)).memory
        at = program.memory(f"{image.name}_places", win.h * win.w * win.N * win.oh * win.ow, "Int",
                            kept=True)  # fmt: skip
        at.start = _seen(win)
        seen = program.memory(f"{image.name}_windows", at.size * win.C)
        pixels = win.N * win.H * win.W
        call = kernels.windows.on(
            P=seen, I=image, at=at, C=win.C, pixels=pixels, each=at.size,
            scratch=Scratch(pixels + 1), lo=LO, hi=HI,
        )  # fmt: skip
        cut = Cut.of(win.C, at.size * 4)
        program.add(f"windows of {image.name}", cut, call, traffic=2 * seen.size)
        places.windows[key] = seen
    return places.windows[key]


def _seen(win: Window) -> NDArray[np.int64]:
    """For each place in the window, and each pixel of the result: which pixel is seen there."""
    a, b, n, i, j = np.ogrid[: win.h, : win.w, : win.N, : win.oh, : win.ow]
    y, x = i * win.s + a - win.p, j * win.s + b - win.p
    inside = (y >= 0) & (y < win.H) & (x >= 0) & (x < win.W)
    return np.where(inside, (n * win.H + y) * win.W + x, win.N * win.H * win.W).ravel()
