"""What NumPy's functions mean on traced arrays, composed from operations; by family.

A NumPy function that *is* one operation is named in that operation's declaration
(``implements=``); here live the ones that are put together from several, or that need their
arguments read first (``axis=None``, ``keepdims``).
"""

from allbps.numpy_api import (
    applying,
    choosing,
    differences,
    elementwise,
    joining,
    linalg,
    making,
    padding,
    plain,
    polynomials,
    products,
    reductions,
    sets,
    shapes,
    special,
    statistics,
    ufuncs,
)

__all__ = [
    "applying",
    "choosing",
    "differences",
    "elementwise",
    "joining",
    "linalg",
    "making",
    "padding",
    "plain",
    "polynomials",
    "products",
    "reductions",
    "sets",
    "shapes",
    "special",
    "statistics",
    "ufuncs",
]
