"""From a traced function to an executable, step by step, and what is known of it afterwards."""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from numpy.typing import NDArray

from allbps.errors import CompilationError
from allbps.ir import INPUT, Graph, Node, ancestors
from allbps.machine.execution.codegen import Feed
from allbps.machine.execution.executable import Executable
from allbps.machine.guards import both, counted_from_the_end, gated, holding, vouched_for
from allbps.machine.language.errors import KernelError
from allbps.machine.language.operands import Memory
from allbps.machine.limits import Limit, limits
from allbps.machine.options import Options
from allbps.machine.planning.complexes import as_pairs
from allbps.machine.planning.layout import Layout
from allbps.machine.planning.passes import passes
from allbps.machine.planning.plan import Plan, Value, Work, make_plan
from allbps.machine.planning.reach import inside
from allbps.machine.planning.regular import regular
from allbps.machine.planning.rules import Rule
from allbps.machine.planning.substitutes import substitutes
from allbps.machine.planning.turned import turn_products
from allbps.machine.request import Request, request
from allbps.machine.works.chains import join_rows
from allbps.machine.works.emit import Blocks, Emitter
from allbps.machine.works.places import Places
from allbps.machine.works.random import emit_next_step
from allbps.machine.works.tasks import Place, Program
from allbps.machine.works.updates import Moving, emit_carry, emit_updates
from allbps.trace import Guard, Traced


class FallbackWarning(UserWarning):
    """Some operations have no kernel and run through NumPy."""


@dataclass(frozen=True, eq=False)
class Build:
    """A function that was built.

    Attributes:
        signature: of the function.
        traced: its graph.
        request: what was asked of it.
        rule: the optimiser as formulas, for a training step.
        program: its tasks and memory.
        executable: ready to run.
        inputs: where the arguments lie.
        results: where the results lie, those that a call returns.
        deltas: where the δ of the parameters lie, if they are not used up by an optimiser.
        slots: where lies what the optimiser remembers of each parameter, by name.
        limits: what kernels trust the numbers of arguments to be.
        holds: where stands whether what was traced holds for the arguments; None where it always
            does.
        keys: memory of a seed and the number of the step, for what draws random numbers.

    """

    signature: inspect.Signature
    traced: Traced
    request: Request
    rule: Rule | None
    program: Program
    executable: Executable
    inputs: Mapping[Node, Place]
    results: tuple[Place, ...]
    deltas: tuple[Place, ...]
    slots: Mapping[Node, Mapping[str, Place]]
    limits: Mapping[Node, tuple[Limit, ...]]
    holds: Place | None
    keys: tuple[Memory, ...]

    @property
    def blocks(self) -> Mapping[Memory, NDArray[Any]]:
        """The arrays behind blocks of memory."""
        return self.executable.blocks

    @property
    def fetched(self) -> tuple[Node, ...]:
        """Arguments that are given to every step."""
        return tuple(x for x in self.traced.graph.inputs if x not in self.request.changing)


def build(
    signature: inspect.Signature,
    traced: Traced,
    options: Options,
    *,
    guarded: bool = True,
    more: Callable[[Program, Sequence[Place], Sequence[Place], Blocks, bool], None] | None = None,
    layouts: list[Layout] | None = None,
) -> Build:
    """Everything between a traced function and one that can be called.

    Args:
        signature: of the function.
        traced: its graph.
        options: those of ``compile``.
        guarded: does the step look whether what was traced holds for its arguments?
        more: adds tasks of its own; it is given the program, where gradients and results lie, the
            arrays behind blocks once they exist, and whether the step looks at guards.
        layouts: how the parameters are to lie in memory, and their gradients too; an empty list is
            filled with what suits the function. Without it they lie as NumPy has them.

    Raises:
        AllBPsError: the options do not fit the function; see :func:`.request.request`.
        CompilationError: a fault of ours.

    """
    asked = request(traced, options)
    free = (layouts is not None or not options.in_place) and (asked.trains or layouts is not None)
    planned = _planned(traced, asked, guarded=guarded, free=free)
    program = Program(asked.real, options.convolution)
    blocks = dict[Memory, NDArray[Any]]()
    try:
        emitter = _emitted(program, planned, asked, blocks, layouts, guarded=guarded, free=free)
        ends = _ends(emitter.places, planned, asked)
        if layouts is not None:
            layouts[:] = [ends.inputs[x].layout for x in asked.params]
        training = _training(program, emitter.places, ends, asked, options, blocks, layouts)
        results = ends.results[: len(ends.results) - len(asked.carried)]
        if more is not None:
            more(program, training.deltas, results, blocks, ends.holds is not None)
        program.tasks = join_rows(program.tasks)
        feeds = _feeds(ends, asked) if training.loss is not None else []
        columns = training.rule.columns if training.rule is not None else 0
        executable = Executable(program, blocks, feeds, training.loss, options.threads, columns)
    except KernelError as error:
        raise CompilationError(
            f"{traced.title} could not be compiled",
            got=str(error),
            todo="this is a bug in allbps: please report it, with the function",
        ) from error
    if guarded:  # else the step that looks has said it
        _say_what_falls_back([*emitter.by_numpy, *training.by_numpy])
    return Build(
        signature, traced, asked, training.rule, program, executable, ends.inputs, results,
        training.deltas, training.slots, planned.limits, ends.holds, ends.keys,
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Planned:
    """The works between the arguments and everything that is wanted.

    Attributes:
        plan: its outputs are the results, then the gradients, then whether the guards hold.
        values: of the arguments.
        guarded: does the step look at guards, or at indices?

    """

    plan: Plan
    values: Mapping[Node, Value]
    guarded: bool

    @cached_property
    def limits(self) -> dict[Node, tuple[Limit, ...]]:
        """What kernels trust the numbers of arguments to be."""
        found = limits(self.plan)
        return {x: found[value] for x, value in self.values.items() if value in found}


def _planned(traced: Traced, asked: Request, *, guarded: bool, free: bool) -> Planned:
    """The plan, with the guards that the limits of arguments do not vouch for.

    Where parameters are ``free`` to lie as the function reads them, gradients follow; else
    gradients are made the way the parameters lie.
    """
    if not guarded:
        return _planned_with(traced, asked, None, free=free)
    guards = traced.guards
    whole = [guard for guard in guards if _of_integers(guard)]
    first = _planned_with(traced, asked, [g for g in guards if g not in whole], free=free)
    rest = {guard for guard in whole if vouched_for(guard, first.limits) is None}
    if not rest:
        return first
    looked_at = [g for g in guards if g in rest or g not in whole]
    return _planned_with(traced, asked, looked_at, free=free)


def _planned_with(
    traced: Traced, asked: Request, guards: Sequence[Guard] | None, *, free: bool
) -> Planned:  # fmt: skip
    inputs, outputs = traced.graph.inputs, list(traced.graph.outputs)
    deltas = asked.deltas.items()
    names = {delta.node: f"d{x.name}" for x, delta in deltas if not delta.node.name}
    wanted = [*outputs, *asked.grads]
    replaced = dict(counted_from_the_end(wanted, traced.values))
    holds = inside(wanted, replaced)
    if guards is not None:
        holds = both(holding(guards), holds, regular(wanted))
    whole = traced.graph if holds is None else Graph(inputs, (*outputs, holds))
    stands = substitutes(whole, asked.deltas, asked.real)
    if holds is not None and asked.trains:
        outputs[0] = gated(outputs[0], holds)
    wanted = [*outputs, *asked.grads, *([holds] if holds is not None else [])]
    stands.update(counted_from_the_end(wanted, traced.values))
    stands.update(as_pairs(wanted, stands))
    plan = passes(make_plan(inputs, wanted, stands, names))
    if not free:
        plan = turn_products(plan)
    return Planned(plan, dict(zip(inputs, plan.inputs, strict=True)), holds is not None)


def _of_integers(guard: Guard) -> bool:
    """Does a guard ask whole numbers of the arguments alone, as labels are?"""
    asked = [node for node in ancestors([guard.node]) if node.op is INPUT]
    return all(node.dtype.kind in "iu" for node in asked)


def _emitted(
    program: Program, planned: Planned, asked: Request, blocks: dict[Memory, NDArray[Any]],
    layouts: Sequence[Layout] | None, *, guarded: bool, free: bool,
) -> Emitter:  # fmt: skip
    """Tasks for all works; parameters that are free lie as the first work that reads them wants.

    Args:
        program: where tasks go.
        planned: the works.
        asked: what is asked of the function.
        blocks: filled later with the arrays behind blocks.
        layouts: how the parameters are to lie, if that is known.
        guarded: does the step look whether what was taken for granted holds?
        free: may parameters lie as they are read?

    """
    moving = [planned.values[x] for x in asked.params if free]
    places = Places(program, planned.plan, moving, guarded=guarded)
    emitter = Emitter(places, blocks)
    for value, layout in zip(moving, layouts or (), strict=False):
        emitter.places.decide(value, layout)
    for work in planned.plan.works:
        emitter.emit(work)
    return emitter


@dataclass(frozen=True, eq=False)
class Ends:
    """Where the values at both ends of a plan lie.

    Attributes:
        inputs: the arguments.
        results: everything that the function returns; kept until it is read.
        changing: values of the arguments that a training step changes.
        new: what the carried ones become.
        grads: values of the gradients.
        holds: whether the guards hold.
        keys: where random numbers begin.

    """

    inputs: Mapping[Node, Place]
    results: tuple[Place, ...]
    changing: frozenset[Value]
    new: tuple[Value, ...]
    grads: tuple[Value, ...]
    holds: Place | None
    keys: tuple[Memory, ...]


def _ends(places: Places, planned: Planned, asked: Request) -> Ends:
    values, outputs = planned.values, planned.plan.outputs
    holds = _kept(places.of(outputs[-1])) if planned.guarded else None
    count = len(outputs) - len(asked.grads) - planned.guarded
    changing = frozenset(values[x] for x in asked.changing)
    results = tuple(_kept(places.apart(value, changing)) for value in outputs[:count])
    inputs = {x: places.of(value) for x, value in values.items()}
    new = outputs[count - len(asked.carried) : count]
    grads = outputs[count : count + len(asked.grads)]
    drawing = [work.outputs[0] for work in planned.plan.works if work.kind == "key"]
    keys = tuple(places.of(key).memory for key in drawing)
    return Ends(inputs, results, changing, new, grads, holds, keys)


@dataclass(frozen=True, eq=False)
class Training:
    """What a training step does with its gradients.

    Attributes:
        rule: the optimiser; None where gradients are results.
        loss: the block with the loss.
        deltas: where gradients lie that are results.
        slots: where lies what the optimiser remembers of each parameter.
        by_numpy: works of the optimiser that have no kernel.

    """

    rule: Rule | None = None
    loss: Memory | None = None
    deltas: tuple[Place, ...] = ()
    slots: Mapping[Node, Mapping[str, Place]] = field(default_factory=dict)
    by_numpy: tuple[Work, ...] = ()


def _training(
    program: Program, places: Places, ends: Ends, asked: Request, options: Options,
    blocks: dict[Memory, NDArray[Any]], layouts: Sequence[Layout] | None,
) -> Training:  # fmt: skip
    """Tasks that move the parameters and carry over what is carried; else gradients are kept."""
    if layouts is not None:
        pairs = zip(ends.grads, layouts, strict=True)
        laid = [_kept(places.as_layout(value, layout)) for value, layout in pairs]
        return Training(deltas=tuple(laid))
    if options.optimizer is None:
        return Training(deltas=tuple(_kept(places.of(value)) for value in ends.grads))
    longest = math.inf if options.max_norm is None else options.max_norm
    rule = Rule(options.optimizer, clipped=longest < math.inf)
    loss = ends.results[0].memory
    moving = [
        Moving(x.name, ends.inputs[x], places.as_layout(value, ends.inputs[x].layout))
        for x, value in zip(asked.params, ends.grads, strict=True)
    ]
    slots, by_numpy = emit_updates(program, rule, moving, loss, longest, blocks)
    for x, value in zip(asked.carried, ends.new, strict=True):
        there = ends.inputs[x]
        here = places.apart_as(value, there.layout, ends.changing)
        emit_carry(program, f"{x.name}: carried over", here, there, loss)
    for key in ends.keys:
        emit_next_step(program, key, loss)
    kept = dict(zip(asked.params, slots, strict=True))
    return Training(rule, loss, slots=kept, by_numpy=tuple(by_numpy))


def _feeds(ends: Ends, asked: Request) -> list[Feed]:
    """Arguments that an epoch fetches: all but what the step keeps."""
    blocks = [place.memory for x, place in ends.inputs.items() if x not in asked.changing]
    return [Feed(block, Memory(f"_data{k}", 0, block.kind)) for k, block in enumerate(blocks)]


def _kept(place: Place) -> Place:
    place.memory.kept = True
    return place


def _say_what_falls_back(works: Iterable[Work]) -> None:
    kinds: dict[str, str] = {}
    for work in works:
        for step in work.steps or (work,):
            kinds.setdefault(step.kind, f" (line {work.site.line})" if work.site else "")
    if kinds:
        listed = ", ".join(f"{kind}{line}" for kind, line in kinds.items())
        warnings.warn(f"no kernel for {listed}: done through NumPy", FallbackWarning, stacklevel=4)
