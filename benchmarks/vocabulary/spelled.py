"""The table of what PyTorch has a function for and NumPy says in other words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

SPELLINGS: dict[str, Callable[..., Any]] = {}
"""OpInfo name, ``name.variant`` where the variant matters -> a function of PyTorch's arguments."""


def spelled(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Say that a function is how NumPy spells these names of PyTorch's."""

    def keep(function: Callable[..., Any]) -> Callable[..., Any]:
        for name in names:
            assert name not in SPELLINGS, name
            SPELLINGS[name] = function
        return function

    return keep
