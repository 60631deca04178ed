"""Operations that ONNX cannot say, and why."""

from __future__ import annotations

from collections.abc import Iterator

from allbps.onnx.table.use import Entry, refused

WHY = {
    "ONNX has no factorisations, inverses or solutions of equations": (
        "inv solve cofactor logabsdet signdet cholesky eigh_values eigh_vectors svd_u svd_s svd_vt"
        " qr_q qr_r pinv lstsq matrix_rank expm"
    ),
    "ONNX has no such function, and a composed one would lose digits": (
        "jv yv iv kv ive kve gammaln digamma polygamma gamma gammainc gammaincc betaln beta"
        " betainc zeta erfc erfcx erfinv erfcinv dawsn ndtr log_ndtr ndtri expi exp1 spence"
        " pseudo_huber boxcox binom"
    ),
    "its random numbers come from a counter, which ONNX's generators do not follow": (
        "key bernoulli uniform"
    ),
    "ONNX does not show the bits of a number": "exponent spacing nextafter",
    "ONNX has no such operation": "running_winner ranks argpartition interp",
}
"""Reason -> operations."""


def _entries() -> Iterator[tuple[str, Entry]]:
    for reason, names in WHY.items():
        for name in names.split():
            yield name, refused(reason)


TABLE = dict(_entries())
