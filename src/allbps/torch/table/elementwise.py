"""Operations on one element after the other."""

from __future__ import annotations

import torch

from allbps.torch.table.use import NotWrittenError, Use, Writer, Writers, call, number


def _scaled(use: Use, name: str) -> str:
    alpha = use["alpha"]
    return use.text(name) if alpha == 1 else f"{number(alpha)} * {use.text(name)}"


def _add(use: Use) -> str:
    return f"{use.text('self')} + {_scaled(use, 'other')}"


def _sub(use: Use) -> str:
    return f"{use.text('self')} - {_scaled(use, 'other')}"


def _rsub(use: Use) -> str:
    return f"{use.text('other')} - {_scaled(use, 'self')}"


def _div_mode(use: Use) -> str:
    quotient = f"{use.text('self')} / {use.text('other')}"
    whole = not use.out.dtype.is_floating_point
    match use["rounding_mode"]:
        case None:
            return quotient
        case "floor":
            return (
                f"{use.text('self')} // {use.text('other')}" if whole else f"np.floor({quotient})"
            )
        case "trunc":
            return f"np.trunc({quotient})"
        case other:
            raise NotWrittenError(f"rounding_mode={other!r}")


def _clamp(use: Use) -> str:
    return f"np.clip({use.text('self')}, {use.text('min')}, {use.text('max')})"


def _to(use: Use) -> str:
    same = use["self"].meta["val"].dtype == use.out.dtype
    text = use.text("self")
    return text if same else f"{text}.astype({use.out_dtype})"


def _bitwise(sign: str) -> Writer:
    def write(use: Use) -> str:
        return f"{use.text('self')} {sign} {use.text('other')}"

    return write


def _not(use: Use) -> str:
    return f"~{use.text('self')}" if use.dtype("self") == torch.bool else f"-1 - {use.text('self')}"


def _elu(use: Use) -> str:
    if use["scale"] == use["input_scale"] == 1:
        return f"F.elu({use.text('self')}, {use.text('alpha')})"
    words = ("self", "alpha", "scale", "input_scale")
    return f"parts.elu({', '.join(map(use.text, words))})"


def _softmax(use: Use, function: str) -> str:
    x = use.text("self")
    if use["dtype"] is not None and use["dtype"] != use.dtype("self"):
        x = f"{x}.astype({use.out_dtype})"
    return f"{function}({x}, {use.text('dim')})"


def _dropout(use: Use) -> str:
    if not use["train"] or use["p"] == 0:
        return use.text("input")
    return f"F.dropout({use.text('input')}, {use.text('p')}, rng=rng)"


_COMPARISONS = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
_FUNCTIONS = {
    "exp": "np.exp", "exp2": "np.exp2", "expm1": "np.expm1", "log": "np.log", "log2": "np.log2",
    "log10": "np.log10", "log1p": "np.log1p", "sqrt": "np.sqrt", "sin": "np.sin", "cos": "np.cos",
    "tan": "np.tan", "asin": "np.arcsin", "acos": "np.arccos", "atan": "np.arctan",
    "sinh": "np.sinh", "cosh": "np.cosh", "asinh": "np.arcsinh", "acosh": "np.arccosh",
    "atanh": "np.arctanh", "tanh": "np.tanh", "abs": "np.abs", "sign": "np.sign", "sgn": "np.sign",
    "floor": "np.floor", "ceil": "np.ceil", "round": "np.round", "trunc": "np.trunc",
    "erf": "special.erf", "relu": "F.relu", "sigmoid": "F.sigmoid", "isnan": "np.isnan",
    "isinf": "np.isinf", "isfinite": "np.isfinite", "logical_not": "np.logical_not",
    "square": "np.square", "special_expit": "F.sigmoid", "special_erf": "special.erf",
}  # fmt: skip


def _rounded(use: Use) -> str:
    decimals = use.values.get("decimals", 0)
    return f"np.round({use.text('self')}{f', {number(decimals)}' if decimals else ''})"


def _where_of_numbers(use: Use) -> str:
    """Of two numbers NumPy would make float64."""
    first = f"{use.out_dtype}({use.text('self')})"
    return f"np.where({use.text('condition')}, {first}, {use.text('other')})"


ELEMENTWISE: dict[str, Writers] = {
    **{f"aten.{name}.default": f"{function}({{self}})" for name, function in _FUNCTIONS.items()},
    **{
        f"aten.{name}.{kind}": f"{{self}} {sign} {{other}}"
        for name, sign in _COMPARISONS.items()
        for kind in ("Tensor", "Scalar")
    },
    "aten.add.Tensor": _add,
    "aten.add.Scalar": _add,
    "aten.sub.Tensor": _sub,
    "aten.sub.Scalar": _sub,
    "aten.rsub.Tensor": _rsub,
    "aten.rsub.Scalar": _rsub,
    "aten.mul.Tensor": "{self} * {other}",
    "aten.mul.Scalar": "{self} * {other}",
    "aten.div.Tensor": "{self} / {other}",
    "aten.div.Scalar": "{self} / {other}",
    "aten.true_divide.Tensor": "{self} / {other}",
    "aten.div.Tensor_mode": _div_mode,
    "aten.div.Scalar_mode": _div_mode,
    "aten.floor_divide.default": "np.floor_divide({self}, {other})",
    "aten.remainder.Tensor": "np.remainder({self}, {other})",
    "aten.remainder.Scalar": "np.remainder({self}, {other})",
    "aten.fmod.Tensor": "np.fmod({self}, {other})",
    "aten.fmod.Scalar": "np.fmod({self}, {other})",
    "aten.neg.default": "-{self}",
    "aten.reciprocal.default": "1.0 / {self}",
    "aten.rsqrt.default": "1.0 / np.sqrt({self})",
    "aten.pow.Tensor_Scalar": "{self} ** {exponent}",
    "aten.pow.Tensor_Tensor": "{self} ** {exponent}",
    "aten.pow.Scalar": "{self} ** {exponent}",
    "aten.atan2.default": "np.arctan2({self}, {other})",
    "aten.maximum.default": "parts.maximum({self}, {other})",
    "aten.minimum.default": "parts.minimum({self}, {other})",
    "aten.clamp.default": _clamp,
    "aten.clamp.Tensor": _clamp,
    "aten.clamp_min.default": "np.clip({self}, {min}, None)",
    "aten.clamp_max.default": "np.clip({self}, None, {max})",
    "aten.where.self": "np.where({condition}, {self}, {other})",
    "aten.where.ScalarOther": "np.where({condition}, {self}, {other})",
    "aten.where.ScalarSelf": "np.where({condition}, {self}, {other})",
    "aten.where.Scalar": _where_of_numbers,
    "aten.masked_fill.Scalar": "np.where({mask}, {value}, {self})",
    "aten.masked_fill.Tensor": "np.where({mask}, {value}, {self})",
    "aten.logical_and.default": "np.logical_and({self}, {other})",
    "aten.logical_or.default": "np.logical_or({self}, {other})",
    "aten.logical_xor.default": "np.logical_xor({self}, {other})",
    "aten.bitwise_and.Tensor": _bitwise("&"),
    "aten.bitwise_or.Tensor": _bitwise("|"),
    "aten.bitwise_xor.Tensor": _bitwise("^"),
    "aten.bitwise_and.Scalar": _bitwise("&"),
    "aten.bitwise_or.Scalar": _bitwise("|"),
    "aten.__and__.Tensor": _bitwise("&"),
    "aten.__or__.Tensor": _bitwise("|"),
    "aten.__xor__.Tensor": _bitwise("^"),
    "aten.bitwise_not.default": _not,
    "aten.lerp.Scalar": "{self} + {weight} * ({end} - {self})",
    "aten.lerp.Tensor": "{self} + {weight} * ({end} - {self})",
    "aten.addcmul.default": "{self} + {value} * {tensor1} * {tensor2}",
    "aten.addcdiv.default": "{self} + {value} * {tensor1} / {tensor2}",
    # activations
    "aten.silu.default": "F.silu({self})",
    "aten.gelu.default": call("F.gelu", "self approximate"),
    "aten.elu.default": _elu,
    "aten.leaky_relu.default": call("F.leaky_relu", "self negative_slope"),
    "aten.softplus.default": "parts.softplus({self}, {beta}, {threshold})",
    "aten.hardtanh.default": "parts.hardtanh({self}, {min_val}, {max_val})",
    "aten.relu6.default": "parts.hardtanh({self}, 0.0, 6.0)",
    "aten.hardsigmoid.default": "parts.hardsigmoid({self})",
    "aten.hardswish.default": "{self} * parts.hardsigmoid({self})",
    "aten.prelu.default": "parts.prelu({self}, {weight})",
    "aten.softmax.int": lambda use: _softmax(use, "F.softmax"),
    "aten._softmax.default": "F.softmax({self}, {dim})",
    "aten.log_softmax.int": lambda use: _softmax(use, "F.log_softmax"),
    "aten._log_softmax.default": "F.log_softmax({self}, {dim})",
    "aten.logsumexp.default": "F.logsumexp({self}, {dim}, {keepdim})",
    # other names for the same numbers
    "aten.to.dtype": _to,
    "aten.to.device": _to,
    "aten.to.dtype_layout": _to,
    "aten._to_copy.default": _to,
    "aten.type_as.default": _to,
    "aten.clone.default": "{self}",
    "aten.contiguous.default": "{self}",
    "aten.alias.default": "{self}",
    "aten.lift_fresh_copy.default": "{self}",
    "aten.lift_fresh.default": "{self}",
    "aten.dropout.default": _dropout,
    "aten.detach.default": "bp.stop_gradient({self})",
    "aten.detach_.default": "bp.stop_gradient({self})",
    "aten.detach_copy.default": "bp.stop_gradient({self})",
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
}
