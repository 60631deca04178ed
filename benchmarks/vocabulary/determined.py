"""What PyTorch's results determine, where one part of the input or of the output is free.

Of a symmetric or triangular matrix only one triangle is read. PyTorch's δ is that along symmetric
or full matrices; its own gradient checks therefore symmetrise the input first, or cut off what is
not read (``gradcheck_wrapper``), and so does this judge, on both sides. Vectors of a factorisation
are free in sign, so that their sizes are compared.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

VECTORS = {"linalg.eigh": (1,), "linalg.eig": (1,), "linalg.svd": (0, 2), "svd": (0, 2)}
"""Entry -> which results are vectors."""
SYMMETRIC = {
    "cholesky", "linalg.cholesky", "linalg.cholesky_ex", "linalg.eigh", "linalg.eigvalsh",
    "linalg.pinv",
}  # fmt: skip
TRIANGULAR = {"cholesky_solve": 1, "cholesky_inverse": 0}
"""Entry -> which operand is triangular."""
FIRST = {"linalg.lstsq"}
"""Only the first result is looked at: the others depend on the algorithm that was asked for."""


class Determined:
    """An OpInfo entry, called as PyTorch's gradient checks call it."""

    def __init__(self, op: Any) -> None:
        self._op = op

    def __getattr__(self, name: str) -> Any:
        return getattr(self._op, name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        entry, variant = self._op.name, self._op.variant_test_name
        if entry in SYMMETRIC and (entry != "linalg.pinv" or variant == "hermitian"):
            args = (args[0] + args[0].mH, *args[1:])
        if entry in TRIANGULAR:
            k = TRIANGULAR[entry]
            cut = args[k].triu() if kwargs.get("upper") else args[k].tril()
            args = (*args[:k], cut, *args[k + 1 :])
        kwargs = {key: _double(x) for key, x in kwargs.items()}
        made = self._op(*args, **kwargs)
        if entry in FIRST:
            return made[0]
        return sizes_of_vectors(entry, made, lambda x: x.abs())


def _double(x: Any) -> Any:
    """Weights in single precision have the same numbers in double."""
    return x.double() if isinstance(x, torch.Tensor) and x.dtype == torch.float32 else x


def sizes_of_vectors(entry: str, made: Any, size: Any = np.abs) -> Any:
    """The results, vectors without their signs."""
    chosen = VECTORS.get(entry, ())
    if not chosen:
        return made
    if len(made) == 3:  # of a singular value decomposition the vectors that have a value
        u, s, v = made
        n = s.shape[-1]
        v = v[..., :n, :] if entry == "linalg.svd" else v[..., :n]
        made = (u[..., :n], s, v)
    return tuple(size(x) if k in chosen else x for k, x in enumerate(made))


def symmetric(x: Any) -> Any:
    """As ``gradcheck_wrapper_hermitian_input`` does."""
    return x + np.swapaxes(x, -1, -2)


def triangle(x: Any, upper: bool) -> Any:
    """As ``gradcheck_wrapper_triangular_input`` does."""
    return np.triu(x) if upper else np.tril(x)
