"""Checkpoints: a moment of a run on disk, to go on from bit by bit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from allbps.errors import ArgumentError, UserFileError
from allbps.train.engine import State
from allbps.train.moment import EpochRow, Moment
from allbps.train.options import TrainOptions, flag
from allbps.tree import flatten, rebuild
from allbps.weights.tensors import load_tensors, save_tensors

FORMAT = "allbps checkpoint 1"


def save_checkpoint(
    path: Path, moment: Moment, options: TrainOptions, data_fingerprint: str
) -> None:
    """Write everything that the rest of the run depends on.

    The random generators are part of it: the order of the examples follows from seed and epoch,
    what the net draws from the seeds of its generators and the number of the step.

    Raises:
        MissingExtraError: safetensors is not installed.
        UserFileError: the place cannot be written.

    """
    counts = {
        "epoch": moment.epoch,
        "step": moment.step,
        "loss_sum": moment.loss_sum,
        "examples": moment.examples,
        "right": moment.right,
        "labels": moment.labels,
    }
    metadata = {
        "format": FORMAT,
        "options": json.dumps(options.fixed()),
        "data": data_fingerprint,
        "counts": json.dumps(counts),
        "history": json.dumps([asdict(row) for row in moment.history]),
        "drawn": json.dumps(moment.drawn),
    }
    save_tensors(path, dict(flatten(_arrays(moment), "")), metadata)


def load_checkpoint(
    path: Path, start: Moment, options: TrainOptions, data_fingerprint: str
) -> Moment:
    """The moment that was saved.

    Args:
        path: the file.
        start: the moment at which this run would start afresh, which has the same arrays.
        options: what the user chose now; they must agree with those of the checkpoint.
        data_fingerprint: of the data given now, likewise.

    Raises:
        UserFileError: the file is missing, truncated or no checkpoint, or of another net.
        ArgumentError: other options or other data than before.

    """
    if not path.is_file():
        raise UserFileError(
            f"there is no checkpoint to resume from: {path}",
            todo="leave --resume out to start, or give the --out of the run to go on with",
        )
    arrays, metadata = load_tensors(path)
    if metadata.get("format") != FORMAT:
        raise UserFileError(
            f"{path} is not a checkpoint",
            expected=FORMAT,
            got=metadata.get("format", "another file"),
        )
    _same_options(path, json.loads(metadata["options"]), options.fixed())
    if metadata["data"] != data_fingerprint:
        raise ArgumentError(
            f"the data differ from those of {path}",
            expected="the same images and labels",
            got=options.data,
            todo="give the same --data, or start over with another --out",
        )
    return _moment(path, start, arrays, metadata)


def _arrays(moment: Moment) -> dict[str, Any]:
    best = {} if moment.best is None else {"best": moment.best}
    return {"params": moment.state.params, "optimiser": moment.state.optimiser, **best}


def _same_options(path: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    changed = [name for name in now if before.get(name) != now[name]]
    if not changed:
        return

    def shown(options: Mapping[str, Any]) -> str:
        return ", ".join(f"--{flag(name)} {options.get(name)}" for name in changed)

    raise ArgumentError(
        f"the options differ from those of {path}",
        expected=shown(before),
        got=shown(now),
        todo="give the same options, or start over with another --out",
    )


def _moment(
    path: Path, start: Moment, arrays: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]
) -> Moment:
    counts = json.loads(metadata["counts"])
    like = _arrays(start)
    if any(name.startswith(".best.") for name in arrays):
        like["best"] = start.state.params
    expected = {name: np.shape(array) for name, array in flatten(like, "")}
    got = {name: array.shape for name, array in arrays.items()}
    if expected != got:
        raise UserFileError(
            f"{path} holds the checkpoint of another net",
            expected=_shapes(dict(expected.items() - got.items())),
            got=_shapes(dict(got.items() - expected.items())),
        )
    tree = rebuild(like, (arrays[name] for name in expected))
    return Moment(
        state=State(tree["params"], tree["optimiser"]),
        history=tuple(EpochRow(**row) for row in json.loads(metadata["history"])),
        best=tree.get("best"),
        drawn=tuple((seed, first) for seed, first in json.loads(metadata.get("drawn", "[]"))),
        **counts,
    )


def _shapes(shapes: Mapping[str, tuple[int, ...]]) -> str:
    listed = [f"{name.lstrip('.')} {shape}" for name, shape in sorted(shapes.items())]
    return ", ".join(listed[:5]) + (" …" if len(listed) > 5 else "") or "nothing else"
