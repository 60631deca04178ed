"""Convolutions with few taps, as a kernel written for their sizes: every tap in a register.

Where an image has one channel, a product has only h·w terms, and the microkernel spends its time
on beginning and ending. Here the numbers of a window are read once, and all output channels are
vector lanes; two pixels share what is read of the kernel.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from allbps.machine.language.words import BIAS, RELU
from allbps.machine.language.written import Written
from allbps.machine.works.tasks import Program
from allbps.machine.works.text import written

if TYPE_CHECKING:
    from allbps.machine.works.window import Window

FEW_TAPS = 12
"""Up to this many terms in each sum."""
WIDTH = 16
"""Output channels must fill whole vectors, of any CPU."""
PIXELS = 2
"""Pixels worked on at a time."""


def are_few(terms: int, channels: int, outputs: int) -> bool:
    """Does a kernel for the sizes pay, for sums of so many terms?"""
    return terms <= FEW_TAPS and channels <= 3 and outputs % WIDTH == 0


def written_for(program: Program, win: Window, flags: int, label: str) -> Written:
    """A new kernel over images: J = I * K + bias, ReLU."""
    arguments = dict.fromkeys(("J", "I", "K", "bias", "scratch"), "Reals")
    doc = f"({win.H}, {win.W}, {win.C}) * ({win.h}, {win.w}, {win.C}, {win.O}), images lo..hi."
    return written(program, f"{label}_taps", arguments, doc, list(_body(win, flags)))


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
