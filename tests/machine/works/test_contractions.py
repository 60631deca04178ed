"""Einstein sums and broadcast products against NumPy's."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import allbps as bp
from allbps.machine.building import FallbackWarning
from allbps.machine.compile import compile  # noqa: A004

SUMS = [
    ("bthd,bshd->bhts", (2, 5, 3, 4), (2, 6, 3, 4)),
    ("bhts,bshd->bthd", (2, 3, 5, 6), (2, 6, 3, 4)),
    ("ij,jk,kl->il", (4, 5), (5, 6), (6, 3)),
    ("ijk,ilj->kl", (3, 4, 5), (3, 6, 4)),
    ("i,j->ij", (9,), (8,)),
    ("ij,j->", (6, 7), (7,)),
    ("abc->ca", (3, 4, 5)),
    ("ab,cd->", (2, 3), (4, 5)),
]


def each(function, shapes, doubles):
    """Value and gradients, compiled and by NumPy."""
    given = [doubles(*shape) for shape in shapes]
    weights = doubles(*np.shape(function(*given)))

    def total(*xs):
        return np.sum(function(*xs) * weights)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        step = compile(total, *given, params="xs")
    loss, grads = step(*given)
    want = bp.grad(total, argnums=tuple(range(len(given))))(*given)
    np.testing.assert_allclose(loss, total(*given), rtol=1e-12, atol=1e-12)
    for got, exact in zip(grads, want, strict=True):
        np.testing.assert_allclose(got, exact, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize(("subscripts", "shapes"), [(s, shapes) for s, *shapes in SUMS])
def test_einstein_sums(subscripts, shapes, doubles):
    each(lambda *xs: np.einsum(subscripts, *xs), shapes, doubles)


@pytest.mark.parametrize(
    "shapes",
    [[(4, 3, 5), (2, 1, 5, 6)], [(3, 5), (4, 5, 2)], [(1, 3, 5), (4, 5, 2)], [(2, 3, 4), (4, 5)]],
    ids=str,
)
def test_products_whose_leading_axes_are_broadcast(shapes, doubles):
    each(lambda a, b: a @ b, shapes, doubles)


def test_many_tiny_products_are_numpys():
    x = np.ones((40, 3))
    with pytest.warns(FallbackWarning, match="no kernel for einsum"):
        compile(lambda x, y: np.einsum("ij,ij->ij", x, y), x, x)
