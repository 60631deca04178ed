"""A formula with its shapes, and the function that it means."""

from __future__ import annotations

import difflib
import inspect
import linecache
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from allbps.errors import FormulaError
from allbps.formula.meaning import AMBIGUOUS, SIGNS, Meaning, functions, power
from allbps.formula.parsing import LOWERED, Part, mistake, parse
from allbps.formula.shapes import MisfitError, Shape, Sizes
from allbps.ir import Site
from allbps.ir.site import placed_at

LARGEST = 10_000
"""Numbers in any array of a formula."""
MOST = 20
"""Names in a formula."""


@dataclass(frozen=True)
class Formula:
    """A formula that fits together.

    Attributes:
        text: as it was written.
        shapes: name -> its shape, in the order in which the names appear.
        result: the shape of what it gives.
    """

    text: str
    tree: Part
    shapes: Mapping[str, tuple[int, ...]]
    result: tuple[int, ...]

    def function(self) -> Callable[..., Any]:
        """What it means, as a function of its names that can be traced and derived.

        >>> read("2 x", {"x": ()}).function()(np.float64(1.5))
        np.float64(3.0)
        """

        def computed(*operands: Any) -> Any:
            given = dict(zip(self.shapes, operands, strict=True))
            values: dict[int, Any] = {}
            with placed_at(self._site()):
                for part in self.tree.walk():
                    values[id(part)] = _value(part, values, given)
            return values[id(self.tree)]

        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        parameters = [inspect.Parameter(name, kind) for name in self.shapes]
        computed.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        computed.__name__ = self.text.strip()
        return computed

    def _site(self) -> Site:
        """The formula is the line that every step points at."""
        line = self.text.strip()
        file = f"<{line}>".replace("/", "∕")
        linecache.cache[file] = (len(line), None, [line], file)
        return Site(file, 1, "formula")


def _value(part: Part, values: Mapping[int, Any], given: Mapping[str, Any]) -> Any:
    if part.kind == "name":
        return given[part.said]
    if part.kind == "number":
        return np.float64(part.said)
    return _meaning(part).compute(*(values[id(inner)] for inner in part.parts))


def _meaning(part: Part) -> Meaning:
    """What a part does to its operands; what calls are known has been looked at before."""
    if part.kind == "call":
        return functions()[part.said.lower()]
    if part.kind == "power":
        return power(part.said)
    return SIGNS[part.said if part.kind == "infix" else part.kind]


def read(text: str, shapes: Mapping[str, tuple[int, ...]] | None = None) -> Formula:
    """A formula with a shape for every name: those given, and what fits beside them.

    A name is a matrix, a column where it has a single size, or a number where its shape is ``()``.

    Raises:
        FormulaError: it cannot be read, or no shapes fit; with the place.

    >>> read("ReLU(X W) W").shapes
    {'X': (2, 3), 'W': (3, 3)}
    >>> read("softmax(x yᵀ)", {"x": (5, 2)}).shapes
    {'x': (5, 2), 'y': (2, 2)}
    """
    tree = parse(text)
    names = list(dict.fromkeys(part.said for part in tree.walk() if part.kind == "name"))
    names.sort(key=lambda name: min(p.start for p in tree.walk() if p.said == name))
    _acceptable(text, names, shapes or {})
    return _Reader(text, tree).formula(names, shapes or {})


def _acceptable(text: str, names: list[str], given: Mapping[str, tuple[int, ...]]) -> None:
    if not names:
        raise FormulaError("the formula has no names, so nothing in it has a δ", got=text)
    if len(names) > MOST:
        raise FormulaError("the formula has too many names", expected=f"at most {MOST}")
    for name, shape in given.items():
        if name not in names:
            raise FormulaError(f"there is no {name} in the formula", expected=", ".join(names))
        if len(shape) > 2 or any(n < 1 for n in shape) or math.prod(shape) > LARGEST:
            raise FormulaError(
                f"{name} cannot have this shape", expected=f"a matrix of at most {LARGEST} numbers",
                got="×".join(map(str, shape)),
            )  # fmt: skip


class _Reader:
    def __init__(self, text: str, tree: Part) -> None:
        self.text, self.tree, self.sizes = text, tree, Sizes()
        self.found: dict[int, Shape] = {}

    def formula(self, names: list[str], given: Mapping[str, tuple[int, ...]]) -> Formula:
        known = {name: self._given(given.get(name)) for name in names}
        for part in self.tree.walk():
            self.found[id(part)] = self._shape(part, known)
        order = [size for shape in known.values() for size in shape]
        try:
            self.sizes.solve(order)
        except MisfitError as misfit:
            raise FormulaError(
                "no shapes fit", where=self.text, got=str(misfit),
                todo="give other shapes",
            ) from None  # fmt: skip
        for part in self.tree.walk():
            self._clear(part)
        shapes = {name: self._whole(shape) for name, shape in known.items()}
        return Formula(self.text, self.tree, shapes, self._whole(self.found[id(self.tree)]))

    def _given(self, shape: tuple[int, ...] | None) -> Shape:
        if shape is None:
            return self.sizes.new(), self.sizes.new()
        both = shape if len(shape) != 1 else (*shape, 1)
        return tuple(self.sizes.new(n) for n in both)

    def _whole(self, shape: Shape) -> tuple[int, ...]:
        return tuple(self.sizes.value(size) or 1 for size in shape)

    # -- one part --------------------------------------------------------------------------------
    def _shape(self, part: Part, known: Mapping[str, Shape]) -> Shape:
        if part.kind == "number":
            return ()
        if part.kind == "name":
            self._not_a_function(part)
            return known[part.said]
        if part.kind == "call":
            self._callable(part)
        if part.kind == "infix" and part.said == "/" and part.parts[1].kind == "product":
            raise self._mistake(
                part.parts[1], "does / divide by the product, or by its first factor?",
                todo="write parentheses",
            )  # fmt: skip
        operands = [self.found[id(inner)] for inner in part.parts]
        if part.kind == "infix" and part.said in AMBIGUOUS and all(operands):
            raise self._mistake(
                part, f"{part.said} between two matrices could mean three things",
                todo="write X W for the product, X ⊙ W element by element, conv(I, K)",
            )  # fmt: skip
        try:
            return _meaning(part).shape(self.sizes, *operands)
        except MisfitError as misfit:
            raise self._mistake(part, "the shapes do not fit", got=str(misfit)) from None

    def _callable(self, part: Part) -> None:
        meaning = functions().get(part.said.lower())
        if meaning is None:
            near = difflib.get_close_matches(part.said.lower(), functions(), n=1)
            raise self._mistake(
                part, f"there is no function {part.said}",
                todo=f"did you mean {near[0]}?" if near
                else f"for a product write a space: {part.said} (…)",
            )  # fmt: skip
        if meaning.takes != len(part.parts):
            raise self._mistake(
                part, f"{part.said} takes {meaning.takes} operand{'s'[: meaning.takes - 1]}",
                got=str(len(part.parts)),
            )  # fmt: skip

    def _not_a_function(self, part: Part) -> None:
        if part.said.lower() in functions() and len(part.said) > 1:
            raise self._mistake(
                part, f"{part.said} is a function", todo=f"write {part.said}(…), without a space"
            )

    def _clear(self, part: Part) -> None:
        """Nothing that has two meanings or is too large, now that all sizes are known."""
        shape = self._whole(self.found[id(part)])
        if math.prod(shape) > LARGEST:
            raise self._mistake(
                part, "this is too large", expected=f"at most {LARGEST} numbers",
                got="×".join(map(str, shape)),
            )  # fmt: skip
        if part.kind == "power" and len(shape) == 2 and shape[0] == shape[1] > 1:
            raise self._mistake(
                part, "a power of a square matrix could mean two things",
                todo="write X X for the product, or X ⊙ X element by element",
            )  # fmt: skip

    def _mistake(self, part: Part, what: str, **more: str) -> FormulaError:
        return mistake(what, self.text, part.start, part.end, **more)


_GIVEN = re.compile(r"\s*([^\W\d_][\w₀-₉]*)\s*[:=∈]?\s*(\(\s*\)|number|[\d\s×x*,()]+?)\s*")


def shapes_from(text: str) -> dict[str, tuple[int, ...]]:
    """``X: 2×3, W: 3×4, η: ()`` as shapes by name.

    Raises:
        FormulaError: it says something else.

    >>> shapes_from("X: 2×3; b 1x3, η: ()")
    {'X': (2, 3), 'b': (1, 3), 'η': ()}
    """
    return dict(_shapes(text))


def _shapes(text: str) -> Iterator[tuple[str, tuple[int, ...]]]:
    for said in filter(str.strip, re.split(r"[;,](?![^(]*\))", text)):
        matched = _GIVEN.fullmatch(said)
        sizes = re.findall(r"\d+", matched[2]) if matched else []
        if matched is None or len(sizes) > 2:
            got = said.strip()
            got = got if len(got) <= 60 else f"{got[:59]}…"
            raise FormulaError("a shape cannot be read", expected="X: 2×3, η: ()", got=got)
        if any(len(size) > len(str(LARGEST)) for size in sizes):
            raise FormulaError(
                f"{matched[1]} is too large", expected=f"at most {LARGEST} numbers",
                got=f"{said.strip()[:60]}",
            )  # fmt: skip
        yield matched[1].translate(LOWERED), tuple(map(int, sizes))
