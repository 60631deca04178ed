"""Gradients handed in on the command line: from JSON, ``.npz``, CSV, or a function."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from allbps import userfile
from allbps.errors import UserFileError


def gradients_from(source: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Name -> gradient, from ``FILE.json``, ``FILE.npz``, ``NAME.csv`` or ``FILE.py:FUNCTION``.

    A CSV file holds one gradient and has its name; rows of numbers between commas. A function is
    called with those of the inputs that it has parameters for, and returns a dict.

    Raises:
        UserFileError: the file is missing or unreadable, or does not hold gradients by name.

    """
    if ".py:" in source:
        return _computed(source, inputs)
    path = Path(source)
    reader = READERS.get(path.suffix)
    if reader is None:
        raise UserFileError(
            "gradients cannot be read from this file",
            expected=f"{', '.join(f'FILE{ending}' for ending in READERS)} or FILE.py:FUNCTION",
            got=source,
        )
    if not path.exists():
        raise UserFileError(f"there is no file {path}")
    try:
        found = reader(path, inputs)
    except (ValueError, OSError) as error:
        raise UserFileError(f"{path} cannot be read: {error}") from None
    return _by_name(found, source)


def _json(path: Path, inputs: Mapping[str, Any]) -> Any:
    return json.loads(path.read_text("utf-8"))


def _npz(path: Path, inputs: Mapping[str, Any]) -> Any:
    with np.load(path, allow_pickle=False) as archive:
        return dict(archive)


def _csv(path: Path, inputs: Mapping[str, Any]) -> Any:
    """A table of one row or column is a vector as well as a matrix: as the argument has it."""
    name, numbers = path.stem, np.loadtxt(path, delimiter=",")
    shape = np.shape(inputs.get(name, inputs.get(name.removeprefix("d"))))
    fits = numbers.ndim < 2 and numbers.size == np.prod(shape)
    return {name: numbers.reshape(shape) if fits else numbers}


Reader = Callable[[Path, Mapping[str, Any]], Any]
READERS: dict[str, Reader] = {
    ".json": _json,
    ".npz": _npz,
    ".csv": _csv,
}
"""Ending -> what reads it."""


def _computed(source: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
    function = userfile.function(source)
    wanted = inspect.signature(function).parameters
    with userfile.running(source.rpartition(":")[0]):
        found = function(**{name: x for name, x in inputs.items() if name in wanted})
    return _by_name(found, source)


def _by_name(found: Any, source: str) -> dict[str, Any]:
    if isinstance(found, Mapping) and found:
        return {str(name): value for name, value in found.items()}
    raise UserFileError(
        f"{source} does not hold gradients by name",
        expected='a mapping such as {"W1": [[0.1, 0.2]]}',
        got=repr(found)[:60],
    )
