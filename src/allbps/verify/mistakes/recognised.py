"""What lies between two values, recognised by its numbers however it was written.

A sigmoid is a sigmoid whether it stands as one operation, as 1 / (1 + np.exp(-z)), or over three
lines: its values say so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any, TypeVar

import numpy as np
from scipy import special

from allbps.ir import Node
from allbps.verify.mistakes.declare import Site

Function = Callable[[Any], Any]
T = TypeVar("T")


@dataclass(frozen=True)
class Activation:
    """A function applied element by element.

    Attributes:
        name: what it is called.
        function: its values.
        slope: its derivative as people write it, of the input and of the output.

    """

    name: str
    function: Function
    slope: Callable[[Any, Any], Any]


def _sigmoid(x: Any) -> Any:
    return special.expit(x)


ACTIVATIONS = (
    Activation("sigmoid", _sigmoid, lambda x, y: y * (1 - y)),
    Activation("tanh", np.tanh, lambda x, y: 1 - y**2),
    Activation("ReLU", lambda x: np.maximum(x, 0), lambda x, y: (x > 0) * 1.0),
    Activation("exp", np.exp, lambda x, y: y),
    Activation("softplus", lambda x: np.logaddexp(0, x), lambda x, y: _sigmoid(x)),
    Activation("SiLU", lambda x: x * _sigmoid(x),
               lambda x, y: _sigmoid(x) * (1 + x * (1 - _sigmoid(x)))),
    Activation("GELU", lambda x: x * special.ndtr(x),
               lambda x, y: special.ndtr(x) + x * np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)),
    Activation("sin", np.sin, lambda x, y: np.cos(x)),
    Activation("cos", np.cos, lambda x, y: -np.sin(x)),
    Activation("square", np.square, lambda x, y: 2 * x),
    Activation("log", np.log, lambda x, y: 1 / x),
    Activation("square root", np.sqrt, lambda x, y: 0.5 / y),
)  # fmt: skip

PRODUCTS: dict[str, Callable[[Any], tuple[Any, Any]]] = {
    "SiLU": lambda x: (_sigmoid(x), _sigmoid(x) * (1 - _sigmoid(x))),
    "GELU": lambda x: (special.ndtr(x), np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)),
}
"""Activations x φ(x) -> φ and φ′ at x: the derivative is φ + x φ′."""


def _remembered(find: Callable[[Site], Iterator[T]]) -> Callable[[Site], list[T]]:
    """Recognised once: the values are the same, whichever δ are tried."""

    def found(site: Site) -> list[T]:
        memory, key = site.onward.memory, (find.__name__, site.primal)
        if key not in memory:
            memory[key] = list(find(site))
        mine: list[T] = memory[key]
        return mine

    return found


def same(a: Any, b: Any) -> bool:
    """Are these the same numbers, as computed in two ways?"""
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape:
        return False
    if a.size and abs(a.flat[0] - b.flat[0]) > 1e-3 * np.max(np.abs(b)):
        return False  # most are not, and that is seen soon
    return bool(np.allclose(a, b, rtol=1e-9, atol=1e-12 * float(np.max(np.abs(b), initial=0.0))))


@_remembered
def activations(site: Site) -> Iterator[tuple[Node, Activation]]:
    """(y, f) for each gate y that is f of the value, element by element."""
    for y in site.alike:
        value = site.value(y)
        if same(value, site.x):
            continue
        for activation in ACTIVATIONS:
            if same(value, activation.function(site.x)):
                yield y, activation
                break


@_remembered
def leaky(site: Site) -> Iterator[tuple[Node, float]]:
    """(y, slope) for each gate that is the value, times a slope where that is negative."""
    for y in site.alike:
        x, value = site.x, site.value(y)
        low = x < 0
        if np.any(low) and same(value[~low], x[~low]):
            slopes = value[low] / x[low]
            if same(slopes, np.full_like(slopes, slopes[0])) and 0 < slopes[0] < 1:
                yield y, float(slopes[0])


@_remembered
def softmaxes(site: Site) -> Iterator[tuple[Node, int, bool]]:
    """(y, axis, log?) for each gate that is a softmax of the value along an axis, or its log."""
    for y in site.alike:
        value = site.value(y)
        for axis in reversed(range(site.x.ndim)):
            if site.x.shape[axis] == 1:
                continue
            if same(value, special.softmax(site.x, axis)):
                yield y, axis, False
            elif same(value, special.log_softmax(site.x, axis)):
                yield y, axis, True


@dataclass(frozen=True)
class Norm:
    """A gate that is the value less its mean, over its deviation.

    Attributes:
        y: the gate.
        axes: along which mean and deviation are taken.
        deviation: √(variance + eps).

    """

    y: Node
    axes: tuple[int, ...]
    deviation: Any


@_remembered
def norms(site: Site) -> Iterator[Norm]:
    """Gates that are the normalised value: layer norm, batch norm, group norm's heart."""
    x = site.x
    for y in site.alike:
        value = site.value(y)
        for axes in subsets(x.ndim):
            centred = x - np.mean(x, axis=axes, keepdims=True)
            spread = np.sqrt(np.mean(centred**2, axis=axes, keepdims=True))
            size = np.sqrt(np.mean(value**2, axis=axes, keepdims=True))
            deviation = spread / size
            if same(value * deviation, centred) and np.all(np.abs(deviation / spread - 1) < 0.1):
                yield Norm(y, axes, deviation)
                break


@_remembered
def centred(site: Site) -> Iterator[tuple[Node, tuple[int, ...]]]:
    """(y, axes) for each gate that is the value less its mean along some axes."""
    for y in site.alike:
        for axes in subsets(site.x.ndim):
            mean = np.mean(site.x, axis=axes, keepdims=True)
            if mean.size < site.x.size and same(site.value(y), site.x - mean):
                yield y, axes
                break


@dataclass(frozen=True)
class Scaling:
    """A gate that is the value over its length, or over the root of its mean square.

    Attributes:
        y: the gate.
        axes: along which the length is taken.
        length: what it is divided by.
        total: the sum of squares, or their mean.

    """

    y: Node
    axes: tuple[int, ...]
    length: Any
    total: Callable[..., Any]


@_remembered
def scalings(site: Site) -> Iterator[Scaling]:
    """Gates that are the value scaled to length 1 (cosine similarity), or to a mean square of 1."""
    x = site.x
    for y in site.alike:
        value = site.value(y)
        for axes in subsets(x.ndim):
            squares, own = (np.sum(a**2, axis=axes, keepdims=True) for a in (x, value))
            length = np.sqrt(squares / own)
            if np.size(length) == x.size or not same(value * length, x):
                continue
            for total in (np.sum, np.mean):
                size = np.sqrt(total(x**2, axis=axes, keepdims=True))
                if np.all(np.abs(length / size - 1) < 0.1):
                    yield Scaling(y, axes, length, total)
                    return


def subsets(ndim: int) -> list[tuple[int, ...]]:
    """Axes along which means may be taken, few of them first."""
    return [axes for k in range(1, ndim + 1) for axes in combinations(range(ndim), k)]


def in_words(axes: tuple[int, ...]) -> str:
    """``axis 1``, ``axes 0, 2``."""
    return f"axis {axes[0]}" if len(axes) == 1 else f"axes {', '.join(map(str, axes))}"


@_remembered
def logsumexps(site: Site) -> Iterator[tuple[Node, int]]:
    """(y, axis) for each gate that is log Σ exp of the value along an axis."""
    for y in site.gates:
        for axis, n in enumerate(site.x.shape):
            if n > 1 and y.size * n == site.x.size:
                total = special.logsumexp(site.x, axis)
                if total.size == y.size and same(np.reshape(site.value(y), total.shape), total):
                    yield y, axis


@dataclass(frozen=True)
class CrossEntropy:
    """A right δ that is a weight times (p − target).

    Attributes:
        p: softmax, or sigmoid, of the value.
        weight: the upstream δ and 1/N.
        target: one-hot, or 0 and 1; smoothed where ``smoothing`` says how much.
        sigmoid: is p a sigmoid?
        smoothing: the share of the uniform distribution in the target.

    """

    p: Any
    weight: Any
    target: Any
    sigmoid: bool
    smoothing: float = 0.0


def cross_entropies(site: Site) -> Iterator[CrossEntropy]:
    """Is the δ that of a cross-entropy? Its own numbers say what p and the target are."""
    x, right = site.x, np.asarray(site.right)
    if not x.size or not np.any(right):
        return
    if x.ndim and x.shape[-1] > 1:
        p = special.softmax(x, -1)
        ratio = right / p  # the weight, and weight (1 − 1/p) at the label
        weight = np.max(ratio, -1, keepdims=True)
        target = p - right / weight
        if _is_binary(target) and same(np.sum(target, -1), np.ones(x.shape[:-1])):
            yield CrossEntropy(p, weight, np.rint(target), sigmoid=False)
            return
        soft = _smoothed(p, right)
        if soft is not None:
            yield soft
            return
    p = _sigmoid(x)
    weights = np.unique(np.round(np.abs(np.where(right > 0, right / p, right / (1 - p))), 12))
    if len(weights) == 1 and x.size > 1:
        target = (right < 0) * 1.0
        if same(weights[0] * (p - target), right):
            yield CrossEntropy(p, weights[0], target, sigmoid=True)


def _smoothed(p: Any, right: Any) -> CrossEntropy | None:
    """The same where the target is (1 − ε) one-hot + ε/K, if it is.

    Away from the label δ is w p − w ε/K: a straight line in p.
    """
    rows, K = p.reshape(-1, p.shape[-1]), p.shape[-1]
    label = np.argmax(rows - right.reshape(rows.shape) / np.max(np.abs(right)), -1)
    for _ in range(4):
        others = np.arange(K) != label[:, None]
        x, y = rows[others], right.reshape(rows.shape)[others]
        if x.size < 3 or np.ptp(x) < 1e-9:
            return None
        off = x - np.mean(x)
        w = float(off @ y / (off @ off))
        c = np.mean(y) - w * np.mean(x)
        if w == 0:
            return None
        target = rows - right.reshape(rows.shape) / w
        label = np.argmax(target, -1)
    smoothing = float(-c / w * K)
    made = (1 - smoothing) * (np.arange(K) == label[:, None]) + smoothing / K
    if not 1e-6 < smoothing < 0.9 or not same(w * (rows - made), right.reshape(rows.shape)):
        return None
    return CrossEntropy(p, w, made.reshape(p.shape), False, smoothing)


def _is_binary(target: Any) -> bool:
    return bool(np.all(np.isfinite(target)) and np.allclose(target, np.rint(target), atol=1e-7)
                and np.all((target > -0.5) & (target < 1.5)))  # fmt: skip
