"""How long a benchmark may take, shared out to what is left to do."""

from __future__ import annotations

import time

OVER = "time is over"
"""What a report says of what there was no time for."""


class Deadline:
    """A moment after which nothing new is begun.

    Args:
        seconds: from now on.

    """

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds until then, 0 at least."""
        return max(0.0, self._end - time.monotonic())

    @property
    def over(self) -> bool:
        """Is it past?"""
        return self.left <= 0

    def share(self, parts: int) -> Deadline:
        """The deadline of the first of so many equal parts of the time that is left."""
        return Deadline(self.left / parts)
