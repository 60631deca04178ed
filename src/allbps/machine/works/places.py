"""Where every value of a plan lies, decided while its works are turned into tasks.

Views share memory with what they view, slices too: a slice is copied out only for those who need
it dense, and a δ that belongs into a slice may be written there at once. The layout of a parameter
is left open until the first work that cares asks for one: the weights of a product then lie the
way the product reads them.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from typing import Any

import numpy as np

from allbps.machine.language.operands import Memory
from allbps.machine.planning.assembly import landings
from allbps.machine.planning.layout import Layout, row_major
from allbps.machine.planning.plan import Plan, Value, Work
from allbps.machine.works.loops import add_copy
from allbps.machine.works.tasks import Place, Program, kind_of


class Places:
    """The places of all values.

    Args:
        program: where memory comes from.
        plan: the values and works.
        open_values: parameters, whose layout may be chosen.
        given: where inputs lie that have their memory already.
        guarded: does the step look whether what kernels take for granted of matrices holds?

    """

    def __init__(
        self,
        program: Program,
        plan: Plan,
        open_values: Iterable[Value] = (),
        given: Mapping[Value, Place] | None = None,
        *,
        guarded: bool = True,
    ) -> None:
        self.program, self._plan, self.guarded = program, plan, guarded
        self._open = dict.fromkeys(open_values)
        self._known: dict[Value, Place] = dict(given or {})
        self._views: dict[Value, Work] = {}
        self._parts: dict[Value, Place] = {}
        self._copies: dict[tuple[Value, Layout], Place] = {}
        self.windows: dict[Any, Memory] = {}  # what a convolution made for itself and its δ
        self.landings = landings(plan)
        for value in plan.inputs:
            if value not in self._open and value not in self._known:
                self.put(value, row_major(value.shape), kept=True)

    def put(self, value: Value, layout: Layout, *, kept: bool = False) -> Place:
        """Memory for a value."""
        kind = kind_of(value.dtype)
        memory = self.program.memory(value.name, layout.size, kind, kept=kept)
        self._known[value] = Place(memory, layout)
        return self._known[value]

    def put_into(self, value: Value, place: Place) -> None:
        """Let a value lie in a part of a larger block."""
        self._parts[value] = place

    def kept(self, value: Value) -> Value:
        """What the work that made a value kept for its δ, as its second result."""
        return self._plan.maker[value].outputs[1]

    def is_read(self, value: Value) -> bool:
        """Does anybody need a value?"""
        return value in self._plan.users or value in self._plan.wanted

    def products_of(self, value: Value) -> int:
        """How many works of the plan read a value as it lies, transpositions apart."""
        return sum(work.kind != "transpose" for work in self._plan.users.get(value, ()))

    def is_turned(self, value: Value) -> bool:
        """Is there a transposition of a value?"""
        return any(work.kind == "transpose" for work in self._plan.users.get(value, ()))

    def landed(self, value: Value) -> bool:
        """Does a value lie in a part of a larger block?"""
        return value in self._parts

    def is_put(self, value: Value) -> bool:
        """Has a value got its memory?"""
        return value in self._known

    def view(self, work: Work) -> None:
        """Note a reshape, transpose or slice: it is looked into when somebody reads it."""
        self._views[work.outputs[0]] = work

    def strided(self, value: Value) -> Place:
        """Where a value lies, maybe a part of a larger block: nothing is copied if possible."""
        chain = []
        while value not in self._known and value not in self._parts and value in self._views:
            chain.append(self._views[value])
            value = chain[-1].inputs[0]
        place = self._parts.get(value) or self.of(value)
        for work in chain[::-1]:
            seen = viewed(work, place)
            place = seen if seen is not None else self.of(work.outputs[0])
        return place

    def of(self, value: Value) -> Place:
        """Where a value lies, dense; a slice is copied out first."""
        if value in self._open:
            self.decide(value, row_major(value.shape))
        if value not in self._known:
            if value in self._views:
                self._known[value] = self._viewed(self._views[value])
            elif value in self._parts:
                self._known[value] = self.as_layout(value, row_major(value.shape))
            elif value.constant is not None:
                self._known[value] = self._constant(value)
        return self._known[value]

    def is_open(self, value: Value) -> bool:
        """May the layout still be chosen?"""
        while value in self._views and value not in self._known:
            if self._views[value].kind == "getitem":
                return False
            value = self._views[value].inputs[0]
        return value in self._open

    def decide(self, value: Value, layout: Layout) -> None:
        """Choose the layout of an open parameter, or of a view of one."""
        chain = []
        while value in self._views and value not in self._known:
            chain.append(self._views[value])
            value = chain[-1].inputs[0]
        back: Layout | None = layout
        for work in chain:
            if back is not None:
                back = unviewed(work, back)
        del self._open[value]
        self.put(value, back if back is not None else row_major(value.shape), kept=True)

    def as_layout(self, value: Value, layout: Layout) -> Place:
        """The value in a given layout: where it lies, or a copy."""
        if self.is_open(value):
            self.decide(value, layout)
        here = self.strided(value)
        if here.start == 0 and here.layout.same_places(layout):
            return Place(here.memory, layout)
        return self._copied(value, here, layout)

    def settled(self, value: Value, layout: Layout) -> Place | None:
        """A view in a given layout, and from now on it lies so for all; None for what is none."""
        if value not in self._views or self.is_open(value):
            return None
        self._known[value] = self.as_layout(value, layout)
        return self._known[value]

    def apart(self, value: Value, changing: Container[Value]) -> Place:
        """Where a value lies; a copy if it is a view of one that is about to change."""
        if not self._views_one_of(value, changing):
            return self.of(value)
        return self._copied(value, self.strided(value), row_major(value.shape))

    def apart_as(self, value: Value, layout: Layout, changing: Container[Value]) -> Place:
        """The same in a given layout."""
        if not self._views_one_of(value, changing):
            return self.as_layout(value, layout)
        return self._copied(value, self.strided(value), layout)

    def _views_one_of(self, value: Value, changing: Container[Value]) -> bool:
        while value in self._views:
            value = self._views[value].inputs[0]
        return value in changing

    def _viewed(self, work: Work) -> Place:
        """A view without gaps: of what lies there, or of a copy."""
        value, source = work.outputs[0], work.inputs[0]
        seen = viewed(work, self.strided(source))
        if seen is None:
            seen = viewed(work, self.as_layout(source, row_major(source.shape)))
            assert seen is not None
        return seen if seen.whole else self._copied(value, seen, row_major(value.shape))

    def _copied(self, value: Value, here: Place, layout: Layout) -> Place:
        if (value, layout) not in self._copies:
            self._copies[value, layout] = add_copy(self.program, value, here, layout)
        return self._copies[value, layout]

    def _constant(self, value: Value) -> Place:
        numbers = np.asarray(value.constant)
        kind = kind_of(value.dtype)
        memory = self.program.memory(value.name or "constant", value.size, kind, kept=True)
        memory.start = np.ravel(numbers).astype(self.program.dtype(memory))
        return Place(memory, row_major(value.shape))


def viewed(work: Work, place: Place) -> Place | None:
    """Where a view lies if what it views lies at ``place``; None where it needs a copy."""
    shape, layout = work.outputs[0].shape, place.layout
    if work.kind == "getitem":
        return place.window(work.attrs["parts"])
    if work.kind == "transpose":
        seen: Layout | None = layout.transposed(work.attrs["axes"])
    elif layout.same_places(row_major(layout.shape)):
        seen = row_major(shape)
    else:
        seen = layout.reshaped(shape)
    return None if seen is None else Place(place.memory, seen, place.start)


def unviewed(work: Work, layout: Layout) -> Layout | None:
    """The layout of what is viewed from that of the view."""
    if work.kind == "transpose":
        return layout.transposed([int(k) for k in np.argsort(work.attrs["axes"])])
    return layout.reshaped(work.inputs[0].shape)
