"""Embedding rows and their δ, in which repeated indices add up in order."""

from __future__ import annotations

import numpy as np
import pytest

from allbps.machine.kernels.embedding import embedding, embedding_delta


@pytest.mark.parametrize("C", [3, 16, 50])
def test_rows_by_index_and_their_delta(C, native, near, draw, dtype):
    E, G, index = draw(7, C), draw(12, C), np.array([0, 3, 3, 6, 3, 1, 0, 0, 6, 6, 6, 5])
    Y, D = np.empty((12, C), dtype), np.full_like(E, np.nan)
    native(embedding)(Y, E, index, C, 0, 12)
    np.testing.assert_array_equal(Y, E[index])
    want = np.zeros((7, C))
    np.add.at(want, index, G.astype(np.float64))
    for lo, hi in ((0, C // 2), (C // 2, C)):
        native(embedding_delta)(D, G, index, 7, 12, C, False, lo, hi)
    near(D, want)
    native(embedding_delta)(D, G, index, 7, 12, C, True, 0, C)
    near(D, 2 * want)
