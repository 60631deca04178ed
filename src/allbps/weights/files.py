"""``bp.weights.load`` and ``bp.weights.save``."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from allbps.weights.filling import filled, rendered
from allbps.weights.fitting import Asked, Names
from allbps.weights.numbers import bfloat16_bits
from allbps.weights.own import Own
from allbps.weights.renamed import renamed
from allbps.weights.tensors import open_tensors, save_tensors


def load(
    path: str | Path, like: Any, *, names: Names | None = None, transposed: Collection[str] = (),
    strict: bool = True,
) -> Any:  # fmt: skip
    """Parameters with the numbers of a ``.safetensors`` file.

    Args:
        path: a file that PyTorch, Hugging Face's libraries or ``save`` wrote.
        like: the net's parameters as they are now, in any containers; their names, shapes and kinds
            of number are taken. They stay as they are.
        names: parameter -> entry of the file, where names differ by more than ``_`` for a dot; a
            dict of those that do, or a function of every name.
        transposed: parameters that hold (in, out) where the file's matrix is (out, in).
        strict: refuse entries without a parameter, and parameters without an entry; otherwise the
            latter keep their numbers. Counters of batches (``num_batches_tracked``) are passed
            over either way.

    Returns:
        A container like ``like``. Parameters that share memory there, or have one entry, are one
        array.

    Raises:
        UserFileError: the file is missing, truncated or no safetensors file; entries are missing,
            unexpected or misshaped, and all are named; numbers that ``like`` cannot hold.
        ArgumentError: ``names`` or ``transposed`` do not suit the parameters.
        MissingExtraError: safetensors is not installed.

    >>> import tempfile, numpy as np
    >>> params = {"fc1": {"weight": np.ones((4, 3), np.float32), "bias": np.zeros(4)}}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(folder + "/net.safetensors", params)
    ...     found = load(folder + "/net.safetensors", like=params)
    >>> found["fc1"]["weight"].shape
    (4, 3)

    """
    entries, metadata = open_tensors(Path(path))
    return filled(like, entries, Asked(str(path), names or {}, transposed, strict, metadata))


def save(
    path: str | Path, params: Any, *, like: str | Path | None = None, names: Names | None = None,
    transposed: Collection[str] = (), metadata: Mapping[str, str] | None = None,
) -> None:  # fmt: skip
    """Write parameters into a ``.safetensors`` file, whole or not at all.

    Parameters that share memory are written once, and the file says so, as
    ``safetensors.torch.save_model`` does it.

    Args:
        path: the file.
        params: arrays in any containers.
        like: a file whose names and kinds of number are taken, bfloat16 among them; it must have
            an entry for every parameter, and what else it holds is copied.
        names: parameter -> entry, as of ``load``.
        transposed: parameters that are to be written the other way round, as of ``load``.
        metadata: texts to go into the file.

    Raises:
        UserFileError: the place cannot be written; ``like`` does not fit.
        ArgumentError: two parameters go by one name.
        DtypeError: a parameter is no array of numbers.
        MissingExtraError: safetensors is not installed.

    """
    own = Own.of(params)
    texts = {"format": "pt"}
    if like is None:
        entries, tied = renamed(own, names or {}, transposed)
        texts |= tied
    else:
        entries, texts = open_tensors(Path(like))
    where = "these names" if like is None else str(like)
    made = rendered(own, entries, Asked(where, names or {}, transposed, tied=texts))
    for name in entries.keys() - made.keys():
        made[name] = entries[name].read()
    halves = frozenset(name for name in made if entries[name].kind == "bfloat16")
    stored: dict[str, NDArray[Any]] = {
        name: bfloat16_bits(numbers) if name in halves else numbers
        for name, numbers in made.items()
    }
    save_tensors(Path(path), stored, {**texts, **(metadata or {})}, halves)
