"""Optimisers of the user's own: their formula is what runs, or it is refused in words."""

from __future__ import annotations

import math

import numpy as np
import pytest

from allbps.errors import AllBPsError
from allbps.machine.building import FallbackWarning
from allbps.machine.compile import compile  # noqa: A004
from allbps.optim import SGD, Adam, Optimizer


class Doubled(SGD):
    def move(self, p, g, slots, lr, t):
        return p - 2 * lr * g, slots


class Plain(Optimizer):
    def move(self, p, g, slots, lr, t):
        return p - lr / t * np.sign(g), {}


class Otherwise(Adam):
    def move(self, p, g, slots, lr, t):
        new, slots = super().move(p, g, slots, lr, t)
        return new + 0.01 * np.sqrt(lr) * p, slots


class Swapped(Optimizer):
    """Remembers the two parameters before: each new slot is an old value of another array."""

    slots = ("one", "two")

    def move(self, p, g, slots, lr, t):
        return p - lr * g + 0.1 * slots["two"], {"one": p, "two": slots["one"]}


class Copied(Optimizer):
    slots = ("before",)

    def move(self, p, g, slots, lr, t):
        return p - lr * (g + slots["before"]), {"before": np.copy(p)}


class Whitened(Optimizer):
    """By a decomposition, which runs through NumPy."""

    def move(self, p, g, slots, lr, t):
        return p - lr * np.linalg.inv(np.eye(3) + g @ g.T) @ g, {}


class Standing(Optimizer):
    def move(self, p, g, slots, lr, t):
        return p, {}


def loss(W, b, x):
    return np.mean((np.tanh(x @ W) + b) ** 2)


def arguments():
    rng = np.random.default_rng(3)
    return rng.standard_normal((3, 5)), rng.standard_normal(5), rng.standard_normal((8, 3))


@pytest.mark.parametrize("max_norm", [None, 0.1])
@pytest.mark.parametrize("kind", [Doubled, Plain, Otherwise, Swapped, Copied, Standing])
def test_the_formula_of_a_subclass_is_what_runs(kind, max_norm):
    W, b, x = arguments()
    rule = kind(lambda t: 0.1 / (1 + t))
    step = compile(loss, W, b, x, params=("W", "b"), optimizer=rule, max_norm=max_norm)
    plain = compile(loss, W, b, x, params=("W", "b"))
    params, state = {"W": W, "b": b}, rule.init({"W": W, "b": b})
    for _ in range(5):
        _, grads = plain(params["W"], params["b"], x)
        if max_norm is not None:
            length = math.sqrt(sum(np.sum(g * g) for g in grads.values()))
            grads = {k: g * min(max_norm / (length + 1e-6), 1) for k, g in grads.items()}
        params, state = rule.update(params, grads, state)
        step(x)
    for name, p in params.items():
        np.testing.assert_allclose(step.params[name], p, rtol=1e-12)
    for slot in rule.slots:
        np.testing.assert_allclose(step.optimizer_state[slot]["W"], state[slot]["W"], rtol=1e-12)


def test_a_formula_that_goes_by_elements_is_one_loop_in_place():
    W, b, x = arguments()
    step = compile(loss, W, b, x, params=("W", "b"), optimizer=Otherwise(0.1))
    moves = [row["work"] for row in step.stages().rows if "Otherwise" in row["work"]]
    assert len(moves) == 2
    names = [block.name for block in step._path.build.program.memories if "exp_avg" in block.name]
    assert sorted(names) == ["W_exp_avg", "W_exp_avg_sq", "b_exp_avg", "b_exp_avg_sq"]


def test_what_has_no_kernel_runs_through_numpy_and_is_named():
    W, x = np.ones((3, 5)), np.ones((8, 3))
    with pytest.warns(FallbackWarning, match="inv"):
        step = compile(lambda W, x: np.sum((x @ W) ** 2), W, x, params="W", optimizer=Whitened(0.1))
    step(x)
    g = 2 * x.T @ (x @ W)
    want, _ = Whitened(0.1).move(W, g, {}, 0.1, 1)
    np.testing.assert_allclose(step.params["W"], want, rtol=1e-10)


class Asking(Optimizer):
    def move(self, p, g, slots, lr, t):
        return (p - lr * g if t == 1 else p), {}


class Rooted(Optimizer):
    def move(self, p, g, slots, lr, t):
        return p - lr / math.sqrt(t) * g, {}


class Alone(Optimizer):
    def move(self, p, g, slots, lr, t):
        return p - lr * g


class Forgetful(Optimizer):
    slots = ("m",)

    def move(self, p, g, slots, lr, t):
        return p - lr * g, {}


class Shrinking(Optimizer):
    def move(self, p, g, slots, lr, t):
        return np.sum(p - lr * g), {}


class Counting(Optimizer):
    steps = 0

    def move(self, p, g, slots, lr, t):
        self.steps += 1
        return p - lr * self.steps * g, {}


class InPlace(Optimizer):
    slots = ("m",)

    def move(self, p, g, slots, lr, t):
        m = slots["m"]
        m *= 0.9
        m += g
        g -= np.mean(g)
        return p - lr * m - lr * g, {"m": m}


def test_a_formula_that_writes_in_place_is_followed():
    W, x = np.ones((3, 5)), np.arange(24.0).reshape(8, 3) / 10
    step = compile(lambda W, x: np.sum((x @ W) ** 2), W, x, params="W", optimizer=InPlace(1e-4))
    want, slots = W.copy(), {"m": np.zeros((3, 5))}
    for t in (1, 2, 3):
        step(x)
        want, slots = InPlace(1e-4).move(want, 2 * x.T @ (x @ want), slots, 1e-4, t)
    np.testing.assert_allclose(step.params["W"], want, rtol=1e-10)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (Counting, "Counting.move changes steps of the optimiser"),
        (Asking, "Asking.move looks at a number while it is compiled"),
        (Rooted, r"float\(\) of t would cut its gradient"),
        (Alone, "Alone.move does not return a pair"),
        (Forgetful, "Forgetful.move does not return all of its slots"),
        (Shrinking, "Shrinking.move returns a different kind of array for the parameter"),
    ],
)
def test_what_cannot_be_compiled_is_refused_in_words(kind, message):
    W, b, x = arguments()
    with pytest.raises(AllBPsError, match=message):
        compile(loss, W, b, x, params=("W", "b"), optimizer=kind(0.1))
