"""A module as a graph of ATen operations: functional, with convolutions, norms, losses whole."""

from __future__ import annotations

import importlib
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import nn
from torch.export import ExportedProgram
from torch.export.graph_signature import OutputKind
from torch.fx import GraphModule, Node

from allbps.errors import AllBPsError
from allbps.torch.attributes import Writes
from allbps.torch.checks import checks_kept
from allbps.torch.counting import counted
from allbps.torch.counts import counts_not_asked
from allbps.torch.inside import gradients_noted, transformations_left
from allbps.torch.lost import nothing_lost
from allbps.torch.own_backward import backward_passes_kept
from allbps.torch.packed import packed_as_padded
from allbps.torch.refusals import in_words
from allbps.torch.stand_ins import without_a_look
from allbps.torch.table import writers_of
from allbps.torch.where import all_users_lines

ROUNDS = 4
"""How often what the table lacks is taken apart: a decomposition may hold what has one itself."""


def exported(
    module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any],
    writes: Writes | None = None,
) -> ExportedProgram:  # fmt: skip
    """The graph of a module on arguments of these shapes, in its present mode.

    What the table has no text for is taken apart by PyTorch's own decompositions.

    Args:
        module: it; its attributes are left as they are.
        args: example arguments.
        kwargs: example arguments by keyword.
        writes: where to note which attributes its forward pass writes.

    Raises:
        ArgumentError: the module decides by values, keeps state beside its buffers, or cannot be
            exported for another reason.
        NotDifferentiableError: it has a backward pass of its own that no graph can hold.

    """
    with warnings.catch_warnings(), transformations_left():
        warnings.simplefilter("ignore")
        try:
            with (
                (writes or Writes(module)).put_back(), nothing_lost(), gradients_noted(),
                backward_passes_kept(),
                without_a_look(), all_users_lines(), _masks_as_given(), counts_not_asked(),
                packed_as_padded(), checks_kept(),
                _distributions_as_given(), _attributes_as_written(), _quiet(),
                torch.enable_grad(),
            ):  # fmt: skip
                program: ExportedProgram = torch.export.export(module, args, dict(kwargs))
            _stop_where_no_grad_was(program.graph_module)
            program = program.run_decompositions({})
            for _ in range(ROUNDS):
                table = _decompositions(program)
                if not table:
                    break
                program = program.run_decompositions(table)
            counted(program, module)
        except AllBPsError:
            raise
        except Exception as error:
            raise in_words(error, module) from error
    return program


@contextmanager
def _masks_as_given() -> Iterator[None]:
    """Inside, ``nn.Transformer`` uses a mask as it is.

    It would look at the numbers of one to see whether it is causal, which no graph can do; the
    results are the same.
    """
    layers: Any = nn.modules.transformer
    original = layers._detect_is_causal_mask
    layers._detect_is_causal_mask = lambda mask, is_causal=None, size=None: is_causal is True
    try:
        yield
    finally:
        layers._detect_is_causal_mask = original


@contextmanager
def _distributions_as_given() -> Iterator[None]:
    """Inside, ``torch.distributions`` does not look at the numbers it is given, as by ``-O``."""
    kind: Any = torch.distributions.Distribution
    before = kind._validate_args
    kind.set_default_validate_args(False)
    try:
        yield
    finally:
        kind.set_default_validate_args(before)


@contextmanager
def _attributes_as_written() -> Iterator[None]:
    """Inside, PyTorch does not put attributes back itself before we have looked."""
    trace: Any = importlib.import_module("torch.export._trace")
    original = trace._detect_attribute_assignment
    trace._detect_attribute_assignment = lambda *args, **kwargs: nullcontext()
    try:
        yield
    finally:
        trace._detect_attribute_assignment = original


@contextmanager
def _quiet() -> Iterator[None]:
    """Inside, PyTorch logs and prints no graph beside the error that we tell."""
    loud = [logging.getLogger(name) for name in LOUD]
    trace: Any = importlib.import_module("torch.export._trace")
    before = [logger.level for logger in loud]
    for logger in loud:
        logger.setLevel(logging.CRITICAL)
    trace.print = lambda *args, **kwargs: None
    try:
        yield
    finally:
        for logger, level in zip(loud, before, strict=True):
            logger.setLevel(level)
        del trace.print


LOUD = ("torch.fx.experimental.symbolic_shapes", "torch._subclasses.fake_tensor")
"""What logs an error that is told."""


def first_result(program: ExportedProgram) -> Any:
    """What stands for the first result of the module: it has a shape and a dtype."""
    (output,) = [node for node in program.graph.nodes if node.op == "output"]
    specs = program.graph_signature.output_specs
    results = [
        value
        for spec, value in zip(specs, output.args[0], strict=True)
        if spec.kind == OutputKind.USER_OUTPUT
    ]
    first = results[0] if results else None
    return first.meta["val"] if isinstance(first, Node) else first


def _decompositions(program: ExportedProgram) -> dict[Any, Any]:
    """PyTorch's decompositions of the operations that the table lacks, where it has them."""
    missing = [op for op in operations(program) if writers_of(op) is None]
    if not missing:
        return {}
    known: Any = torch.export.default_decompositions()
    found = {op: known[op] for op in missing if op in known}
    rest = [op for op in missing if op not in found]
    more: dict[Any, Any] = torch._decomp.get_decompositions(rest) if rest else {}
    return {**found, **more}


def operations(program: ExportedProgram) -> list[Any]:
    """The ATen operations of a graph, each once, in order."""
    nodes = (node for node in program.graph.nodes if node.op == "call_function")
    return list(dict.fromkeys(n.target for n in nodes if hasattr(n.target, "_schema")))


def _stop_where_no_grad_was(graph_module: GraphModule) -> None:
    """Put ``detach`` behind all that leaves a ``torch.no_grad`` region.

    ``run_decompositions`` dissolves such regions and forgets what they were for.
    """
    for node in list(graph_module.graph.nodes):
        if node.op != "call_function" or "wrap_with_set_grad_enabled" not in str(node.target):
            continue
        enabled, inner = node.args[0], getattr(graph_module, node.args[1].target)
        _stop_where_no_grad_was(inner)
        if not enabled:
            _detach_outputs(inner)
    graph_module.recompile()


def _detach_outputs(inner: GraphModule) -> None:
    (output,) = [node for node in inner.graph.nodes if node.op == "output"]

    def stopped(value: Node) -> Node:
        meta = value.meta.get("val")
        if not isinstance(meta, torch.Tensor) or not meta.dtype.is_floating_point:
            return value
        with inner.graph.inserting_before(output):
            made = inner.graph.call_function(torch.ops.aten.detach.default, (value,))
        made.meta = {**value.meta, "val": meta.detach()}
        return made

    output.args = torch.fx.node.map_arg(output.args, stopped)
    inner.recompile()
