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


def as_kernels(weight: NDArray[Any], shape: Shape) -> NDArray[Any]:
    """Weights of a first layer as images (units, C, h, w): rows of a linear layer are images.

    >>> as_kernels(np.zeros((5, 12)), (3, 2, 2)).shape
    (5, 3, 2, 2)
    """
    return weight.reshape(len(weight), *shape) if weight.ndim == 2 else weight


def draw_kernels(path: Path, title: str, kernels: NDArray[Any]) -> tuple[Path, Path]:
    """Write ``path`` as PNG and SVG, every channel of every unit a tile, up to 64 tiles.

    Args:
        path: without ending.
        title: above the figure.
        kernels: (units, C, h, w).

    Raises:
        MissingExtraError: matplotlib is not installed.
        UserFileError: the place cannot be written.

    """
    units, channels = kernels.shape[:2]
    tiles = kernels.reshape(units * channels, *kernels.shape[2:])[:SHOWN]
    columns = min(COLUMNS, len(tiles))
    rows = math.ceil(len(tiles) / columns)
    largest = float(np.abs(tiles).max()) or 1.0
    shown = f", {len(tiles)} of {units * channels}" if len(tiles) < units * channels else ""
    with drawing(0.85 * columns + 1.3, 0.95 * rows + 0.6) as figure:
        figure.suptitle(title + shown)
        grid = figure.subplots(rows, columns, squeeze=False)
        for k, axes in enumerate(grid.flat):
            if k >= len(tiles):
                axes.axis("off")
                continue
            image = axes.imshow(
                tiles[k], cmap="RdBu_r", vmin=-largest, vmax=largest, interpolation="nearest"
            )
            unit, channel = divmod(k, channels)
            axes.set_title(
                f"{unit + 1}{'abc'[channel] if channels <= 3 and channels > 1 else ''}",
                fontsize=7,
                pad=2,
            )
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set(visible=True, color="#999999", linewidth=0.5)
        figure.colorbar(image, ax=grid, shrink=0.9, aspect=30)
        return write_figure(figure, path)
