"""The source of a step: a kernel for every stretch of native regions, one for whole epochs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from allbps.machine.execution.printing import Printer, condition, indented, written
from allbps.machine.kernels.batch import fetch, fetch_bytes, fetch_integers
from allbps.machine.language.calls import Finite
from allbps.machine.language.operands import HI, LO, RATES, Memory, Variable
from allbps.machine.language.words import (
    Kernel,
    as_bytes,
    as_doubles,
    as_ints,
    nanoseconds,
    pointer_at,
)
from allbps.machine.planning.scalar import VOCABULARY
from allbps.machine.works.tasks import Cut, Program, Task

READ = {"Int": as_ints, "Byte": as_bytes, "Double": as_doubles}
"""Kind of memory -> the word that reads an address so, but for Reals."""

STEP, EXAMPLES = Variable("t"), Variable("examples")
"""The number of a step in a run of many, and how many examples each takes."""
SCRATCH = Memory("_scratch", 0, kept=True)
STEPS = Memory("_steps", 0, kept=True)
BATCH = Memory("_batch", 0, kept=True)
ORDER = Memory("_order", 0, "Int", kept=True)
LOSSES = Memory("_losses", 0, kept=True)
DONE = Memory("_done", 0, "Int", kept=True)
CLOCK = Memory("_clock", 0, "Int", kept=True)
RUNTIME = (SCRATCH, RATES, STEPS, BATCH, ORDER, LOSSES, DONE, CLOCK)
"""What a step is given beside the program's blocks.

Scratch memory and rates; how many steps, how many examples in each (0 to fetch none) and their
numbers; the losses; how many steps were done; the times of a profile.
"""


@dataclass(frozen=True)
class Feed:
    """An argument that a native epoch fetches by itself: a block, and the data set for it."""

    block: Memory
    data: Memory


@dataclass(frozen=True)
class Layout:
    """Everything that a step is given, in the order of its addresses.

    Attributes:
        blocks: the program's.
        feeds: arguments that an epoch fetches.
        rates: columns of the table of rates.

    """

    blocks: tuple[Memory, ...]
    feeds: tuple[Feed, ...]
    rates: int

    @cached_property
    def column(self) -> Mapping[Memory, int]:
        """Which address is that of a block."""
        data = [feed.data for feed in self.feeds]
        return {block: k for k, block in enumerate((*self.blocks, *RUNTIME, *data))}


@dataclass(frozen=True)
class Source:
    """Generated source.

    Attributes:
        text: of the module; empty where nothing is native.
        parts: names of the kernels that make up a step, in order.
        counts_steps: is a whole step one of them, which can take many without coming back?

    """

    text: str = ""
    parts: tuple[str, ...] = ()
    counts_steps: bool = False


@dataclass(frozen=True)
class Stretch:
    """Regions that run one after the other without coming back to Python, or one Python call.

    Attributes:
        regions: the native ones.
        first: the number of the first region among all.
        call: the task that calls Python.

    """

    regions: tuple[tuple[Task, ...], ...]
    first: int
    call: Task | None = None


def stretches(regions: Sequence[Sequence[Task]]) -> list[Stretch]:
    """Regions cut where an operation runs through NumPy."""
    out: list[Stretch] = []
    current: list[tuple[Task, ...]] = []
    first = 0
    for number, region in enumerate(regions):
        native = tuple(task for task in region if task.python is None)
        calls = [task for task in region if task.python is not None]
        if native:
            first = first if current else number
            current.append(native)
        if calls and current:
            out.append(Stretch(tuple(current), first))
            current = []
        out += [Stretch((), number, task) for task in calls]
    if current:
        out.append(Stretch(tuple(current), first))
    return out


def write(
    program: Program,
    parts: Sequence[Stretch],
    layout: Layout,
    loss: Memory | None,
    *,
    clocks: bool = False,
) -> Source:
    """The source of all native stretches.

    Args:
        program: what to write.
        parts: stretches; those that call Python are left out.
        layout: what the step is given.
        loss: the block with the loss, if steps are counted.
        clocks: note the time after every region.

    """
    native = [stretch for stretch in parts if stretch.call is None]
    if not native:
        return Source()
    writer = _Writer(program, layout, clocks)
    if len(parts) == 1 and loss is not None:
        once = writer.part("_once", native[0], counted=True)
        return Source(writer.module([*once, writer.many(loss)]), ("step",), counts_steps=True)
    names = tuple(f"part{k}" for k in range(len(native))) if len(parts) > 1 else ("step",)
    bodies = [
        body
        for name, stretch in zip(names, native, strict=True)
        for body in writer.part(name, stretch)
    ]
    return Source(writer.module(bodies), names)


SECTION = 64
"""Tasks in one kernel: what LLVM needs for a function grows faster than the function."""
MANY = 16
"""Sections above which LLVM takes them as they are: they hardly do more than call kernels, and a
thousand layers compile in half the time."""
HEAD = "_tid: Int, _threads: Int, _team: Ints, _a: Ints"


class _Writer:
    """The kernels of one module."""

    def __init__(self, program: Program, layout: Layout, clocks: bool) -> None:
        self.program, self.layout, self.clocks = program, layout, clocks
        self.scratch = program.scratch
        self.printer = Printer()

    def module(self, bodies: Iterable[str]) -> str:
        """All of it: imports, kernels of the program's own, and the parts of the step."""
        own = self.program.written.values()
        for word, module in {w: m for kernel in own for w, m in kernel.words.items()}.items():
            self.printer.imports.plain(module, word)
        self.printer.imports.plain(VOCABULARY["kernel"], "kernel")
        imports = ["from __future__ import annotations", "", *self.printer.imports.lines()]
        texts = ["\n".join(imports), *(kernel.text for kernel in own), *bodies]
        return "\n\n\n".join(text.rstrip() for text in texts) + "\n"

    def part(self, name: str, stretch: Stretch, *, counted: bool = False) -> Iterator[str]:
        """The kernel of a stretch; of a long one, those of its sections and one that calls them."""
        more, passed = (", _t: Int", ", _t") if counted else ("", "")
        sections = list(_sections(stretch.regions))
        if len(sections) == 1:
            yield _kernel(name, more, self._section(*sections[0], counted))
            return
        calls = []
        for first, regions in sections:
            section = f"_{name.strip('_')}_from_{first}"
            lines = self._section(first, regions, counted)
            yield _kernel(section, more, lines, plain=len(sections) > MANY)
            calls.append(f"{section}(_tid, _threads, _team, _a{passed})")
        yield _kernel(name, more, calls)

    def many(self, loss: Memory) -> str:
        """The kernel that takes many steps: fetch examples, one step, keep the loss."""
        printer, t = self.printer, written(STEP)
        used = {LOSSES, DONE, loss}
        feeds = self.layout.feeds
        sizes = [Variable(f"size{k}") for k in range(len(feeds))]
        tasks = [_fetch(feed, size) for feed, size in zip(feeds, sizes, strict=True)]
        used |= {block for task in tasks for block in task.blocks}
        lines = [*self._declarations(used)]
        turn = []
        if tasks:
            lines.append(f"{written(EXAMPLES)} = {self._entry(BATCH)}")
            each = printer.word(max, written(EXAMPLES), 1)
            lines += (
                f"{written(size)} = {feed.block.size} // {each}"
                for feed, size in zip(feeds, sizes, strict=True)
            )
            turn.append(f"if {written(EXAMPLES)} > 0:")
            turn += indented(printer.region(tasks))
        finite = condition(Finite(loss))
        turn += [
            f"_once(_tid, _threads, _team, _a, {t})",
            "if _tid == 0:",
            f"    {LOSSES.name}[{t}] = {loss.name}[0]",
            f"    {DONE.name}[0] = {t} + 1",
            f"if not ({finite}):  # NaN or infinity: nothing was updated",
            "    break",
            printer.barrier(),
        ]
        lines += [f"for {t} in {printer.word(range, self._entry(STEPS))}:", *indented(turn)]
        return _kernel("step", "", lines)

    def _section(
        self, first: int, regions: Sequence[Sequence[Task]], counted: bool
    ) -> Iterator[str]:
        """The lines of a kernel that does some regions."""
        tasks = [task for region in regions for task in region]
        used = {block for task in tasks for block in task.blocks}
        used |= {SCRATCH} if any(call.scratch for task in tasks for call in task.calls) else set()
        used |= {CLOCK} if self.clocks else set()
        yield from self._declarations(used, counted=counted)
        clock = f"{CLOCK.name}[{{}}] = {self.printer.word(nanoseconds)}" if self.clocks else ""
        if clock and first == 1:
            yield from ("if _tid == 0:", f"    {clock.format(0)}")
        for k, region in enumerate(regions, first):
            yield ""
            yield from self.printer.region(region)
            if clock:
                yield from ("if _tid == 0:", f"    {clock.format(k)}")

    def _declarations(self, used: set[Memory], *, counted: bool = False) -> Iterator[str]:
        """Lines that find the blocks that are used; each thread and step has places of its own."""
        behind = {SCRATCH: f" + _tid * {self.scratch}"}
        if counted:
            behind[RATES] = f" + {written(STEP)} * {self.layout.rates}"
        column = self.layout.column
        for block in sorted(used & column.keys(), key=column.__getitem__):
            place = self.printer.word(pointer_at, "_a", column[block])
            if block.kind in READ:
                place = self.printer.word(READ[block.kind], place)
            size = f"  # {block.size}" if block.size else ""
            yield f"{block.name} = {place}{behind.get(block, '')}{size}"

    def _entry(self, block: Memory) -> str:
        """A number that stands among the addresses."""
        return f"_a[{self.layout.column[block]}]"


def _kernel(name: str, more: str, lines: Iterable[str], *, plain: bool = False) -> str:
    mark = "@kernel(plain=True)" if plain else "@kernel"
    return "\n".join([mark, f"def {name}({HEAD}{more}) -> None:", *indented(lines)])


def _sections(regions: Sequence[Sequence[Task]]) -> Iterator[tuple[int, list[Sequence[Task]]]]:
    """Regions in a row with some SECTION tasks together, and the number of the first."""
    first, section, tasks = 1, list[Sequence[Task]](), 0
    for k, region in enumerate(regions, 1):
        if section and tasks + len(region) > SECTION:
            yield first, section
            first, section, tasks = k, [], 0
        section.append(region)
        tasks += len(region)
    yield first, section


FETCH: Mapping[str, Kernel[..., None]] = {"Real": fetch, "Int": fetch_integers, "Byte": fetch_bytes}


def _fetch(feed: Feed, size: Variable) -> Task:
    """The next examples of a data set, each of that size, copied to the argument of a step."""
    call = FETCH[feed.block.kind].on(
        X=feed.block, data=feed.data, order=ORDER + STEP * EXAMPLES,
        size=size, lo=LO, hi=HI,
    )  # fmt: skip
    cut = Cut(EXAMPLES, min(16, max(1, feed.block.size // 4096)))
    return Task(f"{feed.block.name}: the next examples", cut, (call,))
