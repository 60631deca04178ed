"""The line below a picture that says what its frames and arrows mean."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from allbps.readings.drawing.measure import FONT, text_width
from allbps.readings.drawing.strokes import arrow, n

MEANING = {
    "given": "given",
    "wanted": "δ requested",
    "computed": "computed",
    "result": "result",
    "forward": "forward",
    "back": "δ comes back",
    "tag": "reference to a distant node",
}
"""What is drawn -> what it means, in the order shown."""
LINE, SAMPLE, WORD_GAP, ENTRY_GAP = 22.0, 26.0, 6.0, 20.0


@dataclass(frozen=True)
class Entry:
    """One sample with its meaning.

    Attributes:
        what: a key of ``MEANING``.
        x: left end.
        y: middle.

    """

    what: str
    x: float
    y: float


def entries(kinds: set[str], left: float, right: float, top: float) -> list[Entry]:
    """What occurs in the picture, in lines from ``left`` to ``right``."""
    placed = []
    x, y = left, top + LINE / 2
    for what, meaning in MEANING.items():
        if what in kinds:
            width = SAMPLE + WORD_GAP + text_width(meaning)
            if x > left and x + width > right:
                x, y = left, y + LINE
            placed.append(Entry(what, x, y))
            x += width + ENTRY_GAP
    return placed


def legend(placed: Sequence[Entry]) -> Iterator[str]:
    """The legend as SVG."""
    yield '<g class="legend">'
    for entry in placed:
        x, y = entry.x, entry.y
        if entry.what in ("forward", "back"):
            yield from arrow(
                [(x, y), (x + SAMPLE, y)], entry.what == "forward", entry.what == "back"
            )
        else:
            round_ = 6 if entry.what in ("given", "wanted", "tag") else 2
            yield (
                f'<g class="{entry.what}"><rect class="box" x="{n(x)}" y="{n(y - 6)}"'
                f' width="{n(SAMPLE)}" height="12" rx="{round_}"/></g>'
            )
        yield (
            f'<text x="{n(x + SAMPLE + WORD_GAP)}" y="{n(y + 0.35 * FONT)}">'
            f"{MEANING[entry.what]}</text>"
        )
    yield "</g>"
