"""Derivatives of derivatives at kinks: kept where they are settled, NaN where they are not.

A gradient at a kink is a convention, and as good as any. The derivative of one may depend on which
convention it is, or on a value that holds at one point alone (``np.sign(0)``, the branch of
``np.where`` at a tie); then it is no derivative, and no error shows. Two questions tell. Would
another choice in the rules give another number? Is it the limit of the numbers nearby?
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from allbps.errors import AllBPsError
from allbps.ir import lift
from allbps.ir.callee import frame_outside
from allbps.ir.traces import depth_here
from allbps.ops.sides import KinkWarning, sides_here, watching
from allbps.outside import Outside
from allbps.tree import leaves, rebuild, tree_map

Compute = Callable[[Sequence[Any]], Any]

FAR, NEAR = 0.25, 0.4
"""Powers of the smallest step between numbers: how far from the point others are looked at."""
NOISE, ON_THE_WAY = 0.6, 0.8
"""The same for what rounding may do to a derivative, measured by the largest of them, and by the
largest number from which they were computed."""
ELSEWHERE = (AllBPsError, ArithmeticError, AssertionError, IndexError, ValueError)
"""What a function may raise beside the point that it was called with."""


def settled(
    f: Callable[..., Any], args: Sequence[Any], places: Sequence[int], compute: Compute
) -> Any:
    """``compute(args)``, NaN where it is a derivative of a derivative that a kink leaves open.

    Args:
        f: what is differentiated, whose random numbers are drawn anew from the same state.
        args: its arguments.
        places: which of them are differentiated, and may be moved.
        compute: arguments -> a container of derivatives.

    Inside of another trace, as where no tie is met, derivatives are what they are.

    """
    if depth_here() or sides_here() is not None:
        return compute(args)
    with watching() as sides:
        found = compute(args)
    if not sides.met and not sides.unsteady:
        return found
    outside = Outside(f, *args)

    def again(args: Sequence[Any], turned: int = 0) -> list[Any]:
        with outside.rewound(), watching(turned):
            return [np.asarray(leaf) for leaf in leaves(compute(args))]

    first = again(args)  # with the random numbers that the others are given
    fine = [np.full(np.shape(leaf), True) for leaf in first]
    for turned in (1, 2)[: len(sides.met)]:
        fine = [
            ok & _agree(a, b) for ok, a, b in zip(fine, first, again(args, turned), strict=True)
        ]
    fine = [
        ok & near
        for ok, near in zip(fine, _limits(first, args, places, again, sides.largest), strict=True)
    ]
    if all(map(np.all, fine)):
        return found
    frame = frame_outside()
    warnings.warn_explicit(
        "a derivative of a derivative depends on which slope or branch is taken at a kink"
        f" ({sides}): there it is NaN",
        KinkWarning,
        frame.f_code.co_filename,
        frame.f_lineno,
    )
    kept = [np.where(ok, leaf, np.nan)[()] for ok, leaf in zip(fine, leaves(found), strict=True)]
    return rebuild(found, iter(kept))


def _agree(a: Any, b: Any) -> Any:
    """Equal to three quarters of their digits, element by element."""
    with np.errstate(invalid="ignore"):
        near = np.abs(a - b) <= np.finfo(a.dtype).eps ** 0.75 * (np.abs(a) + np.abs(b))
    return near | (a == b) | (np.isnan(a) & np.isnan(b))


def _limits(
    first: list[Any], args: Sequence[Any], places: Sequence[int], again: Callable[..., list[Any]],
    largest: float,
) -> list[Any]:  # fmt: skip
    """Which elements are the limit of those beside the point: what lies between them shrinks.

    Looked at is what is left at two distances on both sides, in two directions. Where a function
    has no value, or leaves its domain, nothing is said.
    """
    fine = [np.full(np.shape(leaf), True) for leaf in first]
    for direction in (1, -1, 2, -2):
        near = _apart(first, args, places, again, largest, direction, NEAR)
        if near is None or not any(np.any(d > noise) for d, noise in near):
            continue
        far = _apart(first, args, places, again, largest, direction, FAR)
        if far is not None:
            fine = [
                ok & ~((d > noise) & (d > 0.3 * wide))
                for ok, (d, noise), (wide, _) in zip(fine, near, far, strict=True)
            ]
    return fine


def _apart(
    first: list[Any], args: Sequence[Any], places: Sequence[int], again: Callable[..., list[Any]],
    largest: float, direction: int, power: float,
) -> list[tuple[Any, float]] | None:  # fmt: skip
    """How far the derivatives beside the point are from those at it, and what rounding excuses."""
    rng = np.random.default_rng(0)
    moved = list(args)
    for k in places:
        moved[k] = tree_map(lambda leaf: _moved(leaf, power, direction, rng), args[k])
    try:
        with np.errstate(all="ignore"):
            beside = again(moved)
    except ELSEWHERE:
        return None
    if [np.shape(leaf) for leaf in beside] != [np.shape(leaf) for leaf in first]:
        return None
    return list(_differences(first, beside, largest))


def _differences(
    first: list[Any], beside: list[Any], on_the_way: float
) -> Iterator[tuple[Any, float]]:
    for a, b in zip(first, beside, strict=True):
        with np.errstate(invalid="ignore"):
            apart = np.abs(a - b)
        sizes = np.concatenate([np.abs(a).ravel(), np.abs(b).ravel()])
        largest, eps = np.max(sizes[np.isfinite(sizes)], initial=0.0), np.finfo(a.dtype).eps
        noise = max(eps**NOISE * largest, eps**ON_THE_WAY * on_the_way)
        yield np.nan_to_num(apart, nan=0.0, posinf=0.0), noise


def _moved(leaf: Any, power: float, direction: int, rng: np.random.Generator) -> Any:
    """What is moved far in one of two directions is moved little in the other."""
    value = np.asarray(lift(leaf).value)
    share, signs = rng.uniform(-0.5, 0.5, value.shape), rng.choice([-1.0, 1.0], (2, *value.shape))
    by = 1 + share if abs(direction) == 1 else 1 - share
    by = by * signs[abs(direction) - 1] * np.sign(direction)
    sizes = np.abs(value) + (np.mean(np.abs(value)) or 1.0)
    return (value + np.finfo(value.dtype).eps ** power * by * sizes).astype(value.dtype)[()]
