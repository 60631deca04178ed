"""Linear algebra, special functions, calculus and parts of arrays, as NumPy spells them."""

from __future__ import annotations

from typing import Any

import numpy as np

import allbps.functional as F
from allbps.scipy import special
from vocabulary.determined import sizes_of_vectors, symmetric, triangle
from vocabulary.spelled import SPELLINGS, spelled

SPELLINGS |= {
    "lgamma": special.gammaln,
    "digamma": special.digamma,
    "erf": special.erf,
    "erfc": special.erfc,
    "erfinv": special.erfinv,
    "i0": np.i0,
    "xlogy": special.xlogy,
    "sgn": np.sign,
    "deg2rad": np.deg2rad,
    "special.polygamma": lambda x, n: special.polygamma(n, x),
    "broadcast_tensors": lambda *xs: list(np.broadcast_arrays(*xs)),
    "view_as": lambda x, other: np.reshape(x, np.shape(other)),
    "reshape_as": lambda x, other: np.reshape(x, np.shape(other)),
    "H": lambda x: np.conj(x.T),
    "mH": lambda x: np.conj(x.mT),
    "t_copy": lambda x: x.T,
    "permute_copy": np.transpose,
    "pinverse": lambda x, rcond=1e-15: np.linalg.pinv(x, rcond),
    "outer": np.outer,
    "flip": lambda x, dims=None: np.flip(x, axis=dims),
    "quantile": lambda x, q, dim=None, keepdim=False, interpolation="linear": np.quantile(
        x, q, axis=dim if np.ndim(x) else None, keepdims=keepdim, method=interpolation
    ),
    "nanquantile": lambda x, q, dim=None, keepdim=False, interpolation="linear": np.nanquantile(
        x, q, axis=dim if np.ndim(x) else None, keepdims=keepdim, method=interpolation
    ),
    "einsum": lambda operands, equation: np.einsum(equation, *operands),
    "diagflat": lambda x, offset=0: np.diagflat(x, offset),
    "diag": lambda x, diagonal=0: np.diag(x, diagonal),
    "tril": lambda x, diagonal=0: np.tril(x, diagonal),
    "triu": lambda x, diagonal=0: np.triu(x, diagonal),
    "trace": np.trace,
    "ldexp": lambda x, other: x * np.exp2(other),
    "unbind": lambda x, dim=0: list(np.moveaxis(x, dim, 0)),
    "unbind_copy": lambda x, dim=0: list(np.moveaxis(x, dim, 0)),
    "index_select": F.index_select,
    "take": lambda x, index: np.reshape(x, -1)[index],
    "tensor_split": lambda x, parts, dim=0: np.array_split(
        x, parts if np.ndim(parts) or not hasattr(parts, "dtype") else int(parts), axis=dim
    ),
    "repeat_interleave": lambda x, repeats, dim=None, output_size=None: np.repeat(
        np.reshape(x, -1) if not np.ndim(x) else x, repeats, axis=dim
    ),
    "zero_": np.zeros_like,
    "fill": lambda x, value: np.full_like(x, value) if not hasattr(value, "shape")
    else np.broadcast_to(value, np.shape(x)),
    "block_diag": F.block_diag,
    "nanmean": lambda x, dim=None, keepdim=False, dtype=None: np.nanmean(
        x, axis=None if not np.ndim(x) or dim in ((), []) else dim, keepdims=keepdim
    ),
    "movedim": np.moveaxis,
    "kron": np.kron,
    "msort": lambda x: np.sort(x, axis=0),
}  # fmt: skip
for _name in ("clone", "contiguous", "resolve_conj", "resolve_neg", "alias_copy", "positive"):
    SPELLINGS[_name] = lambda x, *args, **kwargs: +x
for _name in ("sum", "nansum", "prod", "mean", "amax", "amin"):
    _numpys = getattr(np, {"amax": "max", "amin": "min"}.get(_name, _name))

    def _reduced(x: Any, dim: Any = None, keepdim: bool = False, dtype: Any = None,
                 _numpys: Any = _numpys) -> Any:  # fmt: skip
        """A number has an axis 0 for PyTorch, and () means all axes."""
        dim = tuple(dim) or None if isinstance(dim, (list, tuple)) else dim
        return _numpys(x, axis=dim if np.ndim(x) else None, keepdims=keepdim)

    SPELLINGS[_name] = _reduced


# -- shapes ----------------------------------------------------------------------------------------
def _lengths(shape: tuple[Any, ...]) -> tuple[int, ...]:
    return tuple(shape[0]) if len(shape) == 1 and not isinstance(shape[0], int) else shape


@spelled("view", "view_copy", "reshape")
def reshape(x: Any, *shape: Any) -> Any:
    """One tuple or separate lengths."""
    return np.reshape(x, _lengths(shape))


@spelled("expand", "expand_copy")
def expand(x: Any, *shape: Any) -> Any:
    """−1 keeps a length."""
    wanted = _lengths(shape)
    kept = (1,) * (len(wanted) - np.ndim(x)) + np.shape(x)
    return np.broadcast_to(x, tuple(m if n == -1 else n for n, m in zip(wanted, kept, strict=True)))


@spelled("sum_to_size")
def sum_to_size(x: Any, *size: Any) -> Any:
    """The sum over what was broadcast."""
    wanted = _lengths(size)
    extra = np.ndim(x) - len(wanted)
    summed = np.sum(x, axis=tuple(range(extra)))
    axes = tuple(k for k, n in enumerate(wanted) if n == 1 and np.shape(summed)[k] != 1)
    return np.sum(summed, axis=axes, keepdims=True)


@spelled("squeeze", "squeeze.multiple", "squeeze_copy")
def squeeze(x: Any, dim: Any = None) -> Any:
    """Axes of another length stay."""
    if not np.ndim(x) or dim is None:
        return np.squeeze(x)
    axes = [dim] if isinstance(dim, int) else dim
    return np.squeeze(x, axis=tuple(k for k in axes if np.shape(x)[k] == 1))


@spelled("transpose", "transpose_copy", "swapdims")
def transpose(x: Any, dim0: int, dim1: int) -> Any:
    """A number has an axis 0."""
    return np.swapaxes(x, dim0, dim1) if np.ndim(x) else x


@spelled("unsqueeze", "unsqueeze_copy")
def unsqueeze(x: Any, dim: int) -> Any:
    """A new axis."""
    return np.expand_dims(x, dim)


@spelled("cat")
def cat(tensors: Any, dim: int = 0) -> Any:
    """Empty vectors do not count."""
    full = [x for x in tensors if np.shape(x) != (0,)]
    return np.concatenate(full, axis=dim) if full else +tensors[0]


@spelled("diagonal", "diagonal_copy", "linalg.diagonal")
def diagonal(x: Any, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Any:
    """By default of the first axes."""
    return np.diagonal(x, offset, dim1, dim2)


SPELLINGS["linalg.diagonal"] = lambda A, offset=0, dim1=-2, dim2=-1: diagonal(A, offset, dim1, dim2)


@spelled("unfold", "unfold_copy")
def unfold(x: Any, dim: int, size: int, step: int) -> Any:
    """Windows of an axis, every so many places."""
    if not np.ndim(x):
        return np.reshape(x, (1,))[:size]
    windows = np.lib.stride_tricks.sliding_window_view(x, size, axis=dim)
    return windows[(slice(None),) * (dim % np.ndim(x)) + (slice(None, None, step),)]


@spelled("narrow", "narrow_copy")
def narrow(x: Any, dim: int, start: Any, length: int) -> Any:
    """The start may be an array of one number."""
    return F.narrow(x, dim, int(start), length)


@spelled("slice")
def slice_of(x: Any, dim: int = 0, start: Any = None, end: Any = None, step: int = 1) -> Any:
    """One slice of one axis."""
    return x[(slice(None),) * (dim % np.ndim(x)) + (slice(start, end, step),)]


@spelled("take_along_dim")
def take_along_dim(x: Any, indices: Any, dim: Any = None) -> Any:
    """Both are broadcast on the other axes."""
    if dim is None:
        return np.reshape(np.reshape(x, -1)[np.reshape(indices, -1)], (-1,))
    axis, shape = dim % np.ndim(x), list(np.broadcast_shapes(
        *(tuple(1 if k == dim % np.ndim(x) else n for k, n in enumerate(np.shape(y)))
          for y in (x, indices))
    ))  # fmt: skip
    both = []
    for y in (x, indices):
        wanted = [np.shape(y)[axis] if k == axis else n for k, n in enumerate(shape)]
        both.append(np.broadcast_to(y, tuple(wanted)))
    return np.take_along_axis(*both, axis=axis)


# -- calculus --------------------------------------------------------------------------------------
@spelled("diff")
def diff(x: Any, n: int = 1, dim: int = -1, prepend: Any = None, append: Any = None) -> Any:
    """What is put before or behind may be missing."""
    more = {k: v for k, v in (("prepend", prepend), ("append", append)) if v is not None}
    return np.diff(x, n, axis=dim, **more)


@spelled("gradient")
def gradient(x: Any, spacing: Any = None, dim: Any = None, edge_order: int = 1) -> Any:
    """One array for each axis."""
    steps = () if spacing is None else spacing if isinstance(spacing, (list, tuple)) else (spacing,)
    axes = tuple(range(np.ndim(x))) if dim is None else dim
    found = np.gradient(x, *steps, axis=axes, edge_order=edge_order)
    return list(found) if isinstance(found, (list, tuple)) else [found]


@spelled("trapezoid", "trapz")
def trapezoid(y: Any, x: Any = None, dx: float = 1.0, dim: int = -1) -> Any:
    """The area under a broken line."""
    return np.trapezoid(y, x, dx, axis=dim)


@spelled("cumulative_trapezoid")
def cumulative_trapezoid(y: Any, x: Any = None, dx: float = 1.0, dim: int = -1) -> Any:
    """The area so far."""
    rows = np.moveaxis(y, dim, -1)
    steps = dx if x is None else np.diff(x, axis=-1 if np.ndim(x) == 1 else dim)
    if x is not None and np.ndim(x) > 1:
        steps = np.moveaxis(steps, dim, -1)
    areas = np.cumsum((rows[..., 1:] + rows[..., :-1]) / 2 * steps, axis=-1)
    return np.moveaxis(areas, -1, dim)


# -- statistics ------------------------------------------------------------------------------------
@spelled("cov")
def cov(x: Any, correction: int = 1, fweights: Any = None, aweights: Any = None) -> Any:
    """Weights count in NumPy's way."""
    return np.cov(x, ddof=correction, fweights=fweights, aweights=aweights)


@spelled("tensordot")
def tensordot(a: Any, b: Any, dims: Any = 2) -> Any:
    """A list of two lists of axes."""
    return np.tensordot(a, b, dims)


@spelled("logsumexp")
def logsumexp(x: Any, dim: Any, keepdim: bool = False) -> Any:
    """A number has an axis 0."""
    return F.logsumexp(x, dim, keepdim) if np.ndim(x) else special.logsumexp(x)


for _order in range(5):
    SPELLINGS[f"polygamma.polygamma_n_{_order}"] = lambda x, n: special.polygamma(n, x)
SPELLINGS["special.polygamma.special_polygamma_n_0"] = lambda x, n: special.polygamma(n, x)
for _order in (1, 3, 5):
    SPELLINGS[f"mvlgamma.mvlgamma_p_{_order}"] = special.multigammaln


@spelled("logit")
def logit(x: Any, eps: float | None = None) -> Any:
    """Bounded by eps and 1 − eps first."""
    return special.logit(x if eps is None else F.clamp(x, eps, 1 - eps))


# -- linear algebra --------------------------------------------------------------------------------
@spelled("cholesky")
def old_cholesky(x: Any, upper: bool = False) -> Any:
    """PyTorch's older name."""
    return np.linalg.cholesky(symmetric(x), upper=upper)


@spelled("linalg.cholesky")
def cholesky(x: Any, *, upper: bool = False) -> Any:
    """Reads one triangle."""
    return np.linalg.cholesky(symmetric(x), upper=upper)


@spelled("linalg.cholesky_ex")
def cholesky_ex(x: Any, *, upper: bool = False, check_errors: bool = False) -> Any:
    """With a number that says that all is well."""
    return np.linalg.cholesky(symmetric(x), upper=upper), np.zeros(np.shape(x)[:-2], np.int32)


@spelled("lu")
def old_lu(x: Any, pivot: bool = True, get_infos: bool = False) -> Any:
    """PyTorch's older name for ``lu_factor``."""
    return (*F.lu_factor(x, pivot=pivot), *[np.zeros(np.shape(x)[:-2], np.int32)] * get_infos)


@spelled("linalg.lu_factor_ex")
def lu_factor_ex(x: Any, *, pivot: bool = True, check_errors: bool = False) -> Any:
    """With a number that says that all is well."""
    return (*F.lu_factor(x, pivot=pivot), np.zeros(np.shape(x)[:-2], np.int32))


@spelled("lu_solve")
def old_lu_solve(b: Any, LU: Any, pivots: Any) -> Any:
    """PyTorch's older name, with the right-hand side first."""
    return F.lu_solve(LU, pivots, b)


@spelled("linalg.eigh")
def eigh(x: Any, UPLO: str = "L") -> Any:
    """Reads one triangle."""
    return sizes_of_vectors("linalg.eigh", np.linalg.eigh(symmetric(x), UPLO))


@spelled("linalg.eigvalsh")
def eigvalsh(x: Any, UPLO: str = "L") -> Any:
    """Reads one triangle."""
    return np.linalg.eigvalsh(symmetric(x), UPLO)


@spelled("linalg.pinv", "linalg.pinv.hermitian")
def pinv(x: Any, *, atol: Any = None, rtol: Any = None, hermitian: bool = False) -> Any:
    """By PyTorch's tolerance; an absolute one has no word in NumPy."""
    if rtol is None:
        rtol = max(np.shape(x)[-2:]) * np.finfo(float).eps
    return np.linalg.pinv(symmetric(x) if hermitian else x, rtol=rtol, hermitian=hermitian)


SPELLINGS["linalg.pinv.singular"] = lambda a, b: np.linalg.pinv(a @ np.swapaxes(b, -1, -2))


@spelled("linalg.inv_ex")
def inv_ex(x: Any, *, check_errors: bool = False) -> Any:
    """With a number that says that all is well."""
    return np.linalg.inv(x), np.zeros(np.shape(x)[:-2], np.int32)


@spelled("linalg.solve", "linalg.solve_ex")
def solve(a: Any, b: Any, *, left: bool = True, check_errors: bool = False) -> Any:
    """Vectors where b has the leading axes of a, as PyTorch decides."""
    vector = np.ndim(b) == 1 or (np.ndim(b) == np.ndim(a) - 1 and np.shape(b) == np.shape(a)[:-1])
    rows = b[..., None] if vector else b
    if left:
        made = np.linalg.solve(a, rows)
    else:
        made = np.swapaxes(
            np.linalg.solve(np.swapaxes(a, -1, -2), np.swapaxes(rows, -1, -2)), -1, -2
        )
    return made[..., 0] if vector else made


SPELLINGS["linalg.solve_ex"] = lambda a, b, **k: (
    solve(a, b, **k), np.zeros(np.shape(a)[:-2], np.int32)
)  # fmt: skip


@spelled("triangular_solve")
def triangular_solve(b: Any, a: Any, upper: bool = True, transpose: bool = False,
                     unitriangular: bool = False) -> Any:  # fmt: skip
    """PyTorch's older name; it also gives the matrix back."""
    if transpose:
        a, upper = np.swapaxes(a, -1, -2), not upper
    return F.solve_triangular(a, b, upper=upper, unitriangular=unitriangular), a


@spelled("linalg.lstsq", "linalg.lstsq.grad_oriented")
def lstsq(a: Any, b: Any, rcond: Any = None, driver: Any = None) -> Any:
    """The solution; stacks go through the pseudo-inverse."""
    return np.linalg.pinv(a) @ b if np.ndim(a) > 2 else np.linalg.lstsq(a, b, rcond=None)[0]


@spelled("linalg.matrix_norm")
def matrix_norm(x: Any, ord: Any = "fro", dim: Any = (-2, -1), keepdim: bool = False) -> Any:
    """Of any two axes."""
    return np.linalg.norm(x, ord, tuple(dim), keepdim)


@spelled("norm", "norm.nuc", "norm.fro", "norm.inf")
def old_norm(x: Any, p: Any = "fro", dim: Any = None, keepdim: bool = False) -> Any:
    """PyTorch's older name: by a number over all axes, as of one vector."""
    if isinstance(p, str) and np.ndim(x) != 1:
        return norm(x, p if p == "nuc" or np.ndim(x) == 2 else None, dim, keepdim)
    return vector_norm(x, 2 if p in (None, "fro") else p, dim, keepdim)


@spelled("linalg.norm", "linalg.norm.subgradients_at_zero")
def norm(x: Any, ord: Any = None, dim: Any = None, keepdim: bool = False) -> Any:
    """A number has an axis 0; all numbers are one vector where neither is given."""
    if not np.ndim(x):
        return np.linalg.norm(np.reshape(x, (1,)), ord)
    axes = tuple(dim) if isinstance(dim, (list, tuple)) else dim
    return np.linalg.norm(x, ord, axes, keepdim)


@spelled("linalg.vector_norm")
def vector_norm(x: Any, ord: Any = 2, dim: Any = None, keepdim: bool = False, **more: Any) -> Any:
    """A number has an axis 0."""
    axes = tuple(dim) or None if isinstance(dim, (list, tuple)) else dim
    axes = axes if np.ndim(x) else None
    return np.linalg.vector_norm(x, axis=axes, keepdims=keepdim, ord=ord)


@spelled("linalg.svd")
def svd(x: Any, full_matrices: bool = True) -> Any:
    """(U, S, Vᵀ)."""
    return sizes_of_vectors("linalg.svd", np.linalg.svd(x, full_matrices))


@spelled("svd")
def old_svd(x: Any, some: bool = True, compute_uv: bool = True) -> Any:
    """PyTorch's older name: V, not its transpose."""
    u, s, vt = np.linalg.svd(x, not some)
    return sizes_of_vectors("svd", (u, s, np.swapaxes(vt, -1, -2)))


@spelled("linalg.eig")
def eig(x: Any) -> Any:
    """Complex numbers even where all are real."""
    values, vectors = np.linalg.eig(x)
    return values + 0j, np.abs(vectors)


SPELLINGS["linalg.eigvals"] = lambda x: np.linalg.eigvals(x) + 0j


@spelled("cholesky_solve")
def cholesky_solve(b: Any, factor: Any, upper: bool = False) -> Any:
    """Reads one triangle."""
    return F.cholesky_solve(b, triangle(factor, upper), upper)


@spelled("cholesky_inverse")
def cholesky_inverse(factor: Any, upper: bool = False) -> Any:
    """Reads one triangle."""
    return F.cholesky_inverse(triangle(factor, upper), upper)


SPELLINGS["linalg.vander"] = lambda x, N=None: F.vander(
    np.reshape(x, (1,)) if not np.ndim(x) else x, N
)
for _dtype in ("double", "half", "float", "cdouble", "cfloat"):
    _numpys = {
        "half": "float16",
        "float": "float32",
        "cdouble": "complex128",
        "cfloat": "complex64",
    }

    def _cast(x: Any, _dtype: str = _numpys.get(_dtype, "float64"), **options: Any) -> Any:
        return x.astype(_dtype) if hasattr(x, "astype") else np.dtype(_dtype).type(x)

    SPELLINGS[_dtype] = _cast


# -- Fourier transforms ----------------------------------------------------------------------------
def _transform(name: str) -> Any:
    numpys = {"hfft2": "irfftn", "hfftn": "irfftn", "ihfft2": "rfftn", "ihfftn": "rfftn"}
    function = getattr(np.fft, numpys.get(name, name))
    turned = {None: "forward", "backward": "forward", "forward": "backward", "ortho": "ortho"}

    def several(x: Any, s: Any = None, dim: Any = None, norm: Any = None) -> Any:
        axes = (-2, -1) if dim is None and name.endswith("2") else dim
        axes = [axes] if isinstance(axes, int) else axes
        if name.startswith("hfft"):
            return function(np.conj(x), s, axes, turned[norm])
        if name.startswith("ihfft"):
            return np.conj(function(x, s, axes, turned[norm]))
        return function(x, s, axes, norm)

    def one(x: Any, n: Any = None, dim: int = -1, norm: Any = None) -> Any:
        return function(x, n, dim, norm)

    return several if name[-1] in "2n" else one


for _name in ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft"):
    for _end in ("", "2", "n"):
        SPELLINGS[f"fft.{_name}{_end}"] = _transform(_name + _end)
SPELLINGS["fft.fftshift"] = lambda x, dim=None: np.fft.fftshift(x, dim)
SPELLINGS["fft.ifftshift"] = lambda x, dim=None: np.fft.ifftshift(x, dim)
