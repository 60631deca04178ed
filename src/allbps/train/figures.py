"""Figures as PNG and SVG files that are the same to the last bit whenever their numbers are."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from allbps.extras import needs
from allbps.files import write_bytes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STYLE: dict[Any, Any] = {
    "svg.hashsalt": "allbps",  # the ids in an SVG are otherwise random
    "svg.fonttype": "none",
    "font.size": 10.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "axes.axisbelow": True,
}


PURPOSE = "drawing curves and kernels"


def check_drawing() -> None:
    """Find out before a long training, not after it, whether figures can be drawn.

    Raises:
        MissingExtraError: matplotlib is not installed.

    """
    with needs("matplotlib", extra="train", purpose=PURPOSE):
        import matplotlib  # noqa: F401


@contextmanager
def drawing(width: float, height: float) -> Iterator[Figure]:
    """A figure of this size in inches, drawn without a display and apart from pyplot's state.

    Raises:
        MissingExtraError: matplotlib is not installed.

    """
    with needs("matplotlib", extra="train", purpose=PURPOSE):
        import matplotlib as mpl
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

    with mpl.rc_context({**mpl.rcParamsDefault, **STYLE}):
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
        yield figure


def write_figure(figure: Figure, path: Path) -> tuple[Path, Path]:
    """Write ``path`` with the endings .png and .svg.

    Raises:
        UserFileError: the place cannot be written.

    """
    written = []
    for kind, metadata in (("png", {"Software": None}), ("svg", {"Date": None, "Creator": None})):
        buffer = io.BytesIO()
        figure.savefig(buffer, format=kind, dpi=150, metadata=metadata)
        written.append(path.with_suffix(f".{kind}"))
        write_bytes(written[-1], buffer.getvalue())
    return written[0], written[1]
