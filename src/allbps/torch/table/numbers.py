"""New arrays, sums over axes, products of matrices, and what is drawn."""

from __future__ import annotations

from typing import Any

from torch.fx import Node

from allbps.torch.table.use import NotWrittenError, Use, Writer, Writers, number


# -- new arrays ------------------------------------------------------------------------------------
def _filled(value: float) -> Writer:
    def write(use: Use) -> str:
        word = "np.zeros" if value == 0 else "np.ones"
        return f"{word}({use.out_shape}, {use.out_dtype})"

    return write


def _full(use: Use) -> str:
    value = use["fill_value"]
    if isinstance(value, Node):
        return f"np.broadcast_to({use.text('fill_value')}, {use.out_shape}).astype({use.out_dtype})"
    return f"np.full({use.out_shape}, {number(value)}, {use.out_dtype})"


def _arange(use: Use) -> str:
    start, step = use.values.get("start", 0), use.values.get("step", 1)
    return f"np.arange({number(start)}, {use.text('end')}, {number(step)}, {use.out_dtype})"


def _empty(use: Use) -> str:
    return f"np.zeros({use.out_shape}, {use.out_dtype})"


# -- sums over axes --------------------------------------------------------------------------------
def _axes(use: Use) -> Any:
    dim = use.values.get("dim")
    if dim is None or dim == []:
        return None
    return tuple(dim) if isinstance(dim, (list, tuple)) else dim


def _over(function: str) -> Writer:
    def write(use: Use) -> str:
        x = use.text("self")
        if use.values.get("dtype") is not None or not _floating(use):
            x = (
                f"{x}.astype({use.out_dtype})"
                if use["self"].meta["val"].dtype != use.out.dtype
                else x
            )
        keep = ", keepdims=True" if use.values.get("keepdim") else ""
        axes = _axes(use)
        return f"{function}({x}{keep})" if axes is None else f"{function}({x}, axis={axes}{keep})"

    return write


def _floating(use: Use) -> bool:
    return bool(use["self"].meta["val"].dtype.is_floating_point)


def _asked(function: str) -> Writer:
    """any, all: truth values of anything."""

    def write(use: Use) -> str:
        keep = ", keepdims=True" if use.values.get("keepdim") else ""
        axes = _axes(use)
        place = "" if axes is None else f", axis={axes}"
        return f"{function}({use.text('self')}{place}{keep})"

    return write


def _moment(function: str) -> Writer:
    def write(use: Use) -> str:
        if "correction" in use.values:
            less = 1 if use["correction"] is None else use["correction"]
        else:
            less = int(use.values.get("unbiased", True))
        keep = ", keepdims=True" if use.values.get("keepdim") else ""
        axes = _axes(use)
        place = "" if axes is None else f", axis={axes}"
        return f"{function}({use.text('self')}{place}, ddof={number(less)}{keep})"

    return write


def _norm(use: Use) -> str:
    keep = ", keepdims=True" if use.values.get("keepdim") else ""
    return f"parts.vector_norm({use.text('self')}, {number(use['ord'])}, {_axes(use)}{keep})"


def _arg(function: str) -> Writer:
    def write(use: Use) -> str:
        keep = ", keepdims=True" if use["keepdim"] else ""
        return f"{function}({use.text('self')}, axis={use['dim']}{keep})"

    return write


def _extreme(function: str) -> tuple[Writer, ...]:
    return (_over(f"np.{function}"), _over(f"np.arg{function}"))


def _index_of(function: str) -> Writer:
    def write(use: Use) -> str:
        keep = ", keepdims=True" if use["keepdim"] else ""
        return f"{function}({use.text('self')}, axis={use['dim']}{keep})"

    return write


# -- products --------------------------------------------------------------------------------------
def _addmm(product: str) -> Writer:
    def write(use: Use) -> str:
        beta, alpha = use["beta"], use["alpha"]
        made = product.format_map(use.texts())
        made = made if alpha == 1 else f"{number(alpha)} * ({made})"
        if beta == 0:
            return made
        added = use.text("self") if beta == 1 else f"{number(beta)} * {use.text('self')}"
        return f"{added} + {made}"

    return write


def _einsum(use: Use) -> str:
    operands = ", ".join(use.written(x) for x in use["tensors"])
    return f"np.einsum({use['equation']!r}, {operands})"


# -- what is drawn ---------------------------------------------------------------------------------
def _drawn(method: str) -> Writer:
    def write(use: Use) -> str:
        return f"rng.{method}(size={use.out_shape}, dtype={use.out_dtype})"

    return write


def _bernoulli(use: Use) -> str:
    p = use["p"]
    if isinstance(p, Node):
        raise NotWrittenError("probabilities that are a tensor")
    return f"rng.bernoulli({number(p)}, size={use.out_shape}).astype({use.out_dtype})"


def _native_dropout(use: Use) -> str:
    if use["train"] is False or use["p"] == 0:
        return use.text("input")
    return f"F.dropout({use.text('input')}, {number(use['p'])}, rng=rng)"


def _cumulated(use: Use, function: str) -> str:
    x = use.text("self")
    if use["self"].meta["val"].dtype != use.out.dtype:
        x = f"{x}.astype({use.out_dtype})"
    return f"{function}({x}, axis={use['dim']})"


def _linear(use: Use) -> str:
    bias = "" if use["bias"] is None else f", {use.text('bias')}"
    return f"F.linear({use.text('input')}, {use.text('weight')}{bias})"


NUMBERS: dict[str, Writers] = {
    "aten.zeros.default": _filled(0),
    "aten.zeros_like.default": _filled(0),
    "aten.new_zeros.default": _filled(0),
    "aten.ones.default": _filled(1),
    "aten.ones_like.default": _filled(1),
    "aten.new_ones.default": _filled(1),
    "aten.full.default": _full,
    "aten.full_like.default": _full,
    "aten.new_full.default": _full,
    "aten.fill.Scalar": lambda use: (
        f"np.full({use.out_shape}, {number(use['value'])}, {use.out_dtype})"
    ),
    "aten.fill.Tensor": lambda use: f"np.broadcast_to({use.text('value')}, {use.out_shape})",
    "aten.copy.default": lambda use: f"np.broadcast_to({use.text('src')}, {use.out_shape})",
    "aten.empty.memory_format": _empty,
    "aten.empty_like.default": _empty,
    "aten.new_empty.default": _empty,
    "aten.scalar_tensor.default": lambda use: f"np.array({number(use['s'])}, {use.out_dtype})",
    "aten.arange.default": _arange,
    "aten.arange.start": _arange,
    "aten.arange.start_step": _arange,
    "aten.eye.default": lambda use: f"np.eye({use['n']}, dtype={use.out_dtype})",
    "aten.eye.m": lambda use: f"np.eye({use['n']}, {use['m']}, dtype={use.out_dtype})",
    "aten.linspace.default": lambda use: (
        f"np.linspace({number(use['start'])}, {number(use['end'])}, {use['steps']}, "
        f"dtype={use.out_dtype})"
    ),
    # sums over axes
    "aten.sum.default": _over("np.sum"),
    "aten.sum.dim_IntList": _over("np.sum"),
    "aten.mean.default": _over("np.mean"),
    "aten.mean.dim": _over("np.mean"),
    "aten.prod.default": _over("np.prod"),
    "aten.prod.dim_int": _over("np.prod"),
    "aten.cumsum.default": lambda use: _cumulated(use, "np.cumsum"),
    "aten.cumprod.default": lambda use: _cumulated(use, "np.cumprod"),
    "aten.amax.default": _over("parts.amax"),
    "aten.amin.default": _over("parts.amin"),
    "aten.max.default": _over("parts.amax"),
    "aten.min.default": _over("parts.amin"),
    "aten.max.dim": (_over("np.max"), _index_of("np.argmax")),
    "aten.min.dim": (_over("np.min"), _index_of("np.argmin")),
    "aten.argmax.default": _arg("np.argmax"),
    "aten.argmin.default": _arg("np.argmin"),
    "aten.any.default": _asked("np.any"),
    "aten.any.dim": _asked("np.any"),
    "aten.all.default": _asked("np.all"),
    "aten.all.dim": _asked("np.all"),
    "aten.var.correction": _moment("np.var"),
    "aten.var.dim": _moment("np.var"),
    "aten.var.default": _moment("np.var"),
    "aten.std.correction": _moment("np.std"),
    "aten.std.dim": _moment("np.std"),
    "aten.std.default": _moment("np.std"),
    "aten.var_mean.correction": (_moment("np.var"), _over("np.mean")),
    "aten.linalg_vector_norm.default": _norm,
    # products
    "aten.linear.default": _linear,
    "aten.matmul.default": "{self} @ {other}",
    "aten.mm.default": "{self} @ {mat2}",
    "aten.bmm.default": "{self} @ {mat2}",
    "aten.mv.default": "{self} @ {vec}",
    "aten.dot.default": "{self} @ {tensor}",
    "aten.outer.default": "np.outer({self}, {vec2})",
    "aten.addmm.default": _addmm("{mat1} @ {mat2}"),
    "aten.baddbmm.default": _addmm("{batch1} @ {batch2}"),
    "aten.addbmm.default": _addmm("np.sum({batch1} @ {batch2}, axis=0)"),
    "aten.addmv.default": _addmm("{mat} @ {vec}"),
    "aten.einsum.default": _einsum,
    "aten.linalg_inv.default": "np.linalg.inv({A})",
    # what is drawn
    "aten.native_dropout.default": (_native_dropout, None),
    "aten.bernoulli.p": _bernoulli,
    "aten.rand.default": _drawn("random"),
    "aten.rand_like.default": _drawn("random"),
    "aten.randn.default": _drawn("standard_normal"),
    "aten.randn_like.default": _drawn("standard_normal"),
}
