"""What PyTorch asks of a function with a backward pass, beside right numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch

from allbps.torch.subject import (
    Subject,
    as_laid_out,
    otherwise_laid_out,
    overlaps,
    uneven,
)

Tensors = Sequence[torch.Tensor | None]


def broken(subject: Subject, nondet_tol: float) -> Iterator[str]:
    """Each promise that the function breaks, in a sentence."""
    inputs = subject.fresh()
    before = [x.detach().clone() if isinstance(x, torch.Tensor) else x for x in inputs]
    results = subject.run(inputs)
    yield from _written_into(subject, inputs, before, "forward")
    again = subject.run(subject.fresh())
    if far := _far(results, again, nondet_tol):
        yield (
            f"forward differs from run to run, by {far:.3g}, though PyTorch's generator starts"
            " from the same seed; give it a generator of its own seed"
        )
        return
    cotangents = subject.cotangents(results, 11)
    kept = [u.clone() if u is not None else None for u in cotangents]
    try:
        gradients = subject.pulled(cotangents)
    except Exception as error:
        yield f"backward raises {type(error).__name__}: {error}"
        return
    if any(u is not None and not torch.equal(u, v) for u, v in zip(cotangents, kept, strict=True)
           if v is not None):  # fmt: skip
        yield "backward writes into the gradient that it is given"
        return
    subject.pulled(cotangents, inputs)
    yield from _written_into(subject, inputs, before, "backward")
    yield from _about_gradients(subject, results, cotangents, gradients, nondet_tol)


def _written_into(
    subject: Subject, inputs: Sequence[Any], before: Sequence[Any], when: str
) -> Iterator[str]:
    for k, (x, old) in enumerate(zip(inputs, before, strict=True)):
        if isinstance(x, torch.Tensor) and not torch.equal(
            torch.nan_to_num(x.detach()), torch.nan_to_num(old)
        ):
            yield f"{when} writes into input {k}: use x.clone(), or ctx.mark_dirty"


def _about_gradients(
    subject: Subject, results: Sequence[torch.Tensor], cotangents: Tensors, gradients: Tensors,
    nondet_tol: float,
) -> Iterator[str]:  # fmt: skip
    if far := _far(gradients, subject.pulled(cotangents), nondet_tol):
        yield f"backward differs from run to run, by {far:.3g}"
        return
    try:
        twice = subject.pulled(cotangents, times=2)
    except RuntimeError:  # what it needs is gone, and it says so
        twice = list(gradients)
    if far := _far(gradients, twice, nondet_tol):
        yield (
            f"backward gives other gradients when it runs again, by {far:.3g}: it changes what"
            " forward has kept for it"
        )
        return
    yield from _rounded(subject, results, gradients)
    for k, g in zip(subject.moving, gradients, strict=True):
        if g is not None and not bool(torch.isfinite(g).all()):
            yield f"the gradient of input {k} is not finite everywhere"
    yield from _linear(subject, cotangents, gradients)
    yield from _alone(subject, cotangents, gradients)
    yield from _one_result(subject, results, cotangents, gradients)
    yield from _layouts(subject, results, cotangents, gradients)


def _rounded(
    subject: Subject, results: Sequence[torch.Tensor], gradients: Tensors
) -> Iterator[str]:
    """In double precision nothing goes through single precision on the way back alone."""
    doubles = [y for y in results if y.dtype == torch.double and y.requires_grad]
    if not doubles or any(_is_single(y) for y in doubles):
        return
    for k, g in zip(subject.moving, gradients, strict=True):
        if g is not None and g.dtype == torch.double and g.any() and _is_single(g):
            yield (
                f"the gradient of input {k} is worked out in single precision, and the value in"
                " double: look for .float() and for tensors without dtype= in backward"
            )


def _is_single(x: torch.Tensor) -> bool:
    """Are all numbers of an array of doubles numbers of single precision?"""
    plain = x.detach()
    return torch.equal(plain, plain.float().double())


def _linear(subject: Subject, cotangents: Tensors, gradients: Tensors) -> Iterator[str]:
    """Twice the δ gives twice the gradients; a minus changes their sign."""
    scaled = subject.pulled([None if u is None else -2 * u for u in cotangents])
    for k, once, twice in zip(subject.moving, gradients, scaled, strict=True):
        if once is not None and twice is not None and not alike(twice, -2 * once):
            yield (
                f"the gradient of input {k} is not linear in the gradient that backward is given:"
                " −2 times the one does not give −2 times the other"
            )


def _alone(subject: Subject, cotangents: Tensors, gradients: Tensors) -> Iterator[str]:
    """An input's gradient is the same where it is the only one that wants one."""
    if len(subject.moving) < 2:
        return
    for place, k in enumerate(subject.moving):
        inputs = subject.fresh()
        for other in subject.moving:
            inputs[other].requires_grad_(other == k)
        try:
            found = subject.pulled(cotangents, inputs)[place]
        except Exception as error:
            yield f"backward raises where only input {k} needs a gradient: {error}"
            continue
        if not alike(found, gradients[place]):
            yield (
                f"the gradient of input {k} differs when only it needs one: look at"
                " ctx.needs_input_grad, and at the order of what backward returns"
            )


def _one_result(
    subject: Subject, results: Sequence[torch.Tensor], cotangents: Tensors, gradients: Tensors
) -> Iterator[str]:
    """Results without a gradient count as those with a gradient of 0."""
    used = [k for k, y in enumerate(results) if y.requires_grad and cotangents[k] is not None]
    if len(used) < 2:
        return
    sums: list[Any] = [0.0 for _ in subject.moving]
    for k in used:
        try:
            part = subject.pulled([u if j == k else None for j, u in enumerate(cotangents)])
        except Exception as error:
            yield f"backward raises where only result {k} has a gradient: {error}"
            return
        sums = [s if g is None else s + g for s, g in zip(sums, part, strict=True)]
    for k, whole, total in zip(subject.moving, gradients, sums, strict=True):
        if whole is not None and not alike(whole, torch.as_tensor(total).expand_as(whole)):
            yield (
                f"the gradients of input {k} for each result alone do not add up to that for all:"
                " an undefined gradient does not count as 0"
            )


def _layouts(
    subject: Subject, results: Sequence[torch.Tensor], cotangents: Tensors, gradients: Tensors
) -> Iterator[str]:
    """Strides are nobody's business: neither those of inputs nor those of a given δ."""
    value_noise, noise = noise_of(subject, results, cotangents, gradients)
    for words, layout in (("contiguous", in_a_row), ("not contiguous", otherwise_laid_out)):
        inputs = subject.fresh(layout)
        try:
            other, found = subject.run(inputs), subject.pulled(cotangents, subject.fresh(layout))
        except Exception as error:
            yield f"{words} inputs: {type(error).__name__}: {error}"
            continue
        if any(not alike(*pair) for pair in zip(results, other, value_noise, strict=True)):
            yield f"the value differs when inputs are {words}: forward depends on strides"
            continue
        for k, a, b, moves in zip(subject.moving, gradients, found, noise, strict=True):
            if not alike(a, b, moves):
                yield f"the gradient of input {k} differs when inputs are {words}"
    yield from _layouts_of_deltas(subject, results, cotangents)
    if any(isinstance(x, torch.Tensor) and overlaps(x) for x in subject.inputs):
        with torch.no_grad():
            value = subject.run(list(subject.inputs))
        if any(not alike(*pair) for pair in zip(results, value, value_noise, strict=True)):
            yield "the value differs when elements of an input share memory (expand)"


def _layouts_of_deltas(
    subject: Subject, results: Sequence[torch.Tensor], cotangents: Tensors
) -> Iterator[str]:
    forms = {"expanded, as that of a sum is": _expanded, "not contiguous": otherwise_laid_out}
    for words, form in forms.items():
        given = [None if u is None else form(u) for u in cotangents]
        plain = [None if u is None else in_a_row(u) for u in given]
        right = subject.pulled(plain)
        try:
            found = subject.pulled(given)
        except Exception as error:
            yield f"a given gradient that is {words}: {type(error).__name__}: {error}"
            continue
        _, noise = noise_of(subject, results, plain, right)
        for k, a, b, moves in zip(subject.moving, right, found, noise, strict=True):
            if not alike(a, b, moves):
                yield f"the gradient of input {k} differs when the given gradient is {words}"


def _expanded(u: torch.Tensor) -> torch.Tensor:
    """The first row, again and again where it lies."""
    return u[:1].expand(u.shape) if u.dim() and u.numel() else u


def noise_of(
    subject: Subject, results: Sequence[torch.Tensor], cotangents: Tensors, gradients: Tensors
) -> tuple[list[float], list[float]]:
    """How far results and gradients move where all that goes in moves by its last digits.

    Another layout means another order of sums. Where numbers cancel, as in the gradient of a sum
    of a softmax, rounding is all that is left of them.

    Returns:
        The largest move of each result, and that of each moving input's gradient.

    """
    moved = [None if u is None else _shaken(u) for u in cotangents]
    other = subject.run(subject.fresh(_shaken))
    found = subject.pulled(moved, subject.fresh(_shaken))
    return (
        [_apart(a, b) for a, b in zip(results, other, strict=True)],
        [_apart(a, b) for a, b in zip(gradients, found, strict=True)],
    )


def _shaken(x: torch.Tensor) -> torch.Tensor:
    """Floating-point numbers, each moved by some units in its last place."""
    if not x.is_floating_point():
        return as_laid_out(x)
    moves = uneven(x.shape, torch.Generator().manual_seed(5)).to(x)
    return as_laid_out(x) * (1 + 4 * torch.finfo(x.dtype).eps * moves)


def _apart(a: torch.Tensor | None, b: torch.Tensor | None) -> float:
    """The largest difference; 0 where there is none to be told."""
    if a is None or b is None or a.shape != b.shape or not a.numel():
        return 0.0
    return float(torch.nan_to_num(a.detach().double() - b.detach().double()).abs().max())


def in_a_row(x: torch.Tensor) -> torch.Tensor:
    """A contiguous copy."""
    return x.detach().contiguous().clone()


def alike(a: torch.Tensor | None, b: torch.Tensor | None, noise: float = 0.0) -> bool:
    """The same but for rounding, which moves them by ``noise`` at least; None is 0."""
    if a is None or b is None:
        other = a if b is None else b
        return other is None or not bool(other.any())
    if a.shape != b.shape:
        return False
    size = float(torch.maximum(a.detach().abs().max(), b.detach().abs().max())) if a.numel() else 0
    eps = torch.finfo(a.dtype).eps if a.is_floating_point() else 0.0
    near = 1e3 * eps * size + 100 * noise or 1e-300
    return bool(torch.allclose(a, b, rtol=1e3 * eps, atol=near, equal_nan=True))


def _far(first: Tensors, second: Tensors, tolerance: float) -> float:
    """How far apart two runs are; 0 within the tolerance."""
    far = 0.0
    for a, b in zip(first, second, strict=True):
        if a is not None and b is not None and a.numel() and not torch.equal(a, b):
            off = torch.nan_to_num((a.detach().double() - b.detach().double()).abs())
            far = max(far, float(off.max()))
    return far if far > tolerance else 0.0
