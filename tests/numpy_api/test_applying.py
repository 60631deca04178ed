"""A function on every row, several axes, every window."""

import numpy as np
import pytest

import allbps as bp
from allbps.errors import ShapeError

APPLIED = {
    "a sum": lambda x: np.apply_along_axis(np.sum, 1, x),
    "a vector": lambda x: np.apply_along_axis(lambda row: row * row[0], 2, x),
    "a matrix": lambda x: np.apply_along_axis(lambda row: np.outer(row, row), 1, x),
    "further arguments": lambda x: np.apply_along_axis(lambda r, k, by: r[k:] * by, 0, x, 1, by=3),
    "a negative axis": lambda x: np.apply_along_axis(np.linalg.norm, -1, x),
    "several axes": lambda x: np.apply_over_axes(np.sum, x, [0, -1]),
    "keeping reductions": lambda x: np.apply_over_axes(
        lambda a, axis: np.max(a, axis=axis, keepdims=True), x, 1
    ),
    "windows": lambda x: np.lib.stride_tricks.sliding_window_view(x, 2, axis=1),
    "windows of two axes": lambda x: np.lib.stride_tricks.sliding_window_view(
        x, (2, 3), axis=(0, 2)
    ),
    "windows of all axes": lambda x: np.lib.stride_tricks.sliding_window_view(x, (1, 2, 2)),
    "windows of windows": lambda x: np.lib.stride_tricks.sliding_window_view(
        x, (2, 2), axis=(2, 2)
    ),
}


@pytest.mark.parametrize("name", APPLIED)
def test_applied(name, agrees, draw):
    agrees(APPLIED[name], draw((2, 3, 4)))


MESSAGES = {
    "no row": (
        lambda x: np.apply_along_axis(np.sum, 1, x[:0]),
        "np.apply_along_axis needs at least one row\n  got:      shape (0, 3)",
    ),
    "a length for each axis": (
        lambda x: np.lib.stride_tricks.sliding_window_view(x, 2),
        "sliding_window_view needs one length for each axis\n"
        "  expected: 2 lengths\n"
        "  got:      window_shape=2",
    ),
    "a window that is too long": (
        lambda x: np.lib.stride_tricks.sliding_window_view(x, 4, axis=1),
        "a window is longer than its axis\n  expected: at most 3 along axis 1\n  got:      4",
    ),
}


@pytest.mark.parametrize("name", MESSAGES)
def test_a_mistake_gets_its_message(name):
    function, message = MESSAGES[name]
    with pytest.raises(ShapeError) as caught:
        bp.vjp(function, np.ones((2, 3)))
    assert "test_applying.py" in caught.value.where
    caught.value.where = ""
    assert str(caught.value) == message
