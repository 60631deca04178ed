"""PyTorch, compiled."""

from __future__ import annotations

import torch
import torch._inductor.compile_fx  # otherwise imported with the first step: part of PyTorch

from allbps.bench.by_torch import Eager
from allbps.bench.work import Work


class Compiled(Eager):
    """The loss and its backward pass through ``torch.compile``."""

    def __init__(self, work: Work) -> None:
        super().__init__(work)
        self.loss = torch.compile(self.loss)
