"""The derivation for a terminal: Unicode that fits a given width."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from allbps.mathematics import Math
from allbps.readings.boxes import TIED, Block, columns, is_operator, line, pad, row, words
from allbps.readings.derivation import Derivation, Step, groups, headings, source_lines
from allbps.readings.element import first_element
from allbps.readings.numbers import summary

BOLD, DIM, PLAIN = "\x1b[1m", "\x1b[2m", "\x1b[0m"
WIDEST_NAME = 16
"""Longer names are not padded to, so that one of them does not push all the others aside."""
CORNER, BAR = "┌ ", "│ "
"""Before the heading of a block, and before its lines."""
NARROWEST = 40
NARROW_INDENT = 4
"""Where lines of an equation begin when they do not fit under its equals sign."""


def to_text(derivation: Derivation, width: int = 80, color: bool = False) -> str:
    """Every step on lines of at most ``width`` columns.

    Args:
        derivation: what to show.
        width: of the terminal.
        color: set headings and reasons apart by terminal styles.

    """
    text = "\n".join(_Page(derivation, max(width, NARROWEST), color).lines()) + "\n"
    return text.replace(TIED, " ")


# -- one equation ----------------------------------------------------------------------------------
def equation(head: str, step: Step, width: int) -> Block:
    """``head = formula = numbers = value``, broken before ``=`` and before operators.

    The numbers are left out where they do not fit, and the value becomes a summary.
    """
    lines = _Lines(head, width)
    numbers = step.numbers()
    symbolic = step.sides()[: -len(numbers) or None]
    for side in (*symbolic, *numbers[:-1]):
        lines.add(side)
    if numbers and not lines.add(numbers[-1]):
        lines.remark(summary(step.value))
    elif step.summary:
        lines.remark(step.summary)
    return lines.block()


class _Lines:
    """The lines of one equation, filled from left to right."""

    def __init__(self, head: str, width: int) -> None:
        self.width, self.column = width, columns(head) + 1
        self.rows = [line(head)]

    def add(self, side: Math) -> bool:
        """``= side``; False where it does not fit in any way."""
        parts = words(side)
        whole = row([line("="), *parts])
        if self.rows[-1].width + 1 + whole.width <= self.width:
            self.rows[-1] = row([self.rows[-1], whole])
            return True
        room = self.width - self.column
        broken = [whole] if whole.width <= room else None
        if broken is None and room > NARROW_INDENT:
            broken = broken_to(parts, room - 2)
        if broken is None and self.column > NARROW_INDENT:
            self.column = NARROW_INDENT
            return self.add(side)
        if broken is None:
            return False
        if whole.width > room:
            broken = [row([line("="), broken[0]]), *(row([line(" "), x]) for x in broken[1:])]
        if len(self.rows) == 1 and self.rows[0].width < self.column:
            self.rows = [row([self.rows[0], broken.pop(0)])]
        self.rows += [row([line(" " * (self.column - 1)), block]) for block in broken]
        return True

    def remark(self, text: str) -> None:
        """Words about the value, behind the equation or below it."""
        if self.rows[-1].width + 3 + columns(text) <= self.width:
            self.rows[-1] = row([self.rows[-1], line(f"  {text}")])
            return
        indent = min(self.column, self.width // 2)
        wrapped = textwrap.wrap(text, self.width - indent)
        self.rows += [line(" " * indent + part) for part in wrapped]

    def block(self) -> Block:
        lines = list(self.rows[0].lines)
        for before, block in pairwise(self.rows):
            lines += ([""] if min(before.height, block.height) > 1 else []) + list(block.lines)
        width = max(map(columns, lines))
        return Block(tuple(pad(text, width) for text in lines), self.rows[0].base)


def broken_to(parts: Sequence[Block], width: int) -> list[Block] | None:
    """Words on lines of at most ``width``, broken before operators; None where one is too wide."""
    lines: list[Block] = []
    for group in _groups(parts, width):
        if group.width > width and group.height > 1:
            return None
        if lines and lines[-1].width + 1 + group.width <= width:
            lines[-1] = row([lines[-1], group])
        elif group.width > width:
            lines += map(line, textwrap.wrap(group.lines[0], width))
        else:
            lines.append(group)
    return lines


def _groups(parts: Sequence[Block], width: int) -> Iterator[Block]:
    """An operator with its right operand; single words where that is too wide."""
    group: list[Block] = []
    for part in (*parts, line("+")):
        if group and is_operator(part):
            together = row(group)
            yield from [together] if together.width <= width else group
            group = []
        group.append(part)


# -- the page --------------------------------------------------------------------------------------
class _Page:
    def __init__(self, derivation: Derivation, width: int, color: bool) -> None:
        self.derivation, self.width, self.color = derivation, width, color
        self.inner = width - 2

    def lines(self) -> Iterator[str]:
        yield self.paint(self.derivation.title, BOLD)
        yield from textwrap.wrap(self.derivation.doc.partition("\n")[0], self.width)
        if self.derivation.warning:
            yield ""
            yield from textwrap.wrap(f"Warning: {self.derivation.warning}", self.width)
        for heading, steps in self.derivation.sections():
            yield ""
            yield self.paint(heading, BOLD)
            yield from (f"  {text}".rstrip() for text in self.nested(steps, heading))

    def paint(self, text: str, style: str) -> str:
        return f"{style}{text}{PLAIN}" if self.color and text else text

    # -- sections ----------------------------------------------------------------------------------
    def nested(self, steps: list[Step], section: str, depth: int = 0) -> Iterator[str]:
        """The steps of a section, those of a block behind a bar."""
        show = {"Given": self.given, "Forward": self.forward, "Backward": self.backward}[section]
        narrower = _Page(self.derivation, self.width - len(BAR), self.color)
        for k, (heading, some) in enumerate(groups(steps, depth)):
            if k:
                yield ""
            if heading is None:
                yield from show(some)
                continue
            yield self.paint(textwrap.shorten(f"{CORNER}{heading.inline}", self.inner), BOLD)
            yield from (f"{BAR}{text}" for text in narrower.nested(some, section, depth + 1))

    def given(self, steps: list[Step]) -> Iterator[str]:
        names = _column(step.symbol for step in steps if step.summary)
        blocks = [
            equation(pad(step.symbol, names) if step.summary else step.symbol, step, self.inner)
            for step in steps
        ]
        yield from _separated(block.lines for block in _flow(blocks, self.inner))

    def forward(self, steps: list[Step]) -> Iterator[str]:
        names = _column(step.symbol for step in steps)
        blocks = [equation(pad(step.symbol, names), step, self.inner) for step in steps]
        remarks = [f"# {source}" if source else "" for source in source_lines(steps)]
        fitting = [
            block.width for block, remark in zip(blocks, remarks, strict=True)
            if block.height == 1 and block.width + 3 + columns(remark) <= self.inner
        ]  # fmt: skip
        margin = max(fitting, default=0) + 3
        yield from _separated(
            self.under(turn, self.whole(step, block, remark, margin))
            for step, block, remark, turn in zip(
                steps, blocks, remarks, headings(steps), strict=True
            )
        )

    def whole(self, step: Step, block: Block, remark: str, margin: int) -> tuple[str, ...]:
        """The equation with its source, one element written out, and what its words mean."""
        shown = self.with_source(block, remark, margin)
        return (*shown, *self.written_out(step), *self.because(step))

    def under(self, turn: str, lines: tuple[str, ...]) -> tuple[str, ...]:
        """Lines below the heading of a turn of a loop."""
        return ("", self.paint(turn, BOLD), *lines) if turn else lines

    def written_out(self, step: Step) -> list[str]:
        """One element of a product, as the sum that it is."""
        said = first_element(step)
        wrapped = textwrap.wrap(said, self.inner - 4, subsequent_indent=" " * 8) if said else []
        return [f"    {self.paint(text, DIM)}" for text in wrapped]

    def with_source(self, block: Block, remark: str, margin: int) -> tuple[str, ...]:
        """The user's line beside the equation, or above it."""
        if not remark:
            return block.lines
        shown = self.paint(remark, DIM)
        beside = max(margin, block.width + 3) + columns(remark)
        if block.height > 1 or beside > self.inner:
            return (self.paint(textwrap.shorten(remark, self.inner), DIM), *block.lines)
        return (pad(block.lines[0], max(margin, block.width + 3)) + shown,)

    def backward(self, steps: list[Step]) -> Iterator[str]:
        meanings = {step: _meaning(step) for step in steps}
        names = _column(step.symbol for step in steps)
        middle = _column(meanings.values())
        for k, (step, heading) in enumerate(zip(steps, headings(steps), strict=True)):
            head = pad(step.symbol, names)
            if meanings[step]:
                head += f" ≡ {pad(meanings[step], middle)}"
            if k:
                yield ""
            if heading:
                yield self.paint(heading, BOLD)
            yield from equation(head, step, self.inner).lines
            yield from self.because(step)

    def because(self, step: Step) -> Iterator[str]:
        if step.because:
            said = step.because if step.kind == "seed" else f"because {step.because}"
            wrapped = textwrap.wrap(said, self.inner - 4, subsequent_indent=" " * 8)
            yield from (f"    {self.paint(text, DIM)}" for text in wrapped)


def _meaning(step: Step) -> str:
    return step.left()[1].inline if step.meaning else ""


def _column(texts: Iterable[str]) -> int:
    """A width for a column of texts."""
    return max((n for n in map(columns, texts) if n <= WIDEST_NAME), default=0)


def _flow(blocks: Iterable[Block], width: int) -> Iterator[Block]:
    """Blocks beside each other as long as they fit."""
    current: Block | None = None
    for block in blocks:
        if current is None:
            current = block
        elif current.width + 4 + block.width <= width:
            current = row([current, line("  "), block])
        else:
            yield current
            current = block
    if current is not None:
        yield current


def _separated(blocks: Iterable[tuple[str, ...]]) -> Iterator[str]:
    """The lines of all blocks, tall ones set apart."""
    before = 0
    for lines in blocks:
        if before and max(before, len(lines)) > 1:
            yield ""
        yield from lines
        before = len(lines)
