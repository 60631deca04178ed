"""Special functions with SciPy's, Fourier transforms with NumPy's."""

from __future__ import annotations

from allbps.torch.table.use import Use, Writer, Writers


def _transformed(function: str) -> Writer:
    """A Fourier transform along one axis, or along several."""

    def write(use: Use) -> str:
        lengths, axes = ("n", "dim") if "n" in use.values else ("s", "dim")
        words = {"n": "n", "s": "s", "dim": "axis" if lengths == "n" else "axes", "norm": "norm"}
        given = [
            f"{words[name]}={use.text(name)}"
            for name in (lengths, axes, "norm")
            if use[name] is not None and not use.is_default(name)
        ]
        return f"np.fft.{function}({', '.join([use.text('self'), *given])})"

    return write


FOURIER = {
    f"aten.fft_{name}.default": _transformed(name)
    for kind in ("fft", "ifft", "rfft", "irfft")
    for name in (kind, f"{kind}2", f"{kind}n")
} | {f"aten.fft_{name}.default": _transformed(name) for name in ("hfft", "ihfft")}
SPECIAL = {
    "erfc": "erfc", "erfinv": "erfinv", "special_erfcx": "erfcx", "special_ndtri": "ndtri",
    "special_log_ndtr": "log_ndtr", "special_i0e": "i0e", "special_i1": "i1",
    "special_i1e": "i1e", "i0": "i0", "lgamma": "gammaln", "digamma": "psi",
}  # fmt: skip
"""PyTorch's name -> SciPy's."""

FUNCTIONS: dict[str, Writers] = {
    **{f"aten.{name}.default": f"special.{scipys}({{self}})" for name, scipys in SPECIAL.items()},
    **FOURIER,
    "allbps.transposed.default": "parts.transposed({outputs}, {inputs}, {cotangents})",
    "allbps.grad.default": "parts.gradients({outputs}, {inputs}, {cotangents})",
    "aten.polygamma.default": "special.polygamma({n}, {self})",
}  # fmt: skip
