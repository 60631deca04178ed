"""The window of a plain convolution: its sizes, and by which algorithm it is done fastest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from allbps.machine.kernels import winograd
from allbps.machine.language.target import host
from allbps.machine.planning.layout import Shape
from allbps.machine.planning.plan import Work
from allbps.machine.works.tasks import Cut, NoKernelError, Program

SMALL_CONV = 20_000
"""Up to this many multiplications plain loops beat the microkernel's overhead."""

PARTS = 16
"""Into how many partial results a δK is cut."""
FEWEST_TILES = 16
"""Tiles of a piece that pay for reading weights in Winograd's form from beyond the second cache."""
TRANSFORM = {32: 400, 16: 600}
"""Time for Winograd's transforms of a tile, for each input and output channel, in multiply-adds.

By the CPU's vector registers: with sixteen, a patch of 6×6 does not fit.
"""


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
    def winograd_products(self) -> int:
        """Those of Winograd's algorithm, without its transforms."""
        return winograd.POINTS * self.N * self.tiles * self.C * self.O

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
    def is_pixel(self) -> bool:
        """Does it see one pixel at a time, and all of them?"""
        return self.h == self.w == self.s == 1 and self.p == 0

    @property
    def tiles(self) -> int:
        """Winograd's tiles of an image."""
        return -(-self.oh // 4) * -(-self.ow // 4)

    def by_winograd(self, program: Program) -> bool:
        """Is it done by Winograd's algorithm? 3×3 windows of stride 1 in float32 can be.

        Left to itself the machine does so where it pays: where there are so many channels that the
        products saved are more than the transforms, and an image has at least one whole tile.
        """
        square = self.h == self.w == 3 and self.s == 1 and self.p in (0, 1)
        if not square or program.real != np.float32 or program.convolution == "direct":
            return False
        wide = min(self.C, self.O) >= 16 and min(self.oh, self.ow) >= 4
        saved, transforms = 54 * self.C * self.O, TRANSFORM[host().registers] * (self.C + self.O)
        few = self._heavy and self.N * self.tiles < 8 * FEWEST_TILES
        return (wide and saved > transforms and not few) or program.convolution == "winograd"

    @property
    def _heavy(self) -> bool:
        """Do weights in Winograd's form not fit the second cache? Then a piece wants many tiles."""
        return host().caches[1] < winograd.POINTS * self.C * self.O * 4

    @property
    def tiled(self) -> Cut:
        """Its images in pieces for Winograd's algorithm."""
        most = max(1, self.N * self.tiles // FEWEST_TILES)
        return Cut(self.N, min(self.images.pieces, most)) if self._heavy else self.images

    @property
    def parts(self) -> int:
        """Into how many partial results Winograd's δK is cut."""
        return (
            max(1, min(PARTS, self.N * self.tiles // (2 * FEWEST_TILES))) if self._heavy else PARTS
        )

    def is_deep(self, program: Program) -> bool:
        """Are there so many channels on so few pixels that the weights are what counts?

        Windows side by side pay where a row of the result is short and the weights fill a good part
        of the second cache: the direct form walks through them for each row.
        """
        size = self.h * self.w * self.C * self.O * program.real.itemsize
        wide = self.ow < 8 and size > host().caches[1] // 4 and min(self.C, self.O) >= 64
        return wide and not self.is_pixel and not self.by_winograd(program)

    def backwards(self) -> Window:
        """The window that makes δI of δJ with flipped weights; for stride 1."""
        return Window(
            self.N, self.oh, self.ow, self.O, self.C, self.h, self.w, 1, self.h - 1 - self.p
        )
