"""What all optimisers share: a rule for one parameter, run over all of them."""

from __future__ import annotations

import math
import numbers
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import KW_ONLY, dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from allbps.errors import ArgumentError
from allbps.optim.schedules import Schedule, rate
from allbps.tree import leaves, rebuild, same_structure, tree_map

Array = NDArray[Any]
Slots = Mapping[str, Array]
"""What is remembered of a parameter, by name."""


@dataclass(frozen=True)
class Optimizer(ABC):
    """A rule that turns parameters and their gradients into new parameters.

    A subclass says in :attr:`slots` what it remembers of a parameter, and in :meth:`move` how one
    parameter moves; see ``docs/adding-an-optimiser.md``.

    Attributes:
        lr: learning rate, or a schedule of it.
        weight_decay: strength of the pull of every parameter to 0.

    """

    slots: ClassVar[tuple[str, ...]] = ()
    """Names of the arrays that the rule remembers of a parameter; they begin as zeros."""
    vouches: ClassVar[bool] = False
    """May ``move`` look at rates, since whoever changes them has it compiled again?"""
    usual_lr: ClassVar[float | None] = None
    """PyTorch's default learning rate, where it has one."""
    any_shape: ClassVar[bool] = True
    """Does it move parameters of any shape, so that a whole net can be trained with it?"""

    lr: float | Schedule
    _: KW_ONLY
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        if not callable(self.lr):
            require("lr", self.lr, at_least=0.0)
        require("weight_decay", self.weight_decay, at_least=0.0)

    @abstractmethod
    def move(self, p: Array, g: Array, slots: Slots, lr: float, t: int) -> tuple[Array, Slots]:
        """One parameter in step ``t`` (1 first): its new value, its new slots.

        A formula in NumPy, since it is compiled too: ``np.where(t == 1, a, b)``, not ``if t == 1``.

        Args:
            p: the parameter.
            g: its gradient, of the same shape.
            slots: what is remembered of it.
            lr: the learning rate of this step.
            t: the number of this step.

        """

    def slot_shape(self, slot: str, shape: tuple[int, ...]) -> tuple[int, ...] | None:
        """The shape of what is remembered of a parameter of this shape: its own, as a rule.

        None where ``slot`` is nothing that such a parameter has.
        """
        return shape

    @property
    def rate_names(self) -> tuple[str, ...]:
        """What ``formula`` takes from ``rates``."""
        return ("lr", "t")

    def rates(self, t: int) -> Mapping[str, float]:
        """The numbers of step ``t``: the learning rate, and the number of the step."""
        return {"lr": rate(self.lr, t - 1), "t": t}

    def formula(
        self, p: Array, g: Array, slots: Slots, rates: Mapping[str, Any]
    ) -> tuple[Array, Slots]:
        """``move`` with the numbers of a step by name; this is what is compiled."""
        return self.move(p, g, slots, rates["lr"], rates["t"])

    def rule_of(self, k: int) -> Optimizer:
        """The rule for the k-th parameter, where they do not all move alike."""
        return self

    def init(self, params: Any) -> dict[str, Any]:
        """The state before the first step: a container of arrays."""
        zeros = {name: tree_map(partial(self._zeros, name), params) for name in self.slots}
        return {"step": np.array(0), **zeros}

    def _zeros(self, slot: str, p: Array) -> Array:
        return np.zeros(self.slot_shape(slot, np.shape(p)) or (), np.asarray(p).dtype)

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
            self._moved(p, g, dict(zip(self.slots, own, strict=True)), lr, t)
            for p, g, *own in zip(leaves(params), leaves(grads), *held, strict=True)
        ]
        new = {name: rebuild(params, _each(moved, name)) for name in self.slots}
        return rebuild(params, iter([p for p, _ in moved])), {"step": np.array(t), **new}

    def _moved(self, p: Array, g: Array, slots: Slots, lr: float, t: int) -> tuple[Array, Slots]:
        """What ``move`` makes, in the parameter's own dtype."""
        new, kept = self.move(p, g, slots, lr, t)
        return like(new, p), {name: like(kept.get(name, slots[name]), p) for name in self.slots}


def _each(moved: list[tuple[Array, Slots]], name: str) -> Iterator[Array]:
    return (slots[name] for _, slots in moved)


def like(x: Any, p: Array) -> Array:
    """The result in the parameter's own dtype: a scalar parameter stays an array."""
    return np.asarray(x, p.dtype)


def require(
    name: str, value: float, *, at_least: float = -math.inf, below: float = math.inf
) -> None:
    """Refuse an argument outside its range.

    Raises:
        ArgumentError: it is.

    """
    if not isinstance(value, numbers.Real) or not at_least <= value < below:
        bound = f"a number of at least {at_least:g}"
        bound += f" and below {below:g}" if below < math.inf else ""
        raise ArgumentError(f"{name} is out of range", expected=bound, got=repr(value))
