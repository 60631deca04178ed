"""Dropout: elements, or whole channels, that are left out at random while training."""
# ruff: noqa: A002  (``input`` is PyTorch's name)

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from allbps.functional.common import misfit, misused, not_in_place, works_on_arrays
from allbps.ir import Node, lift
from allbps.random import bernoulli_node

ALPHA = -1.7580993408473766
"""Where SELU goes for x → −∞: −λα (arXiv:1706.02515)."""


@works_on_arrays
def dropout(
    input: Any, p: float = 0.5, training: bool = True, inplace: bool = False, *, rng: Any = None
) -> Node:
    """Elements set to 0 with probability p, the others divided by 1 − p (arXiv:1207.0580).

    Args:
        input: any array.
        p: in [0, 1].
        training: without it ``input`` is returned as it is.
        inplace: must be false.
        rng: where the mask comes from; required, so that nothing random is hidden. A seed, an
            ``allbps.random.Generator``, or a generator of NumPy's, which is asked for a seed. A
            compiled function draws another mask in each call.

    Raises:
        ArgumentError: p is not a probability, or there is no generator.

    >>> import numpy as np
    >>> sorted(set(dropout(np.ones(100), 0.75, rng=0).tolist()))
    [0.0, 4.0]

    """
    not_in_place(inplace)
    node = lift(input)
    return _dropped(node, node.shape, p, training, rng)


@works_on_arrays
def dropout1d(
    input: Any, p: float = 0.5, training: bool = True, inplace: bool = False, *, rng: Any = None
) -> Node:
    """Whole channels of (C, L) or (N, C, L) set to 0; the rest as ``dropout``."""
    not_in_place(inplace)
    return _channels_dropped(lift(input), 1, p, training, rng)


@works_on_arrays
def dropout2d(
    input: Any, p: float = 0.5, training: bool = True, inplace: bool = False, *, rng: Any = None
) -> Node:
    """Whole channels of (C, H, W) or (N, C, H, W) set to 0; the rest as ``dropout``."""
    not_in_place(inplace)
    return _channels_dropped(lift(input), 2, p, training, rng)


@works_on_arrays
def dropout3d(
    input: Any, p: float = 0.5, training: bool = True, inplace: bool = False, *, rng: Any = None
) -> Node:
    """Whole channels of (C, D, H, W) or (N, C, D, H, W) set to 0; the rest as ``dropout``."""
    not_in_place(inplace)
    return _channels_dropped(lift(input), 3, p, training, rng)


@works_on_arrays
def alpha_dropout(
    input: Any, p: float = 0.5, training: bool = False, inplace: bool = False, *, rng: Any = None
) -> Node:
    """Elements set to −λα and all scaled so that mean and variance stay (arXiv:1706.02515)."""
    not_in_place(inplace)
    node = lift(input)
    return _replaced(node, node.shape, p, training, rng)


@works_on_arrays
def feature_alpha_dropout(
    input: Any, p: float = 0.5, training: bool = False, inplace: bool = False, *, rng: Any = None
) -> Node:
    """``alpha_dropout`` of whole channels: (N, C, …)."""
    not_in_place(inplace)
    node = lift(input)
    return _replaced(node, (*node.shape[:2], *(1 for _ in node.shape[2:])), p, training, rng)


def _masked(
    node: Node, shape: tuple[int, ...], p: float, training: bool, rng: Any, lay: Callable[..., Node]
) -> Node:
    """What ``lay`` makes of a mask of ``shape``, which broadcasts; nothing is drawn needlessly."""
    if not 0 <= p <= 1:
        raise misused("p must be a probability", expected="0 ≤ p ≤ 1", got=f"p={p!r}")
    if not training or p == 0:
        return node
    if p == 1:
        return node * 0.0
    if rng is None:
        raise misused(
            "dropout needs a random generator", todo="pass rng=np.random.default_rng(seed)"
        )
    return lay(node, bernoulli_node(rng, shape, 1 - p), p)


def _dropped(node: Node, shape: tuple[int, ...], p: float, training: bool, rng: Any) -> Node:
    """A mask laid on an array, and the rest scaled up."""
    return _masked(node, shape, p, training, rng, lambda x, mask, p: x * mask / (1 - p))


def _channels_dropped(node: Node, axes: int, p: float, training: bool, rng: Any) -> Node:
    if node.ndim not in (axes + 1, axes + 2):
        raise misfit(
            f"dropout{axes}d drops channels",
            expected=f"{axes + 1} axes, or {axes + 2} with examples",
            got=f"an array of shape {node.shape}",
        )
    return _dropped(node, (*node.shape[:-axes], *[1] * axes), p, training, rng)


def _replaced(node: Node, shape: tuple[int, ...], p: float, training: bool, rng: Any) -> Node:
    """What is left out becomes ALPHA, then one line for all."""

    def lay(x: Node, mask: Node, p: float) -> Node:
        scale = ((1 - p) * (1 + p * ALPHA**2)) ** -0.5
        made: Node = scale * (x * mask + ALPHA * (1.0 - mask)) - scale * ALPHA * p
        return made

    return _masked(node, shape, p, training, rng, lay)
