"""Every operation: equal in onnxruntime, forward and backward, or refused with a reason."""

import re
import zlib

import numpy as np
import pytest

pytest.importorskip("onnx")

import allbps as bp
from allbps.errors import DtypeError, NoRuleError
from allbps.ir import CONST, INPUT, OPS, NotDifferentiable, NotImplementedRule, Rule
from allbps.onnx.table import ROOMS, TABLE
from allbps.onnx.table.without import WHY

SAMPLES = [
    pytest.param(op, sample, id=f"{op.name}-{k}")
    for op in OPS.values()
    if op not in (INPUT, CONST)
    for k, sample in enumerate(op.samples)
]
TOLERANCE = {np.float32: 1e-5, np.float64: 1e-10}
REFUSED = {name for names in WHY.values() for name in names.split()}
WITHOUT_DOUBLE = {
    "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2", "arctanh", "cosh", "det", "erf",
    "gelu", "sinh",
}  # fmt: skip
"""onnxruntime has no kernel in double precision for these, or for what their δ needs."""


def on_sample(op, sample, dtype):
    """(function, operands, has it a backward pass) of an op; a mask that picks is fixed."""
    rng = np.random.default_rng(zlib.crc32(op.name.encode()))
    drawn = [np.asarray(x)[()] for x in sample.draw(rng)]
    drawn = [x.astype(dtype) if x.dtype == np.float64 else x for x in drawn]
    attrs = {k: np.dtype(dtype) if k == "dtype" else v for k, v in sample.attrs.items()}
    held = [op.name in ("getitem", "put") and x.dtype.kind == "b" for x in drawn]
    given = [x for x, fixed in zip(drawn, held, strict=True) if not fixed]

    def f(*xs):
        waiting = iter(xs)
        operands = zip(drawn, held, strict=True)
        return op(*(x if fixed else next(waiting) for x, fixed in operands), **attrs)

    rules = [op.rule(k) for k, x in enumerate(drawn) if x.dtype.kind == "f"]
    without = any(isinstance(r, (NotDifferentiable, NotImplementedRule)) for r in rules)
    floats = all(x.size for x in drawn) and not without
    return f, given, floats and any(isinstance(r, Rule) for r in rules)


def sizes(described):
    return [d.dim_value for d in described.type.tensor_type.shape.dim]


def exported(f, given, differentiable):
    """(model, "") or (None, why there is none)."""
    try:
        return bp.onnx.export(f, *given, backward=differentiable), ""
    except NoRuleError as error:
        return None, str(error)


def is_complex(case):
    op, sample = case.values
    drawn = sample.draw(np.random.default_rng(0))
    return any(map(np.iscomplexobj, (*drawn, op(*drawn, **sample.attrs).value)))


COMPLEX = [case for case in SAMPLES if is_complex(case)]


@pytest.mark.parametrize(("op", "sample"), COMPLEX)
def test_complex_numbers_at_the_border_are_refused(op, sample):
    """ONNX operators take none; a model would have them as operands or results."""
    f, given, _ = on_sample(op, sample, np.float64)
    with pytest.raises((DtypeError, NoRuleError), match=r"complex|real numbers|floating-point"):
        bp.onnx.export(f, *given, backward=any(x.dtype.kind == "f" for x in given))


@pytest.mark.parametrize("dtype", TOLERANCE, ids=lambda d: d.__name__)
@pytest.mark.parametrize(("op", "sample"), [case for case in SAMPLES if case not in COMPLEX])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_an_operation_is_equal_in_onnxruntime_or_refused(op, sample, dtype, run, ours):
    f, given, differentiable = on_sample(op, sample, dtype)
    if not given:
        assert op.name in REFUSED
        return
    model, reason = exported(f, given, differentiable)
    if model is None:
        assert any(re.search(rf"\b{name}\b", reason) for name in REFUSED), reason
        return
    assert op.name not in REFUSED, "it can be written: take it out of the list"
    rng = np.random.default_rng(5)
    inputs = {f"xs_{k}": x for k, x in enumerate(given)}
    seeds = [x for x in model.graph.input if x.name not in inputs]
    deltas = {x.name[1:]: rng.normal(size=sizes(x)).astype(dtype) for x in seeds}
    if differentiable:
        expected = ours(f, *given, cotangents=deltas)
    else:
        expected = {model.graph.output[0].name: f(*given).value}
    inputs |= {f"d{y}": g for y, g in deltas.items()}
    if dtype == np.float64 and op.name in WITHOUT_DOUBLE:
        with pytest.raises(Exception, match="NOT_IMPLEMENTED"):
            run(model, inputs)
        return
    found = run(model, inputs)
    assert found.pop("guard", True)
    assert found.keys() == expected.keys()
    for name, array in found.items():
        assert array.dtype == np.asarray(expected[name]).dtype, name
        np.testing.assert_allclose(
            array, expected[name], TOLERANCE[dtype], TOLERANCE[dtype], err_msg=name
        )


def test_every_row_stands_once_and_is_of_an_operation():
    assert len(TABLE) == sum(len(room.TABLE) for room in ROOMS)
    assert TABLE.keys() <= OPS.keys()
    assert TABLE.keys() >= REFUSED
