"""ONNX's operators: the expression of each, in the source of an imported model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from allbps.onnx.incoming import parts

TEMPLATES = {
    "Abs": "np.abs({0})", "Acos": "np.arccos({0})", "Acosh": "np.arccosh({0})",
    "Add": "{0} + {1}", "And": "np.logical_and({0}, {1})", "Asin": "np.arcsin({0})",
    "Asinh": "np.arcsinh({0})", "Atan": "np.arctan({0})", "Atanh": "np.arctanh({0})",
    "Ceil": "np.ceil({0})", "Cos": "np.cos({0})", "Cosh": "np.cosh({0})",
    "Det": "np.linalg.det({0})",
    "Equal": "{0} == {1}", "Erf": "special.erf({0})", "Exp": "np.exp({0})",
    "Floor": "np.floor({0})", "Greater": "{0} > {1}", "GreaterOrEqual": "{0} >= {1}",
    "HardSwish": "{0} * parts.hard_sigmoid({0}, 1 / 6)", "Identity": "{0}",
    "IsNaN": "np.isnan({0})", "Less": "{0} < {1}", "LessOrEqual": "{0} <= {1}",
    "Log": "np.log({0})", "MatMul": "{0} @ {1}", "Mish": "{0} * np.tanh(np.logaddexp({0}, 0))",
    "Mul": "{0} * {1}", "Neg": "-{0}", "Not": "np.logical_not({0})",
    "Or": "np.logical_or({0}, {1})", "PRelu": "np.where({0} > 0, {0}, {1} * {0})",
    "Reciprocal": "1 / {0}", "Relu": "F.relu({0})",
    "Round": "np.rint({0})", "Sigmoid": "F.sigmoid({0})", "Sign": "np.sign({0})",
    "Sin": "np.sin({0})", "Sinh": "np.sinh({0})", "Size": "np.int64({0}.size)",
    "Softplus": "np.logaddexp({0}, 0)", "Softsign": "{0} / (1 + np.abs({0}))",
    "Sqrt": "np.sqrt({0})", "Sub": "{0} - {1}", "Tan": "np.tan({0})", "Tanh": "np.tanh({0})",
    "Where": "np.where({0}, {1}, {2})", "Xor": "np.logical_xor({0}, {1})",
}  # fmt: skip
"""Operator without attributes -> its expression, ``{0}`` being the first operand."""

JOINED = {"Sum": " + ", "Max": "np.maximum", "Min": "np.minimum"}
"""Operator of any number of operands -> what stands between two, or the function of two."""

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "ArgMax": parts.arg_max, "ArgMin": parts.arg_min, "AveragePool": parts.average_pool,
    "BatchNormalization": parts.batch_normalization, "Cast": parts.cast, "Clip": parts.clip,
    "Concat": parts.concat, "ConstantOfShape": parts.constant_of_shape, "Conv": parts.conv,
    "CumSum": parts.cum_sum, "Div": parts.div, "Elu": parts.elu, "Expand": parts.expand,
    "Flatten": parts.flatten, "Gather": parts.gather, "GatherElements": parts.gather_elements,
    "Gelu": parts.gelu, "Gemm": parts.gemm, "GlobalAveragePool": parts.global_average_pool,
    "GlobalMaxPool": parts.global_max_pool, "HardSigmoid": parts.hard_sigmoid,
    "InstanceNormalization": parts.instance_normalization,
    "LayerNormalization": parts.layer_normalization, "LeakyRelu": parts.leaky_relu,
    "MaxPool": parts.max_pool, "Mean": parts.mean_of, "Mod": parts.mod, "OneHot": parts.one_hot,
    "Pad": parts.pad, "Pow": parts.power, "Range": parts.range_, "ReduceL1": parts.reduce_l1,
    "ReduceL2": parts.reduce_l2, "ReduceLogSum": parts.reduce_log_sum,
    "ReduceLogSumExp": parts.reduce_log_sum_exp, "ReduceMax": parts.reduce_max,
    "ReduceMean": parts.reduce_mean, "ReduceMin": parts.reduce_min,
    "ReduceProd": parts.reduce_prod, "ReduceSum": parts.reduce_sum,
    "ReduceSumSquare": parts.reduce_sum_square, "Reshape": parts.reshape,
    "ScatterElements": parts.scatter_elements, "ScatterND": parts.scatter_nd, "Selu": parts.selu,
    "Shape": parts.shape_of, "Slice": parts.slice_, "Split": parts.split,
    "Squeeze": parts.squeeze, "Tile": parts.tile, "TopK": parts.top_k,
    "Transpose": parts.transpose, "Trilu": parts.trilu, "Unsqueeze": parts.unsqueeze,
}  # fmt: skip
"""Operator -> the function of its operands and attributes that it means."""

SOFT = {"Softmax": "F.softmax", "LogSoftmax": "F.log_softmax"}
"""Operator with an axis, the last one where none is given."""

CHOICES = {"reduction": ("none", "add")}
"""Attribute of ScatterND -> the values of it that are known."""
