"""Linear algebra as PyTorch takes it apart, with NumPy's functions."""

from __future__ import annotations

from allbps.torch.table.use import NotWrittenError, Use, Writers


def _svd(use: Use) -> str:
    if use.values.get("compute_uv", True):
        return f"np.linalg.svd({use.text('A')}, {use['full_matrices']})"
    return f"(None, np.linalg.svd({use.text('A')}, compute_uv=False), None)"


def _qr(use: Use) -> str:
    use.require("mode", "reduced", "complete")
    mode = "" if use["mode"] == "reduced" else ", mode='complete'"
    return f"np.linalg.qr({use.text('A')}{mode})"


def _eigh(use: Use) -> str:
    given = _mirrored(use.text("A" if "A" in use.values else "self"), use["UPLO"] == "U")
    if use.values.get("compute_v", True):
        return f"np.linalg.eigh({given})"
    return f"(np.linalg.eigvalsh({given}), None)"


def _eigvalsh(use: Use) -> str:
    return f"np.linalg.eigvalsh({_mirrored(use.text('self'), use['UPLO'] == 'U')})"


def _mirrored(text: str, upper: bool) -> str:
    return f"parts.mirrored({text}{', upper=True' if upper else ''})"


def _solution(use: Use) -> str:
    use.require("left", True)
    a, b = use.text("A"), use.text("B")
    shape, other = use.shape("A"), use.shape("B")
    if len(other) > 1 and other == shape[:-1]:  # one vector for each matrix
        return f"np.linalg.solve({a}, {b}[..., None])[..., 0]"
    return f"np.linalg.solve({a}, {b})"


def _cholesky(use: Use) -> str:
    upper = bool(use["upper"])
    more = ", upper=True" if upper else ""
    return f"np.linalg.cholesky({_mirrored(use.text('self'), upper)}{more})"


def _pinv(use: Use) -> str:
    if use["atol"] is not None:
        raise NotWrittenError("atol")
    more = "" if use["rtol"] is None else f", rtol={use.text('rtol')}"
    given = use.text("self")
    given = f"parts.mirrored({given}, even=False)" if use["hermitian"] else given
    return f"np.linalg.pinv({given}{more})"


ALGEBRA: dict[str, Writers] = {
    "aten.linalg_svd.default": _svd,
    "aten._linalg_svd.default": _svd,
    "aten.linalg_svdvals.default": "np.linalg.svd({A}, compute_uv=False)",
    "aten.linalg_eigh.default": _eigh,
    "aten.linalg_eigvalsh.default": _eigvalsh,
    "aten.linalg_det.default": "np.linalg.det({A})",
    "aten.det.default": "np.linalg.det({self})",
    "aten.linalg_slogdet.default": "np.linalg.slogdet({A})",
    "aten.slogdet.default": "np.linalg.slogdet({self})",
    "aten.linalg_solve.default": _solution,
    "aten.linalg_cholesky.default": _cholesky,
    "aten.cholesky_solve.default": "F.cholesky_solve({self}, {input2}, {upper})",
    "aten.ormqr.default": "F.ormqr({self}, {input2}, {input3}, {left}, {transpose})",
    "aten.linalg_qr.default": _qr,
    "aten._linalg_eigh.default": _eigh,
    "aten._linalg_det.default": ("np.linalg.det({A})", None, None),
    "aten._linalg_slogdet.default": (
        "np.linalg.slogdet({A})[0]", "np.linalg.slogdet({A})[1]", None, None,
    ),
    "aten._linalg_solve_ex.default": (_solution, None, None, None),
    "aten.linalg_cholesky_ex.default": (_cholesky, None),
    "aten.cholesky.default": _cholesky,
    "aten.linalg_inv_ex.default": ("np.linalg.inv({A})", None),
    "aten.linalg_pinv.atol_rtol_tensor": _pinv,
}  # fmt: skip
