"""One step as a displayed LaTeX equation, with line breaks where it is long."""

from __future__ import annotations

from allbps.mathematics import Math
from allbps.mathematics.tex import terms
from allbps.readings.boxes import row, words
from allbps.readings.derivation import Step

LINE = 84
"""About so many signs fit on a line."""


def equation(step: Step) -> str:
    r"""``\delta Z_3 \equiv \frac{\partial L}{\partial Z_3} = …``, aligned where it has lines."""
    left, lines = split(step)
    if len(lines) <= 1:
        return " ".join([left, *lines])
    return f"\\begin{{aligned}}\n{aligned(left, lines)}\n\\end{{aligned}}"


def aligned(left: str, lines: list[str]) -> str:
    """The lines of an equation, one below the other at their relation signs."""
    return f"{left} " + " \\\\\n".join(f"&{text}" for text in lines or [""])


def split(step: Step) -> tuple[str, list[str]]:
    """What stands on the left of an equation, and the lines on its right."""
    return step.once(_split)


def _split(step: Step) -> tuple[str, list[str]]:
    left = r" \equiv ".join(part.latex for part in step.left())
    lines: list[str] = []
    used = 0
    for side, width in ((side, _width(side)) for side in step.sides()):
        if lines and used + width + 3 <= LINE:
            lines[-1] += f" = {side.latex}"
            used += width + 3
            continue
        first, *more = _broken(side) if width > LINE else [side.latex]
        lines += [f"= {first}", *(rf"\quad {part}" for part in more)]
        used = width + (8 if len(lines) == 1 else 0)
    if step.summary:
        said = step.summary_math.latex
        lines = [rf"{lines[0]} \qquad {said}", *lines[1:]] if lines else [rf"\quad {said}"]
    return left, lines


def _width(side: Math) -> int:
    return row(words(side)).width


def _broken(side: Math) -> list[str]:
    """A long formula cut before operators that stand outside of parentheses."""
    joined: list[str] = []
    used = 0
    for sign, part in terms(side):
        text = f"{sign} {part.latex}" if sign else part.latex
        width = _width(part) + 3
        if joined and used + width <= LINE:
            joined[-1] += f" {text}"
            used += width
        else:
            joined.append(text)
            used = width
    return joined
