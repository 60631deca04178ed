"""What the workers of a run must have in common, and how they take a run up again."""

from __future__ import annotations

import hashlib
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import allbps
from allbps.distributed import Workers
from allbps.train.checkpoint import load_checkpoint
from allbps.train.moment import Moment
from allbps.train.options import TrainOptions, flag

LIBRARIES = ("numpy", "llvmlite", "torch")
"""Libraries on whose version a bit may depend, or whether workers understand each other."""


def facts(options: TrainOptions, fingerprint: str) -> dict[str, Any]:
    """What all workers must have alike, for ``Workers.agree``.

    Args:
        options: what the user chose.
        fingerprint: of the data.

    """
    from allbps.machine.language.target import host

    chosen = {flag(name): value for name, value in options.fixed().items()}
    return {
        "version of": {"allbps": allbps.__version__, **{name: version(name) for name in LIBRARIES}},
        "CPU": f"{host().cpu}, vectors of {host().vector_bytes} bytes",
        "option": {**chosen, "epochs": options.epochs, "resume": options.resume},
        "data set": fingerprint,
        "file of --init": _contents(options),
    }


def _contents(options: TrainOptions) -> str:
    """A digest of the parameters to begin with; of nothing where they are drawn."""
    if options.init is None or options.resume:
        return ""
    path = Path(options.init)
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16] if path.is_file() else "no such file"


def resumed(
    path: Path, start: Moment, options: TrainOptions, fingerprint: str, workers: Workers
) -> Moment:
    """The moment that was saved: the first worker has it, and the others may be elsewhere.

    Raises:
        UserFileError, ArgumentError: as ``load_checkpoint``.
        WorkerError: the first worker cannot read it.

    """
    if workers.exchange is None:
        return load_checkpoint(path, start, options, fingerprint)

    def read() -> bytes:
        load_checkpoint(path, start, options, fingerprint)
        return path.read_bytes()

    data = workers.from_first(read)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / path.name
        copy.write_bytes(data)
        return load_checkpoint(copy, start, options, fingerprint)
