"""The whole table of operations: which have kernels, and that float32 ones are right too."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import allbps as bp
from allbps.backprop import backprop, seed_of
from allbps.ir import OPS
from allbps.machine.compile import compile  # noqa: A004
from allbps.machine.planning.passes import passes
from allbps.machine.planning.plan import make_plan
from allbps.machine.planning.substitutes import substitutes
from allbps.machine.works.emit import Emitter
from allbps.machine.works.places import Places
from allbps.machine.works.tasks import Program
from allbps.trace import trace

#: Operations that run through NumPy, and why no kernel of the machine would be better.
WITHOUT = {
    "decompositions: LAPACK is what NumPy calls, and nothing is lost beside O(n³)": {
        "eigh_values", "eigh_vectors", "svd_u", "svd_s", "svd_vt", "qr_q", "qr_r", "pinv", "lstsq",
        "matrix_rank", "expm",
    },
    "a step has one type of real numbers": {"astype"},
    "orders that are not argsort's": {"argpartition", "ranks", "isin", "searchsorted", "interp"},
    "SciPy's care at the ends of a quadrant": {"rel_entr", "kl_div"},
    "SciPy's special functions, which cost far more than a call of NumPy's": {
        "polygamma", "gamma", "gammainc", "gammaincc", "betaln", "beta", "betainc", "zeta", "dawsn",
        "expi", "exp1", "spence", "jv", "yv", "iv", "kv", "ive", "kve", "binom",
    },
    "running, each number after the one before": {"running_winner", "logcumsumexp"},
    "the bits of a number": {"exponent", "spacing", "nextafter", "ldexp", "fraction"},
    "indices of winners in windows": {"winner_index", "scatter_to", "gather_from", "place_at"},
}  # fmt: skip
NUMPY_ONLY = set().union(*WITHOUT.values())


def cases():
    """Every sample but those of complex numbers, which compiled code does not have."""
    rng = np.random.default_rng(3)
    for name, op in OPS.items():
        for k, sample in enumerate(op.samples):
            operands, attrs = sample.draw(rng), dict(sample.attrs)
            if not any(map(np.iscomplexobj, (*operands, op(*operands, **attrs).value))):
                yield pytest.param(op, operands, attrs, id=f"{name}-{k}")


def weighted(op, attrs, weights):
    return lambda *xs: np.sum(op(*xs, **attrs) * weights)


def through_numpy(f, operands, differentiate):
    """Kinds of works of a function that have no kernel."""
    traced = trace(f, *operands)
    inputs, outputs = traced.graph.inputs, traced.graph.outputs
    floats = [x for x in inputs if x.is_float]
    deltas = {}
    if differentiate:
        deltas = backprop({outputs[0]: seed_of(outputs[0])}, floats)
        outputs = [*outputs, *(deltas[x].node for x in floats if x in deltas)]
    plan = make_plan(inputs, outputs, substitutes(traced.graph, deltas), {})
    plan = passes(plan)
    emitter = Emitter(Places(Program(np.dtype(np.float64)), plan), {})
    for work in plan.works:
        emitter.emit(work)
    works = [step for work in emitter.by_numpy for step in (work.steps or (work,))]
    return {work.kind for work in works}


@pytest.mark.parametrize(("op", "operands", "attrs"), list(cases()))
def test_operations_have_kernels_but_for_those_that_are_listed(op, operands, attrs):
    found = through_numpy(lambda *xs: op(*xs, **attrs), operands, False)
    y = op(*operands, **attrs)
    if y.is_float and any(np.asarray(x).dtype.kind == "f" for x in operands):
        weights = np.ones(y.shape)
        found |= through_numpy(weighted(op, attrs, weights), operands, True)
    if op.name not in NUMPY_ONLY:
        assert not found


def test_every_operation_that_is_listed_still_needs_numpy():
    needed = set()
    for case in cases():
        op, operands, attrs = case.values
        if op.name in NUMPY_ONLY - needed:
            needed |= through_numpy(
                lambda *xs, op=op, attrs=attrs: op(*xs, **attrs), operands, False
            )
    assert needed >= NUMPY_ONLY


FAMILY = 16
ALL = [
    case.values
    for case in cases()
    if case.values[0].name not in NUMPY_ONLY and case.values[2].get("dtype") != np.float64
]


def in_single(x):
    x = np.asarray(x)
    return x.astype(np.float32) if x.dtype.kind == "f" else x


@pytest.mark.parametrize("first", range(0, len(ALL), FAMILY))
def test_single_precision_differs_from_double_by_rounding_only(first, capfd):
    family = ALL[first : first + FAMILY]
    rng = np.random.default_rng(4)
    weights = [rng.uniform(-1, 1, op(*xs, **attrs).shape) for op, xs, attrs in family]
    given = {f"{k}_{j}": x for k, (_, xs, _) in enumerate(family) for j, x in enumerate(xs)}
    floats = {key: x for key, x in given.items() if np.asarray(x).dtype.kind == "f"}

    def total(p, rest, dtype):
        sums = []
        for k, ((op, xs, attrs), w) in enumerate(zip(family, weights, strict=True)):
            y = op(*[{**rest, **p}[f"{k}_{j}"] for j in range(len(xs))], **attrs)
            sums.append(np.sum(y.astype(dtype) * w.astype(dtype)))
        return sum(sums), sums

    rest = {key: x for key, x in given.items() if key not in floats}
    single = {key: in_single(x) for key, x in floats.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        step = compile(lambda p, rest: total(p, rest, "float32"), single, rest, params="p")
    assert capfd.readouterr().err == "", "LLVM remarks on a loop"
    (_, sums), grads = step(single, rest)
    exact = [x.value for x in total(floats, rest, "float64")[1]]
    for (op, _, _), got, want in zip(family, sums, exact, strict=True):
        np.testing.assert_allclose(got, want, rtol=2e-5, atol=2e-5, err_msg=op.name)
    want = bp.grad(lambda p: total(p, rest, "float64")[0])(floats)
    for key, grad in grads.items():
        scale = max(1.0, float(np.max(np.abs(want[key]), initial=0.0)))
        name = family[int(key.split("_")[0])][0].name
        np.testing.assert_allclose(grad, want[key], rtol=0, atol=2e-5 * scale, err_msg=name)


AWKWARD = np.array(
    [0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 3.0, 5e-324, 1e-310, 1e-30, 1e17, -1e17, np.inf, -np.inf,
     np.nan, 0.1, 7.5]
)  # fmt: skip


@pytest.mark.parametrize("name", ["floor_divide", "remainder", "power", "log", "arccosh", "log2"])
def test_values_at_the_ends_of_the_range_are_numpys(name):
    f = getattr(np, name)
    a, b = (grid.ravel().copy() for grid in np.meshgrid(AWKWARD, AWKWARD))
    given = (a, b)[: f.nin]
    with np.errstate(all="ignore"):
        want = f(*given)
    got = compile(lambda *xs: f(*xs), *given)(*given)
    np.testing.assert_allclose(got, want, rtol=1e-13, atol=1e-307)
    signed = np.isfinite(want) & (name != "remainder")
    np.testing.assert_array_equal(
        np.signbit(got)[signed & (want != 0)], (want < 0)[signed & (want != 0)]
    )
