"""Formulas as blocks of text: matrices in brackets, side by side on one baseline."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from allbps.mathematics import Math
from allbps.mathematics.arrays import slices
from allbps.mathematics.plain import Group, Mark, Piece, pieces
from allbps.mathematics.reader import CLOSING, RELATIONS, SUMS
from allbps.mathematics.tree import Matrix
from allbps.readings.numbers import cells

TALL = {
    "(": "⎛⎜⎝", ")": "⎞⎟⎠", "[": "⎡⎢⎣", "]": "⎤⎥⎦", "⌊": "⎢⎢⎣", "⌋": "⎥⎥⎦",
    "⌈": "⎡⎢⎢", "⌉": "⎤⎥⎥", "|": "│││", "‖": "‖‖‖", "⟨": "⟨⟨⟨", "⟩": "⟩⟩⟩",
}  # fmt: skip
"""Top, middle and bottom of a fence that is several lines tall."""


TIED = "\N{NO-BREAK SPACE}"
"""Between the numbers of one row, where a line must not break."""


@dataclass(frozen=True)
class Block:
    """A rectangle of text.

    Attributes:
        lines: all of one width.
        base: which of them is on the baseline.

    """

    lines: tuple[str, ...]
    base: int = 0

    @property
    def width(self) -> int:
        return columns(self.lines[0])

    @property
    def height(self) -> int:
        return len(self.lines)


def columns(text: str) -> int:
    """How many columns a terminal needs for ``text``."""
    if text.isascii():
        return len(text)
    return sum(map(_columns_of, text))


@lru_cache(maxsize=4096)
def _columns_of(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def pad(text: str, width: int) -> str:
    """``text`` with spaces behind it."""
    return text + " " * (width - columns(text))


def line(text: str) -> Block:
    """One line."""
    return Block((text,))


def beside(blocks: Iterable[Block]) -> Block:
    """Blocks in a row, baselines aligned."""
    parts = list(blocks) or [line("")]
    above = max(block.base for block in parts)
    under = max(block.height - block.base for block in parts)
    grown = [_grown(block, above, under) for block in parts]
    return Block(tuple(map("".join, zip(*grown, strict=True))), above)


def row(blocks: Iterable[Block]) -> Block:
    """Blocks beside each other with a space between."""
    spaced: list[Block] = []
    for block in blocks:
        spaced += [line(" "), block] if spaced else [block]
    return beside(spaced)


def _grown(block: Block, above: int, under: int) -> list[str]:
    blank = " " * block.width
    top = [blank] * (above - block.base)
    return [*top, *block.lines, *[blank] * (under - block.height + block.base)]


def below(blocks: Iterable[Block], gap: int = 0) -> Block:
    """Blocks under each other, the baseline in the middle."""
    stack = list(blocks)
    width = max(block.width for block in stack)
    lines: list[str] = []
    for block in stack:
        lines += [" " * width] * (gap if lines else 0)
        lines += [pad(text, width) for text in block.lines]
    return Block(tuple(lines), (len(lines) - 1) // 2)


# -- arrays ----------------------------------------------------------------------------------------
def array_block(value: Any, fence: str = "[") -> Block:
    r"""A matrix in brackets; an array of more axes as labelled matrices side by side.

    >>> import numpy as np
    >>> print(*array_block(np.array([[1.0, 0.0], [-0.5, 2.25]])).lines, sep="\n")
    ⎡  1.00     0 ⎤
    ⎣ −0.50  2.25 ⎦
    """
    parts = slices(cells(value))
    return row(_labelled(label, fenced(_grid(texts), fence)) for label, texts in parts)


def _grid(texts: Any) -> Block:
    widths = [max(map(columns, column)) for column in texts.T]
    lines = tuple(
        "".join(f"  {_right(text, n)}" for text, n in zip(one, widths, strict=True))[1:] + " "
        for one in texts
    )
    return Block(lines, (len(lines) - 1) // 2)


def _right(text: str, width: int) -> str:
    return " " * (width - columns(text)) + text


def _labelled(label: str, block: Block) -> Block:
    if not label:
        return block
    width = max(block.width, columns(label))
    lines = [pad(f" {label}", width), *(pad(text, width) for text in block.lines)]
    return Block(tuple(lines), block.base + 1)


def fenced(block: Block, opening: str) -> Block:
    """``block`` between parentheses or the like, as tall as it is."""
    closing = CLOSING[opening]
    return beside([_fence(opening, block), block, _fence(closing, block)])


def _fence(sign: str, block: Block) -> Block:
    if block.height == 1:
        return line(sign)
    tall = TALL[sign]
    return Block((tall[0], *[tall[1]] * (block.height - 2), tall[2]), block.base)


# -- formulas --------------------------------------------------------------------------------------
OPERATORS = RELATIONS | SUMS | set("·×⊙*∘/,;")
"""Signs between operands, before which a line may break."""


def words(math: Math) -> list[Block]:
    """A formula in the parts between which a line may break."""
    found: list[list[Piece]] = [[]]
    for piece in pieces(math):
        found.append([]) if piece == " " else found[-1].append(piece)
    return [_laid_out(parts) for parts in found if parts]


def is_operator(block: Block) -> bool:
    """Is this a sign between two operands?"""
    return block.height == 1 and block.lines[0] in OPERATORS


def _laid_out(parts: Sequence[Piece]) -> Block:
    """Pieces on one baseline; scripts stand at the top or at the bottom of what they belong to."""
    blocks: list[Block] = []
    for part in parts:
        match part:
            case Matrix(values):
                blocks.append(_tied(array_block(values)))
            case Group(opening, inner):
                blocks.append(_group(opening, inner))
            case Mark(text, raised):
                blocks.append(_script(text, raised, blocks))
            case _:
                blocks.append(line(part))
    return beside(blocks)


def _script(text: str, raised: bool, before: list[Block]) -> Block:
    if not before or before[-1].height == 1:
        return line(text)
    blank = [" " * columns(text)] * (before[-1].height - 1)
    return Block(tuple([text, *blank] if raised else [*blank, text]), before[-1].base)


def _group(opening: str, inner: Sequence[Piece]) -> Block:
    only = inner[0] if len(inner) == 1 else None
    if isinstance(only, Matrix) and opening == "(" and np.ndim(only.values) <= 2:
        return _tied(array_block(only.values, "("))  # σ of a matrix: one pair of brackets is enough
    return fenced(_laid_out(inner), opening)


def _tied(block: Block) -> Block:
    return line(block.lines[0].replace(" ", TIED)) if block.height == 1 else block
