"""Learning-rate schedules: functions from the number of steps taken to the rate of the next."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

Schedule = Callable[[int], float]
"""Number of steps already taken -> learning rate of the next."""


def rate(lr: float | Schedule, t: int) -> float:
    """The learning rate after ``t`` steps."""
    return lr(t) if callable(lr) else lr


def _cosine(start: float, end: float, share: float) -> float:
    """From ``start`` to ``end`` along half a cosine."""
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


@dataclass(frozen=True)
class StepLR:
    """``lr`` times ``gamma`` after every ``step_size`` steps.

    >>> [StepLR(1.0, step_size=2)(t) for t in range(5)]
    [1.0, 1.0, 0.1, 0.1, 0.010000000000000002]
    """

    lr: float
    step_size: int
    gamma: float = 0.1

    def __call__(self, t: int) -> float:
        return self.lr * self.gamma ** (t // self.step_size)


@dataclass(frozen=True)
class ExponentialLR:
    """``lr`` times ``gamma`` after every step.

    >>> [ExponentialLR(1.0, gamma=0.5)(t) for t in range(4)]
    [1.0, 0.5, 0.25, 0.125]
    """

    lr: float
    gamma: float

    def __call__(self, t: int) -> float:
        return self.lr * self.gamma**t


@dataclass(frozen=True)
class CosineAnnealingLR:
    """From ``lr`` down to ``eta_min`` after ``T_max`` steps along half a cosine.

    Source: Loshchilov & Hutter, arXiv:1608.03983, without restarts.

    >>> [round(CosineAnnealingLR(1.0, T_max=4)(t), 3) for t in range(5)]
    [1.0, 0.854, 0.5, 0.146, 0.0]
    """

    lr: float
    T_max: int
    eta_min: float = 0.0

    def __call__(self, t: int) -> float:
        return _cosine(self.lr, self.eta_min, t / self.T_max)


@dataclass(frozen=True)
class LinearWarmup:
    """A schedule, or a constant rate, times a factor that rises from ``start_factor`` to 1.

    >>> [LinearWarmup(1.0, total_iters=4, start_factor=0.5)(t) for t in range(6)]
    [0.5, 0.625, 0.75, 0.875, 1.0, 1.0]
    """

    then: float | Schedule
    total_iters: int
    start_factor: float = 1 / 3

    def __call__(self, t: int) -> float:
        done = min(t / self.total_iters, 1.0) if self.total_iters else 1.0
        return rate(self.then, t) * (self.start_factor + (1 - self.start_factor) * done)


@dataclass(frozen=True)
class WarmupCosineLR:
    """Up to ``lr`` in ``warmup`` equal steps, then down to ``eta_min`` along half a cosine.

    After ``total_steps`` it stays there: how language models are trained (Brown et al.,
    arXiv:2005.14165).

    >>> [round(WarmupCosineLR(1.0, warmup=2, total_steps=6)(t), 3) for t in range(8)]
    [0.5, 1.0, 1.0, 0.854, 0.5, 0.146, 0.0, 0.0]
    """

    lr: float
    warmup: int
    total_steps: int
    eta_min: float = 0.0

    def __call__(self, t: int) -> float:
        if t < self.warmup:
            return self.lr * (t + 1) / self.warmup
        share = (t - self.warmup) / max(self.total_steps - self.warmup, 1)
        return _cosine(self.lr, self.eta_min, min(share, 1.0))


@dataclass(frozen=True)
class OneCycleLR:
    """Up to ``max_lr`` for ``pct_start`` of the steps, then far down, both along half a cosine.

    Source: Smith & Topin, arXiv:1708.07120, as ``torch.optim.lr_scheduler.OneCycleLR`` does it. It
    begins at ``max_lr / div_factor`` and ends at that divided by ``final_div_factor``.

    >>> [round(OneCycleLR(1.0, total_steps=5, pct_start=0.5)(t), 3) for t in range(5)]
    [0.04, 0.76, 0.905, 0.345, 0.0]
    """

    max_lr: float
    total_steps: int
    pct_start: float = 0.3
    div_factor: float = 25.0
    final_div_factor: float = 1e4

    def __call__(self, t: int) -> float:
        first = self.max_lr / self.div_factor
        top, end = self.pct_start * self.total_steps - 1, self.total_steps - 1
        if t <= top:
            return _cosine(first, self.max_lr, t / top if top else 1.0)
        return _cosine(self.max_lr, first / self.final_div_factor, min((t - top) / (end - top), 1))


@dataclass
class ReduceLROnPlateau:
    """``lr`` times ``factor`` when a number has not fallen for more than ``patience`` reports.

    The one schedule that remembers something: report the validation loss after each epoch. As
    ``torch.optim.lr_scheduler.ReduceLROnPlateau`` with a relative threshold.

    >>> lr = ReduceLROnPlateau(1.0, patience=1)
    >>> for loss in (3.0, 2.0, 2.0, 2.0):
    ...     lr.report(loss)
    >>> lr(100)
    0.1
    """

    lr: float
    factor: float = 0.1
    patience: int = 10
    threshold: float = 1e-4
    min_lr: float = 0.0
    best: float = field(default=math.inf, init=False)
    waited: int = field(default=0, init=False)

    def report(self, loss: float) -> None:
        """Take in the loss after an epoch."""
        if loss < self.best * (1 - self.threshold):
            self.best, self.waited = loss, 0
        else:
            self.waited += 1
        if self.waited > self.patience:
            self.lr, self.waited = max(self.lr * self.factor, self.min_lr), 0

    def __call__(self, t: int) -> float:
        return self.lr
