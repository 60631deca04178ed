"""Learned kernels as a picture: red is positive, blue negative, white zero."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from allbps.nn import Shape
from allbps.train.figures import drawing, write_figure

SHOWN, COLUMNS = 64, 8
GAP = 0.25
"""Space between tiles, in tiles."""


def as_kernels(weight: NDArray[Any], shape: Shape) -> NDArray[Any]:
    """Weights of a first layer as images (units, C, h, w): rows of a linear layer are images.

    >>> as_kernels(np.zeros((5, 12)), (3, 2, 2)).shape
    (5, 3, 2, 2)
    """
    return weight.reshape(len(weight), *shape) if weight.ndim == 2 else weight


def draw_kernels(path: Path, title: str, kernels: NDArray[Any]) -> tuple[Path, Path]:
    """Write ``path`` as PNG and SVG, every channel of every unit a tile, up to 64 tiles or a unit.

    Args:
        path: without ending.
        title: above the figure.
        kernels: (units, C, h, w).

    Raises:
        MissingExtraError: matplotlib is not installed.
        UserFileError: the place cannot be written.

    """
    units, channels = kernels.shape[:2]
    whole = max(SHOWN // channels, 1) * channels  # no unit without some of its channels
    tiles = kernels.reshape(units * channels, *kernels.shape[2:])[:whole]
    columns = min(max(COLUMNS // channels, 1) * channels, len(tiles))
    rows = math.ceil(len(tiles) / columns)
    largest = float(np.abs(tiles).max()) or 1.0
    shown = f", {len(tiles)} of {units * channels}" if len(tiles) < units * channels else ""
    with drawing(0.85 * columns + 1.5, 0.95 * rows + 0.6) as figure:
        figure.suptitle(title + shown)
        axes = figure.add_subplot(aspect="equal")
        for k, tile in enumerate(tiles):
            x, y = k % columns * (1 + GAP), k // columns * (1 + GAP)
            image = axes.imshow(
                tile,
                extent=(x, x + 1, y + 1, y),
                cmap="RdBu_r",
                vmin=-largest,
                vmax=largest,
                interpolation="nearest",
            )
            axes.text(x + 0.5, y - 0.03, _name(k, channels), ha="center", va="bottom", fontsize=7)
        axes.set_xlim(-0.05, columns * (1 + GAP) - GAP + 0.05)
        axes.set_ylim(rows * (1 + GAP) - GAP + 0.05, -GAP)
        axes.axis("off")
        figure.colorbar(image, ax=axes, shrink=0.9, aspect=30)
        return write_figure(figure, path)


def _name(tile: int, channels: int) -> str:
    """The number of the unit, and a letter for the channel where there are several.

    >>> _name(4, 1), _name(4, 3)
    ('5', '2b')
    """
    unit, channel = divmod(tile, channels)
    return str(unit + 1) + (chr(ord("a") + channel) if channels > 1 else "")
