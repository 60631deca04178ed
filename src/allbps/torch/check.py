"""``bp.check`` of what PyTorch differentiates: Functions, modules, pairs of functions."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils import _pytree as pytree

from allbps.errors import AllBPsError
from allbps.ir.foreign import refuse_foreign
from allbps.names import identifier
from allbps.torch.contract import alike
from allbps.torch.examine import Examination, examine
from allbps.torch.net import from_module
from allbps.torch.replaced import called_with
from allbps.torch.returned import (
    Call,
    argument_names,
    functions_inside,
    has_ctx,
    names_in_forward,
    summed,
)
from allbps.torch.subject import Subject, is_float
from allbps.trace import Traced
from allbps.tree import leaves
from allbps.verify import Report, check
from allbps.verify.finding import Finding, Verdict
from allbps.verify.finding import Subject as Judged
from allbps.verify.torchs import function_of, is_torchs

SHOWN = 3
"""So many wrong elements of one function are told."""


def check_torch(f: Any, xs: Sequence[Any], gradients: Any, options: Mapping[str, Any]) -> Report:
    """A report on a backward pass that PyTorch runs.

    Args:
        f: the reference where ``gradients`` are given, else the thing itself: a Function, a module,
            a function of tensors, a pair (forward, backward).
        xs: its inputs, tensors or arrays.
        gradients: None, or a Function, a module or a function of tensors to be compared with ``f``.
        options: of ``check``.

    """
    thing = f if gradients is None else gradients
    called, inputs, names = _callable(thing, xs)
    marked = _are_marked(xs)
    with functions_inside() as inside, _needs_tensors(names, inputs):
        results = called(*inputs)
    subject = Subject.of(called, inputs)
    found = examine(subject, atol=1e-9, rtol=1e-6)
    faults = [*found.faults, *_faults_inside(thing, inside)]
    if not marked:
        faults += _without_gradient(subject, names)
    report = _by_graph(f, thing, called, inputs, names, gradients is not None, options)
    if report is None:
        report = _by_differences(_name(thing), found, names)
    elif all(report.marks):
        faults += [str(wrong) for wrong in found.wrong[:SHOWN]]
    if gradients is not None:
        faults += _other_value(f, xs, inputs, results)
    notes = (*report.notes, *found.notes, *_summed(called, inputs, names, inside))
    return replace(report, faults=tuple(dict.fromkeys(faults)), notes=notes)


@contextmanager
def _needs_tensors(names: Sequence[str], inputs: Sequence[Any]) -> Iterator[None]:
    """Tell of a function that hands its tensors to NumPy what to pass instead."""
    try:
        yield
    except (TypeError, ValueError, RuntimeError) as error:
        frames = traceback.walk_tb(error.__traceback__)
        modules = [str(frame.f_globals.get("__name__")) for frame, _ in frames]
        if "numpy()" in str(error) or any(name.split(".")[0] == "numpy" for name in modules):
            tensors = zip(names, inputs, strict=True)
            refuse_foreign(*next((x, n) for n, x in tensors if isinstance(x, torch.Tensor)))
        raise


# -- what is checked -------------------------------------------------------------------------------
def _callable(thing: Any, xs: Sequence[Any]) -> tuple[Callable[..., Any], list[Any], list[str]]:
    """A function of tensors alone, its inputs, and what they are called."""
    arrays, marked = any(isinstance(x, (torch.Tensor, np.ndarray)) for x in xs), _are_marked(xs)
    is_option = [arrays and isinstance(x, float) for x in xs]
    inputs = [x if plain else _tensor(x, marked) for x, plain in zip(xs, is_option, strict=True)]
    function = function_of(thing)
    if function is not None:
        return function.apply, inputs, names_in_forward(function, len(inputs))
    if isinstance(thing, nn.Module):
        return _module(thing, inputs)
    if isinstance(thing, tuple):
        return _paired(*thing).apply, inputs, argument_names(thing[0], len(inputs))
    return thing, inputs, argument_names(thing, len(inputs))


def _are_marked(xs: Sequence[Any]) -> bool:
    """Do some of the inputs say that they need a gradient? Then the others need none."""
    return any(isinstance(x, torch.Tensor) and x.requires_grad for x in xs)


def _tensor(x: Any, marked: bool) -> Any:
    """A tensor that requires a gradient, if it is made of floating-point numbers."""
    if isinstance(x, (np.ndarray, np.floating, float)):
        x = torch.as_tensor(np.asarray(x))
    if not is_float(x):
        return x
    if marked:
        return x.detach().requires_grad_(x.requires_grad)
    return x.detach().clone().requires_grad_()


def _module(
    module: nn.Module, inputs: list[Any]
) -> tuple[Callable[..., Any], list[Any], list[str]]:
    """Parameters are inputs too."""
    params = {name: p for name, p in module.named_parameters() if p.requires_grad}
    count = len(inputs)
    ids = [id(p) for p in params.values()]
    buffers = {id(b): b.detach().clone() for b in module.buffers()}

    def called(*given: Any) -> Any:
        own = dict(zip(ids, given[count:], strict=True))
        fresh = {number: b.clone() for number, b in buffers.items()}
        return called_with(module, {**own, **fresh}, given[:count])

    values = [p.detach().clone().requires_grad_() for p in params.values()]
    return called, [*inputs, *values], [*argument_names(module.forward, count), *params]


def _paired(forward: Callable[..., Any], backward: Callable[..., Any]) -> Any:
    """A Function from ``result, cache = forward(…)`` and ``backward(δ, cache)``."""

    class Pair(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *inputs: Any) -> Any:
            result, ctx.cache = forward(*inputs)
            return result

        @staticmethod
        def backward(ctx: Any, *deltas: Any) -> Any:
            return backward(deltas[0] if len(deltas) == 1 else deltas, ctx.cache)

    return Pair


def _name(thing: Any) -> str:
    function = function_of(thing)
    if function is not None:
        return str(function.__name__)
    return type(thing).__name__ if isinstance(thing, nn.Module) else getattr(
        thing[0] if isinstance(thing, tuple) else thing, "__name__", "function"
    )  # fmt: skip


# -- what backward returns -------------------------------------------------------------------------
def _without_gradient(subject: Subject, names: Sequence[str]) -> Iterator[str]:
    """Of some inputs backward gives no gradient, and nobody has said whether they need one."""
    results = subject.run(subject.fresh())
    given = subject.pulled(subject.cotangents(results, 0))
    without = [names[k] for k, g in zip(subject.moving, given, strict=True) if g is None]
    if without and len(without) < len(given):
        yield (
            f"no gradient is given for {' and '.join(without)}: where none is wanted, mark the"
            " inputs that need one, x.requires_grad_()"
        )


def _summed(
    called: Any, inputs: Sequence[Any], names: Sequence[str], inside: Sequence[Call]
) -> Iterator[str]:
    """Gradients that PyTorch sums, of the thing itself and of the Functions inside."""
    function = function_of(called)
    if function is not None:
        yield from summed(function, inputs, names)
    for one in inside:
        yield from (f"{one.function.__name__}: {said}" for said in one.summed())


# -- Functions inside ------------------------------------------------------------------------------
def _faults_inside(thing: Any, inside: Sequence[Call]) -> Iterator[str]:
    """What is wrong with the Functions that a module applies, each by its name."""
    if function_of(thing) is not None or isinstance(thing, tuple):
        return
    for k, (function, args) in enumerate(inside):
        report = check_torch(function, args, None, {})
        if not report:
            said = [*report.faults, *(str(mark) for mark in report.marks if not mark)]
            said += [str(finding) for finding in report.disagreements[:SHOWN]]
            where = f"{function.__name__} (Function {k + 1} of {len(inside)})"
            yield f"{where}: {'; '.join(' '.join(one.split()) for one in said)}"


# -- the right gradient ----------------------------------------------------------------------------
@dataclass(frozen=True)
class _ByAutograd:
    """A backward pass that PyTorch runs, for ``check`` to mark."""

    subject: Subject
    given: Sequence[str]

    def takes_delta(self, count: int) -> bool:
        return True

    def gradients(
        self, traced: Traced, xs: tuple[Any, ...], kwargs: Mapping[str, Any], delta: Any
    ) -> dict[str, Any]:
        parameters = [name for name in traced.parameters if name != "params" or not self.given]
        results = self.subject.run(self.subject.fresh())
        deltas = [
            torch.as_tensor(np.asarray(u)).to(y.dtype).reshape(y.shape) if is_float(y) else None
            for u, y in zip(leaves(delta), results, strict=True)
        ]
        found: dict[str, Any] = {}
        for k, g in zip(self.subject.moving, self.subject.pulled(deltas), strict=True):
            x = self.subject.inputs[k]
            value = torch.zeros_like(x) if g is None else g
            if k < len(parameters):
                found[parameters[k]] = value.detach().numpy()
            else:
                found.setdefault("params", {})[self.given[k]] = value.detach().numpy()
        return found


def _by_graph(
    f: Any, thing: Any, called: Callable[..., Any], inputs: list[Any], names: list[str],
    compared: bool, options: Mapping[str, Any],
) -> Report | None:  # fmt: skip
    """With our own backward pass of the reference, which says where the mistake is."""
    subject = Subject.of(called, inputs).doubled()
    arrays = [x.detach().numpy() if isinstance(x, torch.Tensor) else x for x in subject.inputs]
    if compared and not is_torchs(f):
        try:
            return check(f, *arrays, gradients=_ByAutograd(subject, ()), **options)
        except Exception:  # not of arrays: a function of tensors
            pass
    reference = f if compared else thing
    try:
        forward = _forward_alone(reference, names)
        with functions_inside() as inside:
            forward(*subject.inputs)
        if inside:  # the graph would hold their backward passes, which are what is judged
            return None
        net = from_module(forward, *subject.inputs)
        report = check(net, *arrays, gradients=_ByAutograd(subject, ()), **options)
    except (AllBPsError, RuntimeError, TypeError, ValueError, AttributeError):
        return None
    return replace(report, function=_name(thing))


def _forward_alone(thing: Any, names: Sequence[str]) -> nn.Module:
    """A module that computes the forward pass of a Function by PyTorch's operations."""
    function = function_of(thing)
    if function is not None:
        new = not has_ctx(function)
        run = function.forward if new else lambda *xs: function.forward(_Context(), *xs)
    elif isinstance(thing, tuple):
        run = lambda *xs: thing[0](*xs)[0]  # noqa: E731
    elif isinstance(thing, nn.Module):
        run = _module(thing, [None] * (len(names) - len(dict(thing.named_parameters()))))[0]
    else:
        run = thing
    own = [identifier(name) for name in names]
    scope: dict[str, Any] = {"run": run, "nn": nn}
    exec(
        "class Forward(nn.Module):\n"
        f"    def forward(self, {', '.join(own)}):\n        return run({', '.join(own)})\n",
        scope,
    )
    made: nn.Module = scope["Forward"]()
    return made


class _Context:
    """Stands for the context of a Function where only its value is wanted."""

    needs_input_grad = (True,) * 99

    def save_for_backward(self, *tensors: Any) -> None: ...

    def save_for_forward(self, *tensors: Any) -> None: ...

    def mark_dirty(self, *tensors: Any) -> None: ...

    def mark_non_differentiable(self, *tensors: Any) -> None: ...

    def set_materialize_grads(self, value: bool) -> None: ...


def _by_differences(name: str, found: Examination, names: Sequence[str]) -> Report:
    """What differences alone say, one finding for each input."""
    findings = []
    for k in sorted({*found.confirmed, *(wrong.input for wrong in found.wrong)}):
        worst = next((wrong for wrong in found.wrong if wrong.input == k), None)
        if worst is None:
            findings.append(Finding("differences", names[k], Verdict.AGREE, 0.0, compared=1))
            continue
        size = max(abs(worst.given), abs(worst.slope), 1e-300)
        findings.append(
            Finding(
                "differences",
                names[k],
                Verdict.DISAGREE,
                abs(worst.given - worst.slope) / size,
                worst.index,
                worst.given,
                worst.slope,
                compared=1,
            )
        )
    judged = tuple(Judged(finding.node, "", ()) for finding in findings)
    note = "the forward pass cannot be read by torch.export, so differences alone judge"
    return Report(name, judged, tuple(findings), notes=(note,))


def _other_value(f: Any, xs: Sequence[Any], inputs: Sequence[Any], results: Any) -> Iterator[str]:
    """Is the value another than the reference's?"""
    plain = [x.detach().numpy() if isinstance(x, torch.Tensor) else x for x in inputs[: len(xs)]]
    tensors = [x.detach() if isinstance(x, torch.Tensor) else x for x in inputs[: len(xs)]]
    try:
        value = f(*(tensors if is_torchs(f) else plain))
    except Exception:
        value = f(*tensors)
    theirs = [torch.as_tensor(y) for y in pytree.tree_leaves(value)]
    ours = [y for y in pytree.tree_leaves(results) if isinstance(y, torch.Tensor)]
    if len(ours) != len(theirs):
        yield f"forward returns {len(ours)} tensors, and the reference {len(theirs)}"
        return
    for k, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        if not alike(a.detach().double(), b.detach().double()) and not torch.allclose(
            a.detach().double(), b.detach().double(), rtol=1e-5, atol=1e-7
        ):
            yield f"forward and the reference give different values, in result {k}"
