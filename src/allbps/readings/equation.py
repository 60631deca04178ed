"""One step as a displayed LaTeX equation, with line breaks where it is long."""

from __future__ import annotations

from collections.abc import Iterator

from allbps.mathematics import Math
from allbps.mathematics.arrays import matrices_latex
from allbps.mathematics.tex import terms
from allbps.mathematics.tree import Kind, Matrix, Product
from allbps.readings.boxes import row, words
from allbps.readings.derivation import Step

LINE = 84
"""About so many signs fit on a line."""
NARROW = 24
"""And on a phone beside what stands on the left."""


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


def pieces(step: Step) -> tuple[str, list[list[str]]]:
    """What stands on the left of an equation, and each side after it, for lines of any width.

    A side is in parts before which a line may break; each part begins with its sign.
    """
    left = r" \equiv ".join(part.latex for part in step.left())
    sides = [cut("=", side) for side in step.sides()]
    return left, [*sides, [rf"\quad {step.summary_math.latex}"]] if step.summary else sides


def cut(mark: str, side: Math) -> list[str]:
    r"""``= a + b`` before its operators, where it is wide.

    >>> from allbps.mathematics import parse
    >>> cut("=", parse("x")), cut("=", parse("σ(exp(x + 1)) + exp(x y z)"))
    (['{} = x'], ['{} = \\sigma(\\exp(x + 1))', '{} + \\exp(x\\,y\\,z)'])
    """
    if is_narrow(side):
        return [f"{{}} {mark} {side.latex}"]
    found: list[str] = []
    for sign, part in terms(side):
        first, *more = _matrices(part)
        found += [f"{{}} {sign or mark} {first}", *more]
    return found


def _matrices(part: Math) -> Iterator[str]:
    """The factors of a product of matrices of numbers, and the matrices of an array of many."""
    match part:
        case Product(Kind.MATRICES, left, Matrix() as right, False) if _is_numbers(left):
            yield from _matrices(left)
            yield right.latex
        case Matrix(values):
            first, *more = matrices_latex(values)
            yield from (first, *(rf"\quad {x}" for x in more))
        case _:
            yield part.latex


def _is_numbers(math: Math) -> bool:
    match math:
        case Product(Kind.MATRICES, left, Matrix(), False):
            return _is_numbers(left)
        case _:
            return isinstance(math, Matrix)


def is_narrow(math: Math) -> bool:
    """Does a formula fit on a line of any page?"""
    return _width(math) <= NARROW


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
