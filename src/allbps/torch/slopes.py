"""Slopes of a PyTorch function along random directions, compared with what its gradient says.

A direction moves all elements of an input at once, each by a weight of its own, so that two runs
of the function say whether every one of them is right; halving says which are not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum

import torch

from allbps.torch.subject import Subject, uneven

MOST_WRONG = 8
"""Wrong elements after which no more are looked for."""
MOST_OPEN = 24
"""Elements at kinks that are looked at one by one."""
ROUGH_ATOL, ROUGH_RTOL = 1e-5, 1e-3
"""What an element may be off where differences are rough: PyTorch's tolerances."""
MOST_RUNS = 4000
"""Runs of the function for one input."""


class Said(Enum):
    """What a direction comes to."""

    AGREE = "agree"
    WRONG = "wrong"
    OPEN = "cannot be said"


@dataclass(frozen=True)
class Element:
    """One element of a gradient that was looked at by itself.

    Attributes:
        place: its index in the flat input.
        given: what the gradient says, for each cotangent.
        slope: what differences say.
        note: why it was let pass.

    """

    place: int
    given: torch.Tensor
    slope: torch.Tensor
    note: str = ""


@dataclass
class Slopes:
    """Differences of a function's results, weighted by some cotangents.

    Attributes:
        subject: the function at a point.
        cotangents: some δ of the results, each a list.
        steps: sizes of steps, in units of the input, the usual one first.
        atol, rtol: what an element may be off.
        runs: how often the function was run.

    """

    subject: Subject
    cotangents: Sequence[Sequence[torch.Tensor | None]]
    steps: Sequence[float]
    atol: float
    rtol: float
    runs: int = 0
    values: list[torch.Tensor] = field(default_factory=list)
    sizes: torch.Tensor = field(default_factory=lambda: torch.zeros(0))

    def __post_init__(self) -> None:
        self.values = [y.detach() for y in self._run(None, None)]
        sizes = [
            sum(float((u * y).norm()) for u, y in self._pairs(given, self.values))
            for given in self.cotangents
        ]
        self.sizes = torch.tensor(sizes, dtype=torch.double)

    def _pairs(
        self, given: Sequence[torch.Tensor | None], values: Sequence[torch.Tensor]
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        for u, y in zip(given, values, strict=True):
            if u is not None:
                yield u.double(), y.double()

    def _run(self, k: int | None, moved: torch.Tensor | None) -> list[torch.Tensor]:
        self.runs += 1
        inputs = self.subject.fresh()
        if k is not None and moved is not None:
            with torch.no_grad():
                inputs[k].copy_(moved.reshape(inputs[k].shape))
        with torch.enable_grad():
            return [y.detach() for y in self.subject.run(inputs)]

    def unit(self, k: int) -> float:
        """The size of an input's numbers."""
        x = self.subject.inputs[k].detach().double()
        return float(x.square().mean().sqrt()) or 1.0

    def difference(self, k: int, direction: torch.Tensor, high: float, low: float) -> torch.Tensor:
        """(φ(x + high·v) − φ(x + low·v)) / (high − low) for each cotangent: (K,)."""
        x = self.subject.inputs[k].detach()
        dtype = x.dtype
        flat = x.double().reshape(-1)
        ends = [
            self._run(k, (flat + step * direction).to(dtype)) if step else self.values
            for step in (high, low)
        ]
        changes = [(a.double() - b.double()) / (high - low) for a, b in zip(*ends, strict=True)]
        sums = [sum(float((u * d).sum()) for u, d in self._pairs(given, changes))
                for given in self.cotangents]  # fmt: skip
        return torch.tensor(sums, dtype=torch.double)

    def noise(self, k: int, step: float) -> torch.Tensor:
        """What rounding makes of a difference: (K,)."""
        eps = max(
            [torch.finfo(self.subject.inputs[k].dtype).eps]
            + [torch.finfo(y.dtype).eps for y in self.values if y.is_floating_point()]
        )
        return 8 * eps * self.sizes / step

    def judge(
        self, k: int, gradients: torch.Tensor, direction: torch.Tensor
    ) -> tuple[Said, torch.Tensor, torch.Tensor]:
        """Does a gradient (K, n) give the slopes along a direction (n,)? And both numbers."""
        given = gradients @ direction  # (K, n)(n,) → (K,)
        count = max(int(direction.count_nonzero()), 1)
        one = (gradients * direction).norm(dim=1) / count**0.5  # a usual element's part
        best = given * torch.nan
        for step in (size * self.unit(k) for size in self.steps):
            coarse = self.difference(k, direction, step, -step)
            fine = self.difference(k, direction, step / 2, -step / 2)
            spread, noise = (coarse - fine).abs(), self.noise(k, step)
            slope = (4 * fine - coarse) / 3
            off, allowed = (given - slope).abs(), 4 * noise + 0.1 * spread
            if not torch.isfinite(slope).all():
                continue
            best = slope
            smooth = spread <= torch.maximum(0.05 * one, 8 * noise)
            if bool((smooth & (off <= allowed)).all()):
                return Said.AGREE, given, slope
            if bool(((off > 5 * allowed) & (spread <= 0.1 * off)).any()):
                return Said.WRONG, given, slope
        return Said.OPEN, given, best

    def at_kink(self, k: int, given: torch.Tensor, direction: torch.Tensor) -> bool:
        """Is a number one between the slopes on either side?"""
        for size in self.steps:
            step = size * self.unit(k)
            right, left = (self.difference(k, direction, end, 0.0) for end in (step, -step))
            slack = 4 * self.noise(k, step) + self.atol + self.rtol * given.abs()
            low, high = torch.minimum(left, right) - slack, torch.maximum(left, right) + slack
            if bool(((given >= low) & (given <= high)).all()):
                return True
        return False


def examined(
    slopes: Slopes, k: int, gradients: torch.Tensor, seed: int, wrong: set[int]
) -> Iterator[tuple[Said, Element]]:
    """The elements of an input whose gradient is wrong, and those that differences cannot judge.

    Args:
        slopes: the differences.
        k: which input.
        gradients: of it, for each cotangent: (K, n).
        seed: of the directions.
        wrong: places that are known to be wrong; those that are found are put in.

    """
    count = gradients.shape[1]
    generator = torch.Generator().manual_seed(seed)
    waiting = [torch.arange(count), torch.arange(count)]
    still_open: set[int] = set()
    while waiting and len(wrong) < MOST_WRONG and slopes.runs < MOST_RUNS:
        places = waiting.pop()
        if wrong:  # what is known need not be found again
            places = places[~torch.isin(places, torch.tensor(sorted(wrong)))]
        if not len(places):
            continue
        direction = torch.zeros(count, dtype=torch.double)
        alone = len(places) == 1
        direction[places] = 1.0 if alone else uneven((len(places),), generator)
        said, given, slope = slopes.judge(k, gradients, direction)
        if said is Said.AGREE:
            continue
        if alone:
            place = int(places[0])
            verdict, element = _element(slopes, k, place, said, given, slope, direction)
            (wrong if verdict is Said.WRONG else still_open).add(place)
            if verdict is not Said.AGREE:
                yield verdict, element
        elif said is Said.WRONG or len(still_open) < MOST_OPEN:
            order = places[torch.randperm(len(places), generator=generator)]
            waiting += [order[: len(places) // 2], order[len(places) // 2 :]]


def _element(
    slopes: Slopes, k: int, place: int, said: Said, given: torch.Tensor, slope: torch.Tensor,
    direction: torch.Tensor,
) -> tuple[Said, Element]:  # fmt: skip
    element = Element(place, given, slope)
    atol, rtol = slopes.atol, slopes.rtol
    if said is Said.OPEN:  # no two steps agree
        atol, rtol = max(atol, ROUGH_ATOL), max(rtol, ROUGH_RTOL)
    near = (given - slope).abs() <= atol + rtol * slope.abs()
    if bool(near.all()) or slopes.at_kink(k, given, direction):
        return Said.AGREE, element
    if said is Said.OPEN and not bool(torch.isfinite(slope).all()):
        return Said.OPEN, element
    return Said.WRONG, element
