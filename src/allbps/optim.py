"""Optimisers and learning-rate schedules: PyTorch's formulas and argument names, no hidden state.

Parameters and gradients are containers of arrays. ``init`` makes the state, ``update`` takes the
state in and gives the new one out; nothing is changed in place.

>>> import numpy as np
>>> sgd = SGD(lr=0.1)
>>> K, dK = {"K": np.array([1.0, 2.0])}, {"K": np.array([10.0, 0.0])}
>>> K, state = sgd.update(K, dK, sgd.init(K))
>>> K["K"]
array([0., 2.])
"""

from __future__ import annotations

import math
import numbers
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from allbps.errors import ArgumentError
from allbps.tree import leaves, rebuild, same_structure, tree_map

Array = NDArray[Any]
Slots = dict[str, Array]
Schedule = Callable[[int], float]
"""Number of steps already taken -> learning rate of the next."""


# -- schedules -------------------------------------------------------------------------------------
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
        return (
            self.eta_min + (self.lr - self.eta_min) * (1 + math.cos(math.pi * t / self.T_max)) / 2
        )


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


def rate(lr: float | Schedule, t: int) -> float:
    """The learning rate after ``t`` steps."""
    return lr(t) if callable(lr) else lr


# -- what all optimisers share ---------------------------------------------------------------------
@dataclass(frozen=True)
class Optimizer(ABC):
    """A rule that turns parameters and their gradients into new parameters.

    Attributes:
        lr: learning rate, or a schedule of it.
        weight_decay: strength of the pull of every parameter to 0.

    """

    slots: ClassVar[tuple[str, ...]] = ()
    """Arrays of a parameter's shape that the rule remembers."""
    usual_lr: ClassVar[float | None] = None
    """PyTorch's default learning rate, where it has one."""

    lr: float | Schedule
    _: KW_ONLY
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        if not callable(self.lr):
            require("lr", self.lr, at_least=0.0)
        require("weight_decay", self.weight_decay, at_least=0.0)

    @abstractmethod
    def move(self, p: Array, g: Array, slots: Slots, lr: float, t: int) -> tuple[Array, Slots]:
        """One parameter in step ``t`` (1 first): its new value, its new slots."""

    def init(self, params: Any) -> dict[str, Any]:
        """The state before the first step: a container of arrays."""
        zeros = {name: tree_map(np.zeros_like, params) for name in self.slots}
        return {"step": np.array(0), **zeros}

    def update(self, params: Any, grads: Any, state: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """The parameters and the state after one step.

        Raises:
            ArgumentError: ``grads`` is not a container like ``params``.

        """
        if not same_structure(params, grads):
            raise ArgumentError(
                "the gradients are not arranged like the parameters",
                expected=str(tree_map(lambda _: "…", params)),
                got=str(tree_map(lambda _: "…", grads)),
            )
        t = int(state["step"]) + 1
        lr = rate(self.lr, t - 1)
        held = [leaves(state[name]) for name in self.slots]
        moved = [
            self.move(p, g, dict(zip(self.slots, own, strict=True)), lr, t)
            for p, g, *own in zip(leaves(params), leaves(grads), *held, strict=True)
        ]
        new = {name: rebuild(params, _each(moved, name)) for name in self.slots}
        return rebuild(params, iter([p for p, _ in moved])), {"step": np.array(t), **new}


def _each(moved: list[tuple[Array, Slots]], name: str) -> Iterator[Array]:
    return (slots[name] for _, slots in moved)


def require(
    name: str, value: float, *, at_least: float = -math.inf, below: float = math.inf
) -> None:
    """Refuse an argument outside its range.

    Raises:
        ArgumentError: it is.

    """
    if not isinstance(value, numbers.Real) or not at_least <= value < below:
        bound = f"a number from {at_least:g}" + (f" to below {below:g}" if below < math.inf else "")
        raise ArgumentError(f"{name} is out of range", expected=bound, got=repr(value))


def _like(x: Any, p: Array) -> Array:
    """The result in the parameter's own dtype: a scalar parameter stays an array."""
    return np.asarray(x, p.dtype)


# -- the optimisers --------------------------------------------------------------------------------
@dataclass(frozen=True)
class SGD(Optimizer):
    """Stochastic gradient descent, K ← K − lr δK, with momentum as ``torch.optim.SGD``."""

    slots: ClassVar[tuple[str, ...]] = ("momentum_buffer",)

    _: KW_ONLY
    momentum: float = 0.0
    dampening: float = 0.0
    nesterov: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        require("momentum", self.momentum, at_least=0.0)
        if self.nesterov and (self.momentum <= 0 or self.dampening != 0):
            raise ArgumentError(
                "Nesterov's method needs momentum and no dampening",
                expected="momentum > 0 and dampening = 0",
                got=f"momentum = {self.momentum:g} and dampening = {self.dampening:g}",
            )

    def move(self, p: Array, g: Array, slots: Slots, lr: float, t: int) -> tuple[Array, Slots]:
        g = g + self.weight_decay * p if self.weight_decay else g
        v = slots["momentum_buffer"]
        if self.momentum:
            v = g if t == 1 else self.momentum * v + (1 - self.dampening) * g
            g = g + self.momentum * v if self.nesterov else v
        return _like(p - lr * g, p), {"momentum_buffer": _like(v, p)}


@dataclass(frozen=True)
class Adam(Optimizer):
    """Adam (Kingma & Ba, arXiv:1412.6980), as ``torch.optim.Adam``."""

    slots: ClassVar[tuple[str, ...]] = ("exp_avg", "exp_avg_sq")
    usual_lr: ClassVar[float] = 1e-3
    decoupled: ClassVar[bool] = False

    lr: float | Schedule = usual_lr
    _: KW_ONLY
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, beta in zip(("betas[0]", "betas[1]"), self.betas, strict=True):
            require(name, beta, at_least=0.0, below=1.0)
        require("eps", self.eps, at_least=0.0)

    def move(self, p: Array, g: Array, slots: Slots, lr: float, t: int) -> tuple[Array, Slots]:
        if self.decoupled:
            p = p * (1 - lr * self.weight_decay)
        elif self.weight_decay:
            g = g + self.weight_decay * p
        beta1, beta2 = self.betas
        m = slots["exp_avg"] + (1 - beta1) * (g - slots["exp_avg"])
        v = beta2 * slots["exp_avg_sq"] + (1 - beta2) * g * g
        size = lr / (1 - beta1**t)
        p = p - size * m / (np.sqrt(v) / math.sqrt(1 - beta2**t) + self.eps)
        return _like(p, g), {"exp_avg": _like(m, g), "exp_avg_sq": _like(v, g)}


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam with decoupled decay (Loshchilov & Hutter, arXiv:1711.05101), as in PyTorch."""

    decoupled: ClassVar[bool] = True

    _: KW_ONLY
    weight_decay: float = 1e-2


@dataclass(frozen=True)
class RMSprop(Optimizer):
    """RMSprop (Hinton's lecture 6e), as ``torch.optim.RMSprop``."""

    slots: ClassVar[tuple[str, ...]] = ("square_avg", "grad_avg", "momentum_buffer")
    usual_lr: ClassVar[float] = 1e-2

    lr: float | Schedule = usual_lr
    _: KW_ONLY
    alpha: float = 0.99
    eps: float = 1e-8
    momentum: float = 0.0
    centered: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        require("alpha", self.alpha, at_least=0.0)
        require("eps", self.eps, at_least=0.0)
        require("momentum", self.momentum, at_least=0.0)

    def move(self, p: Array, g: Array, slots: Slots, lr: float, t: int) -> tuple[Array, Slots]:
        g = g + self.weight_decay * p if self.weight_decay else g
        mean, buffer = slots["grad_avg"], slots["momentum_buffer"]
        square = self.alpha * slots["square_avg"] + (1 - self.alpha) * g * g
        spread = square
        if self.centered:
            mean = mean + (1 - self.alpha) * (g - mean)
            spread = square - mean**2
        step = g / (np.sqrt(spread) + self.eps)
        if self.momentum:
            step = buffer = self.momentum * buffer + step
        new = {"square_avg": square, "grad_avg": mean, "momentum_buffer": buffer}
        return _like(p - lr * step, p), {name: _like(value, p) for name, value in new.items()}


# -- clipping --------------------------------------------------------------------------------------
def clip_grad_norm(grads: Any, max_norm: float) -> tuple[Any, float]:
    """The gradients, shortened together to ``max_norm`` where they are longer, and their norm.

    As ``torch.nn.utils.clip_grad_norm_``: all arrays count as one vector in the Euclidean norm.

    >>> clipped, norm = clip_grad_norm([np.array([3.0]), np.array([4.0])], 1.0)
    >>> norm
    5.0

    """
    require("max_norm", max_norm, at_least=0.0)
    norm = math.sqrt(sum(float(np.sum(np.square(g))) for g in leaves(grads)))
    factor = max_norm / (norm + 1e-6)
    if factor >= 1:
        return grads, norm
    return tree_map(lambda g: _like(g * factor, g), grads), norm
