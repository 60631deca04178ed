"""Convolutions of one small image of one channel, as kernels written for their sizes.

The plain loops of :mod:`allbps.machine.kernels.small` go number by number. With one channel the
pixels of a line are neighbours in memory, and so are what a window sees at each of them: here a
line of the result is vector lanes, and the taps of the kernel stand in registers.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import TYPE_CHECKING

from allbps.machine.language.written import Written
from allbps.machine.works.tasks import Program
from allbps.machine.works.text import written

if TYPE_CHECKING:
    from allbps.machine.works.window import Window

MOST_TAPS = 32
"""Up to this many taps."""
TERMS = 96
"""Products that are written out in a turn of δK's loop; the sums over lanes come once a turn."""


def fits(win: Window) -> bool:
    """Is it one small image of one channel, and are its windows small?"""
    return win.small and win.C == win.O == 1 and win.h * win.w <= MOST_TAPS


def forward(program: Program, win: Window, label: str) -> Written:
    """A kernel for J = I * K."""
    body = [
        *(f"k{n} = K[{n}]" for n in range(win.h * win.w)),
        f"for i in range({win.oh}):",
        f"    x, to = I + i * {win.W}, J + i * {win.ow}",
        f"    for j in lanes({win.ow}):",
        "        t = x[j] * k0",
        *(f"        t = fma(x[j + {at}], k{n}, t)" for n, at in _taps(win) if n),
        "        to[j] = t",
    ]
    return _written(program, win, f"{label}_lines", "JIK", body)


def weights(program: Program, win: Window, label: str) -> Written:
    """A kernel for δK = I * δJ: as many lines at a time as are some TERMS products."""
    taps = range(win.h * win.w)
    lines = max(1, min(win.oh, TERMS // len(taps)))
    whole = win.oh // lines * lines
    body = [f"s{n} = 0.0" for n in taps]
    for start, stop, count in ((0, whole, lines), (whole, win.oh, win.oh - whole)):
        if start < stop:
            body.append(f"for i in range({start}, {stop}, {count}):")
            body += (f"    {line}" for line in _some_lines(win, count))
    body += (f"D[{n}] = s{n}" for n in taps)
    return _written(program, win, f"{label}_lines", "DGI", body, reorder=True)


def _some_lines(win: Window, count: int) -> Iterator[str]:
    """What some lines of δJ add to all sums."""
    yield f"g, x = G + i * {win.ow}, I + i * {win.W}"
    yield f"for j in lanes({win.ow}):"
    yield from (f"    g{i} = g[j + {i * win.ow}]" for i in range(count))
    for n, at in _taps(win):
        yield f"    t = x[j + {at}] * g0"
        yield from (f"    t = fma(x[j + {at + i * win.W}], g{i}, t)" for i in range(1, count))
        yield f"    s{n} += t"


def _taps(win: Window) -> Iterator[tuple[int, int]]:
    """The taps of a window, and how far from its first pixel they are."""
    for n, (line, column) in enumerate(product(range(win.h), range(win.w))):
        yield n, line * win.W + column


def _written(
    program: Program, win: Window, wish: str, arrays: str, body: list[str], *, reorder: bool = False
) -> Written:
    doc = f"({win.H}, {win.W}) * ({win.h}, {win.w}) -> ({win.oh}, {win.ow})."
    return written(program, wish, dict.fromkeys(arrays, "Reals"), doc, body, reorder=reorder)
