"""Arrays of letters, which show where each δ goes whatever its number."""

from __future__ import annotations

from typing import Any

import numpy as np

LOWERED = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


def letters(symbol: str, shape: tuple[int, ...]) -> Any:
    """A matrix of numbered letters, counted down its columns as on the slides.

    >>> letters("δy", (2, 2)).tolist()
    [['δy₁', 'δy₃'], ['δy₂', 'δy₄']]
    """
    numbers = np.arange(1, int(np.prod(shape)) + 1).reshape(shape[::-1]).T
    texts = np.empty(shape, object)
    for place, k in np.ndenumerate(numbers):
        texts[place] = symbol + str(k).translate(LOWERED)
    return texts
