"""How large this CPU's caches are, from the operating system's own report."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

LINUX = Path("/sys/devices/system/cpu/cpu0/cache")
USUAL = {1: 32 << 10, 2: 512 << 10}
"""Bytes of the first and the second data cache where the system does not say: what most have."""


def sizes(folder: Path = LINUX) -> tuple[int, int]:
    """Bytes of the first and of the second data cache of a core."""
    found = _of_macos() if sys.platform == "darwin" else _of_linux(folder)
    first, second = (found.get(level) or USUAL[level] for level in (1, 2))
    return first, max(first, second)


def _of_linux(folder: Path) -> dict[int, int]:
    """Cache level -> bytes, as Linux lists them."""
    found = {}
    for index in sorted(folder.glob("index*")):
        try:
            kind, level, size = (
                (index / name).read_text().strip() for name in ("type", "level", "size")
            )
            unit = {"K": 1 << 10, "M": 1 << 20}[size[-1]]
            if kind in ("Data", "Unified"):
                found[int(level)] = int(size[:-1]) * unit
        except (OSError, ValueError, KeyError, IndexError):
            continue  # a container may hide it, or part of it
    return found


def _of_macos() -> dict[int, int]:
    """The same from sysctl, for the fast cores; a second cache is shared by a handful of them."""
    ask, found = ctypes.CDLL(None).sysctlbyname, {}
    for level, what in {1: "l1dcachesize", 2: "l2cachesize"}.items():
        for name in (f"hw.perflevel0.{what}", f"hw.{what}"):
            value = ctypes.c_int64()
            size = ctypes.c_size_t(ctypes.sizeof(value))
            said = ask(name.encode(), ctypes.byref(value), ctypes.byref(size), None, 0) == 0
            if said and level not in found:
                found[level] = value.value
    return found
