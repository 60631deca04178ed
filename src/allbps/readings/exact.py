"""Numbers that are fractions, roots or logarithms to their last bit: 1/3, √2/2, ln 5, π/4."""

from __future__ import annotations

import math
import re
from fractions import Fraction
from functools import lru_cache

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
    """The number that ``exact_form`` wrote so; None for other texts."""
    sign = -1.0 if text.startswith("−") else 1.0
    body = text.lstrip("−")
    if not re.search(r"[/√πl]", body):
        return None
    body = re.sub(r"√\(([^)]*)\)|√(\w+)", lambda m: f"sqrt({m[1] or m[2]})", body)
    body = re.sub(r"ln \(?([^)]*)\)?|ln\(([^)]*)\)", lambda m: f"log({m[1] or m[2]})", body)
    body = re.sub(r"(?<=\d)π", "*pi", body).replace("π", "pi")
    found = _evaluate(body)
    return None if found is None else sign * found


def _evaluate(body: str) -> float | None:
    """``sqrt(2/pi)``, ``3*pi/4``: one function at most, of products and quotients."""
    function = {"sqrt": math.sqrt, "log": math.log}
    called = re.fullmatch(r"(sqrt|log)\((.*)\)", body)
    if called:
        inner = _evaluate(called[2])
        return None if inner is None else function[called[1]](inner)
    result = 1.0
    for sign, factor in re.findall(r"(^|[*/])([^*/]+)", body):
        if not re.fullmatch(r"pi|\d+", factor):
            return None
        number = math.pi if factor == "pi" else float(factor)
        result = result / number if sign == "/" else result * number
    return result


def _fraction(value: float, slack: int = 1) -> str:
    """``p/q`` or ``p``, if ``value`` is one of small numbers."""
    if not 1 / LARGEST <= value <= LARGEST:
        return ""
    near = Fraction(value).limit_denominator(LARGEST)
    if near.numerator > LARGEST or abs(float(near) - value) > slack * ULPS * math.ulp(value):
        return ""
    return str(near)


def _root(square: str, pi: str) -> str:
    over, _, under = square.partition("/")
    if pi == "π":
        over = "π" if over == "1" else f"{over}π"
    if pi == "/π":
        under = f"{under}π" if under else "π"
    inner = f"{over}/{under}" if under else over
    return f"√{inner}" if len(inner) == 1 or inner.isdigit() else f"√({inner})"


def _with_pi(factor: str) -> str:
    over, _, under = factor.partition("/")
    top = "π" if over == "1" else f"{over}π"
    return f"{top}/{under}" if under else top
