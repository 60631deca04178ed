"""PyTorch's functions that look at numbers, as the same formulas without a look, for export."""
# ruff: noqa: A002  (``input`` is PyTorch's name)

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import torch
from torch.nn import functional as F

NEVER = -1e30
"""The logarithm of a probability of 0, as a number whose differences are numbers."""


@contextmanager
def without_a_look() -> Iterator[None]:
    """Inside, batch norms with ``momentum=None``, ``ctc_loss``, ``bincount`` ask for no values."""
    norm: Any = torch.nn.modules.batchnorm._BatchNorm
    with ExitStack() as stack:
        stack.enter_context(mock.patch.object(norm, "forward", _normed(norm.forward)))
        stack.enter_context(mock.patch.object(torch, "ctc_loss", ctc_loss))
        for place in (torch, torch.Tensor):
            counted = _of_known_length(place.bincount)
            stack.enter_context(mock.patch.object(place, "bincount", counted))
        yield


def _of_known_length(original: Any) -> Any:
    """``bincount`` where ``minlength`` says how long: a larger number is outside of that."""

    def bincount(
        input: torch.Tensor, weights: torch.Tensor | None = None, minlength: int = 0
    ) -> Any:  # fmt: skip
        if not minlength:
            return original(input, weights, minlength)
        each = torch.ones_like(input) if weights is None else weights
        dtype = torch.int64 if weights is None else weights.dtype
        return torch.zeros(minlength, dtype=dtype).index_add(0, input.long(), each.to(dtype))

    return bincount


def _normed(original: Any) -> Any:
    """The forward pass of a batch norm, whose running mean may be that of all batches so far."""

    def forward(self: Any, x: torch.Tensor) -> Any:
        counted = self.training and self.track_running_stats
        if self.momentum is not None or not counted or self.num_batches_tracked is None:
            return original(self, x)
        self._check_input_dim(x)
        self.num_batches_tracked.add_(1)
        share = 1 / self.num_batches_tracked.to(x.dtype)
        seen, axes = x.detach(), [k for k in range(x.ndim) if k != 1]
        self.running_mean.add_(share * (seen.mean(axes) - self.running_mean))
        self.running_var.add_(share * (seen.var(axes) - self.running_var))
        return F.batch_norm(x, None, None, self.weight, self.bias, True, 0.0, self.eps)

    return forward


def ctc_loss(
    log_probs: torch.Tensor, targets: torch.Tensor, input_lengths: Any, target_lengths: Any,
    blank: int = 0, reduction: int = 0, zero_infinity: bool = False,
) -> torch.Tensor:  # fmt: skip
    """``torch.ctc_loss``: over time, the probability of each beginning of a text with its blanks.

    Args:
        log_probs: (T, N, C), or (T, C).
        targets: (N, S), or all in one row.
        input_lengths: how many of the T times count, (N,).
        target_lengths: how long each text is, (N,).
        blank: the class that says nothing.
        reduction: 0 for none, 1 for the mean, 2 for the sum.
        zero_infinity: is a text that cannot be no loss?

    """
    single = log_probs.ndim == 2
    scores = log_probs.unsqueeze(1) if single else log_probs
    steps, batch, _ = scores.shape
    times, sizes = (torch.as_tensor(n).reshape(-1).long() for n in (input_lengths, target_lengths))
    texts = _texts(targets, sizes, batch).clamp(min=0)
    states = torch.full((batch, 2 * texts.shape[1] + 1), blank, dtype=torch.long)
    states[:, 1::2] = texts
    there = torch.arange(states.shape[1]) < 2 * sizes[:, None] + 1
    never = torch.full((batch, 2), NEVER, dtype=scores.dtype)
    # a blank may be left out between two letters that differ
    leaps = torch.zeros_like(there)
    leaps[:, 2:] = (states[:, 2:] != blank) & (states[:, 2:] != states[:, :-2])
    begins = there & (torch.arange(states.shape[1]) < 2)
    reached = torch.where(begins, scores[0].gather(1, states), NEVER)
    for t in range(1, steps):
        one = torch.cat([never[:, :1], reached[:, :-1]], 1)
        two = torch.where(leaps, torch.cat([never, reached[:, :-2]], 1), NEVER)
        ways = torch.logsumexp(torch.stack([reached, one, two]), 0)
        moved = torch.where(there, ways + scores[t].gather(1, states), NEVER)
        reached = torch.where(t < times[:, None], moved, reached)
    ends = torch.arange(states.shape[1])
    last = (ends == 2 * sizes[:, None]) | (ends == 2 * sizes[:, None] - 1)
    loss = -torch.logsumexp(torch.where(last, reached, NEVER), 1)
    return _reduced(loss, scores, times, sizes, reduction, zero_infinity, single)


def _texts(targets: torch.Tensor, sizes: torch.Tensor, batch: int) -> torch.Tensor:
    """Targets as (N, S), filled up with anything."""
    targets = targets.long()
    if targets.ndim == 2:
        return targets
    if batch == 1:
        return targets.reshape(1, -1)
    starts = (sizes.cumsum(0) - sizes)[:, None]
    places = starts + torch.arange(targets.numel())
    return targets[places.clamp(max=max(targets.numel() - 1, 0))]


def _reduced(
    loss: torch.Tensor, scores: torch.Tensor, times: torch.Tensor, sizes: torch.Tensor,
    reduction: int, zero_infinity: bool, single: bool,
) -> torch.Tensor:  # fmt: skip
    """The losses of a batch as PyTorch gives them, with PyTorch's gradient."""
    impossible = loss.detach() > -NEVER / 2
    counted = (torch.arange(scores.shape[0])[:, None] < times)[..., None]
    # PyTorch's δ has the softmax in it, which counts nothing behind a log-softmax
    whole = scores.exp().masked_fill(~counted, 0.0).sum((0, 2))
    loss = loss.masked_fill(impossible, 0.0 if zero_infinity else torch.inf)
    loss = loss + (whole - whole.detach()).masked_fill(impossible, 0.0)
    if reduction == 1:
        return (loss / sizes.clamp(min=1).to(loss.dtype)).mean()
    return loss.sum() if reduction == 2 else loss[0] if single else loss
