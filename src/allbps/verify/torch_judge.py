"""The judge PyTorch: our forward pass as PyTorch code, differentiated by PyTorch's autograd."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

import numpy as np

from allbps.errors import NoRuleError
from allbps.extras import needs
from allbps.ir import Node
from allbps.readings.dialect import TORCH
from allbps.readings.source import Program, emit
from allbps.verify.evidence import Case, compare
from allbps.verify.finding import Finding
from allbps.verify.replay import as_double, in_double
from allbps.verify.silence import Silence


def torch_module() -> Any:
    """PyTorch.

    Raises:
        MissingExtraError: it is not installed.

    """
    with needs("torch", extra="torch", purpose="comparing with its autograd"):
        return import_module("torch")


def judge(case: Case) -> Iterator[Finding]:
    """Compare every δ with PyTorch's.

    Raises:
        Silence: the forward pass cannot be run by PyTorch.
        MissingExtraError: PyTorch is not installed.
    """
    gradients = autograd(case)
    for delta in case.deltas:
        yield compare(case, "torch", delta, gradients[delta.primal])


def autograd(case: Case) -> dict[Node, Any]:
    """PyTorch's gradient of every primal, from the same forward pass.

    Raises:
        Silence: the forward pass cannot be run by PyTorch.
        MissingExtraError: PyTorch is not installed.
    """
    torch = torch_module()
    traced = in_double(case.backward.traced)
    for node in traced.graph.nodes:
        if node.op.why_no_torch:
            raise Silence(f"{node.op.name} cannot be compared: {node.op.why_no_torch}")
    try:
        program = emit(traced, TORCH)
    except NoRuleError as error:
        raise Silence(error.what) from None
    given = {x.name: case.values[x.name] for x in traced.graph.inputs}
    return _gradients(torch, case, _run(torch, program, given))


def _tensor(torch: Any, value: Any) -> Any:
    return torch.tensor(np.array(as_double(value)))  # a copy: PyTorch wants to own its memory


def _run(torch: Any, program: Program, given: Mapping[str, Any]) -> dict[str, Any]:
    """Every value of the forward pass as a tensor that has a gradient of its own.

    Raises:
        Silence: a statement fails in PyTorch.

    """
    scope = program.scope({})
    scope.update({name: _tensor(torch, value) for name, value in given.items()})
    for name in given:
        scope[name].requires_grad_(scope[name].is_floating_point())
    for line in program.forward:
        try:
            exec(line.code, scope)
        except Exception as error:  # whatever PyTorch raises: it cannot run this line
            raise Silence(f"{line.code} fails in PyTorch: {error}") from None
        value = scope[line.node.name]
        if not isinstance(value, torch.Tensor):
            value = torch.tensor(value)
        # `Y = X` and a reshape to the same shape give the same tensor a second name
        own = scope[line.node.name] = value.clone()
        if own.is_floating_point() and not own.requires_grad:  # it depends on no input
            own.requires_grad_()
    return scope


def _gradients(torch: Any, case: Case, tensors: Mapping[str, Any]) -> dict[Node, Any]:
    """Primal -> PyTorch's gradient; zeros where it says that nothing depends on it."""
    outputs = [tensors[name] for name in case.replay.seeds]
    seeds = [_tensor(torch, seed) for seed in case.replay.seeds.values()]
    primals = [delta.primal for delta in case.deltas]
    found = torch.autograd.grad(
        outputs,
        [tensors[primal.name] for primal in primals],
        [seed.reshape(y.shape) for seed, y in zip(seeds, outputs, strict=True)],
        allow_unused=True,
    )
    return {
        primal: np.zeros(primal.shape) if gradient is None else gradient.numpy()
        for primal, gradient in zip(primals, found, strict=True)
    }
