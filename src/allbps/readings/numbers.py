"""Numbers for people: a few digits, one precision per array, nothing shown as 0 that is not 0."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from allbps.errors import ArgumentError, unknown_name
from allbps.mathematics import Math, parse
from allbps.readings.exact import exact_form, exact_value


@dataclass(frozen=True)
class Numerals:
    """How the numbers of a page are shown.

    Attributes:
        digits: significant digits of the largest number of an array.
        decimals: instead, this many digits after the point for every number.
        exact: write 1/3, √2 and ln 2 where a number is one of these to its last bit.
        side: matrices of up to this many rows and columns are shown number by number.
        size: arrays of more axes are shown up to this many numbers.

    """

    digits: int = 4
    decimals: int | None = None
    exact: bool = False
    side: int = 8
    size: int = 64

    def changed(self, **fields: Any) -> Numerals:
        """With other settings.

        Raises:
            ArgumentError: there is no such setting, or it is negative.
        """
        for name, value in fields.items():
            if name not in self.__dataclass_fields__:
                raise unknown_name(name, list(self.__dataclass_fields__), "setting")
            least = 0 if name == "decimals" else 1
            if name != "exact" and value is not None and not _is_whole(value):
                raise ArgumentError(f"{name} must be a whole number", got=repr(value))
            if name != "exact" and value is not None and value < least:
                raise ArgumentError(f"{name} must be at least {least}", got=str(value))
        return replace(self, **fields)

    def finer(self, by: int) -> Numerals:
        """The same with more digits."""
        if self.decimals is not None:
            return replace(self, decimals=self.decimals + by)
        return replace(self, digits=self.digits + by)


def _is_whole(x: Any) -> bool:
    return isinstance(x, (int, np.integer))


USUAL = Numerals()
ALL_POWERS = -1
"""Instead of a number of decimals, where all numbers are tiny."""
MOST_DIGITS = 14
"""No number of an equation is shown with more."""
EXPONENT = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
PLAIN = str.maketrans("−⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "-0123456789-")


def number(value: Any, look: Numerals = USUAL) -> str:
    """One number.

    >>> number(2.0), number(0.7310585786), number(-0.0), number(-1.5), number(1.2e-9)
    ('2', '0.7311', '0', '−1.5', '1.2·10⁻⁹')
    """
    return str(cells(np.asarray(value), look)[()])


def coefficient(value: Any) -> str:
    """A number that belongs to a formula: exact, or up to six digits: 0.044715.

    >>> coefficient(0.5), coefficient(0.044715), coefficient(2**0.5)
    ('0.5', '0.044715', '√2')
    """
    return str(cells(np.asarray(value), Numerals(digits=6, exact=True))[()])


def cells(values: Any, look: Numerals = USUAL) -> Any:
    """An array of texts, all with the same number of decimals.

    Exact zeros are ``0``. A number that this precision would show as zero, or that is very large,
    is written as a power of ten. An array of texts stays as it is.

    >>> cells(np.array([0.5, -1.25, 0.0, 2.0])).tolist()
    ['0.50', '−1.25', '0', '2.00']
    """
    array = np.asarray(values)
    if array.dtype == object:
        return array
    if array.dtype.kind in "biu":
        array = array.astype(np.int64)
    if array.dtype.kind == "c":
        return _complex_cells(array, look)
    decimals = _decimals(array, look)
    texts = np.empty(array.shape, object)
    for place, value in np.ndenumerate(array):
        exact = exact_form(float(value), look.digits) if look.exact else ""
        texts[place] = exact or _one(float(value), decimals, look.digits)
    return texts


def _complex_cells(array: Any, look: Numerals) -> Any:
    """Real and imaginary part of each number: ``1.5 − 0.25i``; a part that is 0 is left out.

    >>> _complex_cells(np.array([1.5 - 0.25j, 2j, 3, -1j]), USUAL).tolist()
    ['1.50 − 0.25i', '2.00i', '3.00', '−1.00i']
    """
    parts = np.asarray(cells(np.stack([array.real, np.abs(array.imag)]), look), object)
    texts = np.empty(array.shape, object)
    for place in np.ndindex(array.shape):
        negative = bool(np.signbit(array.imag[place]))
        texts[place] = _complex_number(parts[(0, *place)], parts[(1, *place)], negative)
    return texts


def _complex_number(a: str, b: str, negative: bool) -> str:
    """``a + bi``, or a − bi.

    >>> _complex_number("0", "1", True), _complex_number("2", "√2", False)
    ('−i', '2 + √2 i')
    """
    if b == "0":
        return a
    times_i = "i" if b == "1" else f"{b}i" if b.replace(".", "").isdecimal() else f"{b} i"
    if a == "0":
        return f"−{times_i}" if negative else times_i
    return f"{a} {'−' if negative else '+'} {times_i}"


def _decimals(array: Any, look: Numerals) -> int:
    """Enough for the digits of the largest and two of the smallest, no zeros at the end."""
    digits = look.digits
    sizes = np.abs(array[np.isfinite(array) & (array != 0)].astype(np.float64))
    if not sizes.size or np.all(sizes == np.round(sizes)):
        return 0
    if look.decimals is not None:
        return look.decimals
    largest, smallest = (math.floor(math.log10(size)) for size in (sizes.max(), sizes.min()))
    if largest < -4:
        return ALL_POWERS
    enough = max(digits - 1 - largest, 0)
    wanted = min(max(enough, 1 - smallest), enough + 2, digits + 2)
    decimals = [f"{size:.{wanted}f}".partition(".")[2].rstrip("0") for size in sizes]
    return max(map(len, decimals))


def _one(value: float, decimals: int, digits: int) -> str:
    if math.isnan(value):
        return "nan"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value == 0:
        return "0"
    text = f"{value:.{max(decimals, 0)}f}"
    if decimals == ALL_POWERS or float(text) == 0 or abs(value) >= 1e9:
        text = _power_of_ten(value, digits)
    return text.replace("-", "−")


def _power_of_ten(value: float, digits: int) -> str:
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    short = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
    return f"{short}·10{str(int(exponent)).translate(EXPONENT)}"


def read(texts: Any) -> Any:
    """The numbers that ``cells`` shows, as a reader takes them; what is exact as what it is.

    >>> read(cells(np.array([0.5, -1 / 3]))).tolist(), float(read(number(1.2e-9)))
    ([0.5, -0.3333], 1.2e-09)
    """
    return _each(texts, _as_number)


def _as_number(mantissa: str, power: str) -> float:
    return float(mantissa.replace("∞", "inf") + power)


def last_place(texts: Any) -> Any:
    """What one in the last place shown is worth, for each of the numbers that ``cells`` shows.

    >>> last_place(cells(np.array([0.25, 3.0]))).tolist()
    [0.01, 0.01]
    """
    return _each(
        texts, lambda mantissa, power: float(f"1{power}") / 10 ** len(mantissa.partition(".")[2])
    )


def _each(texts: Any, of: Callable[[str, str], float]) -> Any:
    """A number for each text, from its mantissa and its power of ten, as ``e-9``."""
    array = np.asarray(texts, object)
    numbers = np.empty(array.shape)
    for place, text in np.ndenumerate(array):
        exact = exact_value(str(text))
        if exact is not None:
            numbers[place] = exact if of is _as_number else 0.0
            continue
        mantissa, _, exponent = str(text).translate(PLAIN).partition("·10")
        numbers[place] = of(mantissa, f"e{exponent}" if exponent else "")
    return numbers[()]


def is_small(value: Any, look: Numerals = USUAL) -> bool:
    """Is this array shown number by number?"""
    shape = np.shape(value)
    if len(shape) <= 2:
        return all(n <= look.side for n in shape) and np.size(value) > 0
    return np.size(value) <= look.size and max(shape[-2:]) <= look.side


def summary(value: Any) -> str:
    """What is said of an array too large to print.

    >>> summary(np.linspace(-1.2, 3.4, 640).reshape(64, 10))
    'shape (64, 10), from −1.2 to 3.4, norm 43.66'
    """
    return summary_math(value).inline


def summary_math(value: Any) -> Math:
    """The same as words with formulas."""
    array = np.asarray(value)
    if array.size == 0:
        return parse(f'"shape {array.shape}, empty"')
    array = (np.abs(array) if array.dtype.kind == "c" else array).astype(np.float64)
    finite = array[np.isfinite(array)]
    said = [f'"shape {array.shape}"']
    if finite.size:
        said.append(f'"from" {number(finite.min())} "to" {number(finite.max())}')
        if finite.size == array.size:
            said.append(f'"norm" {number(np.linalg.norm(finite))}')
    for word, count in (("nan", np.isnan(array).sum()), ("infinite", np.isinf(array).sum())):
        said += [f'{count} "{word}"'] if count else []
    return parse(", ".join(said))
