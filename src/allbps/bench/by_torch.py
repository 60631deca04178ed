"""PyTorch, eager, in both memory formats."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch._dynamo  # the first torch.optim imports it: part of PyTorch, not of the training
from numpy.typing import NDArray

from allbps.bench.peer import as_losses, cores
from allbps.bench.torch_nets import LOSSES
from allbps.bench.work import Work


class Eager:
    """Autograd as it comes, ``torch.optim.SGD`` with its defaults."""

    def __init__(
        self,
        work: Work,
        dtype: torch.dtype = torch.float32,
        memory_format: torch.memory_format = torch.contiguous_format,
    ) -> None:
        torch.set_num_threads(cores())

        def own(array: NDArray[Any]) -> torch.Tensor:
            tensor = torch.from_numpy(array)
            tensor = tensor.to(dtype) if tensor.is_floating_point() else tensor
            return tensor.contiguous(memory_format=memory_format) if tensor.ndim == 4 else tensor

        self.params = {name: own(p.copy()) for name, p in work.params.items()}
        learnt = [self.params[name].requires_grad_() for name in work.learnt]
        self.optimiser = torch.optim.SGD(learnt, lr=work.lr, momentum=work.momentum)
        self.batches = [(own(x), own(y)) for x, y in zip(work.x, work.y, strict=True)]
        self.loss: Callable[..., Any] = LOSSES[work.model.name]
        self.taken = 0

    def run(self, steps: int) -> NDArray[Any]:
        """The usual loop."""
        losses = []
        for _ in range(steps):
            x, y = self.batches[self.taken % len(self.batches)]
            self.optimiser.zero_grad()
            loss = self.loss(self.params, x, y)
            loss.backward()
            self.optimiser.step()
            self.taken += 1
            losses.append(loss.detach())
        return as_losses(losses)


def reference(work: Work) -> Eager:
    """In double precision: what the others are compared with."""
    return Eager(work, torch.float64)


class ChannelsLast(Eager):
    """Images and kernels with their channels innermost."""

    def __init__(self, work: Work) -> None:
        super().__init__(work, memory_format=torch.channels_last)
