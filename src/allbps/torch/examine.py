"""Is the backward pass of a PyTorch function right? By differences of its forward pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from allbps.torch.contract import alike, broken, noise_of
from allbps.torch.second import second_derivatives
from allbps.torch.slopes import Element, Said, Slopes, examined
from allbps.torch.subject import Subject, as_laid_out, is_float, uneven

COTANGENTS = 3
NUDGE = 1e-3
"""How far from the point itself a generic one is looked at, in units of the input."""
ROUGH = 64
"""How many roundings of single precision a gradient may be off."""


@dataclass(frozen=True)
class Wrong:
    """An element of a gradient that is wrong.

    Attributes:
        input: which input.
        index: its place.
        given: what backward says.
        slope: what differences of forward say.

    """

    input: int
    index: tuple[int, ...]
    given: float
    slope: float

    def __str__(self) -> str:
        place = f"[{', '.join(map(str, self.index))}]" if self.index else ""
        return (
            f"the gradient of input {self.input}{place} is {self.given:.9g}, and differences say"
            f" {self.slope:.9g}"
        )


@dataclass(frozen=True)
class Examination:
    """What was found.

    Attributes:
        faults: promises that are broken.
        wrong: wrong elements, a few of each input.
        notes: what could not be said, and why.
        confirmed: inputs whose gradient differences confirm.
        runs: how often the function was run.

    """

    faults: tuple[str, ...]
    wrong: tuple[Wrong, ...]
    notes: tuple[str, ...]
    confirmed: tuple[int, ...]
    runs: int

    def __bool__(self) -> bool:
        return not self.faults and not self.wrong

    def __str__(self) -> str:
        return "\n".join([*self.faults, *map(str, self.wrong), *self.notes]) or "right"


def examine(
    subject: Subject, *, eps: float = 1e-6, atol: float = 1e-5, rtol: float = 1e-3,
    nondet_tol: float = 0.0, seed: int = 0,
) -> Examination:  # fmt: skip
    """Compare the gradients of a function with differences, and look at what else PyTorch asks.

    Args:
        subject: the function and its inputs.
        eps: the middle one of three steps, in units of each input.
        atol: what an element may be off, at least.
        rtol: what it may be off, as a part of it.
        nondet_tol: by how much two runs may differ.
        seed: of directions and cotangents.

    """
    faults = tuple(dict.fromkeys(broken(subject, nondet_tol)))
    notes: list[str] = []
    exact, single = _doubled(subject)
    wrong, confirmed, runs = [], [], 0
    if any("differs from run to run" in x or "raises" in x for x in faults):
        return Examination(faults, (), (), (), 0)
    steps = (1e-2, 3e-2, 3e-3) if single else (100 * eps, eps, eps / 100)
    slopes = _Both(exact, steps, atol, rtol, seed)
    for k in exact.moving:
        found = list(slopes.wrong(k))
        wrong += [_read(exact, k, element) for said, element in found if said is Said.WRONG]
        rest = sum(said is Said.OPEN for said, _ in found)
        if rest:
            notes.append(f"of {rest} elements of input {k} differences say nothing finite")
        if not found:
            confirmed.append(k)
    runs = slopes.runs
    if exact is not subject:
        faults += tuple(_rough(subject, exact, seed))
    faults += tuple(slopes.unmarked())
    if not single and not faults and not wrong and (said := second_derivatives(exact, seed)):
        notes.append(said)
    if single:
        notes.append("in single precision only: the function does not take double")
    return Examination(faults, tuple(wrong), tuple(notes), tuple(confirmed), runs)


def _read(subject: Subject, k: int, element: Element) -> Wrong:
    shape = subject.inputs[k].shape
    index = tuple(int(n) for n in torch.unravel_index(torch.tensor(element.place), shape))
    off = (element.given - element.slope).abs()
    worst = int(off.nan_to_num().argmax())
    return Wrong(k, index, float(element.given[worst]), float(element.slope[worst]))


def _doubled(subject: Subject) -> tuple[Subject, bool]:
    """In double precision where the function takes it; and whether it does not."""
    if all(x.dtype == torch.double for x in subject.inputs if is_float(x)):
        return subject, False
    exact = subject.doubled()
    try:
        results = exact.run(exact.fresh())
        exact.pulled(exact.cotangents(results, 0))
    except Exception:
        return subject, True
    floats = [y for y in results if y.is_floating_point()]
    return (exact, False) if all(y.dtype == torch.double for y in floats) else (subject, True)


def _rough(subject: Subject, exact: Subject, seed: int) -> Iterator[str]:
    """Gradients in lower precision that are not those in double precision, rounded."""
    results = subject.run(subject.fresh())
    cotangents = subject.cotangents(results, seed)
    double = [u if u is None else u.double() for u in cotangents]
    gradients = subject.pulled(cotangents)
    _, noise = noise_of(subject, results, cotangents, gradients)
    rows = zip(subject.moving, gradients, exact.pulled(double), noise, strict=True)
    for k, rough, right, moved in rows:
        if rough is None or right is None:
            continue
        eps = torch.finfo(subject.inputs[k].dtype).eps
        off = float((rough.double() - right).norm())
        size = float(right.norm())
        if off <= 100 * moved * right.numel() ** 0.5:
            continue
        if off > ROUGH * eps * right.numel() ** 0.5 * max(size, 1e-300) and off > 1e-2 * size:
            yield (
                f"the gradient of input {k} in {str(rough.dtype).removeprefix('torch.')} is not"
                f" that in double precision, rounded: it is off by {off:.1e}, of {size:.1e}"
            )


def _flat(gradient: torch.Tensor | None, x: torch.Tensor) -> torch.Tensor:
    """(n,) in double precision; a gradient that is not there is 0."""
    given = torch.zeros_like(x) if gradient is None else gradient
    return given.detach().double().reshape(-1)


class _Both:
    """Differences at the point, and at a generic one nearby, where no kink is in the way."""

    def __init__(
        self, subject: Subject, steps: Sequence[float], atol: float, rtol: float, seed: int
    ) -> None:
        self.seed = seed
        generator = torch.Generator().manual_seed(seed + 7)
        nearby = list(subject.inputs)
        for k in subject.moving:
            x = subject.inputs[k].detach()
            size = float(x.double().square().mean().sqrt()) or 1.0
            nudge = NUDGE * size * uneven(x.shape, generator)
            nearby[k] = as_laid_out(x).add_(nudge.to(x.dtype))
        results = subject.run(subject.fresh())
        self.results = results
        given = [subject.cotangents(results, seed + n) for n in range(COTANGENTS)]
        self.points = []
        for point in (subject, subject.at(nearby)):
            slopes = Slopes(point, given, steps, atol, rtol)
            if all(bool(torch.isfinite(y).all()) for y in slopes.values):
                rows = [point.pulled(u) for u in given]
                self.points.append((slopes, rows))

    @property
    def runs(self) -> int:
        return sum(slopes.runs for slopes, _ in self.points)

    def wrong(self, k: int) -> Iterator[tuple[Said, Element]]:
        """What is to say against the gradient of input k."""
        seen: set[int] = set()
        for slopes, rows in self.points:
            x = slopes.subject.inputs[k]
            place = slopes.subject.moving.index(k)
            if not x.numel():
                continue
            flat = [_flat(row[place], x) for row in rows]
            yield from examined(slopes, k, torch.stack(flat), self.seed, seen)

    def unmarked(self) -> Iterator[str]:
        """Results that change with an input, and are marked as having no derivative."""
        for n, y in enumerate(self.results):
            if not y.is_floating_point() or y.requires_grad:
                continue
            slopes, _ = self.points[-1]
            before = slopes.values[n]
            for k in slopes.subject.moving:
                x = slopes.subject.inputs[k].detach()
                step = 1e-6 * slopes.unit(k) * torch.ones_like(x)
                inputs = slopes.subject.fresh()
                with torch.no_grad():
                    inputs[k].add_(step)
                if not alike(slopes.subject.run(inputs)[n], before):
                    yield (
                        f"result {n} changes with input {k}, and has no gradient: is it marked"
                        " as not differentiable, or detached?"
                    )
