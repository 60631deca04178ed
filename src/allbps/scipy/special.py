"""``scipy.special`` on traced arrays."""

from __future__ import annotations

from typing import Any

from allbps.scipy.offered import offered

_FUNCTIONS = offered("scipy.special")


def __getattr__(name: str) -> Any:
    if name not in _FUNCTIONS:
        raise AttributeError(f"allbps.scipy.special has no {name!r}")
    return _FUNCTIONS[name]


def __dir__() -> list[str]:
    return sorted(_FUNCTIONS)
