"""The source of a step: a kernel for every stretch of native regions, one for whole epochs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from allbps.machine.works.tasks import Memory, Program, Task

READ = {"Real": "{}", "Int": "as_ints({})", "Byte": "as_bytes({})",
        "Double": "as_doubles({})"}  # fmt: skip


@dataclass(frozen=True)
class Source:
    """Generated source.

    Attributes:
        text: of the module; empty where nothing is native.
        parts: names of the kernels that make up a step, in order.

    """

    text: str
    parts: tuple[str, ...]


@dataclass(frozen=True)
class Feed:
    """An argument that a native epoch fetches by itself: from data set number ``number``."""

    block: Memory
    number: int


@dataclass(frozen=True)
class Stretch:
    """Regions that run one after the other without coming back to Python, or one Python call."""

    native: tuple[tuple[Task, ...], ...] = ()
    call: Task | None = None


def stretches(regions: Sequence[Sequence[Task]]) -> list[Stretch]:
    """Regions cut where an operation runs through NumPy."""
    out: list[Stretch] = []
    current: list[tuple[Task, ...]] = []
    for region in regions:
        native = tuple(task for task in region if task.call is None)
        calls = [task for task in region if task.call is not None]
        if native:
            current.append(native)
        if calls:
            if current:
                out.append(Stretch(tuple(current)))
                current = []
            out += [Stretch(call=task) for task in calls]
    if current:
        out.append(Stretch(tuple(current)))
    return out


#: Behind the blocks in ``a``: scratch memory, rates, how many steps, whether to fetch examples
#: (so many in a step, 0 for none), their numbers, the losses, how many steps were done, the
#: times of a profile; then the data sets.
SCRATCH, RATES, COUNT, EXAMPLES, ORDER, LOSSES, DONE, CLOCK, DATA = range(9)


def write(
    program: Program,
    parts: Sequence[Stretch],
    table: Sequence[Memory],
    feeds: Sequence[Feed],
    loss: Memory | None,
    *,
    clocks: bool = False,
) -> Source:
    """The source of all native stretches.

    Args:
        program: what to write.
        parts: stretches; those that call Python are left out.
        table: blocks in the order of their addresses in ``a``.
        feeds: arguments that an epoch in native code fetches.
        loss: the block with the loss, if steps are counted.
        clocks: note the time after every region.

    """
    native = [stretch for stretch in parts if stretch.call is None]
    if not native:
        return Source("", ())
    names = tuple(f"part{k}" for k in range(len(native))) if len(parts) > 1 else ("step",)
    if len(parts) == 1 and loss is not None:
        once = _part("once", native[0], program, table, ", t: Int", clocks)
        return Source(_module(program, [*once, _many(program, table, feeds, loss)]), names)
    bodies = [
        body
        for name, stretch in zip(names, native, strict=True)
        for body in _part(name, stretch, program, table, "", clocks)
    ]
    return Source(_module(program, bodies), names)


def _many(program: Program, table: Sequence[Memory], feeds: Sequence[Feed], loss: Memory) -> str:
    """The kernel that takes many steps: fetch examples, one step, keep the loss."""
    first = len(table)
    lines = [
        "@kernel",
        "def step(tid: Int, threads: Int, team: Ints, a: Ints) -> None:",
        f"    order = as_ints(pointer_at(a, {first + ORDER}))",
        f"    losses, loss = pointer_at(a, {first + LOSSES}), pointer_at(a, {table.index(loss)})",
        f"    done = as_ints(pointer_at(a, {first + DONE}))",
        f"    for t in range(a[{first + COUNT}]):",
    ]
    if feeds:
        lines.append(f"        examples = a[{first + EXAMPLES}]")
        lines.append("        if examples > 0:")
        tasks = [_fetch(program, feed, table, first) for feed in feeds]
        lines += [f"            {line}" for line in _region(tasks)]
    lines += [
        "        once(tid, threads, team, a, t)",
        "        if tid == 0:",
        "            losses[t] = loss[0]",
        "            done[0] = t + 1",
        "        if loss[0] - loss[0] != 0.0:  # NaN or infinity: nothing was updated",
        "            break",
        "        barrier(team, threads)",
    ]
    return "\n".join(lines)


def _fetch(program: Program, feed: Feed, table: Sequence[Memory], first: int) -> Task:
    real = feed.block.kind == "Real"
    program.use("kernels.batch", "fetch" if real else "fetch_integers")
    pieces = min(16, max(1, feed.block.size // 4096))
    here = READ[feed.block.kind].format(f"pointer_at(a, {table.index(feed.block)})")
    data = READ[feed.block.kind].format(f"pointer_at(a, {first + DATA + feed.number})")
    rows = ("lo, hi = 0, examples",) if pieces == 1 else (
        f"lo, hi = p * examples // {pieces}, (p + 1) * examples // {pieces}",
    )  # fmt: skip
    call = (
        f"{'fetch' if real else 'fetch_integers'}({here}, {data}, order + t * examples, "
        f"{feed.block.size} // examples, lo, hi)"
    )
    return Task(f"{feed.block.name}: the next examples", pieces, (*rows, call), (), (feed.block,))


def _module(program: Program, bodies: Iterable[str]) -> str:
    by_module: dict[str, list[str]] = {}
    for name, module in program.imports.items():
        by_module.setdefault(module, []).append(name)
    for module, names in ALWAYS.items():
        by_module.setdefault(module, []).extend(names)
    lines = [
        f"from allbps.machine.{module} import {', '.join(sorted(set(names)))}"
        for module, names in sorted(by_module.items())
    ]
    functions = [text.rstrip() for text in program.functions.values()]
    return "\n\n\n".join(["\n".join(lines), *functions, *(b.rstrip() for b in bodies)]) + "\n"


ALWAYS = {
    "language.words": ["Bytes", "Int", "Ints", "Real", "Reals", "as_bytes", "as_doubles",
              "as_ints", "kernel", "nanoseconds", "pointer_at"],
    "kernels.team": ["barrier", "first_piece", "next_piece"],
}  # fmt: skip


SECTION = 64
"""Tasks in one kernel: what LLVM needs for a function grows faster than the function."""


def _part(
    name: str,
    stretch: Stretch,
    program: Program,
    table: Sequence[Memory],
    more: str,
    clocks: bool,
) -> Iterable[str]:
    """The kernel of a stretch; of a long one, those of its sections and one that calls them."""
    head = "(tid: Int, threads: Int, team: Ints, a: Ints"
    sections = list(_sections(stretch.native))
    if len(sections) == 1:
        lines = _section(sections[0], program, table, more, clocks)
        yield "\n".join(["@kernel", f"def {name}{head}{more}) -> None:", *lines])
        return
    calls = []
    for first, regions in sections:
        section = f"{name}_from_{first}"
        lines = _section((first, regions), program, table, more, clocks)
        yield "\n".join(["@kernel", f"def {section}{head}{more}) -> None:", *lines])
        calls.append(f"    {section}(tid, threads, team, a{', t' if more else ''})")
    yield "\n".join(["@kernel", f"def {name}{head}{more}) -> None:", *calls])


def _sections(regions: Sequence[Sequence[Task]]) -> Iterable[tuple[int, list[Sequence[Task]]]]:
    """Regions in a row with some SECTION tasks together, and the number of the first."""
    first, section, tasks = 1, list[Sequence[Task]](), 0
    for k, region in enumerate(regions, 1):
        if section and tasks + len(region) > SECTION:
            yield first, section
            first, section, tasks = k, [], 0
        section.append(region)
        tasks += len(region)
    yield first, section


def _section(
    numbered: tuple[int, Sequence[Sequence[Task]]],
    program: Program,
    table: Sequence[Memory],
    more: str,
    clocks: bool,
) -> Iterable[str]:
    """The lines of a kernel that does some regions."""
    first, regions = numbered
    lines = [f"    {line}" for line in _declarations(_used(regions, table), table)]
    text = "\n".join(line for region in regions for task in region for line in task.lines)
    if "scratch" in text:
        place = len(table) + SCRATCH
        lines.append(f"    scratch = pointer_at(a, {place}) + tid * {program.scratch}")
    if "rates" in text:
        row = " + t * 4" if more else ""
        lines.append(f"    rates = pointer_at(a, {len(table) + RATES}){row}")
    if clocks:
        lines.append(f"    clock = as_ints(pointer_at(a, {len(table) + CLOCK}))")
        if first == 1:
            lines += ["    if tid == 0:", "        clock[0] = nanoseconds()"]
    for k, region in enumerate(regions, first):
        lines.append("")
        lines += [f"    {line}" for line in _region(region)]
        if clocks:
            lines += ["    if tid == 0:", f"        clock[{k}] = nanoseconds()"]
    return lines


def _used(regions: Sequence[Sequence[Task]], table: Sequence[Memory]) -> list[Memory]:
    touched = {
        block
        for region in regions
        for task in region
        for block in (*task.reads, *task.writes, *task.after)
    }
    return [block for block in table if block in touched]


def _declarations(used: Sequence[Memory], table: Sequence[Memory]) -> Iterable[str]:
    where = {block: k for k, block in enumerate(table)}
    for block in used:
        pointer = READ[block.kind].format(f"pointer_at(a, {where[block]})")
        yield f"{block.name} = {pointer}  # {block.size}"


def _region(region: Sequence[Task]) -> Iterable[str]:
    """The pieces of all tasks of a region, handed out one after the other, then a barrier."""
    tasks = sorted(region, key=lambda task: -task.flops)
    total = sum(task.pieces for task in tasks)
    for task in tasks:
        yield f"# {task.label}"  # no line numbers: an edit elsewhere must not compile anew
    if total == 1:
        yield "if tid == 0:"
        yield "    p = 0"
        yield from (f"    {line}" for line in tasks[0].lines)
    else:
        yield "piece = first_piece(tid)"
        yield f"while piece < {total}:"
        yield from (f"    {line}" for line in _dispatch(tasks, 0))
        yield "    piece = next_piece(team, piece, threads)"
    yield "barrier(team, threads)"


def _dispatch(tasks: Sequence[Task], start: int) -> Iterable[str]:
    """Lines that do piece ``piece`` of tasks whose first piece has number ``start``.

    By halves, so that many tasks are no long chain of questions.
    """
    if len(tasks) == 1:
        yield f"p = piece - {start}" if start else "p = piece"
        yield from tasks[0].lines
        return
    half = (len(tasks) + 1) // 2 if len(tasks) > FEW else 1
    middle = start + sum(task.pieces for task in tasks[:half])
    yield f"if piece < {middle}:"
    yield from (f"    {line}" for line in _dispatch(tasks[:half], start))
    yield "else:"
    yield from (f"    {line}" for line in _dispatch(tasks[half:], middle))


FEW = 4
"""Tasks that are asked for one after the other, the largest first."""
