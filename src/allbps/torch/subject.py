"""A PyTorch function at certain inputs, run again and again under the same random numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.utils import _pytree as pytree

SEED = 20


@dataclass(frozen=True)
class Subject:
    """A function and its inputs.

    Attributes:
        function: of the inputs, to tensors in any container.
        inputs: tensors and options.
        moving: which of the inputs are differentiated.

    """

    function: Callable[..., Any]
    inputs: tuple[Any, ...]
    moving: tuple[int, ...]

    @classmethod
    def of(cls, function: Callable[..., Any], inputs: Sequence[Any]) -> Subject:
        """Differentiated are the inputs that require a gradient; else all of floats."""
        given = tuple(inputs)
        floats = [k for k, x in enumerate(given) if is_float(x)]
        moving = [k for k in floats if given[k].requires_grad] or floats
        return cls(function, given, tuple(moving))

    def run(self, inputs: Sequence[Any]) -> list[torch.Tensor]:
        """The tensors that it returns, drawn numbers being the same in every run."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(SEED)
            returned = self.function(*inputs)
        return [y for y in pytree.tree_leaves(returned) if isinstance(y, torch.Tensor)]

    def fresh(self, layout: Callable[[torch.Tensor], torch.Tensor] | None = None) -> list[Any]:
        """Copies of the inputs that require gradients, laid out as they are or otherwise."""
        lay = layout or as_laid_out
        return [
            lay(x.detach()).requires_grad_(k in self.moving) if isinstance(x, torch.Tensor) else x
            for k, x in enumerate(self.inputs)
        ]

    def pulled(
        self, cotangents: Sequence[torch.Tensor | None], inputs: Sequence[Any] | None = None,
        *, differentiable: bool = False, times: int = 1,
    ) -> list[torch.Tensor | None]:  # fmt: skip
        """The gradients of the moving inputs for a δ of each result that has one.

        With ``differentiable`` they have a graph themselves; with ``times`` backward has run more
        often through the one graph, and these are the last ones.
        """
        given = self.fresh() if inputs is None else inputs
        results = self.run(given)
        pairs = [
            (y, u) for y, u in zip(results, cotangents, strict=True)
            if u is not None and y.requires_grad
        ]  # fmt: skip
        moving = [given[k] for k in self.moving if given[k].requires_grad]
        if not pairs or not moving:
            return [None for _ in self.moving]
        outputs, deltas = zip(*pairs, strict=True)
        with torch.random.fork_rng(devices=[]):
            for left in reversed(range(times)):
                torch.manual_seed(SEED + 1)
                gradients = torch.autograd.grad(
                    outputs, moving, deltas, allow_unused=True, create_graph=differentiable,
                    retain_graph=differentiable or left > 0,
                )  # fmt: skip
        found = iter(gradients)
        return [next(found) if given[k].requires_grad else None for k in self.moving]

    def at(self, inputs: Sequence[Any]) -> Subject:
        """The same function elsewhere."""
        return replace(self, inputs=tuple(inputs))

    def doubled(self) -> Subject:
        """The same in double precision."""
        return self.at([as_laid_out(x, torch.double) if is_float(x) else x for x in self.inputs])

    def cotangents(self, results: Sequence[torch.Tensor], seed: int) -> list[torch.Tensor | None]:
        """A random, uneven δ for each result of floats, none of its numbers near 0."""
        generator = torch.Generator().manual_seed(seed)
        return [
            uneven(y.shape, generator).to(y.dtype) if y.is_floating_point() else None
            for y in results
        ]


def uneven(shape: Sequence[int], generator: torch.Generator) -> torch.Tensor:
    """Random numbers of either sign between ½ and 1½ in size."""
    size = torch.rand(tuple(shape), generator=generator, dtype=torch.double) + 0.5
    sign = torch.randint(0, 2, tuple(shape), generator=generator) * 2 - 1
    return size * sign


def is_float(x: Any) -> bool:
    """Is it a tensor of floating-point numbers?"""
    return isinstance(x, torch.Tensor) and x.is_floating_point()


def is_inexact(x: Any) -> bool:
    """Is it a tensor of floating-point or complex numbers?"""
    return isinstance(x, torch.Tensor) and (x.is_floating_point() or x.is_complex())


def overlaps(x: torch.Tensor) -> bool:
    """Do several of its elements lie at one place, as those of ``expand`` do?"""
    return any(n > 1 and step == 0 for n, step in zip(x.shape, x.stride(), strict=True)) or (
        torch._debug_has_internal_overlap(x) == 1
    )


def as_laid_out(x: torch.Tensor, dtype: torch.dtype | None = None) -> torch.Tensor:
    """A copy with the strides of the original, where its elements have places of their own."""
    wanted = dtype or x.dtype
    if overlaps(x):
        return x.detach().contiguous().to(wanted, copy=True)
    copy = torch.empty_strided(x.shape, x.stride(), dtype=wanted, device=x.device)
    return copy.copy_(x.detach())


def otherwise_laid_out(x: torch.Tensor) -> torch.Tensor:
    """A copy whose elements have gaps between them, in another order where there are two axes."""
    x = x.detach()
    turned = x.transpose(0, -1) if x.dim() > 1 else x
    wide = torch.stack([turned, torch.full_like(turned, 7)], dim=-1)[..., 0]
    return wide.transpose(0, -1) if x.dim() > 1 else wide
