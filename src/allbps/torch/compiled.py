"""A step compiled for one shape of batch: its function, its memory, and whether both still hold."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from allbps.machine.options import Options
from allbps.machine.shared import SharedStep, reached, shared_step, traced_for
from allbps.names import identifier
from allbps.torch.emit import Written
from allbps.torch.memory import Memories
from allbps.torch.net import Imported, containers
from allbps.torch.rules import Followed, Groups
from allbps.torch.source import Source, names_in


class Objective:
    """Loss and new buffers as a function of inputs and of the module's arrays.

    Args:
        found: the exported module with its loss.
        title: what to call it.

    """

    def __init__(self, found: Imported, title: str) -> None:
        self.__name__ = title
        written = found.written
        given = containers(found.roles, found.tensors)
        read = {"params", *(text.partition("[")[0] for text in written.states)}
        self.counted = _counted(written)
        for name in self.counted:
            given["buffers"].pop(name, None)
        self.states = {k: v for k, v in given.items() if k in read and k != "constants" and v}
        results = written.results
        returned = results[0] if len(results) == 1 else f"({', '.join(results)})"
        if "buffers" in self.states:
            new = {name: written.new[name] for name in self.states["buffers"]}
            pairs = ", ".join(f"{name!r}: {text}" for name, text in new.items())
            returned = f"{returned}, {{{pairs}}}"
        arguments = [*written.inputs, *self.states]
        doc = f"The loss of {title}, and what its buffers become."
        source = Source(title, ", ".join(arguments), written.lines, returned, doc)
        self.source = source.needed()
        constants = {name: t.detach().numpy() for name, t in found.tensors.items()}
        self._function = self.source.built(constants, found.rng)
        self._names = {
            f"{room}.{name}": identifier(name) for room, own in self.states.items() for name in own
        }
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        self.__signature__ = inspect.Signature([inspect.Parameter(n, kind) for n in arguments])

    def arranged(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Mapping[str, Any]:
        """The arguments by name, as they come."""
        return dict(kwargs)

    def called(self, path: str) -> str:
        """The name of an argument's array."""
        return self._names.get(path) or identifier(path)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The loss, with its buffers' new values where there are any."""
        return self._function(*args, **kwargs)


def _counted(written: Written) -> list[str]:
    """Buffers that only count the steps, as a batch norm's do: nothing else reads them."""
    lines = {line.name: line for line in written.lines}
    found = []
    for name, new in written.new.items():
        text = f'buffers["{name}"]'
        readers = [line for line in written.lines if text in line.text]
        if new in lines and readers == [lines[new]] and readers[0].text == f"{text} + 1":
            used = [*written.results, *(line.text for line in written.lines)]
            if not any(new in names_in(text) for text in used):
                found.append(name)
    return found


class Tensors:
    """Tensors of a module in the memory of a step.

    What is dense and in row-major order is worked on where it is; of anything else, channels-last
    weights for example, a copy is worked on and written back.
    """

    def __init__(self, tensors: Mapping[str, torch.Tensor]) -> None:
        self.names, self.tensors = list(tensors), list(tensors.values())
        self.pointers: list[int] = []
        self.arrays: list[NDArray[Any]] = []
        self.copied: list[int] = []

    def renewed(self) -> bool:
        """Look where the tensors' memory is now; is it another than before?"""
        pointers = [t.data_ptr() for t in self.tensors]
        if pointers == self.pointers:
            return False
        self.pointers = pointers
        views = [t.detach().numpy() for t in self.tensors]
        self.arrays = [np.ascontiguousarray(view) for view in views]
        self.copied = [k for k, v in enumerate(views) if not v.flags.c_contiguous]
        return True

    def load(self) -> None:
        """Read what must be copied."""
        for k in self.copied:
            self.arrays[k][...] = self.tensors[k].detach().numpy()

    def store(self) -> None:
        """Write back what was copied, and tell autograd that all of it has changed."""
        for k in self.copied:
            self.tensors[k].detach().numpy()[...] = self.arrays[k]
        if self.tensors:
            torch.autograd.graph.increment_version(self.tensors)


class CompiledStep:
    """A step for one shape of batch.

    Args:
        found: the exported module with its loss.
        title: what to call it.
        memory: of the optimizers.
        options: threads and so on, as keywords of ``Options``.
        inputs: an example of the tensors of a batch.

    """

    def __init__(
        self, found: Imported, title: str, memory: Memories, options: Mapping[str, Any],
        inputs: Sequence[NDArray[Any]],
    ) -> None:  # fmt: skip
        self.found, self.memory, self.max_norm = found, memory, options.get("max_norm")
        self.objective = Objective(found, title)
        states = self.objective.states
        by_room: dict[str, dict[str, torch.Tensor]] = {
            room: {name: found.tensors[name] for name in sorted(own)}
            for room, own in states.items()
        }
        self.params = Tensors(by_room.get("params", {}))
        self.buffers = Tensors(by_room.get("buffers", {}))
        self.frozen = by_room.get("frozen", {})
        self.counted = [found.tensors[name] for name in self.objective.counted]
        used = self.objective.source.text
        self._constants = [
            (t, t.detach().numpy().tobytes())
            for name, t in found.tensors.items()
            if f'constants["{name}"]' in used
        ]
        rules, group_of = self._rules()
        self._groups = [
            [p for p, k in zip(self.params.tensors, group_of, strict=True) if k == j]
            for j in range(len(rules))
        ]
        optimizer = Groups(rules, group_of, self._numbers)
        self._options = Options(
            params="params", optimizer=optimizer, in_place=True,
            carry="buffers" if "buffers" in states else None, **options,
        )  # fmt: skip
        arguments = {**dict(zip(found.written.inputs, inputs, strict=True)), **states}
        with np.errstate(all="ignore"):
            self._traced, self._draws = traced_for(self.objective, arguments)
        self.step: SharedStep | None = None

    def unreached(self) -> list[str]:
        """Names of parameters that the loss does not depend on: PyTorch has no gradient of them."""
        names = self.params.names
        return [
            n for n, r in zip(names, reached(self._traced, self._options), strict=True) if not r
        ]

    def compile(self) -> None:
        """Make native code of it."""
        self.step = shared_step(self.objective, self._options, self._traced, self._draws)

    def _rules(self) -> tuple[list[Followed], list[int]]:
        groups = self.memory.groups
        rules = [
            Followed(number, memory.kind, memory.optimizer, k)
            for number, (memory, k) in enumerate(groups)
        ]
        where = {
            id(p): number
            for number, (memory, k) in enumerate(groups)
            for p in memory.optimizer.param_groups[k]["params"]
        }
        return rules, [where[id(p)] for p in self.params.tensors]

    def _numbers(self) -> list[int]:
        return [self.memory.number(group) for group in self._groups]

    @property
    def is_stale(self) -> bool:
        """Has somebody changed a buffer that the step takes as a constant?

        All bits are compared: PyTorch counts no version for what is written through ``.data``.
        """
        return any(t.detach().numpy().tobytes() != b for t, b in self._constants)

    def __call__(self, inputs: Sequence[NDArray[Any]], taken: int) -> Any:
        """Take a step on these inputs; what the loss function returned."""
        assert self.step is not None
        self.memory.refresh()
        new = self.params.renewed() | self.buffers.renewed()
        self.params.load()
        self.buffers.load()
        if new or self.step.taken == 0:
            slots = [self._slots(p) for p in self.params.tensors]
            self.step.share(self.params.arrays, slots, self.buffers.arrays)
        self.step.taken = taken
        frozen = {name: t.detach().numpy() for name, t in self.frozen.items()}
        result = self.step(*inputs, *([frozen] if frozen else []))
        self.params.store()
        self.buffers.store()
        if self.counted:
            torch._foreach_add_(self.counted, 1)
        return result

    def _slots(self, p: torch.Tensor) -> dict[str, NDArray[Any]]:
        return {name: t.numpy() for name, t in self.memory.slots[id(p)].items()}
