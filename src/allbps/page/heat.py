"""Arrays that are too large for numbers: a heat map, and how often which size of number occurs."""

from __future__ import annotations

import base64
import math
import struct
import zlib
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from allbps.readings.numbers import number, summary

WIDTH = 220
BARS = 24
BLUE, WHITE, ORANGE = (33, 102, 172), (247, 247, 247), (178, 84, 12)
"""The ends and the middle of the scale, which people who confuse red and green tell apart."""


@dataclass(frozen=True)
class Detail:
    """How much of an array a picture shows.

    Attributes:
        side: pixels of a side; of a larger array each pixel is the mean of a block.
        colours: an odd number, so that zero has one.
    """

    side: int
    colours: int


FINE = Detail(side=64, colours=255)
COARSE = Detail(side=24, colours=15)
COARSEST = Detail(side=16, colours=9)


def detail(count: int) -> Detail:
    """How much each of so many pictures of a page shows, so that it stays light.

    >>> detail(3) is FINE, detail(400) is COARSEST
    (True, True)
    """
    return FINE if count <= 12 else COARSE if count <= 100 else COARSEST


def heat(value: Any, symbol: str, detail: Detail = FINE) -> str:
    """A figure: blue below zero, white at zero, orange above, and a histogram.

    Of complex numbers it shows how large they are; of an array without numbers there is none.
    """
    if not np.size(value):
        return ""
    if np.iscomplexobj(value):
        value, symbol = np.abs(value), f"|{symbol}|"
    array = np.nan_to_num(np.asarray(value, np.float64), posinf=0.0, neginf=0.0)
    grid = shrunk(flat(array), detail.side)
    reach = float(np.max(np.abs(grid), initial=0.0)) or 1.0
    said = f"{symbol}: {summary(value)}"
    height, width = grid.shape
    scale = max(1, min(WIDTH // width, WIDTH // height, 16))
    picture = png(grid / reach, detail.colours)
    return (
        f'<figure class="heat"><img alt="{escape(said)}" width="{width * scale}"'
        f' height="{height * scale}" src="data:image/png;base64,{picture}">'
        f"{histogram(array)}<figcaption>−{number(reach)} blue … {number(reach)} orange</figcaption>"
        "</figure>"
    )


def flat(array: Any) -> Any:
    """Any array as a matrix: the last two axes as tiles, the ones before side by side.

    >>> flat(np.zeros((2, 3, 4, 5))).shape, flat(np.zeros(7)).shape, flat(np.float64(1)).shape
    ((8, 15), (1, 7), (1, 1))
    """
    if array.ndim <= 2:
        return np.atleast_2d(array)
    *outer, h, w = array.shape
    columns = outer[-1]
    rows = math.prod(outer[:-1])
    # (rows, columns, h, w) -> (rows, h, columns, w) -> one tile beside the other
    return array.reshape(rows, columns, h, w).transpose(0, 2, 1, 3).reshape(rows * h, columns * w)


def shrunk(matrix: Any, side: int = FINE.side) -> Any:
    """At most ``side`` rows and columns; each of them the mean of a block.

    >>> shrunk(np.arange(128.0)[None]).shape, float(shrunk(np.arange(128.0)[None])[0, 0])
    ((1, 64), 0.5)
    """
    for axis in (0, 1):
        length = matrix.shape[axis]
        if length > side:
            starts = np.linspace(0, length, side, endpoint=False).astype(int)
            sums = np.add.reduceat(matrix, starts, axis)
            counts = np.diff([*starts, length])
            matrix = sums / (counts[:, None] if axis == 0 else counts)
    return matrix


def palette(colours: int) -> bytes:
    """Colours from blue over white to orange."""
    amounts = np.linspace(-1, 1, colours)[:, None]
    ends = np.where(amounts < 0, BLUE, ORANGE)
    mixed = np.array(WHITE) * (1 - np.abs(amounts)) + ends * np.abs(amounts)
    return bytes(np.round(mixed).astype(np.uint8))


def png(grid: Any, colours: int = FINE.colours) -> str:
    """A picture of numbers from −1 to 1, in base64.

    The format is small enough to write down: a header, the colours, the rows compressed, an end
    (https://www.w3.org/TR/png-3/).
    """
    height, width = grid.shape
    places = np.round((grid + 1) / 2 * (colours - 1)).astype(np.uint8)
    rows = b"".join(b"\0" + row.tobytes() for row in places)
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    chunks = {
        b"IHDR": header, b"PLTE": palette(colours), b"IDAT": zlib.compress(rows, 9), b"IEND": b"",
    }  # fmt: skip
    data = b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, body) for name, body in chunks.items())
    return base64.b64encode(data).decode()


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def histogram(array: Any) -> str:
    """Bars from the least to the greatest number, as high as they are frequent."""
    counts, _ = np.histogram(array, bins=BARS)
    tallest = max(int(counts.max()), 1)
    path = "".join(
        f"M{5 * k} 40v-{max(round(40 * int(count) / tallest), 1)}h4V40z"
        for k, count in enumerate(counts)
        if count
    )
    return (
        f'<svg class="histogram" width="{5 * BARS}" height="40" viewBox="0 0 {5 * BARS} 40"'
        f' aria-hidden="true"><path d="{path}"/></svg>'
    )
