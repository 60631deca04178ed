"""Numbers that are fractions, roots or logarithms to their last bit: 1/3, √2/2, ln 5, π/4."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache

from allbps.mathematics import Math, parse
from allbps.mathematics.tree import Applied, Number, Product, Root, Symbol, Word
from allbps.mathematics.tree import Fraction as Quotient

LARGEST = 64
"""No larger numerator or denominator is taken for anything but chance."""
ULPS = 4


@lru_cache(maxsize=4096)
def exact_form(value: float, digits: int) -> str:
    """How a number is written exactly; empty where no form fits, or few decimals do.

    >>> exact_form(1 / 3, 4), exact_form(-(2**0.5), 4), exact_form(0.25, 4), exact_form(0.3, 4)
    ('1/3', '−√2', '', '')
    >>> exact_form(math.log(5), 4), exact_form((2 / math.pi) ** 0.5, 4), exact_form(0.7311, 4)
    ('ln 5', '√(2/π)', '')
    """
    if not math.isfinite(value) or value == 0 or float(f"{value:.{digits}g}") == value:
        return ""
    sign, size = "−" if value < 0 else "", abs(value)
    if found := _fraction(size):
        return sign + found
    for square, pi in ((size**2, ""), (size**2 / math.pi, "π"), (size**2 * math.pi, "/π")):
        if found := _fraction(square, slack=2):
            return sign + _root(found, pi)
    if found := _fraction(size / math.pi):
        return sign + _with_pi(found)
    if size < math.log(LARGEST) + 1 and (whole := _fraction(math.exp(size), slack=4)):
        return f"{sign}ln {whole}" if "/" not in whole else f"{sign}ln({whole})"
    return ""


def exact_value(text: str) -> float | None:
    """The number that ``exact_form`` wrote so; None for other texts.

    >>> exact_value("−√2"), exact_value("1/√(2π)") == (2 * math.pi) ** -0.5, exact_value("0.5")
    (-1.4142135623730951, True, None)
    """
    sign = -1.0 if text.startswith("−") else 1.0
    body = text.lstrip("−")
    if not re.search(r"[/√πl]", body):
        return None
    found = _evaluated(parse(body))
    return None if found is None else sign * found


def _evaluated(formula: Math) -> float | None:
    """Products, quotients, roots and logarithms of numbers and π; None for all else."""
    found = None
    match formula:
        case Number(text):
            found = float(text)
        case Symbol("π"):
            found = math.pi
        case Root(x, "√"):
            found = _of(math.sqrt, x)
        case Product(left=Word("ln"), right=x) | Applied(function=Word("ln"), inner=x):
            found = _of(math.log, x)
        case Product(left=a, right=b):
            found = _of(float.__mul__, a, b)
        case Quotient(over=a, under=b):
            found = _of(float.__truediv__, a, b)
    return found


def _of(function: Callable[..., float], *parts: Math) -> float | None:
    values = [x for x in map(_evaluated, parts) if x is not None]
    return function(*values) if len(values) == len(parts) else None


def _fraction(value: float, slack: int = 1) -> str:
    """``p/q`` or ``p``, if ``value`` is one of small numbers."""
    if not 1 / LARGEST <= value <= LARGEST:
        return ""
    near = Fraction(value).limit_denominator(LARGEST)
    if near.numerator > LARGEST or abs(float(near) - value) > slack * ULPS * math.ulp(value):
        return ""
    return str(near)


def _root(square: str, pi: str) -> str:
    """The root of a fraction, of π times one, or of one over π; whole roots are drawn.

    >>> _root("4", "/π"), _root("12", ""), _root("1/2", "/π"), _root("2/3", "/π")
    ('2/√π', '2 √3', '1/√(2π)', '√(2/(3π))')
    """
    over, _, under = square.partition("/")
    (a, top), (c, bottom) = _drawn(int(over)), _drawn(int(under or 1))
    up, down = _factors(top, pi == "π"), _factors(bottom, pi == "/π")
    if down and (up or c > 1):  # as one root
        up, down = _factors(int(over), pi == "π"), _factors(int(under or 1), pi == "/π")
        return f"√({up or '1'}/{down if down.isdigit() or len(down) == 1 else f'({down})'})"
    if not down:
        root = f"{a} {_rooted(up)}" if a > 1 else _rooted(up)
        return f"{root}/{c}" if c > 1 else root
    return f"{a}/{_rooted(down)}" if a > 1 or pi else f"√({a}/{down})"


def _drawn(n: int) -> tuple[int, int]:
    """``n`` as a² b, with the largest a.

    >>> _drawn(12), _drawn(7)
    ((2, 3), (1, 7))
    """
    a = max(k for k in range(1, math.isqrt(n) + 1) if n % k**2 == 0)
    return a, n // a**2


def _factors(n: int, times_pi: bool) -> str:
    """``2π``, ``π``, ``2``; empty for 1."""
    return ("" if n == 1 else str(n)) + ("π" if times_pi else "")


def _rooted(inside: str) -> str:
    return f"√{inside}" if len(inside) == 1 or inside.isdigit() else f"√({inside})"


def _with_pi(factor: str) -> str:
    over, _, under = factor.partition("/")
    top = "π" if over == "1" else f"{over}π"
    return f"{top}/{under}" if under else top
