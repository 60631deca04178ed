"""The arrays of an example that a reader may change: numbers, shapes, the seed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from allbps.errors import ArgumentError
from allbps.lecture.draw import like
from allbps.lecture.system import Example
from allbps.serve.wanted import Wanted
from allbps.trace import is_array_like, trace
from allbps.tree import flatten, tree_map

EDITED = 64
"""Arrays of so many numbers have a field for each; of larger ones only shape and seed change."""


def drawn(example: Example, seed: int | None) -> Example:
    """Other numbers from a seed; whole numbers, which are labels and indices, stay."""
    if seed is None:
        return example
    rng = np.random.default_rng(seed)
    return replace(
        example,
        inputs={k: tree_map(lambda x: _like(x, rng), x) for k, x in example.inputs.items()},
        cotangents={k: _like(x, rng) for k, x in example.cotangents.items()},
    )


def _like(value: Any, rng: np.random.Generator) -> Any:
    is_float = isinstance(value, float) or np.asarray(value).dtype.kind == "f"
    return like(np.asarray(value, np.float64)[()], rng) if is_float else value


def changed(example: Example, wanted: Wanted, prefix: str = "") -> Example:
    """The example with the reader's shapes and numbers, and with a δ for each of its results.

    Raises:
        ArgumentError: numbers or shapes are not what the array can take.
    """
    inputs = {
        name: _each(tree, name, lambda label, x: _altered(prefix + label, x, wanted))
        for name, tree in example.inputs.items()
    }
    given = _fitting(replace(example, inputs=inputs), wanted.seed or 0)
    cotangents = {
        name: _altered(f"{prefix}δ{name}", np.asarray(x, np.float64), wanted)
        for name, x in given.items()
    }
    return replace(example, inputs=inputs, cotangents=cotangents)


def arrays(example: Example, prefix: str = "") -> Iterator[dict[str, Any]]:
    """What the page shows of every array of an example, for the reader to change."""
    for name, tree in example.inputs.items():
        for label, x in flatten(tree, name):
            if is_array_like(x) and not isinstance(x, int):
                yield _shown(prefix + label, label, x, name not in example.fixed)
    for name, x in example.cotangents.items():
        yield _shown(f"{prefix}δ{name}", f"δ{name}", x, False)


def _shown(key: str, label: str, x: Any, reshaped: bool) -> dict[str, Any]:
    array = np.asarray(x)
    small = array.size <= EDITED and array.dtype.kind in "fiu"
    return {
        "key": key,
        "label": label,
        "shape": list(array.shape),
        "values": array.tolist() if small else None,
        "whole": array.dtype.kind in "iu",
        "reshaped": reshaped,
    }


def _each(tree: Any, name: str, change: Any) -> Any:
    labels = iter([label for label, _ in flatten(tree, name)])
    return tree_map(lambda x: change(next(labels), x), tree)


def _altered(label: str, x: Any, wanted: Wanted) -> Any:
    """One array as the reader wants it."""
    if label not in wanted.sizes and label not in wanted.numbers:
        return x
    array = np.asarray(x)
    shape = wanted.sizes.get(label, array.shape)
    if shape != array.shape:
        template = np.resize(array, shape)
        array = _like(template, np.random.default_rng(wanted.seed or 0))
    given = wanted.numbers.get(label)
    if given is None:
        return np.asarray(array)[()]
    if given.shape != shape:  # the numbers of another shape, from before it was changed
        raise ArgumentError(
            f"{label} has a different shape", expected=str(shape), got=str(given.shape),
        )  # fmt: skip
    if array.dtype.kind in "iu" and np.any(given != np.round(given)):
        raise ArgumentError(f"{label} holds whole numbers", got=str(given.tolist())[:60])
    return given.astype(array.dtype)[()]


def _fitting(example: Example, seed: int) -> Mapping[str, Any]:
    """A δ in the shape of each result: the one given, or another where none fits."""
    outputs = trace(example.function, **example.inputs).graph.outputs
    if not example.cotangents and len(outputs) == 1 and outputs[0].shape == ():
        return {}
    named = {k: np.asarray(x) for k, x in example.cotangents.items()}
    rng, found = np.random.default_rng(seed), {}
    for output in outputs:
        own = named.get(output.name)
        fits = own is not None and own.shape == output.shape
        spread = np.resize([-2.0, 2.0], output.shape)
        found[output.name] = own if fits else like(spread if spread.shape else spread[()], rng)
    return found
