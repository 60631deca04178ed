"""The weights of a named net on disk, with what is needed to use them."""

from __future__ import annotations

import json
from pathlib import Path

from allbps import nn, weights
from allbps.errors import UserFileError
from allbps.weights.tensors import load_tensors, save_tensors


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


def initial(path: str | Path, drawn: nn.Params) -> nn.Params:
    """Parameters to begin with: the numbers of a file in place of those that were drawn.

    Raises:
        MissingExtraError: safetensors is not installed.
        UserFileError: the file cannot be read, or is not for this net; all entries are named.

    """
    try:
        found: nn.Params = weights.load(path, like=drawn)
    except UserFileError as error:
        raise UserFileError(
            error.what, expected=error.expected, got=error.got, todo=_todo(error)
        ) from error
    return found


def _todo(error: UserFileError) -> str:
    """What to do on the command line, where there are no arguments of Python."""
    if error.todo.startswith(("names=", "transposed=")):
        return f"rewrite the file with bp.weights.load(…, {error.todo.partition(',')[0]}…) and save"
    if error.todo.startswith("strict="):
        return "give weights of this --model, for as many classes"
    return error.todo
