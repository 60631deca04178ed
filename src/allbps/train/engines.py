"""The engines by name."""

from __future__ import annotations

from collections.abc import Callable

from allbps.errors import ArgumentError, unknown_name
from allbps.train.engine import Engine, Task
from allbps.train.machine_engine import MachineEngine
from allbps.train.numpy_engine import NumpyEngine
from allbps.train.parted_engine import PartedEngine

ENGINES: dict[str, Callable[[Task], Engine]] = {"machine": MachineEngine, "numpy": NumpyEngine}


def make_engine(name: str, task: Task, parts: int | None = None, size: int = 1) -> Engine:
    """The engine of that name.

    Args:
        name: of the engine.
        task: what it works on.
        parts: into how many parts it cuts a mini-batch, if it does.
        size: of a mini-batch: the memory is laid out for it.

    Raises:
        NameUnknownError: there is none.
        ArgumentError: it does not cut.

    """
    if name not in ENGINES:
        raise unknown_name(name, list(ENGINES), "engine")
    if parts is None:
        return ENGINES[name](task)
    if name != "machine":
        raise ArgumentError(
            "--parts and several workers need the machine engine",
            expected="--engine machine",
            got=f"--engine {name}",
        )
    return PartedEngine(task, parts, size)
