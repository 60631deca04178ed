"""Arrays on disk as safetensors: the same bytes for the same arrays, no pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from allbps import nn
from allbps.errors import UserFileError
from allbps.extras import needs
from allbps.files import write_bytes

PURPOSE = "saving and loading weights"


def save_tensors(
    path: Path, arrays: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]
) -> None:
    """Write arrays and metadata, whole or not at all.

    Raises:
        MissingExtraError: safetensors is not installed.
        UserFileError: the place cannot be written.

    """
    with needs("safetensors", extra="train", purpose=PURPOSE):
        from safetensors.numpy import save

    # not ascontiguousarray, which makes a vector of a number
    rowwise = {name: np.asarray(a, order="C") for name, a in arrays.items()}
    packed = save(rowwise, dict(metadata))
    write_bytes(path, _in_one_order(packed))


def _in_one_order(packed: bytes) -> bytes:
    """The same file with its metadata sorted: the library writes them in random order."""
    length = int.from_bytes(packed[:8], "little")
    header = json.loads(packed[8 : 8 + length])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + packed[8 + length :]


def load_tensors(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """Arrays and metadata of a file.

    Raises:
        MissingExtraError: safetensors is not installed.
        UserFileError: the file is missing, truncated or no safetensors file.

    """
    with needs("safetensors", extra="train", purpose=PURPOSE):
        from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise UserFileError(f"there is no file {path}", todo="check the path")
    try:
        with safe_open(path, "np") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return arrays, file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise UserFileError(
            f"{path} is truncated, or is not a safetensors file",
            expected="a file written by allbps train",
            got=str(error),
        ) from error


def save_weights(
    path: Path, model: nn.Model, params: nn.Params, shape: nn.Shape, classes: tuple[str, ...],
    seed: int,
) -> None:  # fmt: skip
    """Write a net's parameters with what is needed to use them.

    Raises:
        MissingExtraError: safetensors is not installed.
        UserFileError: the place cannot be written.

    """
    metadata = {
        "model": model.name,
        "input": json.dumps(shape),
        "classes": json.dumps(classes, ensure_ascii=False),
        "seed": str(seed),
        "shapes": json.dumps({name: array.shape for name, array in params.items()}),
    }
    save_tensors(path, params, metadata)


def load_weights(path: str | Path) -> tuple[nn.Model, nn.Params, tuple[str, ...]]:
    """(net, parameters, names of the classes) of a ``weights.safetensors``.

    Raises:
        MissingExtraError: safetensors is not installed.
        UserFileError: the file is missing, truncated, or holds no weights of a named net.

    """
    arrays, metadata = load_tensors(Path(path))
    if metadata.get("model") not in nn.MODELS or "classes" not in metadata:
        raise UserFileError(
            f"{path} holds no weights of a net that allbps knows",
            expected="a weights.safetensors of " + ", ".join(nn.MODELS),
            got=f"metadata {metadata}",
        )
    return nn.named(metadata["model"]), arrays, tuple(json.loads(metadata["classes"]))
