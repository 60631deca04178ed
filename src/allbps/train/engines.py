"""The engines by name."""

from __future__ import annotations

from collections.abc import Callable

from allbps.errors import unknown_name
from allbps.train.engine import Engine, Task
from allbps.train.machine_engine import MachineEngine
from allbps.train.numpy_engine import NumpyEngine

ENGINES: dict[str, Callable[[Task], Engine]] = {"machine": MachineEngine, "numpy": NumpyEngine}


def make_engine(name: str, task: Task) -> Engine:
    """The engine of that name.

    Raises:
        NameUnknownError: there is none.

    """
    if name not in ENGINES:
        raise unknown_name(name, list(ENGINES), "engine")
    return ENGINES[name](task)
