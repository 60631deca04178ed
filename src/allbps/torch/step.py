"""``train_step``: a PyTorch module's whole training step in native code."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils import _pytree as pytree

from allbps.errors import ArgumentError
from allbps.torch.arguments import array
from allbps.torch.attributes import Writes, Written
from allbps.torch.checked import compare_with_eager
from allbps.torch.compiled import CompiledStep
from allbps.torch.export import exported, first_result
from allbps.torch.held import Held
from allbps.torch.losses import Loss, WithLoss, check_loss, named_batch
from allbps.torch.memory import Memories
from allbps.torch.net import interpreted
from allbps.torch.refusals import check_module, check_tensor
from allbps.torch.rules import structure


class CompiledAgainWarning(UserWarning):
    """A step was compiled again, since a batch had another shape, or the module changed."""


class RoundingWarning(UserWarning):
    """PyTorch's optimizer rounds to a coarser kind of number, and native code does not."""


class TrainStep:
    """A training step of a PyTorch module in native code; see ``train_step``.

    Attributes:
        module: the module, whose parameters and buffers are worked on where they are.
        optimizer: PyTorch's optimizer or optimizers, whose numbers are read in each step and whose
            state is kept.
        taken: how many steps have been taken.

    """

    def __init__(
        self, module: nn.Module, loss: Loss, example_batch: Any, optimizer: Any, *, check: bool,
        threads: int | None, max_norm: float | None, seed: int | None,
    ) -> None:  # fmt: skip
        check_module(module)
        args, kwargs = named_batch(example_batch)
        self.module, self.optimizer, self.taken = module, optimizer, 0
        self._whole = WithLoss(module, loss, len(args) or len(kwargs), bool(kwargs))
        self._optimizers = list(optimizer) if isinstance(optimizer, (list, tuple)) else [optimizer]
        self._seed, self._check = seed, check
        self._memory = Memories(self._optimizers)
        for rounds in {memory.kind.rounds for memory in self._memory.each} - {""}:
            warnings.warn(
                f"PyTorch rounds {rounds}; native code computes in the parameters' own"
                " precision", RoundingWarning, stacklevel=3,
            )  # fmt: skip
        self._options = {"threads": threads, "max_norm": max_norm}
        self._compiled: dict[Any, CompiledStep] = {}
        self._compared = set[Any]()  # kinds of numbers of which a step was compared
        self._written: set[Written] = set()
        self._parts = list(self._whole.modules())
        self._look()
        self._current = self._find(args, kwargs)[0]

    def __call__(self, *batch: Any, **named: Any) -> Any:
        """Take a step on a batch; its loss as a tensor.

        Raises:
            NonFiniteError: the loss is NaN or infinite; nothing has been changed.
            ArgumentError, ShapeError, DtypeError: this is no batch like the example.

        """
        if len(batch) == 1 and not named and isinstance(batch[0], (tuple, list, dict)):
            batch, named = named_batch(batch[0])  # type: ignore[assignment]
        found, inputs = self._find(batch, named)
        result = found(inputs, self.taken)
        self.taken += 1
        self._memory.taken(found.params.tensors)
        if isinstance(result, (np.generic, np.ndarray)):
            return torch.tensor(result)
        return pytree.tree_map(torch.tensor, result)

    # -- which of the compiled ones ----------------------------------------------------------------
    def _find(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[CompiledStep, Any]:
        """The step that was compiled for such a batch, and the batch as arrays."""
        if self._changed():
            self._look()
            self._compiled.clear()
            self._memory = Memories(self._optimizers)
        leaves, spec = _flat(args, kwargs)
        for k, leaf in enumerate(leaves):
            if isinstance(leaf, np.ndarray):
                raise ArgumentError(
                    f"part {k} of the batch is an array of NumPy", expected="a tensor",
                    got=f"{leaf.dtype} {leaf.shape}", todo="torch.from_numpy(x)",
                )  # fmt: skip
        inputs = [array(leaf) for leaf in leaves]
        key = (
            spec,
            tuple((x.shape, x.dtype) if isinstance(x, np.ndarray) else x for x in inputs),
            tuple([part.training for part in self._parts]),
            tuple([p.requires_grad for p in self._params]),
        )
        found = self._compiled.get(key)
        if found is not None and not found.is_stale:
            return found, [x for x in inputs if isinstance(x, np.ndarray)]
        if self._compiled or self.taken:
            self._say(key, found)
        for k, leaf in enumerate(leaves):
            if isinstance(leaf, torch.Tensor):
                check_tensor(leaf, f"part {k} of the batch", "pass x.float().cpu()")
        kinds = tuple(x.dtype if isinstance(x, np.ndarray) else None for x in inputs)
        found = self._compile(args, kwargs, [x for x in inputs if isinstance(x, np.ndarray)])
        if self._check and (not self._compiled or kinds not in self._compared):
            compare_with_eager(found, self._whole, args, kwargs, self._memory)
            self._compared.add(kinds)
        self._compiled[key] = found
        return found, [x for x in inputs if isinstance(x, np.ndarray)]

    def _say(self, key: Any, found: CompiledStep | None) -> None:
        name = type(self.module).__name__
        if found is not None:
            why = "a buffer that the step takes as a constant has changed"
        elif any(key[2:] == other[2:] for other in self._compiled):
            shapes = ", ".join(str(x[0]) for x in key[1] if isinstance(x, tuple) and len(x) == 2)
            why = f"a batch has a different shape: {shapes}"
        else:
            why = "train() or eval(), requires_grad, an option, the module or optimizer has changed"
        warnings.warn(
            f"the step of {name} is compiled again, once, because {why}",
            CompiledAgainWarning, stacklevel=4,
        )  # fmt: skip

    def _compile(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any], inputs: Any
    ) -> CompiledStep:
        writes = Writes(self._whole)
        program = exported(self._whole, args, kwargs, writes)
        if writes.written - self._written:
            self._written |= writes.written
            self._look()
        check_loss(first_result(program), self._whole.loss)
        names = {id(p): name for name, p in self.module.named_parameters()}
        names |= {id(p): f"loss.{n}" for n, p in _parameters(self._whole.loss)}
        ours = {id(p) for p in self._memory.params}
        moved = {names[k] for k in names if k in ours and self._by_id[k].requires_grad}
        title = type(self.module).__name__
        while True:
            seed = self._seed
            found = interpreted(self._whole, program, args, kwargs, seed, frozenset(moved))
            if not any(text.startswith("params[") for text in found.written.states):
                raise ArgumentError(
                    "the optimizer has no parameter that the loss depends on",
                    expected="optimizer=torch.optim.SGD(module.parameters(), …) of this module",
                )
            step = CompiledStep(found, title, self._memory, self._options, inputs)
            lost = step.unreached()
            if not lost:
                break
            moved.difference_update(lost)  # PyTorch has no gradient for them: they stay as they are
        step.compile()
        return step

    # -- has somebody changed the module or the optimizer? ---------------------------------------
    def _look(self) -> None:
        """Remember which modules, parameters, buffers and options there are."""
        self._parts = list(self._whole.modules())
        self._held = Held(self._parts, self._written)
        self._params = list(self._whole.parameters())
        self._by_id = {id(p): p for p in self._params}
        self._structure = structure(self._optimizers)

    def _changed(self) -> bool:
        return self._held.changed or structure(self._optimizers) != self._structure

    @property
    def source(self) -> str:
        """The loss and the new buffers in NumPy's style, a line for each operation."""
        return self._current.objective.source.text

    def stages(self) -> Any:
        """What a step does, in order, with estimated operations and numbers moved."""
        assert self._current.step is not None
        return self._current.step.stages()

    def profile(self, repeats: int = 20) -> Any:
        """The stages with the time that each takes, on the last batch."""
        assert self._current.step is not None
        return self._current.step.profile(repeats)

    def __repr__(self) -> str:
        count = sum(p.numel() for p in self._params)
        name = type(self.module).__name__
        return f"<training step of {name}, {count:,} parameters, {self.taken} steps taken>"


def _flat(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[list[Any], Any]:
    """The leaves of a batch, and how they are arranged: the usual batch is some tensors."""
    if not kwargs and all(isinstance(x, torch.Tensor) for x in args):
        return list(args), len(args)
    return pytree.tree_flatten((args, dict(kwargs)))


def _parameters(loss: Any) -> Iterator[tuple[str, torch.Tensor]]:
    if isinstance(loss, nn.Module):
        yield from loss.named_parameters()


def train_step(
    module: nn.Module,
    loss: Loss,
    example_batch: Any,
    optimizer: Any,
    *,
    check: bool = True,
    threads: int | None = None,
    max_norm: float | None = None,
    seed: int | None = None,
) -> TrainStep:
    """A whole training step of a PyTorch module, forward, backward and update, in native code.

    The module and PyTorch's own optimizer object describe it. Their tensors are worked on where
    they are: ``module.state_dict()`` and ``optimizer.state_dict()`` are always current, what is
    written into parameters between steps is seen, learning rates and other options are read in
    each step, so that schedulers go on as usual.

    Args:
        module: dense float32 or float64 on the CPU, in training mode as a rule.
        loss: of (output, target), as ``F.cross_entropy`` or ``nn.MSELoss()``; or of (module,
            *batch); or of the output alone; None where the module's output is the loss or has it
            as ``.loss``. It may return a tuple that begins with the loss.
        example_batch: a tuple of tensors, inputs and then the target; or a dict of keywords.
        optimizer: ``torch.optim``'s SGD, Adam, AdamW, NAdam, RAdam, Adamax, Adadelta, Adagrad,
            RMSprop, Rprop, ASGD, Adafactor or Muon, with any groups of parameters; or a list of
            several, each with parameters of its own, as ``[muon, adamw]``.
        check: compare the first step on the example with PyTorch's, and raise where they differ.
        threads: how many; as many as pay where it is left out. Results do not depend on it.
        max_norm: gradients are shortened to it together, as by ``clip_grad_norm_``.
        seed: of dropout and what else is drawn; PyTorch's own where it is left out.

    Raises:
        NoRuleError, ArgumentError, NotDifferentiableError, DtypeError: as ``from_module``.
        NotScalarError: the loss is no single number.
        DifferenceError: ``check`` found a difference.

    >>> import allbps as bp, torch
    >>> net = torch.nn.Linear(2, 1)
    >>> sgd = torch.optim.SGD(net.parameters(), lr=0.1)
    >>> x, y = torch.ones(4, 2), torch.zeros(4, 1)
    >>> step = bp.torch.train_step(net, torch.nn.functional.mse_loss, (x, y), optimizer=sgd)
    >>> bool(step(x, y) > step(x, y))
    True

    """
    return TrainStep(
        module, loss, example_batch, optimizer, check=check, threads=threads, max_norm=max_norm,
        seed=seed,
    )  # fmt: skip
