"""Gradients that a forward pass takes itself: noted in the graph as one operation.

``torch.autograd.grad``, ``torch.func.grad``, ``vjp``, ``jacrev`` and ``hessian`` run PyTorch's
engine, which ``torch.export`` does not follow. While a module is exported they put an operation
``allbps::grad`` into the graph instead, which is written as backpropagation of our own.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import torch
from torch.fx import Node
from torch.utils import _pytree as pytree

from allbps.errors import NotDifferentiableError
from allbps.torch.subject import is_inexact
from allbps.torch.where import calling_line

NAMES = ("allbps.grad.default", "allbps.transposed.default")
"""How PyTorch prints the operations: the second is of what is linear in its inputs."""
_libraries: Any = torch.library  # it has no types
_library = _libraries.Library("allbps", "DEF")
_library.define("grad(Tensor[] outputs, Tensor[] inputs, Tensor[] cotangents) -> Tensor[]")
_library.define("transposed(Tensor[] outputs, Tensor[] inputs, Tensor[] cotangents) -> Tensor[]")
for _name in ("grad", "transposed"):
    _library.impl(_name, lambda _, inputs, __: [torch.empty_like(x) for x in inputs], "Meta")
_transforms: Any = importlib.import_module("torch._functorch.eager_transforms")
_recorded: Any = importlib.import_module("torch._functorch.predispatch")
_functorch: Any = importlib.import_module("torch._C._functorch")


def pulled(
    outputs: Sequence[torch.Tensor], inputs: Sequence[torch.Tensor],
    cotangents: Sequence[torch.Tensor | None],
) -> tuple[torch.Tensor, ...]:  # fmt: skip
    """The gradient of each input, as results of the operation."""
    given = [
        torch.ones_like(y) if g is None else g for y, g in zip(outputs, cotangents, strict=True)
    ]
    operation: Any = torch.ops.allbps.grad.default
    return tuple(operation(list(outputs), list(inputs), given))


def is_aim(node: Node) -> bool:
    """Is a node one that a gradient is taken of an output with respect to?"""
    return any(
        str(user.target) in NAMES and node in pytree.tree_leaves(user.args[1])
        for user in node.users
    )


# -- examples side by side, as in vmap(grad(f)) ----------------------------------------------------
def _for_each(
    info: Any, in_dims: Any, outputs: Any, inputs: Any, cotangents: Any
) -> tuple[list[torch.Tensor], list[int | None]]:
    """The operation on arguments with an axis of examples."""
    of_outputs, of_inputs, of_cotangents = in_dims
    if any(dim is not None for dim in of_outputs):
        if None in of_outputs or None in of_inputs:
            raise _refusal("vmap over a gradient of what is the same for all examples")
        given = [
            g.unsqueeze(at).expand_as(y) if dim is None else g.movedim(dim, at)
            for y, g, at, dim in zip(outputs, cotangents, of_outputs, of_cotangents, strict=True)
        ]
        return list(pulled(outputs, inputs, given)), list(of_inputs)
    if any(dim is not None for dim in of_inputs):  # no output depends on them
        return [torch.zeros_like(x) for x in inputs], list(of_inputs)
    if all(dim is None for dim in of_cotangents):
        return list(pulled(outputs, inputs, cotangents)), [None] * len(inputs)
    rows = [
        pulled(outputs, inputs, [g if dim is None else g.select(dim, k)
                                 for g, dim in zip(cotangents, of_cotangents, strict=True)])
        for k in range(info.batch_size)
    ]  # fmt: skip
    return [torch.stack(column) for column in zip(*rows, strict=True)], [0] * len(inputs)


_libraries.register_vmap("allbps::grad", _for_each, lib=_library)


def _fresh(x: Any) -> Any:
    """Another name for a tensor, to take a gradient with respect to; each example its own."""
    if not is_inexact(x):
        return x
    for level in _functorch.get_interpreter_stack() or ():
        if level.key() == _functorch.TransformType.Vmap and level.level() not in _levels(x):
            zeros = torch.zeros(_functorch.CVmapInterpreterPtr(level).batchSize(), dtype=x.dtype)
            x = x + _recorded._add_batch_dim(zeros, 0, level.level())
    return x.clone()


def _levels(x: torch.Tensor) -> set[int]:
    """The transformations that have given a tensor an axis of examples."""
    found: set[int] = set()
    while _functorch.is_batchedtensor(x):
        found.add(_functorch.maybe_get_level(x))
        x = _functorch.get_unwrapped(x)
    return found


# -- PyTorch's own functions -----------------------------------------------------------------------
@contextmanager
def gradients_noted() -> Iterator[None]:
    """Inside, gradients are operations of the graph.

    Raises:
        NotDifferentiableError: one is taken in a way that has no such operation.

    """
    with ExitStack() as stack:
        for module, name, ours in (
            (torch.autograd, "_engine_run_backward", _of_tensors),
            (_transforms, "grad_increment_nesting", _no_level),
            (_transforms, "_wrap_all_tensors", lambda tree, level: pytree.tree_map(_fresh, tree)),
            (_transforms, "_create_differentiable", lambda tree, level=None: tree),
            (_transforms, "_undo_create_differentiable", lambda tree, level=None: tree),
            (_transforms, "_autograd_grad", _of_transforms),
            (_transforms, "_jvp_with_argnums", _pushed),
        ):
            stack.enter_context(mock.patch.object(module, name, ours))
        yield


@contextmanager
def transformations_left() -> Iterator[None]:
    """Afterwards no ``vmap`` is open that was not open before, also where one has failed."""
    before = len(_functorch.get_interpreter_stack() or ())
    try:
        yield
    finally:
        while len(_functorch.get_interpreter_stack() or ()) > before:
            _functorch.pop_dynamic_layer_stack()


def _of_tensors(
    outputs: Any, cotangents: Any, retain_graph: Any, create_graph: bool, inputs: Any,
    *args: Any, accumulate_grad: bool = False, **kwargs: Any,
) -> tuple[torch.Tensor, ...]:  # fmt: skip
    """What ``torch.autograd.grad`` asks PyTorch's engine for."""
    if accumulate_grad:
        raise _refusal("backward()", "torch.autograd.grad(…, create_graph=True) gives them back")
    if not all(isinstance(x, torch.Tensor) for x in (*outputs, *inputs)):
        raise _refusal("torch.autograd.grad of GradientEdge")
    if _functorch.peek_interpreter_stack() is not None:
        raise _refusal("torch.autograd.grad inside of vmap", "torch.func.grad may stand there")
    found = pulled(outputs, inputs, cotangents)
    if not create_graph:
        return tuple(g.detach() for g in found)
    for g in found:
        g.requires_grad_()  # PyTorch leaves out what does not when it goes on from there
    return found


def _of_transforms(
    outputs: Any, inputs: Any, grad_outputs: Any = None, retain_graph: bool = False,
    create_graph: bool = True,
) -> tuple[torch.Tensor, ...]:  # fmt: skip
    """What ``torch.func.grad`` and ``jacrev`` ask for."""
    return pulled(outputs, inputs, grad_outputs or [None] * len(outputs))


@contextmanager
def _no_level() -> Iterator[int]:
    yield 0


def _pushed(
    f: Any, primals: Any, tangents: Any, argnums: Any = None, *, strict: bool = False,
    has_aux: bool = False,
) -> Any:  # fmt: skip
    """``jvp``: what is linear in δ has a gradient with respect to δ, and that is the derivative."""
    primals = pytree.tree_map(_fresh, primals)
    returned = f(*primals)
    out, aux = returned if has_aux else (returned, None)
    outputs, form = pytree.tree_flatten(out)
    moving = primals if argnums is None else _transforms._slice_argnums(primals, argnums, False)
    deltas = [_fresh(torch.zeros_like(y)) for y in outputs]
    back = pulled(outputs, pytree.tree_leaves(moving), deltas)
    pushed = pytree.tree_unflatten(pulled(back, deltas, pytree.tree_leaves(tangents)), form)
    return (out, pushed, aux) if has_aux else (out, pushed)


def _refusal(what: str, cure: str = "") -> NotDifferentiableError:
    return NotDifferentiableError(
        f"forward takes a gradient by {what} which torch.export does not follow",
        where=calling_line(),
        expected="torch.autograd.grad, or one of torch.func",
        todo=cure or "write that derivative out",
    )
