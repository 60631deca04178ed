"""What wrong elements have in common, where no simple mistake explains them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from allbps.verify.precision import SIGMAS, Precision

ORDINALS = ("first", "second", "third")


def in_common(theirs: Any, right: Any, precision: Precision) -> str:
    """One sentence on where the wrong elements are and how they differ; empty if there is none."""
    theirs, right = np.asarray(theirs), np.asarray(right)
    if theirs.shape != right.shape or not theirs.size or not np.all(np.isfinite(theirs)):
        return ""
    bad = _bad(theirs, right, precision)
    count = int(np.sum(bad))
    if not count:
        return ""
    where = _where(bad) if theirs.ndim else ""
    how = next(_how(theirs[bad], right[bad]), "") if count > 1 else ""
    if where and how:
        return f"only {where} is wrong; there, {how}"
    if where:
        return f"only {where} is wrong"
    if count == bad.size:
        return f"for every element, {how}" if how else ""
    share = f"{count} of {bad.size} elements are wrong"
    return f"{share}; {how}" if how else share


def _bad(theirs: Any, right: Any, precision: Precision) -> Any:
    size = float(np.max(np.abs(right), initial=0.0)) or 1.0
    allowed = np.maximum(1e-7 * size, (0.5 * precision.unit * (1 + 1e-6) + SIGMAS * precision.noise)
                         * precision.believed)  # fmt: skip
    return np.abs(theirs - right) > allowed


def _where(bad: Any) -> str:
    """One slice along an axis, all slices but one, or the border."""
    names = {1: ("element",), 2: ("row", "column")}.get(bad.ndim, ())
    for axis, n in enumerate(bad.shape):
        other = tuple(k for k in range(bad.ndim) if k != axis)
        hit = np.flatnonzero(np.any(bad, axis=other))
        name = names[axis] if names else f"slice of axis {axis}"
        if len(hit) == 1 and n > 1:
            return f"{name} {hit[0]}"
    return "the border" if _is_border(bad) else ""


def _is_border(bad: Any) -> bool:
    if bad.ndim < 2 or min(bad.shape[-2:]) < 3:
        return False
    return not np.any(bad[..., 1:-1, 1:-1])


def _how(theirs: Any, right: Any) -> Iterator[str]:
    """A sign, a constant factor, a constant difference, zeros."""
    if not np.any(theirs):
        yield "0 was given"
    if np.allclose(theirs, -right, rtol=1e-6, atol=0):
        yield "the sign is flipped"
    if np.all(right != 0):
        ratio = theirs / right
        if np.allclose(ratio, ratio.flat[0], rtol=1e-6):
            yield f"{ratio.flat[0]:.6g} times the right number was given"
        if np.all(ratio < 0):
            yield "the sign is the opposite of the right one"
    if np.allclose(theirs - right, np.ravel(theirs - right)[0], rtol=1e-6, atol=0):
        yield f"the right number plus {np.ravel(theirs - right)[0]:.6g} was given"
