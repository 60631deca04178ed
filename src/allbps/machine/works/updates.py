"""The optimiser in the step: what its ``move`` computes, once the loss is known to be finite.

A ``move`` that goes element by element is one loop, which writes where it reads. Where the δ is
made in blocks of rows that nothing else needs, each piece moves the rows whose δ it has just made.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

from allbps.machine.kernels.fill import move, move_bytes, move_integers
from allbps.machine.kernels.reduce import clip_factor, sum_of_squares
from allbps.machine.language.calls import Finite
from allbps.machine.language.operands import HI, LO, PIECE, RATES, Memory, Scratch
from allbps.machine.language.target import host
from allbps.machine.language.words import Routine
from allbps.machine.planning.layout import Layout, Shape, row_major
from allbps.machine.planning.plan import Work
from allbps.machine.planning.rules import Move, Rule
from allbps.machine.works.emit import Blocks, Emitter
from allbps.machine.works.loops import Loop, arrays_read, write_loop
from allbps.machine.works.nests import nest_of
from allbps.machine.works.places import Places
from allbps.machine.works.tasks import ONCE, Cut, NoKernelError, Place, Program, Rows, Task


def _largest(program: Program) -> int:
    """Numbers of a δ that a thread may keep to itself: they should stay in its second cache."""
    return host().caches[1] // 2 // program.real.itemsize


@dataclass(frozen=True)
class Moving:
    """A parameter and its δ, in one layout."""

    name: str
    param: Place
    delta: Place


@dataclass(frozen=True)
class Update:
    """A plan of an optimiser for one parameter, and where its values lie."""

    name: str
    rule: str
    move: Move
    places: Places
    targets: tuple[Place, ...]

    def loop(self) -> Loop:
        """All of it as one loop in place.

        Raises:
            NoKernelError: it is none, or one that might read what it has written.

        """
        work, *more = self.move.plan.works or [Work("none", (), ())]
        made = {step.outputs[0]: step for step in work.steps}
        copies = ("identity", "broadcast_to")
        if (
            more
            or work.kind != "loop"
            or {*work.outputs} != {*self.move.new}
            or any(made[value].kind in copies for value in work.outputs)
        ):
            raise NoKernelError
        target = dict(zip(self.move.new, self.targets, strict=True))
        outputs = [(value, target[value]) for value in work.outputs]
        inputs = [(value, self.places.strided(value)) for value in arrays_read(work)]
        nest = nest_of(work.outputs[0].shape, [p.layout for _, p in (outputs[0], *inputs)])
        return write_loop(self.places.program, work, nest, inputs, outputs, self.rule)


def emit_updates(
    program: Program,
    rule: Rule,
    parameters: Sequence[Moving],
    loss: Memory,
    max_norm: float,
    blocks: Blocks,
) -> tuple[list[Mapping[str, Place]], list[Work]]:
    """Tasks that move every parameter, if the loss is a finite number.

    Args:
        program: where they go.
        rule: the optimiser.
        parameters: what moves, and its δ.
        loss: the block with the loss.
        max_norm: all δ together are first shortened to it, where they are longer.
        blocks: filled later with the arrays behind blocks.

    Returns:
        where lies what is remembered of each parameter, and what runs through NumPy.

    """
    clip = _clip(program, parameters, max_norm) if rule.clipped else None
    begin = program.scratch  # behind what a product itself may put there
    moved = {moving.param.memory for moving in parameters}
    kind, found = type(rule.optimizer).__name__, list[Mapping[str, Place]]()
    by_numpy: list[Work] = []
    for k, moving in enumerate(parameters):
        layout = moving.param.layout
        one = rule.move(k, layout.shape, program.real)
        slots = {
            name: _remembered(program, f"{moving.name}_{name}", value.shape, layout)
            for name, value in one.slots.items()
        }
        found.append(slots)
        places = _places(program, one, moving, slots, clip)
        update = Update(
            f"{moving.name}: {kind}", kind, one, places, (moving.param, *slots.values())
        )
        try:
            loop = update.loop()
        except NoKernelError:
            by_numpy += _emit_works(update, moving, loss, blocks)
            continue
        product = _product(program, moving, moved) if loop.dense else None
        if product is not None:
            task, rows = product
            _emit_by_rows(program, update, moving, loop, task, rows, loss, begin)
        else:
            call = loop.on().when(Finite(loss))
            size = 3 * layout.size
            program.add(update.name, loop.cut, call, flops=loop.flops, traffic=size)
    return found, by_numpy


def _remembered(program: Program, name: str, shape: Shape, like: Layout) -> Place:
    """Memory for what is remembered of a parameter: laid out as that where it has its shape."""
    layout = like if shape == like.shape else row_major(shape)
    return Place(program.memory(name, layout.size, kept=True), layout)


def _places(
    program: Program, one: Move, moving: Moving, slots: Mapping[str, Place], clip: Memory | None
) -> Places:
    """Where everything lies that a move reads: nothing of it is copied."""
    given = {one.param: moving.param, one.delta: moving.delta}
    given |= {one.slots[name]: place for name, place in slots.items()}
    given |= {value: Place(RATES, row_major(()), k) for value, k in one.rates.items()}
    if one.clip is not None and clip is not None:
        given[one.clip] = Place(clip, row_major(()))
    return Places(program, one.plan, given=given, guarded=False)


def _emit_works(update: Update, moving: Moving, loss: Memory, blocks: Blocks) -> list[Work]:
    """New values beside the old ones, then copies; what of it runs through NumPy."""
    places = update.places
    emitter = Emitter(places, blocks)
    for work in update.move.plan.works:
        emitter.emit(work)
    old = {update.move.param, *update.move.slots.values()}
    new = [
        places.apart_as(value, there.layout, old)
        for value, there in zip(update.move.new, update.targets, strict=True)
    ]
    for here, there in zip(new, update.targets, strict=True):
        emit_carry(places.program, update.name, here, there, loss)
    return emitter.by_numpy


def _product(program: Program, moving: Moving, moved: Set[Memory]) -> tuple[Task, Rows] | None:
    """The task that makes δ in blocks of rows, if nothing else needs it and a block is small.

    It must read no parameter: others might have been moved when it runs.
    """
    delta = moving.delta.memory
    touching = [task for task in program.tasks if delta in (*task.reads, *task.writes)]
    if len(touching) != 1 or delta.kept or not moving.delta.whole:
        return None
    (task,) = touching
    if moved & {*task.reads} or task.rows is None:
        return None
    rows = task.rows.within(_largest(program))
    return None if rows is None else (task, rows)


def _emit_by_rows(
    program: Program, update: Update, moving: Moving, loop: Loop, product: Task, rows: Rows,
    loss: Memory, begin: int,
) -> None:  # fmt: skip
    """δ and update as one task: each piece moves the rows whose δ it has just made.

    So δ never goes through memory: it stands in scratch memory from ``begin`` on. The task stands
    last, behind all who read the parameter.
    """
    width = rows.width
    delta = Scratch(rows.most, begin) + LO * -width
    own = {name: delta for name, block in loop.blocks.items() if block is moving.delta.memory}
    program.tasks.remove(product)
    program.add(
        f"{product.label}, {update.name}", rows.cut, *rows.into(delta),
        loop.on(LO * width, HI * width, **own).when(Finite(loss)),
        flops=product.flops + loop.flops, traffic=product.traffic + 2 * rows.count * width,
        site=product.site,
    )  # fmt: skip


MOVE: Mapping[str, Routine] = {"Real": move, "Int": move_integers, "Byte": move_bytes}
"""Kind of memory -> the kernel that copies it."""


def emit_carry(program: Program, label: str, here: Place, there: Place, loss: Memory) -> None:
    """A task that makes a new value that of the next step, unless the loss is not a number."""
    size = there.layout.size
    kernel = MOVE[there.memory.kind]
    call = kernel.on(Y=there.memory, X=here.memory, lo=LO, hi=HI).when(Finite(loss))
    program.add(label, Cut.of(size, 2), call, traffic=2 * size)


def is_clipped(max_norm: float | None) -> bool:
    """Is there a length that δ may not have?"""
    return max_norm is not None and max_norm < math.inf


def _clip(program: Program, parameters: Sequence[Moving], max_norm: float) -> Memory:
    """Tasks that find what to multiply every δ by, as torch.nn.utils.clip_grad_norm_ does."""
    cuts = [Cut.of(moving.delta.layout.size, 4) for moving in parameters]
    count = sum(cut.pieces for cut in cuts)
    squares = program.memory("squares", count, "Double", shared=True)
    clip = program.memory("clip", 1)
    first = 0
    for moving, cut in zip(parameters, cuts, strict=True):
        size = moving.delta.layout.size
        call = sum_of_squares.on(S=squares + (PIECE + first), X=moving.delta.memory, lo=LO, hi=HI)
        program.add(f"{moving.name}: length of δ", cut, call, flops=2 * size, traffic=size)
        first += cut.pieces
    call = clip_factor.on(clip=clip, squares=squares, count=count, largest=float(max_norm))
    program.add("clip: the length of all δ", ONCE, call)
    return clip
