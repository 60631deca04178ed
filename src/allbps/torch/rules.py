"""PyTorch's optimizer objects as formulas of ``allbps.optim``, their numbers read in each step."""

from __future__ import annotations

import copy
import numbers
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch

from allbps import optim
from allbps.errors import ArgumentError
from allbps.optim.optimizer import Array, Optimizer, Slots

Group = Mapping[str, Any]


@dataclass(frozen=True)
class Known:
    """An optimizer of PyTorch's.

    Attributes:
        rule: the same of ours.
        words: options that both have.
        variants: ours where some of ``SWITCHES`` are on.
        slots: what is remembered, where that depends on an option: name -> the option.
        scalars: slots that PyTorch keeps as one number for all of a parameter.
        rounds: what PyTorch rounds in a step, and native code does not.

    """

    rule: type[Optimizer]
    words: tuple[str, ...]
    variants: Mapping[tuple[str, ...], type[Optimizer]] = field(default_factory=dict)
    slots: Mapping[str, str] | None = None
    scalars: tuple[str, ...] = ()
    rounds: str = ""

    def of(self, group: Group) -> type[Optimizer]:
        """Ours for the options of a group."""
        return self.variants.get(tuple(s for s in SWITCHES if group.get(s)), self.rule)

    def made(self, group: Group) -> Optimizer:
        """The same with the numbers of a group."""
        return self.of(group)(_number(group["lr"]), **{word: group[word] for word in self.words})


SWITCHES = ("amsgrad", "decoupled_weight_decay")
"""Options that make another formula."""
_ADAM = ("betas", "eps", "weight_decay")
_AMSGRAD: dict[tuple[str, ...], type[Optimizer]] = {
    ("amsgrad",): optim.AMSGrad, ("decoupled_weight_decay",): optim.AdamW, SWITCHES: optim.AMSGradW,
}  # fmt: skip
KNOWN: dict[type[Any], Known] = {
    torch.optim.SGD: Known(
        optim.SGD, ("momentum", "dampening", "nesterov", "weight_decay"),
        slots={"momentum_buffer": "momentum"},
    ),
    torch.optim.Adam: Known(optim.Adam, _ADAM, _AMSGRAD),
    torch.optim.AdamW: Known(optim.AdamW, _ADAM, _AMSGRAD),
    torch.optim.NAdam: Known(
        optim.NAdam, (*_ADAM, "momentum_decay"), {SWITCHES[1:]: optim.NAdamW},
        scalars=("mu_product",),
    ),
    torch.optim.RAdam: Known(optim.RAdam, _ADAM, {SWITCHES[1:]: optim.RAdamW}),
    torch.optim.Adamax: Known(optim.Adamax, _ADAM),
    torch.optim.Adadelta: Known(optim.Adadelta, ("rho", "eps", "weight_decay")),
    torch.optim.Adagrad: Known(optim.Adagrad, ("lr_decay", "eps", "weight_decay")),
    torch.optim.RMSprop: Known(
        optim.RMSprop, ("alpha", "eps", "momentum", "centered", "weight_decay"),
        slots={"momentum_buffer": "momentum", "grad_avg": "centered"},
    ),
    torch.optim.Rprop: Known(optim.Rprop, ("etas", "step_sizes")),
    torch.optim.ASGD: Known(
        optim.ASGD, ("lambd", "alpha", "t0", "weight_decay"), scalars=("eta", "mu")
    ),
    torch.optim.Adafactor: Known(optim.Adafactor, ("beta2_decay", "eps", "d", "weight_decay")),
    torch.optim.Muon: Known(
        optim.Muon, ("momentum", "nesterov", "ns_coefficients", "eps", "ns_steps", "adjust_lr_fn",
                     "weight_decay"),
        rounds="Muon's products to bfloat16, by which each step is 1 % to 3 % off",
    ),
}  # fmt: skip
"""PyTorch's class -> ours."""
REFUSED: dict[type[Any], tuple[str, str]] = {
    torch.optim.LBFGS: (
        "LBFGS.step asks a closure for the loss as often as its line search likes: a step in native"
        " code works the loss out once",
        "train with optimizer.step(closure) in PyTorch, or with AdamW",
    ),
    torch.optim.SparseAdam: ("SparseAdam takes sparse gradients", "train with Adam"),
}  # fmt: skip
"""PyTorch's class that is refused -> why, and what to do."""


def known(optimizer: Any) -> Known:
    """What is known of an optimizer.

    Raises:
        ArgumentError: it is none that allbps has a formula for, or has hooks.

    """
    found = KNOWN.get(type(optimizer))
    if found is None:
        names = ", ".join(kind.__name__ for kind in KNOWN)
        why, todo = REFUSED.get(
            type(optimizer),
            ("this optimizer is not known", "a rule for it: docs/adding-an-optimiser.md"),
        )
        raise ArgumentError(
            why, expected=f"one of torch.optim's {names}",
            got=f"{type(optimizer).__module__}.{type(optimizer).__name__}", todo=todo,
        )  # fmt: skip
    hooks = [*optimizer._optimizer_step_pre_hooks, *optimizer._optimizer_step_post_hooks]
    if hooks:
        raise ArgumentError(
            "the optimizer has hooks, which a step in native code would not call",
            expected="an optimizer without hooks", got=f"{len(hooks)} hooks",
        )  # fmt: skip
    return found


def remembered(kind: Known, group: Group, shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    """What PyTorch remembers of a parameter of a group: name -> shape."""
    asked, rule = kind.slots or {}, kind.made(group)
    names = [name for name in rule.slots if name not in asked or group[asked[name]]]
    shapes = {name: rule.slot_shape(name, shape) for name in names}
    return {name: own for name, own in shapes.items() if own is not None}


class Followed(Optimizer):
    """The rule of one group of parameters; its numbers are rates, read in each step.

    Which options are 0 is part of the formula; whoever changes that has it compiled again.

    Args:
        number: of the group among all of a step.
        kind: what is known of the optimizer.
        optimizer: PyTorch's own, whose group is looked at in each step.
        k: the number of the group there.

    """

    vouches: ClassVar[bool] = True

    def __init__(self, number: int, kind: Known, optimizer: Any, k: int) -> None:
        group = optimizer.param_groups[k]
        self.optimizer, self.maximized = optimizer, bool(group.get("maximize"))
        rule = kind.made(group)
        moving = {word for word in kind.words if _moves(group[word])}
        put = object.__setattr__
        put(self, "rule", rule)
        put(self, "words", tuple(sorted(moving)))
        put(self, "k", k)
        put(self, "number", number)
        put(self, "slots", rule.slots)

    rule: Optimizer
    words: tuple[str, ...]
    k: int
    number: int

    def slot_shape(self, slot: str, shape: tuple[int, ...]) -> tuple[int, ...] | None:
        return self.rule.slot_shape(slot, shape)

    @property
    def group(self) -> Group:
        """The group as it is now: ``load_state_dict`` puts another in its place."""
        found: Group = self.optimizer.param_groups[self.k]
        return found

    @property
    def rate_names(self) -> tuple[str, ...]:
        """The rate, the step and the options of this group, each with its number."""
        names = ["lr", "t"]
        for word in self.words:
            value = self.group[word]
            names += (
                [f"{word}_{j}" for j in range(len(value))] if isinstance(value, tuple) else [word]
            )
        return tuple(f"{name}_of_{self.number}" for name in names)

    def numbers(self, t: int) -> list[float]:
        """The values of ``rate_names`` in step ``t`` of this group."""
        values: list[float] = [_number(self.group["lr"]), t]
        for word in self.words:
            value = self.group[word]
            values += map(_number, value) if isinstance(value, (tuple, list)) else [_number(value)]
        return values

    def formula(
        self, p: Array, g: Array, slots: Slots, rates: Mapping[str, Any]
    ) -> tuple[Array, Slots]:
        """The rule of ours with these numbers in the places of its own."""
        found = iter([rates[name] for name in self.rate_names])
        lr, t = next(found), next(found)
        rule = copy.copy(self.rule)
        for word in self.words:
            own = self.group[word]
            value = tuple(next(found) for _ in own) if isinstance(own, tuple) else next(found)
            object.__setattr__(rule, word, value)
        return rule.move(p, -g if self.maximized else g, slots, lr, t)

    def move(self, p: Array, g: Array, slots: Slots, lr: float, t: int) -> tuple[Array, Slots]:
        """Not used: ``formula`` takes all numbers."""
        return self.rule.move(p, g, slots, lr, t)


class Groups(Optimizer):
    """PyTorch's groups of parameters, each with its numbers.

    Args:
        rules: one for each group.
        group_of: for each parameter the number of its group.
        steps: gives the number of the step for each group.

    """

    vouches: ClassVar[bool] = True

    def __init__(
        self, rules: Sequence[Followed], group_of: Sequence[int], steps: Callable[[], list[int]]
    ) -> None:
        put = object.__setattr__
        put(self, "rules", tuple(rules))
        put(self, "group_of", tuple(group_of))
        put(self, "steps", steps)
        put(self, "slots", tuple(dict.fromkeys(name for rule in rules for name in rule.slots)))
        put(self, "lr", 0.0)
        put(self, "weight_decay", 0.0)

    rules: tuple[Followed, ...]
    group_of: tuple[int, ...]
    steps: Callable[[], list[int]]

    def rates(self, t: int) -> Mapping[str, float]:
        """The numbers of all groups."""
        found: dict[str, float] = {}
        for rule, own in zip(self.rules, self.steps(), strict=True):
            found.update(zip(rule.rate_names, rule.numbers(own), strict=True))
        return found

    def rule_of(self, k: int) -> Optimizer:
        """The rule of the group of a parameter."""
        return self.rules[self.group_of[k]]

    def move(self, p: Array, g: Array, slots: Slots, lr: float, t: int) -> tuple[Array, Slots]:
        """Not used: each parameter has a rule of its own."""
        raise AssertionError


def structure(optimizers: Sequence[Any]) -> tuple[Any, ...]:
    """Equal while the formulas are the same: which options are 0, and which words they hold."""
    rows = []
    for optimizer in optimizers:
        kind = known(optimizer)
        for group in optimizer.param_groups:
            words = tuple(_shape(group.get(word)) for word in (*kind.words, "maximize"))
            rows.append((words, kind.of(group), tuple(map(id, group["params"]))))
    return tuple(rows)


def _shape(value: Any) -> Any:
    return "a number" if _moves(value) else value


def _moves(value: Any) -> bool:
    """May the value change without another formula?"""
    if isinstance(value, (tuple, list)):
        return all(isinstance(part, numbers.Real) for part in value)
    counts = isinstance(value, numbers.Integral)  # of steps: how long the formula is
    return isinstance(value, (numbers.Real, torch.Tensor)) and not counts and bool(value != 0)


def _number(value: Any) -> float:
    return float(value)
