"""Compiled code on disk: found again by what it was made from, replaced when damaged.

An entry is one file, named by the hash of everything that its code depends on: the source, the
CPU, the versions of llvmlite and Python, and the text of this package's own modules. It is
written beside its place and renamed into it, so that a reader sees all of it or nothing, and two
writers leave one whole entry. Reading needs llvmlite and ctypes only.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import platform
import sys
import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import llvmlite

from allbps.machine.language import words
from allbps.machine.language.native import Loaded
from allbps.machine.language.target import Target

MAGIC = b"allbps object code 1\n"


def directory() -> Path:
    """Where entries live: $ALLBPS_CACHE_DIR, or allbps in the user's cache folder."""
    if chosen := os.environ.get("ALLBPS_CACHE_DIR"):
        return Path(chosen)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", str(Path.home()))) / "allbps" / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "allbps"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "allbps"


@functools.cache
def fingerprint() -> str:
    """A hash of this package's source: code made by another version of it is another entry."""
    digest = hashlib.sha256()
    here = Path(__file__).parent.parent
    for path in sorted(here.rglob("*.py")):
        digest.update(str(path.relative_to(here)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def key(source: str, target: Target, *, single: bool) -> str:
    """The name of the entry for a source text on a CPU."""
    parts = [
        source,
        target.key,
        str(single),
        fingerprint(),
        llvmlite.__version__,
        platform.python_version(),
        f"{platform.system()} {platform.machine()}",
    ]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def fetch(name: str, make: Callable[[], list[bytes]]) -> list[bytes]:
    """The object files of an entry; made if not there."""
    path = directory() / f"{name}.bin"
    found = read(path)
    if found is None:
        found = make()
        write(path, found)
    return found


def read(path: Path) -> list[bytes] | None:
    """The object files in a file, or None if it is missing or not what was written."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    head, body = data[: len(MAGIC) + 32], data[len(MAGIC) + 32 :]
    if head != MAGIC + hashlib.sha256(body).digest():
        return None
    objects, at = [], 0
    while at < len(body):
        start = at + 8
        at = start + int.from_bytes(body[at:start], "little")
        objects.append(body[start:at])
    return objects


def write(path: Path, objects: Sequence[bytes]) -> None:
    """Write an entry: each object file after its length, all of it after its hash."""
    body = b"".join(len(o).to_bytes(8, "little") + o for o in objects)
    _write_whole(path, MAGIC + hashlib.sha256(body).digest() + body)


def _write_whole(path: Path, data: bytes) -> None:
    """Write a file in one indivisible step; where that fails, warn once and go on without."""
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            temporary = file.name
            file.write(data)
        os.replace(temporary, path)
    except OSError as error:
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
        _warn_once(str(path.parent), str(error))


@functools.cache
def _warn_once(folder: str, reason: str) -> None:
    warnings.warn(
        f"compiled code cannot be kept in {folder} ({reason}): every start compiles again. "
        "Set ALLBPS_CACHE_DIR to a writable folder.",
        stacklevel=2,
    )


@functools.cache
def load_kernels(
    kernels: Sequence[words.Kernel[Any, Any]], target: Target, *, single: bool
) -> tuple[Loaded, Sequence[Any]]:
    """Kernels of this package, compiled or from disk, as functions of ctypes."""
    from allbps.machine.language.build import build, prototype

    source = " ".join(f"{k.function.__module__}.{k.name}" for k in kernels)
    name = key(source, target, single=single)
    loaded = Loaded(*fetch(name, lambda: build(kernels, target, single=single)))
    return loaded, [prototype(k, single=single)(loaded.address(k.name)) for k in kernels]


def load_text(
    text: str, entries: Sequence[str], target: Target, *, single: bool, paste: bool = False
) -> Loaded:
    """Kernels written as text: ``entries`` of them become functions of the loaded code.

    The text is kept beside the code, as the source to read; it is run only to compile it.
    """
    name = key(f"{text}\0{paste}", target, single=single)
    path = directory() / f"{name}.py"

    def make() -> list[bytes]:
        from allbps.machine.language.build import build, kernels_of

        kernels = kernels_of(text, str(path))
        objects = build([kernels[e] for e in entries], target, single=single, paste=paste)
        _write_whole(path, text.encode())
        return objects

    return Loaded(*fetch(name, make))
