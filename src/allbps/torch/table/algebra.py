"""Linear algebra as PyTorch takes it apart, with NumPy's functions."""

from __future__ import annotations

from allbps.torch.table.use import NotWrittenError, Use, Writer, Writers, number


def _svd(use: Use) -> str:
    if use.values.get("compute_uv", True):
        return f"np.linalg.svd({use.text('A')}, {use['full_matrices']})"
    return f"(None, np.linalg.svd({use.text('A')}, compute_uv=False), None)"


def _qr(use: Use) -> str:
    use.require("mode", "reduced", "complete")
    mode = "" if use["mode"] == "reduced" else ", mode='complete'"
    return f"np.linalg.qr({use.text('A')}{mode})"


def _eigh(use: Use) -> str:
    given = use.text("A" if "A" in use.values else "self")
    half = "" if use["UPLO"] == "L" else f", UPLO={use.text('UPLO')}"
    if use.values.get("compute_v", True):
        return f"np.linalg.eigh({given}{half})"
    return f"(np.linalg.eigvalsh({given}{half}), None)"


def _solution(use: Use) -> str:
    use.require("left", True)
    a, b = use.text("A"), use.text("B")
    shape, other = use.shape("A"), use.shape("B")
    if len(other) > 1 and other == shape[:-1]:  # one vector for each matrix
        return f"np.linalg.solve({a}, {b}[..., None])[..., 0]"
    return f"np.linalg.solve({a}, {b})"


def _cholesky(use: Use) -> str:
    return f"np.linalg.cholesky({use.text('self')}{', upper=True' if use['upper'] else ''})"


def _pinv(use: Use) -> str:
    if use["atol"] is not None:
        raise NotWrittenError("atol")
    more = "" if use["rtol"] is None else f", rtol={use.text('rtol')}"
    more += ", hermitian=True" if use["hermitian"] else ""
    return f"np.linalg.pinv({use.text('self')}{more})"


def _triangular(use: Use) -> str:
    options = [f"upper={use['upper']}"]
    options += [
        f"{name}={use[name]}" for name in ("left", "unitriangular") if not use.is_default(name)
    ]
    return f"F.solve_triangular({use.text('self')}, {use.text('B')}, {', '.join(options)})"


def _convolution(use: Use) -> str:
    """Any convolution, as PyTorch takes one over three axes apart."""
    axes = len(use.shape("input")) - 2
    words = ["stride", "padding", "dilation", "groups"]
    words += ["output_padding"] if use["transposed"] else []
    usual = {"stride": 1, "padding": 0, "dilation": 1, "output_padding": 0, "groups": 1}
    options = []
    for name in words:
        value = use[name]
        if isinstance(value, (list, tuple)) and len(set(value)) == 1:
            value = value[0]
        if value != usual[name]:
            options.append(f"{name}={use.written(value)}")
    given = [use.text("input"), use.text("weight")]
    given += [] if use["bias"] is None else [f"bias={use.text('bias')}"]
    function = f"F.conv_transpose{axes}d" if use["transposed"] else f"F.conv{axes}d"
    return f"{function}({', '.join([*given, *options])})"


def _resized(mode: str) -> Writers:
    def write(use: Use) -> str:
        if use["scale_factors"] is not None:
            size = f"scale_factor={use.text('scale_factors')}"
        else:
            size = f"size={use.text('output_size')}"
        return (
            f"F.interpolate({use.text('input')}, {size}, mode={mode!r},"
            f" align_corners={use['align_corners']})"
        )

    return write


def _sampled(use: Use) -> str:
    mode = ("bilinear", "nearest", "bicubic")[use["interpolation_mode"]]
    border = ("zeros", "border", "reflection")[use["padding_mode"]]
    return (
        f"F.grid_sample({use.text('input')}, {use.text('grid')}, mode={mode!r},"
        f" padding_mode={border!r}, align_corners={use['align_corners']})"
    )


def _windows(use: Use) -> str:
    axis, step = use["dimension"] % max(len(use.shape("self")), 1), use["step"]
    view = (
        f"np.lib.stride_tricks.sliding_window_view({use.text('self')}, {use['size']}, axis={axis})"
    )
    return view if step == 1 else f"{view}[{':, ' * axis}::{step}]"


def _trilinear(use: Use) -> str:
    """The product of three arrays, axes inserted, summed over some: ``nn.Bilinear``."""
    factors = [f"np.expand_dims({use.text(f'i{k}')}, {use.text(f'expand{k}')})" for k in (1, 2, 3)]
    return f"np.sum({' * '.join(factors)}, axis={use.text('sumdim')})"


def _bag(use: Use) -> str:
    options = [f"mode={('sum', 'mean', 'max')[use['mode']]!r}"]
    for name in ("per_sample_weights", "include_last_offset"):
        if use[name] is not None and use[name] is not False:
            options.append(f"{name}={use.text(name)}")
    if use["padding_idx"] not in (None, -1):
        options.append(f"padding_idx={use['padding_idx']}")
    given = [use.text(name) for name in ("indices", "weight", "offsets")]
    return f"F.embedding_bag({', '.join([*given, *options])})"


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


def _rounded(use: Use) -> str:
    decimals = use.values.get("decimals", 0)
    return f"np.round({use.text('self')}{f', {number(decimals)}' if decimals else ''})"


ALGEBRA: dict[str, Writers] = {
    "aten.linalg_svd.default": _svd,
    "aten._linalg_svd.default": _svd,
    "aten.linalg_svdvals.default": "np.linalg.svd({A}, compute_uv=False)",
    "aten.linalg_eigh.default": _eigh,
    "aten.linalg_eigvalsh.default": lambda use: f"{_eigh(use).replace('eigh(', 'eigvalsh(')}",
    "aten.linalg_det.default": "np.linalg.det({A})",
    "aten.det.default": "np.linalg.det({self})",
    "aten.linalg_slogdet.default": "np.linalg.slogdet({A})",
    "aten.slogdet.default": "np.linalg.slogdet({self})",
    "aten.linalg_solve.default": _solution,
    "aten.linalg_cholesky.default": _cholesky,
    "aten.cholesky_solve.default": "F.cholesky_solve({self}, {input2}, {upper})",
    "aten.ormqr.default": "F.ormqr({self}, {input2}, {input3}, {left}, {transpose})",
    "aten.linalg_householder_product.default": "F.householder_product({input}, {tau})",
    "aten._trilinear.default": _trilinear,
    "aten.embedding_bag.padding_idx": (_bag, None, None, None),
    "aten.embedding_bag.default": (_bag, None, None, None),
    "aten._embedding_bag.default": (_bag, None, None, None),
    "aten._embedding_bag_forward_only.default": (_bag, None, None, None),
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
    "aten.linalg_solve_triangular.default": _triangular,
    "aten.convolution.default": _convolution,
    "aten.upsample_bicubic2d.vec": _resized("bicubic"),
    "aten.upsample_trilinear3d.vec": _resized("trilinear"),
    "aten.grid_sampler.default": _sampled,
    "aten.grid_sampler_2d.default": _sampled,
    "aten.grid_sampler_3d.default": _sampled,
    "aten.unfold.default": _windows,
    **{f"aten.{name}.default": f"special.{scipys}({{self}})" for name, scipys in SPECIAL.items()},
    **FOURIER,
    "aten.polygamma.default": "special.polygamma({n}, {self})",
    "aten.fmax.default": "np.fmax({self}, {other})",
    "aten.fmin.default": "np.fmin({self}, {other})",
    "aten.hypot.default": "np.hypot({self}, {other})",
    "aten.copysign.Tensor": "np.copysign({self}, {other})",
    "aten.copysign.Scalar": "np.copysign({self}, {other})",
    "aten.frexp.Tensor": "np.frexp({self})",
    "aten.nextafter.default": "np.nextafter({self}, {other})",
    "aten.round.decimals": _rounded,
    "aten.signbit.default": "np.signbit({self})",
    "aten.angle.default": "np.angle({self})",
    "prims.frexp.default": "np.frexp({self})",
}  # fmt: skip
