"""Do second derivatives through a backward pass agree with differences of its gradients?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from allbps.torch.subject import Subject, as_laid_out, uneven

STEPS = (1e-5, 1e-6)
"""How far the inputs are moved, in units of each; both must say the same."""
SHARE = 1e-4
"""How far the two may be apart, and how far a second derivative may be off."""


def second_derivatives(subject: Subject, seed: int) -> str:
    """What is wrong with them, in a sentence; empty where nothing is, or PyTorch refuses them.

    One number is looked at: the change of a random sum of the gradients in a random direction, near
    the inputs, where no kink is in the way.
    """
    generator = torch.Generator().manual_seed(seed + 5)
    inputs = [as_laid_out(x) if isinstance(x, torch.Tensor) else x for x in subject.inputs]
    unit = {k: float(inputs[k].square().mean().sqrt()) or 1.0 for k in subject.moving}
    for k in subject.moving:
        inputs[k].add_(1e-3 * unit[k] * uneven(inputs[k].shape, generator))
    point = subject.at(inputs)
    cotangents = point.cotangents(point.run(point.fresh()), seed)
    weights = {k: uneven(inputs[k].shape, generator) for k in subject.moving}
    way = {k: unit[k] * uneven(inputs[k].shape, generator) for k in subject.moving}

    def summed(given: Sequence[Any]) -> Any:
        found = point.pulled(cotangents, given, differentiable=True)
        return sum(
            (g * weights[k]).sum()
            for k, g in zip(subject.moving, found, strict=True) if g is not None
        )  # fmt: skip

    try:
        here = point.fresh()
        total = summed(here)
        if not isinstance(total, torch.Tensor):
            return ""
        moving = [here[k] for k in subject.moving]
        found = (
            torch.autograd.grad(total, moving, allow_unused=True)
            if total.requires_grad
            else [None for _ in moving]
        )
    except RuntimeError:  # said by PyTorch, as by once_differentiable
        return ""
    pairs = zip(subject.moving, found, strict=True)
    given = sum(float((g * way[k]).sum()) for k, g in pairs if g is not None)
    slopes = []
    for step in STEPS:
        ends = []
        for sign in (1, -1):
            moved = point.fresh()
            with torch.no_grad():
                for k in subject.moving:
                    moved[k].add_(sign * step * way[k])
            ends.append(float(torch.as_tensor(summed(moved)).detach()))
        slopes.append((ends[0] - ends[1]) / (2 * step))
    size = max(abs(given), *map(abs, slopes), 1e-3 * abs(float(total.detach())))
    if abs(slopes[0] - slopes[1]) > SHARE * size or abs(given - slopes[0]) <= 10 * SHARE * size:
        return ""
    return (
        f"second derivatives through this backward are wrong, without a word: in one direction"
        f" {given:.6g}, and differences of its gradients say {slopes[0]:.6g}. What backward reads"
        " beside saved inputs and results is a constant to PyTorch: save those, or mark backward"
        " with @once_differentiable"
    )
