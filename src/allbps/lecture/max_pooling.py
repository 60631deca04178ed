"""Max pooling: the δ goes to the winner of each window alone."""

from collections.abc import Mapping
from typing import Any

import numpy as np

import allbps.functional as F
from allbps.lecture.symbolic import letters
from allbps.lecture.system import Example, Numbers, Prose, System
from allbps.worked import Worked


def pool_2x2(x: Any) -> Any:
    y = F.max_pool2d(x, 2)
    return y


def pool_overlapping(x: Any) -> Any:
    y = F.max_pool2d(x, 3, stride=1)
    return y


def pool_padded(x: Any) -> Any:
    y = F.max_pool2d(x, 3, stride=2, padding=1)
    return y


def wins_twice(worked: Worked) -> bool:
    return bool(np.count_nonzero(worked["x"].delta) < worked["y"].value.size)


def in_symbols(worked: Worked) -> Mapping[str, Any]:
    """Each δy, whatever its number, at the winner of its 2×2 window."""
    x, deltas = worked["x"].value, letters("δy", worked["y"].value.shape)
    landed = np.full(x.shape, "0", object)
    for (i, j), delta in np.ndenumerate(deltas):
        window = x[2 * i : 2 * i + 2, 2 * j : 2 * j + 2]
        row, column = divmod(int(np.argmax(window)), 2)
        landed[2 * i + row, 2 * j + column] = delta
    return {"δy": deltas, "δx": landed}


# the winners stand where the slide puts δy₁ … δy₄
SLIDE_X = np.array(
    [[1.0, 2.0, 9.0, 3.0], [4.0, 8.0, 5.0, 6.0], [7.0, 1.0, 2.0, 3.0], [5.0, 4.0, 6.0, 8.0]]
)
SLIDE_DELTA = np.array([[1.0, 3.0], [2.0, 4.0]])

SYSTEM = System(
    name="max-pooling",
    title="Backpropagation for max pooling",
    slides="BP for a max pooling layer",
    sections=(
        Prose(
            "$y = maxₖ xₖ$. With $i = argmaxₖ xₖ$ the chain rule gives $δxᵢ = δy$ and 0 for all "
            "others: only the winner moved the output. Below, argmax gives the row and the "
            "column of each winner in $x$, and the winners are underlined. $δy₁, δy₂$ stand in the "
            "first column of $δy$ and $δy₃, δy₄$ in the second, as on the slide."
        ),
        Example(
            pool_2x2,
            {"x": SLIDE_X},
            cotangents={"y": SLIDE_DELTA},
            caption="2×2 with stride 2; each δy lands on the winner of its window",
        ),
        Numbers("In symbols: where each δy lands", in_symbols),
        Prose(
            "In a tie one index is chosen: the first in row-major order, as in PyTorch. Sharing "
            "the δ among the tied elements would give a different subgradient."
        ),
        Example(
            pool_2x2,
            {"x": np.array([[5.0, 5.0], [5.0, 1.0]])},
            cotangents={"y": np.array([[1.0]])},
            fixed=("x",),
            caption="A tie of three",
        ),
        Prose(
            "Windows overlap when the stride is smaller than the window. One element can then win "
            "several windows, and their δ are added."
        ),
        Example(
            pool_overlapping,
            {"x": SLIDE_X},
            cotangents={"y": SLIDE_DELTA},
            caption="3×3 with stride 1: the same winner in more than one window",
            holds=wins_twice,
        ),
        Example(
            pool_padded,
            {"x": SLIDE_X},
            cotangents={"y": SLIDE_DELTA},
            caption="3×3 with stride 2, one row and column of padding, which never wins",
        ),
    ),
)
