"""Pieces of a text, and the character after each of theirs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from allbps.errors import ArgumentError


@dataclass(frozen=True, eq=False)
class Windows:
    """Pieces of a text, none overlapping.

    Attributes:
        x: (N, T), int64, the numbers of the characters.
        labels: (N, T), int64, the numbers of the characters that follow.
        classes: the vocabulary: every character of the text, sorted.

    """

    x: NDArray[np.int64]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def shape(self) -> tuple[int, ...]:
        """(T,) of one window."""
        return self.x.shape[1:]

    def fetch(self, index: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(windows, the characters that follow) at ``index``."""
        return self.x[index], self.labels[index]

    def take(self, index: NDArray[Any]) -> Windows:
        """The windows at ``index``."""
        return Windows(self.x[index], self.labels[index], self.classes)


def split_windows(windows: Windows, share: float) -> tuple[Windows, Windows]:
    """(kept, held out): the end of the text is held out, at least one window."""
    count = min(max(round(share * len(windows)), 1), len(windows) - 1)
    if count < 1:
        raise ArgumentError(
            "too few windows of text for a held-out set",
            expected="at least two",
            got=str(len(windows)),
            todo="give a longer text, or a smaller --context",
        )
    kept = np.arange(len(windows) - count)
    return windows.take(kept), windows.take(np.arange(len(kept), len(windows)))
