"""A PyTorch module: trained by PyTorch in three ways, and by ``train_step``."""

from __future__ import annotations

from typing import Any

import torch
import torch._dynamo  # the first torch.optim imports it: part of PyTorch, not of the training
from numpy.typing import NDArray

from allbps.bench.module_work import ModuleWork
from allbps.bench.peer import as_losses, cores
from allbps.torch import train_step


class Eager:
    """The usual loop, ``torch.optim.SGD`` with its defaults."""

    def __init__(
        self, work: ModuleWork, dtype: torch.dtype = torch.float32,
        memory_format: torch.memory_format = torch.contiguous_format,
    ) -> None:  # fmt: skip
        torch.set_num_threads(cores())
        module, self.loss, batches = work.built()

        def own(tensor: torch.Tensor) -> torch.Tensor:
            tensor = tensor.to(dtype) if tensor.is_floating_point() else tensor
            return tensor.contiguous(memory_format=memory_format) if tensor.ndim == 4 else tensor

        self.module = module.to(dtype).to(memory_format=memory_format).train()
        self.batches = [tuple(own(part) for part in batch) for batch in batches]
        params = self.module.parameters()
        self.optimizer = torch.optim.SGD(params, lr=work.lr, momentum=work.momentum)
        self.taken = 0

    def objective(self, *batch: Any) -> Any:
        """The loss of a batch, inputs and then the target."""
        return self.loss(self.module(*batch[:-1]), batch[-1])

    def step(self, *batch: Any) -> Any:
        """One step; its loss."""
        self.optimizer.zero_grad()
        loss = self.objective(*batch)
        loss.backward()
        self.optimizer.step()
        return loss.detach()

    def run(self, steps: int) -> NDArray[Any]:
        """Step by step."""
        losses = []
        for _ in range(steps):
            losses.append(self.step(*self.batches[self.taken % len(self.batches)]))
            self.taken += 1
        return as_losses(losses)


def reference(work: ModuleWork) -> Eager:
    """In double precision: what the others are compared with."""
    return Eager(work, torch.float64)


class ChannelsLast(Eager):
    """Images and kernels with their channels innermost."""

    def __init__(self, work: ModuleWork) -> None:
        super().__init__(work, memory_format=torch.channels_last)


class Compiled(Eager):
    """Forward and backward through ``torch.compile``."""

    def __init__(self, work: ModuleWork) -> None:
        import torch._inductor.compile_fx  # otherwise imported with the first step

        super().__init__(work)
        self.objective = torch.compile(self.objective)  # type: ignore[method-assign]


class Native(Eager):
    """``allbps.torch.train_step``, its comparison of the first step included."""

    def __init__(self, work: ModuleWork) -> None:
        super().__init__(work)
        self.step = train_step(  # type: ignore[method-assign]
            self.module, self.loss, self.batches[0], optimizer=self.optimizer
        )
