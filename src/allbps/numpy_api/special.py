"""Ufuncs of scipy.special, which NumPy hands on as it does its own; SciPy need not be there."""

from __future__ import annotations

from allbps.ir import lift, numpy_function
from allbps.ops.activation import sigmoid_op, softplus
from allbps.ops.arithmetic import pow_
from allbps.ops.function import erf

numpy_function("scipy.special.erf")(erf)
numpy_function("scipy.special.expit")(sigmoid_op)
numpy_function("scipy.special.log_expit")(lambda x: -softplus(-lift(x)))
numpy_function("scipy.special.softplus")(softplus)
numpy_function("scipy.special.exp2")(lambda x: pow_(2.0, x))
numpy_function("scipy.special.exp10")(lambda x: pow_(10.0, x))
