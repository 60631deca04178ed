"""Every declared mistake can be made somewhere, is called wrong there, and is explained."""

import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import allbps.functional as F
from allbps.backward import backward
from allbps.names import is_numbered
from allbps.readings.source import emit
from allbps.trace import trace
from allbps.verify import State, check
from allbps.verify.mistakes import MISTAKES, Site
from allbps.verify.onward import Onward

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import mistakes as planted


def masked(x, c):
    a = x**2
    y = np.where(x > 0.2, a, x)
    return np.sum(y * c)


def strided(I, K):
    J = F.conv2d(I, K, stride=2)
    return np.sum(J**2)


def squares(A, B):
    C = A @ B
    return np.sum(C**3)


def turned(A, v):
    B = A * v
    return np.sum(B**2)


def layers(X, V, W):
    A = np.tanh(X @ V)
    return np.sum((A @ W) ** 2)


def dropped(X, m):
    D = X * m
    return np.sum(D**3)


def smoothed(X, W, T):
    Z = X @ W
    Q = 0.8 * T + 0.2 / 5
    return -np.mean(np.sum(Q * F.log_softmax(Z, axis=1), axis=1))


def biased(X, b):
    Y = X + b
    return np.sum(Y**2)


def partition(X):
    A = X**2
    L = np.log(np.sum(np.exp(A), axis=1))
    return np.sum(L**2)


def nets():
    """(forward pass, its data) of the planted nets and of some more."""
    rng = np.random.default_rng(5)
    yield from ((net.forward, net.data(rng)) for net in planted.NETS)
    yield masked, {"x": rng.normal(size=(3, 4)), "c": rng.normal(size=(3, 4))}
    yield strided, {"I": rng.normal(size=(1, 1, 7, 7)), "K": rng.normal(size=(1, 1, 3, 3))}
    yield turned, {"A": rng.normal(size=(4, 3)), "v": rng.normal(size=3)}
    yield (
        layers,
        {k: rng.normal(size=n) for k, n in {"X": (2, 3), "V": (3, 4), "W": (4, 3)}.items()},
    )
    yield dropped, {"X": rng.normal(size=(2, 3)), "m": np.array([[1.0, 0, 1], [0, 1, 1]])}
    yield smoothed, {"X": rng.normal(size=(3, 2)), "W": rng.normal(size=(2, 5)),
                     "T": np.eye(5)[[3, 0, 1]]}  # fmt: skip
    yield biased, {"X": rng.normal(size=(2, 3, 4)), "b": rng.normal(size=4)}
    yield partition, {"X": rng.normal(size=(3, 4))}
    yield squares, {"A": rng.normal(size=(3, 3)), "B": rng.normal(size=(3, 3))}


@cache
def sites():
    """(forward pass, its data, site) for every named δ."""
    found = []
    for forward, values in nets():
        traced = trace(forward, **values)
        passes = backward(traced)
        numbers = emit(passes).run({x.name: v for x, v in traced.values.items()})
        onward = Onward(passes, numbers)
        for delta in onward.deltas:
            x = delta.primal
            if delta.terms and not is_numbered(x.name):
                right = np.asarray(onward.right[delta.node])
                for wrong in (right[None], np.ones((3, 4))):  # of another shape
                    site = Site(onward, onward.right, x, right, {x: wrong})
                    found.append((forward, values, site))
    return found


def made(mistake):
    """(forward pass, its data, primal's name, δ) where a mistake changes the numbers."""
    for forward, values, site in sites():
        for slip in mistake.slips(site):
            delta = slip.at(site)
            if delta is None:
                continue
            wrong = np.asarray(delta if slip.along is None else delta + 0.3 * slip.along)
            if np.all(np.isfinite(wrong)) and is_seen(wrong, site.right):
                yield forward, values, site.primal.name, wrong


def is_seen(wrong, right):
    return wrong.shape != right.shape or np.any(
        np.abs(wrong - right) > 1e-3 * np.max(np.abs(right))
    )  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_a_declared_mistake_is_called_wrong_and_explained(name):
    with np.errstate(all="ignore"):
        found = next(made(MISTAKES[name]), None)
    if found is None:
        pytest.fail("it can be made in none of these nets: add one")
    forward, values, node, wrong = found
    (mark,) = check(forward, gradients={node: wrong}, judges=[], **values).marks
    assert mark.state is State.WRONG
    assert mark.mistakes
