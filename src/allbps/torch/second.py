"""Do second derivatives through a backward pass agree with differences of its gradients?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
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

    along = _Along(point, summed, way)
    try:
        total, given = along.derivative()
    except RuntimeError:  # said by PyTorch, as by once_differentiable
        return ""
    if total is None:
        return ""
    slopes = [along.difference(step) for step in STEPS]
    size = max(abs(given), *map(abs, slopes), 1e-3 * abs(total))
    if abs(slopes[0] - slopes[1]) > SHARE * size or abs(given - slopes[0]) <= 10 * SHARE * size:
        return ""
    return (
        f"second derivatives through this backward are wrong, without a word: in one direction"
        f" {given:.6g}, and differences of its gradients say {slopes[0]:.6g}. What backward reads"
        " beside saved inputs and results is a constant to PyTorch: save those, or mark backward"
        " with @once_differentiable"
    )


@dataclass(frozen=True)
class _Along:
    """A sum of gradients, of which the change in one direction is looked at.

    Attributes:
        point: where.
        summed: the sum, of inputs.
        way: number of an input -> where it moves.
    """

    point: Subject
    summed: Callable[[Sequence[Any]], Any]
    way: Mapping[int, Any]

    def derivative(self) -> tuple[float | None, float]:
        """The sum, None where nothing has a gradient; and its change by a second backward pass."""
        here = self.point.fresh()
        total = self.summed(here)
        if not isinstance(total, torch.Tensor):
            return None, 0.0
        moving = [here[k] for k in self.way]
        found = torch.autograd.grad(total, moving, allow_unused=True) if total.requires_grad else []
        pairs = zip(self.way.values(), found, strict=False)
        change = sum(float((g * way).sum()) for way, g in pairs if g is not None)
        return float(total.detach()), change

    def difference(self, step: float) -> float:
        """Its change by a central difference."""
        ends = [self._moved(sign * step) for sign in (1, -1)]
        return (ends[0] - ends[1]) / (2 * step)

    def _moved(self, step: float) -> float:
        moved = self.point.fresh()
        with torch.no_grad():
            for k, way in self.way.items():
                moved[k].add_(step * way)
        return float(torch.as_tensor(self.summed(moved)).detach())
