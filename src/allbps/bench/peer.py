"""Who takes part: a list of peers, each loaded only when it is asked for."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from allbps.bench.module_work import MODULES
from allbps.bench.work import ROWS
from allbps.errors import unknown_name


class Runner(Protocol):
    """A net ready to be trained by one framework, its parameters inside."""

    def run(self, steps: int) -> NDArray[Any]:
        """Take so many steps on the work's batches in turn; the loss of each, (steps,)."""


@dataclass(frozen=True)
class Peer:
    """One way of training.

    Attributes:
        name: what ``--peers`` calls it.
        library: the distribution that must be installed, empty for none.
        module: the file of this room that knows it.
        start: the name of the function or class in there: (work) -> runner.
        rows: the rows it can do; empty for all of functions of NumPy, which are ``ROWS``.

    """

    name: str
    library: str
    module: str
    start: str
    rows: tuple[str, ...] = ()

    @property
    def version(self) -> str:
        """The library's version; empty where it is not installed."""
        if not self.library:
            return "here"
        try:
            return version(self.library)
        except PackageNotFoundError:
            return ""

    def takes(self, row: str) -> bool:
        """Can it do that row?"""
        return row in (self.rows or ROWS)

    def load(self) -> Callable[[Any], Runner]:
        """Import the library; what starts a run of a row that it can do."""
        module = import_module(f"allbps.bench.{self.module}")
        return cast(Callable[[Any], Runner], getattr(module, self.start))


SMALL = ("lecture", "mlp", "lenet")
NETS = ("mlp", "lenet", "resnet20", "gpt")
IMAGES = ("lenet", "resnet20")
MODULE_IMAGES = tuple(
    f"torch-{name}"
    for name in ("lenet", "resnet20", "resnet18", "unet", "mobilenet", "mobilenet-v3", "vit")
)
TRAINED = tuple(row for row, work in MODULES.items() if work.learns)
ANSWERING = tuple(row for row, work in MODULES.items() if not work.learns)
PEERS = {
    peer.name: peer
    for peer in (
        Peer("machine", "llvmlite", "by_machine", "Steps"),
        Peer("machine.epoch", "llvmlite", "by_machine", "Epoch"),
        Peer("numpy", "", "by_numpy", "Emitted"),
        Peer("torch", "torch", "by_torch", "Eager"),
        Peer("torch.channels_last", "torch", "by_torch", "ChannelsLast", IMAGES),
        Peer("torch.compile", "torch", "by_torch_compile", "Compiled", NETS),
        Peer("jax", "jax", "by_jax", "Steps"),
        Peer("jax.scan", "jax", "by_jax", "Scan"),
        Peer("autograd", "autograd", "by_autograd", "Steps", SMALL),
        Peer("mygrad", "mygrad", "by_mygrad", "Steps", SMALL),
        Peer("tinygrad", "tinygrad", "by_tinygrad", "Steps", SMALL),
        Peer("micrograd", "micrograd", "by_micrograd", "Steps", ("lecture",)),
        Peer("sklearn", "scikit-learn", "by_sklearn", "Classifier", ("mlp",)),
        Peer("train_step", "llvmlite", "by_module", "Native", TRAINED),
        Peer("module", "torch", "by_module", "Eager", TRAINED),
        Peer("module.channels_last", "torch", "by_module", "ChannelsLast", MODULE_IMAGES),
        Peer("module.compile", "torch", "by_module", "Compiled", TRAINED),
        Peer("from_module", "llvmlite", "by_answers", "Native", ANSWERING),
        Peer("answers", "torch", "by_answers", "Eager", ANSWERING),
        Peer("answers.compile", "torch", "by_answers", "Compiled", ANSWERING),
    )
}
OURS = ("machine", "machine.epoch", "numpy", "train_step", "from_module")


def peer_named(name: str) -> Peer:
    """The peer of that name.

    Raises:
        NameUnknownError: there is none.

    """
    if name not in PEERS:
        raise unknown_name(name, list(PEERS), "peer")
    return PEERS[name]


def cores() -> int:
    """How many CPUs this process may use; everyone gets all of them."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def as_losses(losses: list[Any]) -> NDArray[Any]:
    """Losses as one array."""
    return np.array([float(loss) for loss in losses])
