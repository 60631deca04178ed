"""What the parts of a data set may be called."""

from __future__ import annotations

PARTS = {
    "train": ("train", "training"),
    "test": ("test", "testing"),
    "validation": ("val", "valid", "validation", "dev"),
}
"""Part of a data set -> what its folder may be called, and its files with other words."""


def part_called(name: str) -> str | None:
    """The part that is called so; None for other words.

    >>> part_called("Dev"), part_called("cats")
    ('validation', None)

    """
    return next((part for part, names in PARTS.items() if name.lower() in names), None)
