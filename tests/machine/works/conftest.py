"""What the tests of works share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest


@pytest.fixture
def doubles() -> Callable[..., np.ndarray]:
    """``doubles(*shape)`` draws float64 numbers."""
    rng = np.random.default_rng(7)
    return lambda *shape: rng.standard_normal(shape)
