"""Small products and what follows them row by row, as one task: which may join, and the numbers."""

from __future__ import annotations

import numpy as np
import pytest

import allbps as bp
from allbps.machine.works.tasks import Stretch

ROWS, WIDTH = 32, 16


def chains(step):
    """The stages of works that go row by row."""
    return {row["stage"] for row in step.stages().rows if "row by row" in row["work"]}


def recurrent(x, W):
    h = x[0]
    for t in range(1, len(x)):
        a, b = (x[t] + h @ W)[:, :WIDTH], (x[t] - h @ W)[:, WIDTH:]
        h = np.concatenate([np.tanh(a) * b, b], axis=1)
    return np.sum(h**2)


@pytest.mark.parametrize("rows", [ROWS, 37])
def test_the_steps_of_a_recurrent_layer_are_a_few_chains_of_the_same_bits(rows, rng):
    x = rng.standard_normal((9, rows, 2 * WIDTH))
    W = rng.standard_normal((2 * WIDTH, 2 * WIDTH)) / 6
    want = bp.value_and_grad(recurrent, argnums=(0, 1))(x, W)
    found = []
    for threads in (1, 2, 3):
        step = bp.compile(recurrent, x, W, params=["x", "W"], threads=threads)
        loss, grads = step(x, W)
        np.testing.assert_allclose(loss, want[0], rtol=1e-12)
        for name, delta in zip("xW", want[1], strict=True):
            np.testing.assert_allclose(grads[name], delta, rtol=1e-9, atol=1e-12)
        found.append([loss, *(g.tobytes() for g in grads.values())])
    assert 1 <= len(chains(step)) <= 4
    assert found[0] == found[1] == found[2]


MEETING = {
    "rows in another order": lambda h, W: h[::-1] * 2.0,
    "the next row": lambda h, W: np.concatenate([h[1:], h[:1]]) * 2.0,
    "every other row": lambda h, W: np.concatenate([h[::2], h[1::2]]) * 2.0,
    "another array of that many numbers": lambda h, W: h.reshape(WIDTH, ROWS).T * 2.0,
    "columns as rows": lambda h, W: (h[:WIDTH].T + h[WIDTH:].T).T @ np.ones((WIDTH, WIDTH)),
    "one row for all": lambda h, W: h + h[3],
    "a sum over rows": lambda h, W: h + np.sum(h, axis=0),
    "a half of it, twice": lambda h, W: np.concatenate([h[WIDTH:], h[WIDTH:]]) * h,
    "what it is multiplied by": lambda h, W: np.tanh(h) @ (h[:WIDTH] + W),
    "a number of all": lambda h, W: h * np.max(h),
}


@pytest.mark.parametrize("name", MEETING)
def test_rows_that_need_other_rows_wait_for_them(name, rng):
    x, W = rng.standard_normal((ROWS, WIDTH)), rng.standard_normal((WIDTH, WIDTH)) / 4

    def f(x, W):
        h = np.tanh(x @ W) + x
        h = MEETING[name](h, W) if h.shape == (ROWS, WIDTH) else h
        return np.tanh(h @ W) * h

    want = f(x, W)
    np.testing.assert_allclose(bp.compile(f, x, W)(x, W), want, rtol=1e-11, atol=1e-12)
    step = bp.compile(lambda x, W: np.sum(f(x, W) ** 2), x, W, params=["x", "W"])
    deltas = bp.grad(lambda x, W: np.sum(f(x, W) ** 2), argnums=(0, 1))(x, W)
    for found, delta in zip(step(x, W)[1].values(), deltas, strict=True):
        np.testing.assert_allclose(found, delta, rtol=1e-9, atol=1e-10)


def test_a_chain_is_one_task_in_pieces_of_rows(rng):
    x, W = rng.standard_normal((ROWS, WIDTH)), rng.standard_normal((WIDTH, WIDTH))
    step = bp.compile(lambda x, W: np.tanh(np.tanh(x @ W) @ W) @ W, x, W)
    rows = step.stages().rows
    assert [(row["stage"], row["pieces"]) for row in rows] == [(1, 4)] * 5
    assert [row["work"].count(" @ ") for row in rows] == [1, 0, 1, 0, 1]


def test_too_few_rows_are_no_chain(rng):
    x, W = rng.standard_normal((9, 64)), rng.standard_normal((64, 64))
    assert not chains(bp.compile(lambda x, W: np.tanh(np.tanh(x @ W) @ W), x, W))


@pytest.mark.parametrize(
    ("lengths", "strides", "start", "want"),
    [
        ((32, 16), (16, 1), 0, Stretch(0, 16)),
        ((512,), (1,), 0, Stretch(0, 16)),
        ((64, 4), (8, 1), 0, Stretch(0, 16)),
        ((32, 4), (16, 1), 8, Stretch(0, 16)),
        ((32, 4), (16, 1), 1024 + 8, Stretch(1024, 16)),
        ((32, 4), (16, 1), 14, None),
        ((32, 16), (-16, 1), 496, None),
        ((32, 16), (0, 1), 0, None),
        ((32, 32), (1, 32), 0, None),
    ],
)  # fmt: skip
def test_what_of_an_array_belongs_to_each_of_32_rows(lengths, strides, start, want):
    assert Stretch.of(ROWS, lengths, strides, start) == want


def test_rows_of_two_arrays_in_one_block_are_apart_or_the_same():
    assert Stretch(0, 4).by_row_with(Stretch(0, 4), 8)
    assert Stretch(0, 4).by_row_with(Stretch(32, 4), 8)
    assert Stretch(32, 4).by_row_with(Stretch(0, 4), 8)
    assert not Stretch(0, 4).by_row_with(Stretch(28, 4), 8)
    assert not Stretch(0, 4).by_row_with(Stretch(0, 8), 8)


def test_a_product_in_parts_of_its_sum_is_not_done_row_by_row(rng):
    x, g = rng.standard_normal((18432, 16)), rng.standard_normal((18432, 2))
    other = rng.standard_normal((16, 300))

    def both(x, g, other):
        return x.T @ g, np.tanh(other) * 2.0

    step = bp.compile(both, x, g, other)
    for got, want in zip(step(x, g, other), both(x, g, other), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-9)
    assert any("partial products" in row["work"] for row in step.stages().rows)
