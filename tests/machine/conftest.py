"""What the machine's tests share: compiled kernels, dtypes with their tolerances, vector widths."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from allbps.machine.language.build import compiled
from allbps.machine.language.target import Target, host, narrowed

#: dtype, and the relative error its sums of some hundred terms may show.
TOLERANCE = {np.float64: 1e-12, np.float32: 2e-5}


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cache folder of the tests' own: nothing found there was made by other code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ALLBPS_CACHE_DIR", str(tmp_path_factory.mktemp("code")))
        yield


@functools.cache
def _compiled(kernel: Any, dtype: Any, target: Target | None) -> Callable[..., Any]:
    return compiled(kernel, dtype, target)


@pytest.fixture(params=[np.float64, np.float32], ids=["float64", "float32"])
def dtype(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def native(dtype: Any) -> Callable[..., Callable[..., Any]]:
    """``native(kernel)`` is the kernel compiled for the test's dtype, once a session."""
    return lambda kernel, target=None: _compiled(kernel, dtype, target)


@pytest.fixture
def near(dtype: Any) -> Callable[..., None]:
    """``near(got, want)``: equal up to the dtype's error, relative to the largest value."""

    def check(got: Any, want: Any, factor: float = 1.0) -> None:
        scale = max(float(np.nanmax(np.abs(want), initial=0.0)), 1e-30)
        np.testing.assert_allclose(
            got, want, rtol=0, atol=factor * TOLERANCE[dtype] * scale, equal_nan=True
        )

    return check


@pytest.fixture
def draw(dtype: Any) -> Callable[..., np.ndarray]:
    """``draw(shape)``: standard normal numbers, the same in every run."""
    rng = np.random.default_rng(7)
    return lambda *shape: rng.standard_normal(shape).astype(dtype)


def widths() -> list[Target]:
    """This CPU's own vectors, and the narrower ones it can run: AVX2's and NEON's shapes."""
    return [narrowed(b) for b in (64, 32, 16) if b <= host().vector_bytes]


@pytest.fixture(params=widths(), ids=lambda t: f"{t.vector_bytes}-byte-vectors")
def target(request: pytest.FixtureRequest) -> Target:
    return request.param
