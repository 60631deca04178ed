"""Kernels for tiny nets against the ones for all sizes."""

from __future__ import annotations

import numpy as np
import pytest

from allbps.machine.execution.runtime import Step
from allbps.machine.kernels.conv import conv_forward, conv_input, conv_weights, flip_weights
from allbps.machine.kernels.small import (
    small_conv_forward,
    small_conv_input,
    small_conv_weights,
    small_product,
)
from allbps.machine.language import cache
from allbps.machine.language.target import host


@pytest.mark.parametrize("shape", [(6, 6, 1, 1, 3, 3), (5, 7, 2, 3, 2, 4), (3, 3, 1, 2, 1, 1)])
def test_convolution_and_its_deltas(shape, native, near, draw):
    H, W, C, O, h, w = shape
    I, K, G = draw(H, W, C), draw(h, w, C, O), draw(H - h + 1, W - w + 1, O)
    scratch, F = draw(4 * (H + h) * (W + w) * (C + O)), np.empty_like(K)
    J, D, DK = np.empty_like(G), np.empty_like(I), np.empty_like(K)
    want_J, want_D, want_DK = np.empty_like(G), np.empty_like(I), np.empty_like(K)
    tail = (H, W, C, O, h, w, 1, 0, 0, 1)
    native(conv_forward)(want_J, I, K, K, 0, scratch, *tail)
    native(conv_weights)(want_DK, G, I, scratch, 0, *tail)
    native(flip_weights)(F, K, C, O, h, w, 1, 0, C)
    native(conv_input)(want_D, G, F, *tail)
    native(small_conv_forward)(J, I, K, *shape)
    native(small_conv_weights)(DK, G, I, *shape)
    native(small_conv_input)(D, G, K, *shape)
    near(J, want_J)
    near(DK, want_DK)
    near(D, want_D)


def test_product_with_any_strides(native, near, draw, dtype):
    A, B, C = draw(4, 3), draw(5, 4), np.empty((3, 5), dtype)
    native(small_product)(C, A, 1, 3, B, 1, 4, 3, 5, 4)
    near(C, A.T @ B.T)


@pytest.mark.parametrize("paste", [False, True])
def test_a_program_from_text_runs_pasted_or_not(paste, tmp_path, monkeypatch):
    monkeypatch.setenv("ALLBPS_CACHE_DIR", str(tmp_path))
    text = """
from allbps.machine.kernels.small import small_product
from allbps.machine.language.words import Int, Ints, kernel, pointer_at

@kernel
def step(tid: Int, threads: Int, team: Ints, a: Ints) -> None:
    small_product(pointer_at(a, 0), pointer_at(a, 1), 2, 1, pointer_at(a, 2), 2, 1, 2, 2, 2)
"""
    A, B, C = np.arange(4.0), np.arange(4.0) + 5, np.zeros(4)
    for _ in range(2):
        loaded = cache.load_text(text, ["step"], host(), single=False, paste=paste)
        Step(loaded, "step", [C, A, B], 1)()
        np.testing.assert_array_equal(C.reshape(2, 2), A.reshape(2, 2) @ B.reshape(2, 2))
    (source,) = tmp_path.glob("*.py")
    assert source.read_text() == text
