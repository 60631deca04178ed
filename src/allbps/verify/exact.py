"""The judge exact arithmetic: rational numbers and their derivatives, equality without tolerance.

Where a function needs only +, −, ×, ÷, whole powers and comparisons, its emitted text runs as well
on fractions. A dual number carries a value and the derivative along one
direction through the forward text; the emitted backward text must give exactly that derivative.

The direction is random: a wrong δ passes with a probability below 1 in 2²⁰ (Schwartz, "Fast
probabilistic algorithms for verification of polynomial identities", J. ACM 27 (1980) 701-717).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np

from allbps.backprop import Delta
from allbps.ir import CONST, Node
from allbps.readings.source import Line, emit
from allbps.verify.dual import Dual, dual
from allbps.verify.evidence import Case, at_kinks, bound_of, compare
from allbps.verify.finding import Finding, Index, Verdict
from allbps.verify.kinks import kinks_at, one_hot
from allbps.verify.replay import compiled, downstream_of
from allbps.verify.silence import Silence

LARGEST = 600
"""Elements of all values together up to which fractions are fast enough."""


LONGEST = 1 << 14
"""Bits of a number up to which fractions are fast enough: squaring again and again doubles them."""


def exactly(array: Any) -> Any:
    """Floats as dual numbers in an object array; whole numbers and truth values as they are."""
    return _each(dual, array) if np.asarray(array).dtype.kind == "f" else array


def _bits(x: Dual) -> int:
    """The length of the longest whole number in a dual number."""
    parts = (x.value.numerator, x.value.denominator, x.slope.numerator, x.slope.denominator)
    return max(part.bit_length() for part in parts)


def _each(function: Callable[..., Any], *arrays: Any) -> Any:
    """An object array of ``function`` element by element."""
    found = np.frompyfunc(function, len(arrays), 1)(*arrays)
    result = np.empty(np.shape(found), dtype=object)
    result[...] = found
    return result


def _floats(array: Any) -> np.ndarray[Any, Any]:
    """Dual numbers rounded to floats."""
    return np.asarray(_each(lambda x: float(x.value), array), dtype=np.float64)


class _Exact:
    """The emitted program on rational numbers."""

    def __init__(self, case: Case) -> None:
        program = emit(case.backward)
        given = {x.name: case.values[x.name] for x in case.backward.graph.inputs}
        self.scope = program.scope(given)
        for x in case.backward.graph.inputs:
            self._rational(self.scope, x.name, x, x.name)
        for name, value in program.constants.items():
            self.scope[name] = exactly(value)
        self.lines = program.forward
        self.codes = {
            line.node: compiled(line.code) for line in (*program.forward, *program.backward)
        }
        for line in program.forward:
            self._step(self.scope, line)
            self._same_path(line, case.values[line.name])
        for line in program.backward:
            self._step(self.scope, line)
        self.seeds = {
            y.name: exactly(seed.value if seed.op is CONST else case.values[seed.name])
            for y, seed in case.backward.seeds.items()
        }

    def _step(self, scope: dict[str, Any], line: Line) -> None:
        """Run one statement.

        Raises:
            Silence: it cannot be run on fractions.

        """
        try:
            exec(self.codes[line.node], scope)
        except (TypeError, AttributeError, ValueError, ZeroDivisionError):
            raise Silence(f"{line.code} cannot be computed with fractions") from None
        self._rational(scope, line.name, line.node, line.code)

    def _rational(self, scope: dict[str, Any], name: str, node: Node, text: str) -> None:
        if not node.is_float:
            return
        try:
            scope[name] = _each(dual, scope[name])
        except TypeError:
            raise Silence(f"{text} is not rational") from None
        if max(map(_bits, scope[name].flat), default=0) > LONGEST:
            digits = int(LONGEST * math.log10(2))
            raise Silence(f"{text} has fractions of more than {digits} digits")

    def _same_path(self, line: Line, ours: Any) -> None:
        """Compare an exact value with the one in floats: decisions hang on it.

        Raises:
            Silence: the float is mostly rounding.

        """
        ours = np.asarray(ours)
        if ours.dtype.kind == "f" and ours.size:
            exact = _floats(self.scope[line.name])
            off = float(np.max(np.abs(exact - ours.astype(np.float64))))
            if off > bound_of(ours.dtype) * float(np.max(np.abs(exact))):
                raise Silence(f"{line.code} is mostly rounding error: it is off by {off:.1e}")

    def delta(self, delta: Delta) -> Any:
        """The emitted δ, exactly."""
        return self.scope[delta.node.name]

    def slope(self, primal: Node, direction: Any) -> Fraction:
        """The derivative of the objective along a direction of whole numbers."""
        scope = dict(self.scope)
        here = scope[primal.name]
        scope[primal.name] = _each(lambda x, v: Dual(x.value, Fraction(int(v))), here, direction)
        for line in downstream_of(primal, self.lines):
            self._step(scope, line)
        total = Fraction(0)
        for y, seed in self.seeds.items():
            products = _each(lambda g, z: g.value * dual(z).slope, seed, scope[y])
            total += np.sum(products)
        return total

    def along(self, delta: Delta, direction: Any) -> Fraction:
        """⟨emitted δ, direction⟩."""
        products = _each(lambda g, v: g.value * int(v), self.delta(delta), direction)
        return Fraction(np.sum(products))


def judge(case: Case) -> Iterator[Finding]:
    """Compare every δ with exact derivatives.

    Raises:
        Silence: the function is not rational, or too large.

    """
    size = sum(node.size for node in case.backward.traced.graph.nodes)
    if size > LARGEST:
        raise Silence(f"{size} numbers are too many for fractions (up to {LARGEST})")
    exact = _Exact(case)
    for delta in case.deltas:
        yield _finding(case, exact, delta)


def _finding(case: Case, exact: _Exact, delta: Delta) -> Finding:
    """The emitted text must be exactly right; the numbers it gave in floats must be near."""
    name, shape = delta.primal.name, delta.primal.shape
    rng = case.rng(name)
    direction = rng.integers(1, 2**20, shape) * rng.choice([-1, 1], shape)
    kinks = {}
    if exact.slope(delta.primal, direction) != exact.along(delta, direction):
        kinks = kinks_at(case.replay, name, np.ndindex(shape))
        smooth = np.array(direction)
        for index in kinks:
            smooth[index] = 0
        if exact.slope(delta.primal, smooth) != exact.along(delta, smooth):
            return _wrong(exact, delta, set(np.ndindex(shape)) - set(kinks))
    floats = _floats(exact.delta(delta))
    finding = compare(case, "exact", delta, floats)
    if not kinks or finding.verdict is Verdict.DISAGREE:
        return finding
    finding = replace(finding, compared=finding.compared - len(kinks))
    return at_kinks(case.replay, finding, kinks, case.delta(delta))


def _wrong(exact: _Exact, delta: Delta, suspects: set[Index]) -> Finding:
    """The element that is most wrong."""
    name, shape = delta.primal.name, delta.primal.shape
    ours = exact.delta(delta)
    slopes = {i: exact.slope(delta.primal, one_hot(shape, i)) for i in sorted(suspects)}
    worst = max(slopes, key=lambda i: abs(slopes[i] - ours[i].value))
    scale = max(abs(number) for i in slopes for number in (slopes[i], ours[i].value))
    error = float(abs(slopes[worst] - ours[worst].value) / scale)
    return Finding(
        "exact", name, Verdict.DISAGREE, error, worst, float(ours[worst].value),
        float(slopes[worst]), len(slopes),
    )  # fmt: skip
