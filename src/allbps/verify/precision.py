"""How exactly numbers were handed in: in full, in single precision, or rounded by a person.

How one array looks says little: zeros, ones and 0.25 stand on every grid of decimals. Numbers are
taken as rounded only where enough of their digits are the digits of what they should be, over the
whole hand-in together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from math import exp, log
from typing import Any

import numpy as np

from allbps.verify.evidence import bound_of

MOST_DIGITS = 7
"""Numbers with more decimals and more significant digits than this are taken as given in full."""
ENOUGH_DIGITS = 4.0
"""Decimal digits that have to agree before numbers are believed to be rounded: one in 10,000."""
ENOUGH_NUMBERS = 2
TELLING_NUMBERS = 5
"""Different numbers of an array that show to how many decimals it was rounded."""
SUSPICION = 0.7
"""What is likelier than this gives no reason to look for another."""
SIGMAS = 7.0
"""A spread that is measured in 32 runs is that often exceeded once in ten million (Student's t)."""
CLOSE = 20.0
"""So many last places apart, numbers may still be the same but for rounding on the way."""
PLAIN_MISTAKES = (-1.0, 0.5, 2.0)
"""Factors of which rounding that would excuse one says nothing."""
SINGLE = float(np.finfo(np.float32).eps)
DOUBLE = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Precision:
    """What is known of the precision of one array.

    Attributes:
        theirs: the numbers, in double precision.
        dtype: what they were handed in as.
        unit: the last decimal that was kept, one for the array or one for each number; 0 where
            they do not look rounded.
        digits: how many significant digits were kept; 0 where that is not how they look.
        words: ``3 decimals``, ``4 significant digits``.
        believed: is it known, from other arrays or from the person, that they are rounded?
        support: digits and numbers of the other arrays that speak for rounding.
        known: are the numbers before they were rounded known?
        noise: how much what follows from the rounded numbers given scatters by their rounding.
        far: how much it scatters where every step since the loss was rounded.
        scatter: how much right numbers scatter per part that arithmetic is off at every step.
        most: more than that they never do, which is known without measuring.

    """

    theirs: np.ndarray[Any, Any]
    dtype: np.dtype[Any]
    unit: Any = 0.0
    digits: int = 0
    words: str = ""
    believed: bool = False
    support: tuple[float, int] = (0.0, 0)
    known: bool = False
    noise: Any = 0.0
    far: Any = 0.0
    scatter: Callable[[], Any] = float
    most: float = np.inf

    def exactly(self, numbers: Any) -> bool:
        """Are these the numbers, to half of the digits of double precision?"""
        numbers = np.asarray(numbers)
        if numbers.shape != self.theirs.shape or not np.all(np.isfinite(numbers)):
            return False
        size = float(np.max(np.abs(numbers), initial=0.0))
        with np.errstate(invalid="ignore"):
            off = np.abs(self.theirs - numbers)
        if self.dtype.itemsize >= 8 and np.all(off <= bound_of(np.dtype(np.float64)) * size):
            return True
        if np.any(off > 1e-2 * size) and size > 1e-9:
            return False  # no arithmetic is that bad
        if np.any(off > self.arithmetic * (4 * np.abs(numbers) + SIGMAS * self.most)):
            return False  # most are, and to measure takes long
        spread = 4 * np.abs(numbers) + SIGMAS * self.scatter()
        return bool(np.all(off <= self.arithmetic * spread))

    @property
    def arithmetic(self) -> float:
        """By how much each step of the computation may have been off."""
        if self.dtype.itemsize < 8:
            return float(np.finfo(self.dtype).eps)
        return SINGLE if self.looks_single else 4 * DOUBLE

    @property
    def looks_single(self) -> bool:
        """Could these numbers come from a computation in single precision or less?"""
        with np.errstate(over="ignore"):
            return bool(np.array_equal(self.theirs.astype(np.float32), self.theirs))

    def within(self, numbers: Any, noise: bool = True, zeros: bool = False) -> bool:
        """Would these numbers be rounded to what was handed in?

        Args:
            numbers: what was not rounded yet.
            noise: may they scatter by rounding before?
            zeros: may they do so even where nothing but zeros was handed in?

        """
        numbers = np.asarray(numbers)
        if numbers.shape != self.theirs.shape or not np.any(self.unit):
            return False
        if not (zeros or np.any(self.theirs)):
            noise = False  # none that would excuse a forgotten gradient
        allowed = 0.5 * self.unit * (1 + 1e-6) + (SIGMAS * self.noise if noise else 0.0)
        return bool(np.all(np.abs(self.theirs - numbers) <= allowed))

    def whole(self, numbers: Any) -> bool:
        """Would these be rounded to the whole numbers, not all 0, that were handed in?"""
        numbers, theirs = np.asarray(numbers), self.theirs
        if numbers.shape != theirs.shape or not np.any(theirs) or np.any(self.unit):
            return False
        near = np.abs(theirs - numbers) <= 0.5 * (1 + 1e-6)
        return bool(np.all(near) and np.array_equal(theirs, np.rint(theirs)))

    @property
    def is_telling(self) -> bool:
        """Is there more than 0, 1 and −1, and not the same everywhere?"""
        several = self.theirs.size == 1 or np.ptp(self.theirs) > 0
        return bool(self.theirs.size and several and np.max(np.abs(self.theirs)) > 1)

    def around(self, numbers: Any) -> bool:
        """Could rounding at every step since the loss have led from these numbers to theirs?"""
        return replace(self, noise=self.far).within(numbers)

    def fits(self, numbers: Any) -> bool:
        """Are these the numbers, in full or as far as they were kept?"""
        if self.exactly(numbers):
            return True
        if not self.within(numbers):
            return False
        return bool(self.believed or enough(self.evidence(numbers), self.support))

    def is_blind(self, numbers: Any) -> bool:
        """Would rounding before excuse another sign or a factor of 2 as well as these numbers?"""
        if self.within(numbers, noise=False):
            return False
        return any(self.within(factor * np.asarray(numbers)) for factor in PLAIN_MISTAKES)

    def fits_alone(self, numbers: Any) -> bool:
        """As ``fits``, whether or not there is enough to believe that they were rounded."""
        if not self._is_near(numbers):
            return False
        return self.exactly(numbers) or self.within(numbers)

    def _is_near(self, numbers: Any) -> bool:
        """Is it worth while to look more closely? Of thousands of mistakes, hardly any."""
        numbers = np.asarray(numbers)
        if numbers.shape != self.theirs.shape:
            return False
        off, size = (np.max(np.abs(x), initial=0.0) for x in (self.theirs - numbers, numbers))
        return bool(worth_a_look(off, size, self.farthest))

    @cached_property
    def farthest(self) -> float:
        """How far off rounding may be."""
        return float(np.max(0.51 * self.unit + SIGMAS * self.noise, initial=0.0))

    def close(self, numbers: Any) -> bool:
        """Are these the numbers but for what rounding may do to a formula that enlarges it?"""
        numbers = np.asarray(numbers)
        if not self.believed or numbers.shape != self.theirs.shape or not np.any(self.unit):
            return False
        return bool(np.all(np.abs(self.theirs - numbers) <= CLOSE * self.unit))

    def scattered(self, noise: Any) -> Precision:
        """The same numbers, compared with what scatters so much."""
        return replace(self, noise=noise)

    def evidence(self, numbers: Any) -> tuple[float, int]:
        """How many digits, of how many numbers, agree because they were rounded.

        A number counts if its last digit is not 0 and what it should be does not stand on the grid
        itself; the more digits it has, the more.
        """
        numbers = np.asarray(numbers)
        if numbers.shape != self.theirs.shape or not np.any(self.unit):
            return 0.0, 0
        units = np.rint(np.abs(self.theirs) / self.unit)
        near = np.abs(self.theirs - numbers) <= 0.5 * self.unit * (1 + 1e-6)
        off_grid = np.abs(self.theirs - numbers) > 1e-6 * self.unit
        telling = near & off_grid & (units > 1) & (units % 10 != 0)
        return float(np.sum(np.log10(units, where=telling, out=np.zeros_like(units)))), int(
            np.sum(telling)
        )


def worth_a_look(off: Any, size: Any, farthest: Any) -> Any:
    """May numbers up to ``size`` be right that are off by so much, if rounding is by ``farthest``?

    Numbers that are not finite are looked at more closely too.
    """
    return (size <= 1e-9) | ~(off > np.maximum(farthest, 1e-2 * size))


def enough(*evidence: tuple[float, int]) -> bool:
    """Is that enough to believe that numbers are rounded?"""
    digits, numbers = sum(e[0] for e in evidence), sum(e[1] for e in evidence)
    return digits >= ENOUGH_DIGITS and numbers >= ENOUGH_NUMBERS


def decimals_of(numbers: Any) -> int | None:
    """The fewest decimals that show all of these numbers, or None if that are many."""
    for d in range(MOST_DIGITS + 1):
        if np.array_equal(np.round(numbers, d), numbers):
            return d
    return None


def significant_of(numbers: Any) -> int | None:
    """The fewest significant digits that show all of these numbers, or None if that are many."""
    for s in range(1, MOST_DIGITS + 1):
        if np.array_equal(to_digits(numbers, s), numbers):
            return s
    return None


def to_digits(numbers: Any, digits: int) -> np.ndarray[Any, Any]:
    """Numbers rounded to so many significant digits."""
    flat = [float(f"{x:.{digits - 1}e}") for x in np.ravel(numbers)]
    return np.array(flat).reshape(np.shape(numbers))


def to_unit(numbers: Any, unit: Any) -> Any:
    """Numbers rounded to what their last place is worth."""
    return np.rint(np.asarray(numbers) / unit)[()] * unit


def unit_in_last_place(numbers: Any, digits: int) -> np.ndarray[Any, Any]:
    """What the last of so many significant digits of each number is worth."""
    size = np.abs(np.where(numbers == 0, 1.0, numbers))
    return np.asarray(10.0 ** (np.floor(np.log10(size) + 1e-12) - digits + 1))


def looks(
    given: dict[Any, tuple[Any, np.dtype[Any]]], decimals: int | None
) -> dict[Any, Precision]:
    """The grid on which each array of a hand-in stands, the hand-in seen as a whole.

    Args:
        given: key -> numbers and the dtype they came in.
        decimals: what the person says, if anything.

    """
    plain = {key: Precision(theirs, dtype) for key, (theirs, dtype) in given.items()}
    if decimals is not None:
        said = f"{decimals} decimal{'s' * (decimals != 1)}"
        return {
            key: replace(p, unit=10.0**-decimals, words=said, believed=True)
            for key, p in plain.items()
        }
    finite = {key: p for key, p in plain.items() if np.all(np.isfinite(p.theirs)) and p.theirs.size}
    found = {key: decimals_of(p.theirs.astype(p.dtype)) for key, p in finite.items()}
    short = {key: finite[key].theirs for key, d in found.items() if d is not None}
    numbers = np.concatenate([*map(np.ravel, short.values()), np.zeros(0)])
    in_full = any(
        d is None and significant_of(finite[key].theirs) is None for key, d in found.items()
    )
    # who gives some in full does not round a few others, unless more numbers show it
    shows = [key for key, theirs in short.items() if not (in_full and _are_few(theirs))]
    most = max((found[key] or 0 for key in shows), default=0)
    in_decimals = _in_decimals(numbers, most)
    return plain | {key: _on_grid(p, found[key], most, in_decimals) for key, p in finite.items()}


def _are_few(numbers: Any) -> bool:
    """Are there too few different numbers to show to how many decimals they were rounded?"""
    return bool(np.unique(numbers[numbers != 0]).size < TELLING_NUMBERS)


def _on_grid(p: Precision, d: int | None, most: int, in_decimals: bool) -> Precision:
    """An array with the grid on which it stands, where the whole hand-in has ``most`` decimals.

    Decimals or significant digits may have been counted. Each number was kept as far as the coarser
    of the two says: the last digits of large numbers end first where digits were counted, and all
    numbers end at the same decimal where decimals were.
    """
    if d is not None:  # float32 has no 0.1 that float64 knows
        p = replace(p, theirs=np.round(p.theirs, d))
    digits = None if d is not None and in_decimals else significant_of(p.theirs)
    fine = unit_in_last_place(p.theirs, digits) if digits is not None and digits > 1 else None
    in_digits = f"{digits} significant digits"
    if fine is not None and d is None:
        return replace(p, unit=fine, digits=digits or 0, words=in_digits)
    if d is None:
        return p
    if not d or _are_few(p.theirs):
        d = most  # of numbers that repeat, or are few, all may end early
    if not d:
        return p
    unit, said = 10.0**-d, f"{d} decimal{'s' * (d != 1)}"
    if fine is None or np.all(fine <= unit * (1 + 1e-6)):
        return replace(p, unit=unit, words=said)
    if np.all(fine >= unit * (1 - 1e-6)):
        return replace(p, unit=fine, digits=digits or 0, words=in_digits)
    return replace(p, unit=np.maximum(unit, fine), words=f"{said} or {in_digits}")


def last_place(grid: Mapping[Any, Precision]) -> Callable[[Any], Any]:
    """What the last place is worth of numbers that a person wrote down on the way.

    Args:
        grid: how the numbers look that were handed in.

    """
    decimals = max((float(p.unit) for p in grid.values() if np.ndim(p.unit) == 0), default=0.0)
    digits = min((p.digits for p in grid.values() if p.digits), default=0)
    if not digits:
        return lambda numbers: decimals
    return lambda numbers: np.maximum(decimals, unit_in_last_place(numbers, digits))


def _in_decimals(numbers: Any, d: int) -> bool:
    """Were decimals counted, and not digits? One in ten of such numbers ends in 0.

    Numbers that repeat count once.
    """
    telling = np.unique(np.rint(np.abs(numbers) * 10.0**d))
    telling = telling[telling > 0]
    zeros = int(np.count_nonzero(telling % 10 == 0))
    return _by_chance(zeros, telling.size) >= SUSPICION


def _by_chance(zeros: int, count: int, expected: float = 0.1) -> float:
    """How likely so many zeros or more are at the ends of so many numbers: Chernoff's bound."""
    share = zeros / count if count else 0.0
    if share <= expected:
        return 1.0
    rest = (1 - share) * log((1 - share) / (1 - expected)) if share < 1 else 0.0
    return exp(-count * (share * log(share / expected) + rest))
