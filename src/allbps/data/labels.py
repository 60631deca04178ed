"""Labels as indices into the names of classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from allbps.errors import UserFileError


def indices(
    source: str, labels: NDArray[Any], classes: Sequence[str] | None
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """(index of each label, names of the classes).

    Args:
        source: where they come from, for messages.
        labels: (N,), integers or names.
        classes: their names; without it the distinct labels, sorted, are the classes.

    Raises:
        UserFileError: labels that are none, or out of range.

    """
    labels = _whole(labels)
    if labels.dtype.kind == "U" and classes is None:
        names, index = np.unique(labels, return_inverse=True)
        return index.astype(np.int64), tuple(map(str, names))
    if labels.dtype.kind not in "iu":
        raise UserFileError(
            f"the labels of {source} are not classes",
            expected="one integer, or one name, for each image",
            got=f"dtype {labels.dtype}",
        )
    allowed = f"0 … {len(classes) - 1}" if classes else "0, 1, 2, …"
    wrong = (labels < 0) | (labels >= len(classes)) if classes else labels < 0
    if wrong.any():
        first = int(np.argmax(wrong))
        raise UserFileError(
            f"{source} has labels out of range",
            expected=f"labels {allowed}",
            got=f"{labels[first]} for image {first}",
        )
    if classes:
        return labels.astype(np.int64), tuple(classes)
    values, index = np.unique(labels, return_inverse=True)
    return index.astype(np.int64), tuple(map(str, values))


def indices_like(source: str, labels: NDArray[Any], classes: tuple[str, ...]) -> NDArray[np.int64]:
    """Labels of held-out images, among the classes of the training images.

    Raises:
        UserFileError: one is not among them.

    """
    names = _whole(labels).astype(str)
    known = {name: k for k, name in enumerate(classes)}
    strange = [name for name in np.unique(names) if name not in known]
    if strange:
        raise UserFileError(
            f"{source} has labels out of range",
            expected="the classes of the training images: " + _some(classes),
            got=f"{strange[0]} for image {int(np.argmax(names == strange[0]))}",
        )
    return np.array([known[name] for name in names], np.int64)


def _whole(labels: NDArray[Any]) -> NDArray[Any]:
    """Labels such as 3.0, which other programs save, as integers."""
    if labels.dtype.kind == "f" and np.array_equal(labels, np.rint(labels)):
        return labels.astype(np.int64)
    return labels


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:10]) + (" …" if len(names) > 10 else "")
