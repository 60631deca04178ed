"""The lecture's systems, one file each, in the lecture's order."""

from __future__ import annotations

from importlib import import_module

from allbps.errors import unknown_name
from allbps.lecture.system import System

NAMES = (
    "scalar-net",
    "neural-net",
    "euclidean-loss",
    "softmax-cross-entropy",
    "softmax-euclidean",
    "convolution",
    "max-pooling",
    "relu",
    "convnet",
    "pytorch-example",
    "shared-weights",
    "residual",
    "attention-scores",
    "transformer-block",
)


def system(name: str) -> System:
    """The system of that name.

    Raises:
        NameUnknownError: there is none.

    >>> system("scalar-net").title
    'A scalar neural net'
    """
    if name not in NAMES:
        raise unknown_name(name, list(NAMES), "system")
    module = import_module(f"allbps.lecture.{name.replace('-', '_')}")
    found: System = module.SYSTEM
    return found
