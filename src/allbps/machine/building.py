"""From a traced function to an executable: its plan, its memory, and what is known of both."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from allbps.backprop import Delta, backprop, seed_of
from allbps.errors import ArgumentError, DtypeError, NotScalarError
from allbps.ir import INPUT, Graph, Node, ancestors, constant
from allbps.machine.arguments import Limit
from allbps.machine.execution.codegen import Feed
from allbps.machine.execution.executable import Executable
from allbps.machine.guards import counted_from_the_end, gated, holding, vouched_for
from allbps.machine.language.operands import Memory
from allbps.machine.options import Options
from allbps.machine.planning.passes import passes
from allbps.machine.planning.plan import VIEWS, Value, Work, make_plan
from allbps.machine.planning.substitutes import substitutes
from allbps.machine.planning.windows import is_slice
from allbps.machine.works.embedding import is_lookup
from allbps.machine.works.emit import Emitter
from allbps.machine.works.tasks import Place, Program
from allbps.machine.works.updates import COLUMNS, Moving, emit_carry, emit_updates, slots_used
from allbps.trace import Guard, Traced
from allbps.tree import leaves, same_structure


class FallbackWarning(UserWarning):
    """Some operations have no kernel and run through NumPy."""


class Build:
    """A traced function on its way to an executable, and what is known of its arguments.

    Args:
        signature: of the function.
        traced: its graph.
        options: those of ``compile``.
        guarded: does the step look whether what was traced holds for its arguments?

    """

    def __init__(
        self,
        signature: inspect.Signature,
        traced: Traced,
        options: Options,
        *,
        guarded: bool = True,
    ) -> None:
        self.signature, self.traced = signature, traced
        self.optimizer, self.max_norm = options.optimizer, options.max_norm
        chosen = self.chosen = options.chosen(traced)
        carry = self.carry = options.carried(traced)
        self.params = [x for name in chosen for x in self._arrays(name)]
        self.carried = self._arrays(carry) if carry is not None else []
        self.result = traced.outputs if carry is None else self._without_carry(carry)
        deltas = self._deltas() if chosen else {}
        self.grads = [
            deltas[x].node if x in deltas else constant(np.zeros(x.shape, x.dtype))
            for x in self.params
        ]
        self.vouched: dict[Guard, Node] = {}
        self._plan(deltas, traced.guards if guarded else ())
        self.program = Program(self._real(), convolution=options.convolution)
        self.blocks: dict[Memory, NDArray[Any]] = {}
        open_values = [self.value_of[x] for x in self.params if self.optimizer is not None]
        emitter = Emitter(self.program, self.plan, open_values, self.blocks)
        emitter.emit()
        self.places = emitter.places
        self._finish(emitter)
        self.executable = Executable(
            self.program, self.blocks, self.feeds, self.loss, options.threads, COLUMNS
        )
        _say_what_falls_back(emitter)

    def _plan(self, deltas: Mapping[Node, Delta], guards: Sequence[Guard]) -> None:
        """The plan, with the guards that the limits of arguments do not vouch for."""
        asked = [guard for guard in guards if not _of_integers(guard)]
        self._plan_with(deltas, asked)
        limits = self.limits()
        for guard in guards:
            argument = vouched_for(guard, limits) if _of_integers(guard) else None
            if argument is not None:
                self.vouched[guard] = argument
        if len(asked) + len(self.vouched) < len(guards):
            asked = [guard for guard in guards if guard not in self.vouched]
            self._plan_with(deltas, asked)
        self.guards = tuple(asked)

    def _plan_with(self, deltas: Mapping[Node, Delta], guards: Sequence[Guard]) -> None:
        inputs, outputs = self.traced.graph.inputs, list(self.traced.graph.outputs)
        names = {delta.node: f"d{x.name}" for x, delta in deltas.items() if not delta.node.name}
        holds = holding(guards)
        whole = self.traced.graph if holds is None else Graph(inputs, (*outputs, holds))
        stands = substitutes(whole, deltas, self._real())
        if holds is not None and self.optimizer is not None:
            outputs[0] = gated(outputs[0], holds)
        wanted = [*outputs, *self.grads, *([holds] if holds is not None else [])]
        stands.update(counted_from_the_end(wanted, self.traced.values))
        self.plan = passes(make_plan(inputs, wanted, stands, names))
        self.value_of = dict(zip(inputs, self.plan.inputs, strict=True))

    def _arrays(self, name: str) -> list[Node]:
        return [x for x in leaves(self.traced.parameters[name]) if isinstance(x, Node)]

    def _without_carry(self, carry: str) -> Any:
        """What the function returns beside the new value of the carried argument."""
        outputs, function = self.traced.outputs, self.traced.function
        if not isinstance(outputs, tuple) or len(outputs) != 2:
            raise ArgumentError(
                f"{function} does not return {carry} anew",
                expected=f"a pair: the result, and the new {carry}",
                got=f"{len(outputs)} parts" if isinstance(outputs, tuple) else "no pair",
            )
        result, new = outputs
        before = self.traced.parameters[carry]
        pairs = zip(leaves(before), leaves(new), strict=False)
        if same_structure(before, new) and all(_alike(a, b) for a, b in pairs):
            return result
        raise ArgumentError(
            f"{function} returns another {carry} than it takes",
            expected=_described(before),
            got=_described(new),
        )

    def _deltas(self) -> dict[Node, Delta]:
        loss = self.traced.graph.outputs[0]
        if loss.shape != () or not loss.is_float:
            raise NotScalarError(
                f"{self.traced.function} returns no loss",
                where=str(loss.site or ""),
                expected="one number, or a tuple whose first part is one",
                got=f"{loss.name} of shape {loss.shape}",
                todo="return the mean or sum",
            )
        for x in self.params:
            if not x.is_float:
                raise DtypeError(
                    f"{x.name} holds {x.dtype} numbers, and derivatives need floating-point ones",
                    expected="float32 or float64",
                    got=str(x.dtype),
                )
        return backprop({loss: seed_of(loss)}, self.params)

    def _real(self) -> np.dtype[Any]:
        """The dtype that kernels compute in: the loss's, or the first real result's."""
        for out in self.traced.graph.outputs:
            if out.dtype in (np.float32, np.float64):
                return out.dtype
        return np.dtype(np.float64)

    def _finish(self, emitter: Emitter) -> None:
        """Results stay until they are read; then the optimiser's tasks."""
        count = len(self.traced.graph.outputs)
        changing = [*self.params, *self.carried] if self.optimizer is not None else []
        own = {self.value_of[x] for x in changing}
        made = [_kept(self.places.apart(v, own)) for v in self.plan.outputs[:count]]
        self.results = made[: count - len(self.carried)]
        self.inputs = {x: self.places.of(v) for x, v in self.value_of.items()}
        self.feeds: list[Feed] = []
        self.loss: Memory | None = None
        self.deltas: list[Place] = []
        self.slots: dict[Node, tuple[Memory, ...]] = {}
        self.holds = _kept(self.places.of(self.plan.outputs[-1])) if self.guards else None
        grads = self.plan.outputs[count : count + len(self.grads)]
        if self.optimizer is None:
            self.deltas = [_kept(self.places.of(value)) for value in grads]
            return
        moving = []
        self.loss = self.results[0].memory
        for x, value in zip(self.params, grads, strict=True):
            place = self.inputs[x]
            if x.dtype != self.program.real:
                raise self._of_two_dtypes(x)
            delta = self.places.as_layout(value, place.layout)
            slots = tuple(
                self.program.memory(f"{x.name}_{slot}", place.layout.size, kept=True)
                for slot in slots_used(self.optimizer)
            )
            self.slots[x] = slots
            moving.append(Moving(x.name, place, delta, slots))
        emit_updates(self.program, self.optimizer, moving, self.loss, self.max_norm)
        new = self.plan.outputs[count - len(self.carried) : count]
        for x, value in zip(self.carried, new, strict=True):
            there = self.inputs[x]
            here = self.places.apart_as(value, there.layout, own)
            emit_carry(self.program, x.name, here, there, self.loss)
        self.feeds = self._feeds()

    def _of_two_dtypes(self, x: Node) -> DtypeError:
        """Names the first operation that mixes a parameter's dtype with the loss's."""
        nodes = self.traced.graph.nodes
        real = self.program.real
        mixed = [
            (node, other)
            for node in nodes
            for other in node.inputs
            if node.dtype == other.dtype == real and x.dtype in {y.dtype for y in node.inputs}
        ]
        where, todo = "", f"give {x.name} as {real}"
        if mixed:
            node, other = mixed[0]
            operand = f"{other.name}, an array" if other.name else "a NumPy number"
            where = f"{node.name or node.op.name}: an operand, {operand} of {real}, sets the dtype"
            where += f" ({node.site})" if node.site else ""
            todo = f"make that operand {x.dtype} (a Python float would be), or {todo}"
        return DtypeError(
            f"{x.name} and the loss must be of one dtype to be trained",
            where=where,
            expected=str(real),
            got=str(x.dtype),
            todo=todo,
        )

    def _feeds(self) -> list[Feed]:
        """Arguments that an epoch fetches: all but what the step keeps."""
        blocks = [self.inputs[x].memory for x in self.fetched]
        return [Feed(block, Memory(f"_data{k}", 0, block.kind)) for k, block in enumerate(blocks)]

    @property
    def kept(self) -> set[Node]:
        """Arguments that a training step keeps itself."""
        return {*self.params, *self.carried}

    @property
    def fetched(self) -> list[Node]:
        """Arguments that are given to every step."""
        return [x for x in self.traced.graph.inputs if x not in self.kept]

    def limits(self) -> dict[Node, list[Limit]]:
        """Arguments whose numbers kernels trust: classes and rows of a table."""
        views = {w.outputs[0]: w for w in self.plan.works if w.kind in VIEWS or is_slice(w)}
        node_of = {value: x for x, value in self.value_of.items()}
        found: dict[Node, list[Limit]] = {}
        for work in self.plan.works:
            trusted = _trusted(work)
            if trusted is None:
                continue
            value, count, what = trusted
            way: list[Work] = []
            while value in views:
                way.insert(0, views[value])
                value = views[value].inputs[0]
            node = node_of.get(value)
            if node is not None:  # labels that are worked out are looked at by their kernel
                found.setdefault(node, []).append(Limit(count, what, tuple(way)))
        return found


def _of_integers(guard: Guard) -> bool:
    """Does a guard ask whole numbers of the arguments alone, as labels are?"""
    leaves_of = [node for node in ancestors([guard.node]) if node.op is INPUT]
    return all(node.dtype.kind in "iu" for node in leaves_of)


def _trusted(work: Work) -> tuple[Value, int, str] | None:
    """Whole numbers that a kernel takes as places: how many places there are, and what they are."""
    if work.kind in ("cross_entropy_loss", "cross_entropy"):
        return work.inputs[1], work.inputs[0].shape[-1], "a class that there is no score for"
    if work.kind == "one_hot":
        return work.inputs[0], work.outputs[0].shape[-1], "a class that does not exist"
    if is_lookup(work):
        table = work.inputs[0] if work.kind == "getitem" else work.outputs[0]
        return work.inputs[1], table.shape[0], "a row that the table does not have"
    return None


def _alike(a: Any, b: Any) -> bool:
    nodes = isinstance(a, Node) and isinstance(b, Node)
    return nodes and a.shape == b.shape and a.dtype == b.dtype


def _described(tree: Any) -> str:
    one = [f"{x.dtype} {x.shape}" if isinstance(x, Node) else repr(x) for x in leaves(tree)]
    return f"{len(one)} arrays: " + ", ".join(one[:6]) + (" …" if len(one) > 6 else "")


def _kept(place: Place) -> Place:
    place.memory.kept = True
    return place


def _say_what_falls_back(emitter: Emitter) -> None:
    if emitter.by_numpy:
        kinds: dict[str, str] = {}
        for work in emitter.by_numpy:
            for step in work.steps or (work,):
                kinds.setdefault(step.kind, f" (line {work.site.line})" if work.site else "")
        listed = ", ".join(f"{kind}{line}" for kind, line in kinds.items())
        warnings.warn(f"no kernel for {listed}: done through NumPy", FallbackWarning, stacklevel=4)
