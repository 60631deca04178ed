"""One step as a displayed LaTeX equation, with line breaks where it is long."""

from __future__ import annotations

import re
from collections.abc import Iterator

from allbps.readings.boxes import row, words
from allbps.readings.derivation import Step
from allbps.readings.signs import latex

LINE = 84
"""About so many signs fit on a line."""
BREAK = re.compile(r" (?=(?:[+\-=/]|\\odot|\\cdot|\\ast|\\times) )")
DEEPER, HIGHER = re.compile(r"\\left|\\begin|[{(]"), re.compile(r"\\right|\\end|[})]")


def equation(step: Step) -> str:
    r"""``\delta Z_3 \equiv \frac{\partial L}{\partial Z_3} = …``, aligned where it has lines."""
    left = r" \equiv ".join(part.spelled for part in step.left(in_latex=True))
    lines: list[str] = []
    used = 0
    for side, width in _sides(step):
        if lines and used + width + 3 <= LINE:
            lines[-1] += f" = {side}"
            used += width + 3
            continue
        first, *more = _broken(side) if width > LINE else [side]
        lines += [f"= {first}", *(rf"\quad {part}" for part in more)]
        used = width + (8 if len(lines) == 1 else 0)
    if step.summary:
        said = latex(step.summary)
        lines = [rf"{lines[0]} \qquad {said}", *lines[1:]] if lines else [rf"\quad {said}"]
    if len(lines) <= 1:
        return " ".join([left, *lines])
    body = " \\\\\n".join(f"&{text}" for text in lines)
    return f"\\begin{{aligned}}\n{left} {body}\n\\end{{aligned}}"


def _sides(step: Step) -> Iterator[tuple[str, int]]:
    """What stands between the equals signs, and about how wide it is."""
    for in_text, in_latex in zip(step.sides(False), step.sides(True), strict=True):
        yield in_latex.spelled, row(words(in_text.text, in_text.arrays)).width


def _broken(side: str) -> list[str]:
    """A long formula cut before operators that stand outside of parentheses."""
    parts: list[str] = []
    for part in BREAK.split(side):
        whole = not parts or _depth(parts[-1]) == 0
        parts = [*parts, part] if whole else [*parts[:-1], f"{parts[-1]} {part}"]
    joined: list[str] = []
    for part in parts:
        if joined and len(joined[-1]) + len(part) <= LINE:
            joined[-1] += f" {part}"
        else:
            joined.append(part)
    return joined


def _depth(text: str) -> int:
    return len(DEEPER.findall(text)) - len(HIGHER.findall(text))
