"""Native code writes into its own blocks and nowhere else: each stands between sentinels."""

from __future__ import annotations

import numpy as np
import pytest

import allbps.functional as F
from allbps.machine.compile import compile  # noqa: A004
from allbps.machine.execution import executable

ROOM = 1 << 19
"""Bytes before and behind a block."""
SENTINEL = 0xA5

# image (N, C, H, W), first kernel (O, C, h, w), second kernel behind a ReLU (P, O, h, w)
CONVOLUTIONS = {
    "pixels, few numbers": ((2, 3, 8, 8), (2, 3, 1, 1), (1, 2, 1, 1)),
    "pixels, more numbers": ((2, 3, 16, 16), (12, 3, 1, 1), (8, 12, 1, 1)),
    "many channels on few pixels": ((2, 8, 5, 5), (64, 8, 3, 3), (130, 64, 3, 3)),
    "the last pixel": ((2, 8, 3, 3), (64, 8, 1, 1), (130, 64, 3, 3)),
    "windows": ((2, 3, 9, 7), (5, 3, 3, 3), (4, 5, 3, 3)),
    "Winograd's size": ((2, 8, 12, 12), (16, 8, 3, 3), (16, 16, 3, 3)),
    "one tiny image": ((1, 2, 6, 6), (3, 2, 3, 3), (2, 3, 3, 3)),
}


@pytest.fixture
def blocks(monkeypatch):
    """The memory of all blocks that are made from here on: (bytes, first, length)."""
    made = []

    def aligned(size, dtype):
        length = size * dtype.itemsize
        raw = np.full(length + 64 + 2 * ROOM, SENTINEL, np.uint8)
        first = -raw.ctypes.data % 64 + ROOM
        raw[first : first + length] = 0
        made.append((raw, first, length))
        return raw[first : first + length].view(dtype)

    monkeypatch.setattr(executable, "aligned", aligned)
    monkeypatch.setattr(executable, "arena", lambda regions: ({}, 0))  # blocks of their own
    return made


def assert_untouched(blocks):
    assert blocks
    for raw, first, length in blocks:
        assert (raw[:first] == SENTINEL).all()
        assert (raw[first + length :] == SENTINEL).all()


@pytest.mark.parametrize("shapes", CONVOLUTIONS.values(), ids=CONVOLUTIONS)
def test_a_mask_on_a_convolutions_delta_stays_inside(shapes, blocks, rng):
    x, k, m = (rng.standard_normal(shape) for shape in shapes)

    def net(x, k, m):
        return np.sum(F.conv2d(F.relu(F.conv2d(x, k)), m) ** 2)

    step = compile(net, x, k, m, params=("k", "m"))
    assert any(" where " in str(row["work"]) for row in step.stages().rows)
    step(x, k, m)
    assert_untouched(blocks)


@pytest.mark.parametrize("sizes", [(4, 3, 5, 2), (64, 40, 30, 3), (700, 9, 8, 1), (3, 2, 900, 2)])
def test_a_mask_on_a_products_delta_stays_inside(sizes, blocks, rng):
    rows, *widths = sizes
    x = rng.standard_normal((rows, widths[0]))
    v, w = rng.standard_normal(widths[:2]), rng.standard_normal(widths[1:])
    step = compile(lambda x, v, w: np.sum((F.relu(x @ v) @ w) ** 2), x, v, w, params=("v", "w"))
    step(x, v, w)
    assert_untouched(blocks)
