"""Kernels on every vector width that this CPU can run, against the widest one."""

from __future__ import annotations

import numpy as np
import pytest

from allbps.machine.kernels.attention import attention, attention_scratch
from allbps.machine.kernels.conv import conv_forward, conv_weights
from allbps.machine.kernels.gemm import transpose
from allbps.machine.kernels.loss import cross_entropy
from allbps.machine.kernels.norm import batch_norm_sums, layer_norm
from allbps.machine.kernels.pool import max_pool
from allbps.machine.kernels.winograd import (
    points_apart,
    scratch_size,
    winograd_forward,
    winograd_weights,
)


def a_convolution(run, draw, dtype):
    I, K, J, D = draw(2, 9, 8, 5), draw(3, 3, 5, 19), draw(2, 9, 8, 19), draw(3, 3, 5, 19)
    shape = (9, 8, 5, 19, 3, 3, 1, 1, 0, 2)
    run(conv_forward)(J, I, K, K, 0, draw(2000), *shape)
    run(conv_weights)(D, J, I, draw(2000), 0, *shape)
    return J, D


def a_winograd_convolution(run, draw, dtype):
    I, K, J, U = (
        draw(2, 9, 8, 17),
        draw(3, 3, 17, 21),
        draw(2, 9, 8, 21),
        draw(36 * points_apart(17, 21)),
    )
    run(winograd_weights)(U, K, 17, 21, 0, 17)
    scratch = draw(scratch_size(17, 21))
    run(winograd_forward)(J, I, U, U, 0, scratch, 9, 8, 17, 21, 1, 0, 12)
    return (J,)


def a_pool(run, draw, dtype):
    I, J, winner = draw(2, 6, 6, 21), draw(2, 3, 3, 21), np.zeros((2, 3, 3, 21), np.uint8)
    run(max_pool)(J, winner, I, True, 6, 6, 21, 2, 2, 2, 2, 0, 0, 1, 1, 0, 2)
    return J, winner


def a_transposition(run, draw, dtype):
    A, T = draw(37, 21), draw(21, 37)
    run(transpose)(T, 37, A, 21, 37, 0, 21)
    np.testing.assert_array_equal(T, A.T)
    return (T,)


def losses_and_norms(run, draw, dtype):
    X, D, S, Y = draw(7, 37), draw(7, 37), draw(7, 2), draw(7, 37)
    total = draw(1)
    run(cross_entropy)(total, D, X, np.arange(7), 1.0, 37, 0, 7)
    run(layer_norm)(Y, S, X, X[0], X[1], 1e-5, 37, 0, 7)
    P = draw(2, 37)
    run(batch_norm_sums)(P, X, Y, Y, X, 4, 37, 0, 7)
    return D, Y, P, total


def an_attention(run, draw, dtype):
    Q, K, V, Y, P = draw(20, 9), draw(20, 9), draw(20, 9), draw(20, 9), draw(2, 20)
    B, scratch = draw(20, 20), draw(attention_scratch(20, 9, 9, 8))
    sizes = (20, 20, 9, 9, 0.3, True, True, False, 8)
    run(attention)(Y, 9, P, Q, 9, K, 9, V, 9, B, 20, scratch, *sizes)
    return Y, P


WORK = [
    a_convolution, a_winograd_convolution, a_pool, a_transposition, losses_and_norms,
    an_attention,
]  # fmt: skip


@pytest.mark.parametrize("work", WORK, ids=lambda f: f.__name__)
def test_every_width_computes_the_same(work, target, native, near, dtype):
    def outcome(run):
        rng = np.random.default_rng(11)
        return work(run, lambda *shape: rng.standard_normal(shape).astype(dtype), dtype)

    narrow, wide = outcome(lambda k: native(k, target)), outcome(native)
    for got, want in zip(narrow, wide, strict=True):
        near(got, want, factor=2)
