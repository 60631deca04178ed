"""Passes over a plan: what becomes one work, with the numbers and δ that it had as several."""

from __future__ import annotations

import numpy as np
import pytest

import allbps as bp
import allbps.functional as F
from allbps.machine.planning.loops import LONGEST


def compiled(f, *arguments, params):
    """A compiled loss with gradients, checked against the same without compiling."""
    step = bp.compile(f, *arguments, params=params)
    loss, grads = step(*arguments)
    names = [params] if isinstance(params, str) else params
    known = list(step.signature.parameters)
    want, deltas = bp.value_and_grad(f, argnums=tuple(known.index(n) for n in names))(*arguments)
    np.testing.assert_allclose(loss, want, rtol=1e-10)
    grads = {params: grads} if isinstance(params, str) else grads
    for name, delta in zip(names, deltas, strict=True):
        np.testing.assert_allclose(grads[name], delta, rtol=1e-9, atol=1e-12)
    return step


@pytest.mark.parametrize("lead", [(5,), (3, 4)])
def test_weights_shared_by_a_batch_of_matrices_get_one_product(lead, rng):
    x, W = rng.standard_normal((*lead, 6, 7)), rng.standard_normal((7, 40))
    step = compiled(lambda x, W: np.sum(np.tanh(x @ W) ** 2), x, W, params=["x", "W"])
    assert len([row for row in step.stages().rows if "@" in row["work"]]) == 3
    assert not any("sum." in row["work"] and "dW" in row["work"] for row in step.stages().rows)


def works(step):
    """What a step does, in words."""
    return [row["work"] for row in step.stages().rows]


def test_slices_are_read_where_they_lie_and_their_deltas_written_side_by_side(rng):
    x, W = rng.standard_normal((4, 6)), rng.standard_normal((6, 9))

    def gates(x, W):
        z = x @ W
        a, b, c = z[:, :3], z[:, 3:6], z[:, 6:]
        return np.sum(np.tanh(a) * b + c**2)

    step = compiled(gates, x, W, params=["x", "W"])
    assert not any(word in work for work in works(step) for word in ("= 0", "accumulate"))


def test_slices_that_overlap_are_added(rng):
    x = rng.standard_normal((7, 5))
    compiled(lambda x: np.sum(x[:4] ** 2 * x[3:]) + np.sum(x[2:5] ** 3), x, params="x")


def test_slices_that_leave_gaps_have_zeros_between(rng):
    x = rng.standard_normal((9, 4))
    step = compiled(lambda x: np.sum(x[1] * x[7] + x[::-4, 1:2] @ np.ones((1, 4))), x, params="x")
    compiled(lambda x: np.sum((2.0 * x)[1] ** 2 * (2.0 * x)[6]), x, params="x")
    assert works(step)


@pytest.mark.parametrize("order", ["packed", "split", "apart"])
@pytest.mark.parametrize("causal", [False, True])
def test_heads_are_read_and_written_where_they_lie(order, causal, rng):
    N, T, H, E = 2, 9, 3, 4
    x, W = rng.standard_normal((N, T, H * E)), rng.standard_normal((H * E, 3 * H * E))

    def attend(x, W):
        z = x @ W
        if order == "packed":
            z = z.reshape(N, T, 3, H, E).transpose(2, 0, 3, 1, 4)
            q, k, v = z[0], z[1], z[2]
        elif order == "split":
            q, k, v = (
                z[:, :, i * H * E : (i + 1) * H * E].reshape(N, T, H, E).transpose(0, 2, 1, 3)
                for i in range(3)
            )
        else:
            q, k, v = (np.tanh(i + z[:, :, i::3].reshape(N, H, T, E)) for i in range(3))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=causal)
        return np.sum(y.transpose(0, 2, 1, 3).reshape(N, T, H * E) ** 2 * x)

    step = compiled(attend, x, W, params=["x", "W"])
    if order != "apart":
        assert not any("identity" in work for work in works(step))


def test_statistics_of_a_batch_norm_are_not_worked_out_twice(rng):
    x, gain, shift = rng.standard_normal((4, 3, 5, 6)) + 3.0, rng.random(3), rng.random(3)

    def normalised(x, gain, shift):
        y = F.batch_norm(x, weight=gain, bias=shift, training=True)
        mean, var = np.mean(x, axis=(0, 2, 3)), np.var(x, axis=(0, 2, 3), ddof=1)
        return np.sum(y**3), mean, var

    step = bp.compile(normalised, x, gain, shift, params=["x", "gain", "shift"])
    (loss, mean, var), grads = step(x, gain, shift)
    want = bp.grad(lambda *args: normalised(*args)[0], argnums=(0, 1, 2))(x, gain, shift)
    np.testing.assert_allclose(loss, float(normalised(x, gain, shift)[0]), rtol=1e-10)
    np.testing.assert_allclose(mean, x.mean((0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(var, x.var((0, 2, 3), ddof=1), rtol=1e-12)
    for name, delta in zip(["x", "gain", "shift"], want, strict=True):
        np.testing.assert_allclose(grads[name], delta, rtol=1e-8, atol=1e-11)
    assert not any("mean" in work or "sub, power" in work for work in works(step))


def test_a_chain_of_two_thousand_steps_is_several_loops(rng):
    """One loop of all steps would be the fastest to run; LLVM would need minutes for it."""
    x = rng.standard_normal(1000)

    def deep(x):
        for _ in range(1000):
            x = np.tanh(x * 1.01)
        return np.sum(x)

    step = bp.compile(bp.grad(deep), x)
    np.testing.assert_allclose(step(x), bp.grad(deep)(x), rtol=1e-12, atol=0)
    assert len(works(step)) >= 2000 // LONGEST


MASKED = {
    "product": ((70, 40), (40, 90), lambda x, W: x @ W),
    "tiny product": ((3, 4), (4, 5), lambda x, W: x @ W),
    "product cut along what it sums": ((8, 2100), (2100, 1200), lambda x, W: x @ W),
    "rows of a batch": ((4, 9, 40), (40, 70), lambda x, W: x @ W),
    "tiny image": ((1, 1, 6, 6), (1, 1, 3, 3), F.conv2d),
    "images": ((3, 5, 9, 8), (7, 5, 3, 2), F.conv2d),
    "stride and padding": ((3, 5, 9, 9), (7, 5, 3, 3), lambda x, K: F.conv2d(x, K, None, 2, 1)),
    "groups": ((3, 6, 9, 9), (4, 3, 3, 3), lambda x, K: F.conv2d(x, K, groups=2)),
    "every channel alone": ((3, 6, 9, 9), (6, 1, 3, 3), lambda x, K: F.conv2d(x, K, groups=6)),
}


@pytest.mark.parametrize("name", MASKED)
def test_a_product_lays_the_mask_of_a_relu_on_its_own_delta(name, rng):
    shape, weight, linear = MASKED[name]
    x, W = rng.standard_normal(shape), rng.standard_normal(weight)
    x.flat[::3] = 0.0  # ReLU′(0) = 0

    def loss(x, W):
        return np.mean(linear(F.relu(x * 1.0), W) ** 2)

    step = compiled(loss, x, W, params=["x", "W"])
    assert any(" where " in work for work in works(step))
    assert not any("greater" in work for work in works(step))


@pytest.mark.parametrize(
    ("chosen", "masked"),
    [
        (lambda z, y: np.where(y > 0, z, 0.0), True),
        (lambda z, y: np.where(y > 0.1, z, 0.0), False),
        (lambda z, y: np.where(y > 0, z, 0.5), False),
        (lambda z, y: np.where(y > 0, 0.0, z), False),
        (lambda z, y: np.where(y[0] > 0, z, 0.0), False),
    ],
    ids=["mask", "another bound", "another number", "the other way", "a row of signs"],
)
def test_only_the_mask_of_a_relu_is_laid_on_a_product(chosen, masked, rng):
    x, W, y = (rng.standard_normal(shape) for shape in ((20, 30), (30, 40), (20, 40)))
    step = bp.compile(lambda x, W, y: chosen(x @ W, y), x, W, y)
    np.testing.assert_allclose(step(x, W, y), chosen(x @ W, y), rtol=1e-12)
    assert any(" where " in work for work in works(step)) == masked


def test_a_masked_product_that_is_a_result_too_stands_for_itself(rng):
    x, W = rng.standard_normal((20, 30)), rng.standard_normal((30, 40))

    def both(x, W):
        z = x @ W
        return np.where(z > 0, z, 0.0), z

    got = bp.compile(both, x, W)(x, W)
    for one, other in zip(got, both(x, W), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)


@pytest.mark.parametrize("skip", [True, False])
def test_what_a_relu_behind_a_norm_reads_may_be_a_result_too(skip, rng):
    x, s = rng.standard_normal((2, 3, 4, 5, 5))
    gain, shift = rng.standard_normal((2, 4))

    def both(x, s, gain, shift):
        z = F.batch_norm(x, None, None, gain, shift, training=True)
        z = z + s if skip else z
        return F.relu(z), z

    got = bp.compile(both, x, s, gain, shift)(x, s, gain, shift)
    for one, other in zip(got, both(x, s, gain, shift), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("rows", [1, 2])
def test_two_products_that_are_added_up_are_both_made_whatever_their_rows(rows, rng):
    x, h = rng.standard_normal((rows, 3)), rng.standard_normal((rows, 4))
    W, U = rng.standard_normal((3, 5)), rng.standard_normal((4, 5))

    def cell(x, h, W, U):
        return np.sum(np.tanh(x @ W + h @ U))

    compiled(cell, x, h, W, U, params=["x", "h", "W", "U"])
