"""Gradients as people hand them in: arrays, lists, tensors, in containers, by their own names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from allbps.errors import ArgumentError, unknown_name
from allbps.ir import Node
from allbps.names import as_python_reads
from allbps.trace import Traced
from allbps.verify.replay import DOUBLE


@dataclass(frozen=True)
class Given:
    """A gradient that was handed in.

    Attributes:
        numbers: in double precision.
        dtype: what they came in.
        label: what the person called it.

    """

    numbers: np.ndarray[Any, Any]
    dtype: np.dtype[Any]
    label: str


def by_name(traced: Traced, gradients: Mapping[str, Any]) -> dict[str, Given]:
    """Name of a primal -> the gradient given for it.

    A key names an argument or a variable of the function; ``dW1`` is understood as the gradient of
    W1 unless there is a variable of that name. For a container, a container of gradients: of all
    its arrays or of some.

    Raises:
        NameUnknownError: there is no such argument or variable.
        ArgumentError: a gradient is not made of numbers, or there are no names.

    """
    if not isinstance(gradients, Mapping):
        raise ArgumentError(
            "gradients must say whose they are",
            expected=f"gradients={{'{next(iter(traced.parameters))}': …}}, or a function",
            got=type(gradients).__name__,
        )
    found: dict[str, Given] = {}
    for key, tree in gradients.items():
        target, label = _target(traced, str(key))
        for node, leaf, path in _pairs(target, tree, label):
            if node.name in found:
                raise ArgumentError(
                    f"two gradients are given for {node.name}",
                    got=f"{found[node.name].label} and {path}",
                )
            found[node.name] = _numbers(leaf, path)
    return found


def _target(traced: Traced, key: str) -> tuple[Any, str]:
    """The node or the container of nodes that a key means, and how to call its gradient."""
    for name, label in ((key, f"δ{key}"), (key[1:], key)):
        if name is not key and key[:1] not in ("d", "δ"):
            break
        parameter = traced.parameters.get(as_python_reads(name))
        if isinstance(parameter, (Node, dict, list, tuple)):
            return parameter, label
        node = traced.find(name) if name else None
        if node is not None:
            return node, label
    inner = [x.name for x in (*traced.graph.inputs, *traced.graph.nodes) if x.name]
    raise traced.unknown(key, list(dict.fromkeys([*traced.parameters, *inner])), "")


def _pairs(target: Any, tree: Any, path: str) -> Iterator[tuple[Node, Any, str]]:
    """(node, gradient, label) for each array of a container for which a gradient is given."""
    if isinstance(target, Node):
        yield target, tree, path
    elif isinstance(target, dict) and isinstance(tree, Mapping):
        for key, part in tree.items():
            if key not in target:
                raise unknown_name(str(key), [str(k) for k in target], where=path)
            yield from _pairs(target[key], part, f"{path}.{key}")
    elif isinstance(target, (list, tuple)) and isinstance(tree, (list, tuple)):
        if len(target) != len(tree):
            raise ArgumentError(
                f"{path} differs in length from the argument it is the gradient of",
                expected=f"{len(target)} gradients",
                got=str(len(tree)),
            )
        for k, (inner, part) in enumerate(zip(target, tree, strict=True)):
            yield from _pairs(inner, part, f"{path}.{k}")
    elif isinstance(target, (dict, list, tuple)):
        raise ArgumentError(
            f"{path} is not a container like the argument it is the gradient of",
            expected=type(target).__name__,
            got=type(tree).__name__,
        )


def _numbers(leaf: Any, label: str) -> Given:
    """A gradient as an array of double precision.

    Raises:
        ArgumentError: it is not made of real numbers.

    """
    if leaf is None:
        raise ArgumentError(
            f"{label} is None: no gradient was computed",
            expected="an array of numbers",
            got="None",
            todo="leave it out if it was not meant to be checked",
        )
    try:
        array = np.asarray(_from_torch(leaf))
        numbers = array.astype(DOUBLE) if array.dtype.kind not in "cSUmMV" else None
    except (TypeError, ValueError, OverflowError):
        numbers = None
    if numbers is None:
        raise ArgumentError(
            f"{label} is not made of numbers",
            expected="an array, a list or a tensor of real numbers",
            got=f"{type(leaf).__name__}: {leaf!r}"[:80],
        )
    return Given(numbers, array.dtype if array.dtype.kind == "f" else DOUBLE, label)


def _from_torch(leaf: Any) -> Any:
    """A PyTorch tensor as an array; anything else as it is."""
    if not hasattr(leaf, "detach"):
        return leaf
    plain = leaf.detach().cpu()
    return plain.numpy() if str(plain.dtype) != "torch.bfloat16" else plain.float().numpy()
