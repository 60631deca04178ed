"""Dual numbers over fractions: exact values with their exact derivative along one direction.

W. K. Clifford, "Preliminary sketch of biquaternions", Proc. London Math. Soc. 4 (1873) 381-395.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True, eq=False)
class Dual:
    """A rational number and its derivative along one direction.

    >>> x = Dual(Fraction(1, 3), Fraction(1))
    >>> y = x * x + 0.5
    >>> y.value, y.slope
    (Fraction(11, 18), Fraction(2, 3))
    """

    value: Fraction
    slope: Fraction = Fraction(0)

    def __add__(self, other: Any) -> Dual:
        b = dual(other)
        return Dual(self.value + b.value, self.slope + b.slope)

    def __sub__(self, other: Any) -> Dual:
        b = dual(other)
        return Dual(self.value - b.value, self.slope - b.slope)

    def __mul__(self, other: Any) -> Dual:
        b = dual(other)
        return Dual(self.value * b.value, self.slope * b.value + self.value * b.slope)

    def __truediv__(self, other: Any) -> Dual:
        b = dual(other)
        quotient = self.value / b.value
        return Dual(quotient, (self.slope - quotient * b.slope) / b.value)

    def __pow__(self, exponent: Any) -> Dual:
        n = exponent_of(exponent)
        if n == 0:
            return Dual(Fraction(1))
        return Dual(self.value**n, n * self.value ** (n - 1) * self.slope)

    def __radd__(self, other: Any) -> Dual:
        return dual(other) + self

    def __rsub__(self, other: Any) -> Dual:
        return dual(other) - self

    def __rmul__(self, other: Any) -> Dual:
        return dual(other) * self

    def __rtruediv__(self, other: Any) -> Dual:
        return dual(other) / self

    def __neg__(self) -> Dual:
        return Dual(-self.value, -self.slope)

    def __abs__(self) -> Dual:
        return -self if self.value < 0 else self

    def __lt__(self, other: Any) -> bool:
        return bool(self.value < _plain(other))

    def __le__(self, other: Any) -> bool:
        return bool(self.value <= _plain(other))

    def __gt__(self, other: Any) -> bool:
        return bool(self.value > _plain(other))

    def __ge__(self, other: Any) -> bool:
        return bool(self.value >= _plain(other))

    def __eq__(self, other: object) -> bool:
        return bool(self.value == _plain(other))

    def __ne__(self, other: object) -> bool:
        return bool(self.value != _plain(other))

    def __hash__(self) -> int:
        return hash(self.value)

    def __bool__(self) -> bool:
        return self.value != 0


def dual(x: Any) -> Dual:
    """A number as a dual one; every float is a fraction.

    Raises:
        TypeError: it is not a rational number.

    """
    if isinstance(x, Dual):
        return x
    if isinstance(x, (bool, int, float, Fraction, np.bool_, np.integer, np.floating)):
        try:
            return Dual(Fraction(x.item() if isinstance(x, np.generic) else x))
        except (OverflowError, ValueError):
            raise TypeError(f"{x} is not rational") from None
    raise TypeError(f"{type(x).__name__} is not rational")


def _plain(x: Any) -> Any:
    """What a dual number is compared by; also with infinity, which it is not."""
    return x.value if isinstance(x, Dual) else x


def exponent_of(exponent: Any) -> int:
    """A whole exponent.

    Raises:
        TypeError: it is not whole.

    """
    value = dual(exponent).value
    if value.denominator != 1:
        raise TypeError(f"a power of {value} is not rational")
    return int(value)
