"""A PyTorch module that answers, one question after the other: by PyTorch, and compiled."""

from __future__ import annotations

from typing import Any

import torch
from numpy.typing import NDArray

import allbps
from allbps.bench.module_work import ModuleWork
from allbps.bench.peer import as_losses, cores
from allbps.torch import from_module


class Eager:
    """The module in evaluation mode, without gradients."""

    def __init__(self, work: ModuleWork, dtype: torch.dtype = torch.float32) -> None:
        torch.set_num_threads(cores())
        module, self.measure, questions = work.built()
        self.module = module.to(dtype).eval()
        self.questions = [
            tuple(part.to(dtype) if part.is_floating_point() else part for part in question)
            for question in questions
        ]
        self.taken = 0

    def run(self, steps: int) -> NDArray[Any]:
        """One answer after the other."""
        found = []
        with torch.inference_mode():
            for _ in range(steps):
                question = self.questions[self.taken % len(self.questions)]
                found.append(self.measure(self.module(*question)))
                self.taken += 1
        return as_losses(found)


def reference(work: ModuleWork) -> Eager:
    """In double precision: what the others are compared with."""
    return Eager(work, torch.float64)


class Compiled(Eager):
    """Through ``torch.compile``."""

    def __init__(self, work: ModuleWork) -> None:
        import torch._inductor.compile_fx  # otherwise imported with the first step

        super().__init__(work)
        self.module = torch.compile(self.module)


class Native:
    """The module's function, compiled."""

    def __init__(self, work: ModuleWork) -> None:
        module, _, questions = work.built()
        arrays = [tuple(part.numpy() for part in question) for question in questions]
        self.questions, self.taken = arrays, 0
        net = from_module(module.eval(), *questions[0])

        def answered(*question: Any) -> Any:  # parameters stay what they are
            return net(*question)

        self.answer: Any = allbps.compile(answered, *arrays[0])

    def run(self, steps: int) -> NDArray[Any]:
        """One answer after the other."""
        found = []
        for _ in range(steps):
            answer = self.answer(*self.questions[self.taken % len(self.questions)])
            found.append((answer**2).mean())
            self.taken += 1
        return as_losses(found)
