"""Convolutions with few taps, as a kernel written for their sizes: every tap in a register.

Where an image has one channel, a product has only h·w terms, and the microkernel spends its time
on beginning and ending. Here the numbers of a window are read once, and all output channels are
vector lanes; two pixels share what is read of the kernel.
"""

from __future__ import annotations

from collections.abc import Iterator

from allbps.machine.planning.plan import Work
from allbps.machine.works.images import (
    BIAS,
    RELU,
    Window,
    add_conv,
    by_winograd,
    emit_conv,
    image_layout,
    weight_layout,
)
from allbps.machine.works.places import Places
from allbps.machine.works.tasks import Program, bounds, pieces_for
from allbps.machine.works.text import add_function

FEW_TAPS = 12
"""Up to this many terms in each sum."""
WIDTH = 16
"""Output channels must fill whole vectors, of any CPU."""
PIXELS = 2
"""Pixels worked on at a time."""


def emit_convolution(program: Program, places: Places, work: Work) -> None:
    """J = I * K + b, ReLU, by a kernel of its own where that pays."""
    x, w = work.inputs[:2]
    win = Window(x.shape, w.shape, work)
    if not _has_few_taps(win) or by_winograd(program, win):
        emit_conv(program, places, work)
        return
    image = places.as_layout(x, image_layout(x.shape))
    weight = places.as_layout(w, weight_layout(w.shape))
    bias = places.of(work.inputs[2]) if work.attrs.get("bias") else None
    out = places.put(work.outputs[0], image_layout(work.outputs[0].shape))
    flags = BIAS * (bias is not None) + RELU * bool(work.attrs.get("relu"))
    reads = [image, weight, *([bias] if bias else [])]
    program.scratch = max(program.scratch, win.padded)
    blocks = ", ".join(p.memory.name for p in (out, image, weight, bias or out))
    call = f"{_kernel(program, win, flags, out.memory.name)}({blocks}, scratch, lo, hi)"
    pieces = pieces_for(win.N, win.products // win.N)
    add_conv(program, work, win, pieces, (*bounds(win.N, pieces), call), reads, out.memory)


def _has_few_taps(win: Window) -> bool:
    few = win.h * win.w * win.C <= FEW_TAPS and win.C <= 3
    return few and win.O % WIDTH == 0 and not win.small


def _kernel(program: Program, win: Window, flags: int, label: str) -> str:
    """The name of a new kernel over images."""
    program.use("language.words", "lanes", "fma")
    program.use("kernels.conv", "pad_image")
    arguments = [(x, "Reals") for x in ("J", "I", "K", "bias", "scratch")]
    doc = f"({win.H}, {win.W}, {win.C}) * ({win.h}, {win.w}, {win.C}, {win.O}), images lo..hi."
    return add_function(program, f"{label}_taps", arguments, doc, list(_body(win, flags)))


def _body(win: Window, flags: int) -> Iterator[str]:
    width = win.W + 2 * win.p
    yield "for n in range(lo, hi):"
    yield f"    image = I + n * {win.H * win.W * win.C}"
    if win.p:
        yield (
            f"    pad_image(scratch, image, {win.H}, {win.W}, {win.C}, {win.p}, {win.p}, "
            f"{win.H + 2 * win.p}, {width})"
        )
        yield "    image = scratch"
    yield f"    for i in range({win.oh}):"
    yield f"        row = image + i * {win.s * width * win.C}"
    yield f"        line = J + (n * {win.oh} + i) * {win.ow * win.O}"
    whole = win.ow // PIXELS * PIXELS
    for start, stop, pixels in ((0, whole, PIXELS), (whole, win.ow, 1)):
        if start < stop:
            yield f"        for j in range({start}, {stop}, {pixels}):"
            yield f"            x, to = row + j * {win.s * win.C}, line + j * {win.O}"
            yield from (f"            {text}" for text in _pixels(win, flags, width, pixels))


def _pixels(win: Window, flags: int, width: int, pixels: int) -> Iterator[str]:
    """Neighbouring pixels: their windows into registers, then all output channels."""
    run = win.w * win.C
    taps = [row * width * win.C + k for row in range(win.h) for k in range(run)]
    for q in range(pixels):
        for k, place in enumerate(taps):
            yield f"x{q}_{k} = x[{place + q * win.s * win.C}]"
    yield f"for o in lanes({win.O}):"
    for k in range(len(taps)):
        yield f"    k{k} = K[{k * win.O} + o]"
    for q in range(pixels):
        yield f"    t{q} = x{q}_0 * k0" + (" + bias[o]" if flags & BIAS else "")
        for k in range(1, len(taps)):
            yield f"    t{q} = fma(x{q}_{k}, k{k}, t{q})"
        result = f"max(t{q}, 0.0)" if flags & RELU else f"t{q}"
        yield f"    to[{q * win.O} + o] = {result}"
