"""Where every value of a plan lies, decided while its works are turned into tasks.

Views share memory with what they view. The layout of a parameter is left open until the first
work that cares asks for one: the weights of a product then lie the way the product reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from .layout import Layout, Shape, row_major
from .plan import Value, Work
from .tasks import Memory, Place, Program, kind_of


class Places:
    """The places of all values.

    Args:
        program: where memory comes from.
        open_values: parameters, whose layout may be chosen.

    """

    def __init__(self, program: Program, open_values: Iterable[Value]) -> None:
        self.program = program
        self._open = dict.fromkeys(open_values)
        self._known: dict[Value, Place] = {}
        self._views: dict[Value, Work] = {}
        self._copies: dict[tuple[Value, Layout], Place] = {}
        self.copy: Callable[[Value, Place, Layout], Place] | None = None

    def put(self, value: Value, layout: Layout, *, kept: bool = False) -> Place:
        """Memory for a value."""
        kind = kind_of(value.dtype)
        memory = self.program.memory(value.name, layout.size, kind, kept=kept)
        self._known[value] = Place(memory, layout)
        return self._known[value]

    def share(self, value: Value, place: Place) -> None:
        """Let a value lie where another one does."""
        self._known[value] = place

    def view(self, work: Work) -> None:
        """Note a reshape or transpose: it is looked into when somebody reads it."""
        self._views[work.outputs[0]] = work

    def of(self, value: Value) -> Place:
        """Where a value lies."""
        if value in self._open:
            self.decide(value, row_major(value.shape))
        if value not in self._known:
            if value in self._views:
                self._known[value] = self._viewed(self._views[value])
            elif value.constant is not None:
                self._known[value] = self._constant(value)
        return self._known[value]

    def is_open(self, value: Value) -> bool:
        """May the layout still be chosen?"""
        while value in self._views and value not in self._known:
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
                back = _undone(work, back)
        del self._open[value]
        self.put(value, back if back is not None else row_major(value.shape), kept=True)

    def as_layout(self, value: Value, layout: Layout) -> Place:
        """The value in a given layout: where it lies, or a copy."""
        if self.is_open(value):
            self.decide(value, layout)
        here = self.of(value)
        if here.layout.same_places(layout):
            return Place(here.memory, layout)
        if (value, layout) not in self._copies:
            assert self.copy is not None
            self._copies[value, layout] = self.copy(value, here, layout)
        return self._copies[value, layout]

    def _viewed(self, work: Work) -> Place:
        source, shape = work.inputs[0], work.outputs[0].shape
        here = self.of(source)
        layout = _done(work, here.layout)
        if layout is None:
            here = self.as_layout(source, row_major(source.shape))
            layout = row_major(shape)
        return Place(here.memory, layout)

    def _constant(self, value: Value) -> Place:
        numbers = np.asarray(value.constant)
        kind = kind_of(value.dtype)
        memory = self.program.memory(value.name or "constant", value.size, kind, kept=True)
        memory.start = np.ravel(numbers).astype(self.program.dtype(memory))
        return Place(memory, row_major(value.shape))


def _done(work: Work, layout: Layout) -> Layout | None:
    """The layout of a view from that of what it views; None where a copy is needed."""
    shape: Shape = work.outputs[0].shape
    if work.kind == "transpose":
        return layout.transposed(work.attrs["axes"])
    if layout.same_places(row_major(layout.shape)):
        return row_major(shape)
    return layout.reshaped(shape)


def _undone(work: Work, layout: Layout) -> Layout | None:
    """The layout of what is viewed from that of the view."""
    if work.kind == "transpose":
        return layout.transposed([int(k) for k in np.argsort(work.attrs["axes"])])
    return layout.reshaped(work.inputs[0].shape)


def memories(places: Iterable[Place]) -> tuple[Memory, ...]:
    """The blocks of some places, each once."""
    return tuple(dict.fromkeys(place.memory for place in places))
