"""What PyTorch's optimizer remembers, in memory that the step works in: always current."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from allbps.errors import ArgumentError
from allbps.torch.rules import Known, known, remembered


class Memory:
    """The state of an optimizer, in tensors that native code writes into.

    Args:
        optimizer: PyTorch's.
        kind: what is known of it.

    """

    def __init__(self, optimizer: Any, kind: Known) -> None:
        self.optimizer, self.kind = optimizer, kind
        self.params = [p for group in optimizer.param_groups for p in group["params"]]
        groups = optimizer.param_groups
        shapes = [
            (p, remembered(kind, group, tuple(p.shape)))
            for group in groups for p in group["params"]
        ]  # fmt: skip
        self.slots: dict[int, dict[str, torch.Tensor]] = {
            id(p): {name: torch.zeros(shape, dtype=p.dtype) for name, shape in own.items()}
            for p, own in shapes
        }
        self._counts = np.zeros(len(self.params), np.float32)
        counts = torch.from_numpy(self._counts)
        self._steps = {id(p): counts[k] for k, p in enumerate(self.params)}
        self._place = {id(p): k for k, p in enumerate(self.params)}
        self._shown: dict[int, dict[str, torch.Tensor]] = {
            key: {name: self._as_shown(name, tensor) for name, tensor in own.items()}
            for key, own in self.slots.items()
        }

    def _keeps(self) -> tuple[str, ...]:
        """What else PyTorch keeps of a parameter: how many steps it has taken, as a rule."""
        uncounted = (torch.optim.SGD, torch.optim.Muon)
        return () if type(self.optimizer) in uncounted else ("step",)

    def _as_shown(self, name: str, tensor: torch.Tensor) -> torch.Tensor:
        return tensor.reshape(-1)[0] if name in self.kind.scalars else tensor

    def refresh(self) -> None:
        """Take over what the user or PyTorch has put in the place of what is remembered.

        ``load_state_dict`` and steps of PyTorch's own are seen here.
        """
        state, counts, known = self.optimizer.state, self._keeps(), list[int]()
        for p in self.params:
            own = state.get(p)
            shown = self._shown[id(p)]
            if not own:
                self._forget(p)
                continue
            for name, tensor in shown.items():
                found = own.get(name)
                if found is not tensor:
                    self._take(p, name, found)
                elif name in self.kind.scalars:
                    _spread(self.slots[id(p)][name])
            if counts and own.get("step") is not self._steps[id(p)]:
                step = own.get("step")
                self._counts[self._place[id(p)]] = 0.0 if step is None else float(step)
                own["step"] = self._steps[id(p)]
            elif not counts:
                known.append(self._place[id(p)])
        self._counts[known] = 1.0

    def _forget(self, p: torch.Tensor) -> None:
        k = self._place[id(p)]
        if self._counts[k]:
            self._counts[k] = 0.0
            for tensor in self.slots[id(p)].values():
                tensor.zero_()

    def _take(self, p: torch.Tensor, name: str, found: Any) -> None:
        """Take numbers over into our own tensor, which the optimizer then shows."""
        mine, k = self.slots[id(p)][name], self._place[id(p)]
        if found is None:
            mine.zero_()
            self._counts[k] = 0.0 if not self._keeps() else self._counts[k]
        else:
            mine.copy_(found.detach().expand_as(mine) if found.ndim == 0 else found.detach())
        if found is not None:
            self.optimizer.state[p][name] = self._shown[id(p)][name]

    def number(self, group: Sequence[torch.Tensor]) -> int:
        """Which step comes next for a group of parameters, 1 first.

        Raises:
            ArgumentError: some have taken more steps than others.

        """
        places = [self._place[id(p)] for p in group]
        if not places:
            return 1
        taken = self._counts[places]
        if (taken != taken[0]).any():
            raise ArgumentError(
                "parameters of one group have taken different numbers of steps",
                expected="the same number for all of a group",
                got=", ".join(sorted({f"{int(n)}" for n in taken})),
                todo="put parameters that are trained from later on into a group of their own",
            )
        return int(taken[0]) + 1

    def taken(self, params: Sequence[torch.Tensor]) -> None:
        """A step was taken: count it, and show what is remembered."""
        state, counts = self.optimizer.state, self._keeps()
        self._counts[[self._place[id(p)] for p in params]] += 1.0
        for p in params:
            shown = self._shown[id(p)]
            if not shown and not counts:
                continue
            own = state[p]
            for name, tensor in shown.items():
                if own.get(name) is not tensor:
                    own[name] = tensor
            if counts and "step" not in own:
                own["step"] = self._steps[id(p)]
        self.optimizer._opt_called = True


class Memories:
    """The states of all optimizers of a step, each with parameters of its own.

    Args:
        optimizers: PyTorch's.

    Raises:
        ArgumentError: there is none, or two have the same parameter.

    """

    def __init__(self, optimizers: Sequence[Any]) -> None:
        self.each = [Memory(optimizer, known(optimizer)) for optimizer in optimizers]
        self.params = [p for memory in self.each for p in memory.params]
        self.slots = {key: own for memory in self.each for key, own in memory.slots.items()}
        self.owner = {id(p): memory for memory in self.each for p in memory.params}
        if not self.each or len(self.owner) != len(self.params):
            raise ArgumentError(
                "the optimizers of a step share a parameter" if self.each else "no optimizer",
                expected="one optimizer, or several, each with parameters of its own",
                got=", ".join(type(memory.optimizer).__name__ for memory in self.each) or "[]",
            )  # fmt: skip

    @property
    def groups(self) -> list[tuple[Memory, int]]:
        """All groups of parameters: whose, and its number there."""
        return [(m, k) for m in self.each for k in range(len(m.optimizer.param_groups))]

    def refresh(self) -> None:
        """See ``Memory``."""
        for memory in self.each:
            memory.refresh()

    def number(self, group: Sequence[torch.Tensor]) -> int:
        """See ``Memory``."""
        return self.owner[id(group[0])].number(group) if group else 1

    def taken(self, params: Sequence[torch.Tensor]) -> None:
        """See ``Memory``."""
        for memory in self.each:
            memory.taken([p for p in params if self.owner[id(p)] is memory])


def _spread(slot: torch.Tensor) -> None:
    """PyTorch moves the one number that it is shown, the first: all others follow."""
    flat = slot.view(-1)
    if flat.numel() and flat[0] != flat[-1]:
        flat.fill_(flat[0].item())
