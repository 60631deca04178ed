"""Every operation in the table, judged by PyTorch, finite differences and itself.

Nothing here names an operation: what is declared is tested, on the samples it declares.
"""

import itertools
import zlib

import numpy as np
import pytest

import allbps as bp
from allbps.backward import backward
from allbps.errors import AllBPsError
from allbps.ir import (
    CONST,
    INPUT,
    OPS,
    Formula,
    Node,
    NotDifferentiable,
    NotImplementedRule,
    Op,
    Rule,
    Stopped,
    Zero,
    constant,
    lift,
    spelled,
)
from allbps.mathematics import parse
from allbps.ops.arithmetic import mul
from allbps.ops.function import exp
from allbps.ops.linalg import matmul
from allbps.ops.reduce import max_, mean
from allbps.readings.source import emit
from allbps.trace import trace

TABLE = [op for op in OPS.values() if op not in (INPUT, CONST)]
BAD = [pytest.param(op, bad, id=f"{op.name}-{k}") for op in TABLE for k, bad in enumerate(op.bad)]


# -- what the judges share -------------------------------------------------------------------------
def rng_of(op):
    return np.random.default_rng(zlib.crc32(op.name.encode()))


def uneven(shape, rng):
    """A cotangent of short decimals, all different, none of them 0."""
    size = int(np.prod(shape))
    short = rng.permutation(np.arange(1, size + 1)) / 8 * rng.choice([-1, 1], size)
    return np.reshape(short, shape)[()]


def is_float(x):
    return np.asarray(x).dtype.kind == "f"


class Case:
    """An op on one sample, as a function of its float operands."""

    def __init__(self, op: Op, sample) -> None:
        self.op, self.attrs = op, dict(sample.attrs)
        self.rng = rng_of(op)
        self.operands = [np.asarray(x)[()] for x in sample.draw(self.rng)]
        self.chosen = [k for k, x in enumerate(self.operands) if is_float(x)]
        self.y = lift(op(*self.operands, **self.attrs)).value

    @property
    def xs(self):
        return [self.operands[k] for k in self.chosen]

    @property
    def differentiable(self) -> bool:
        rules = [self.op.rule(k) for k in self.chosen]
        known = all(isinstance(rule, (Rule, Zero)) for rule in rules)
        return is_float(self.y) and bool(rules) and known

    def fill(self, xs):
        operands = list(self.operands)
        for k, x in zip(self.chosen, xs, strict=True):
            operands[k] = x
        return operands

    def f(self, *xs):
        return self.op(*self.fill(xs), **self.attrs)

    def expanded(self, *xs):
        return self.op.expand(*map(lift, self.fill(xs)), **self.attrs)

    def number(self, *xs):
        return np.asarray(lift(self.f(*xs)).value)

    def cotangent(self):
        return uneven(np.shape(self.y), self.rng).astype(np.asarray(self.y).dtype)[()]


def slope(f, step=1e-3):
    """df/dt at t = 0 to fourth order."""
    near, far = f(step) - f(-step), f(2 * step) - f(-2 * step)
    return (8 * near - far) / (12 * step)


def close(got, want, rtol, what):
    scale = max(1.0, float(np.max(np.abs(want), initial=0.0)))
    np.testing.assert_allclose(got, want, rtol=rtol, atol=rtol * scale, err_msg=what)


every_op = pytest.mark.parametrize("op", TABLE, ids=lambda op: op.name)
SAMPLES = [(f"{op.name}-{k}", op, sample) for op in TABLE for k, sample in enumerate(op.samples)]


def samples_where(holds):
    """Parametrise over the declared samples for which a test has something to say."""
    chosen = [pytest.param(op, s, id=name) for name, op, s in SAMPLES if holds(Case(op, s))]
    return pytest.mark.parametrize(("op", "sample"), chosen)


def in_float64(case: Case) -> bool:
    """Differences of numbers rounded to a smaller dtype say nothing, nor where δ is stopped."""
    stopped = any(isinstance(rule, Stopped) for rule in case.op.rules)
    return case.differentiable and np.asarray(case.y).dtype == np.float64 and not stopped


every_sample = samples_where(lambda case: True)


# -- the judges ------------------------------------------------------------------------------------
def torch_says(case: Case, cotangent):
    """PyTorch's value and gradients, from the op's own PyTorch text."""
    torch = pytest.importorskip("torch")
    tensors = [torch.tensor(np.array(x)) for x in case.operands]
    for k in case.chosen:
        tensors[k].requires_grad_()
    letters = [f"x{k}" for k in range(len(tensors))]
    text = case.op.text(case.op.torch, letters, case.attrs)
    helpers = {helper.__name__: helper for helper in case.op.helpers}  # of texts that draw
    names = {"torch": torch, "itertools": itertools, "numpy": np, **helpers}
    y = torch.as_tensor(eval(text, {**names, **dict(zip(letters, tensors, strict=True))}))
    wanted = [tensors[k] for k in case.chosen]
    if not (y.requires_grad and wanted):
        return y.detach().resolve_conj().numpy(), [np.zeros(x.shape) for x in wanted]
    found = torch.autograd.grad(y, wanted, torch.tensor(np.array(cotangent)), allow_unused=True)
    filled = [
        np.zeros(x.shape) if gradient is None else gradient.numpy()
        for gradient, x in zip(found, wanted, strict=True)
    ]
    return y.detach().resolve_conj().numpy(), filled


def judge_by_torch(case: Case) -> None:
    cotangent = case.cotangent()
    value, gradients = torch_says(case, cotangent)
    close(case.y, value, 1e-12, f"{case.op.name}: value")
    if case.differentiable:
        _, pullback = bp.vjp(case.f, *case.xs)
        for k, got, want in zip(case.chosen, pullback(cotangent), gradients, strict=True):
            close(got, want, 1e-9, f"{case.op.name}: operand {k}")


def judge_by_differences(case: Case) -> None:
    cotangent = case.cotangent()
    _, pullback = bp.vjp(case.f, *case.xs)
    for k, (got, x) in enumerate(zip(pullback(cotangent), case.xs, strict=True)):
        want = np.zeros(np.shape(x))
        for place in np.ndindex(np.shape(x)):
            bump = np.zeros(np.shape(x))
            bump[place] = 1.0

            def along(t, k=k, bump=bump):
                moved = [z + t * bump if i == k else z for i, z in enumerate(case.xs)]
                return np.sum(cotangent * case.number(*moved))

            want[place] = slope(along)
        close(got, want, 1e-7, f"{case.op.name}: operand {case.chosen[k]}")


def judge_by_adjoint(case: Case) -> None:
    cotangent = case.cotangent()
    directions = [uneven(np.shape(x), case.rng) for x in case.xs]
    _, pullback = bp.vjp(case.f, *case.xs)
    _, tangent = bp.jvp(case.f, case.xs, directions)
    forward = np.sum(cotangent * tangent)
    back = sum(np.sum(g * v) for g, v in zip(pullback(cotangent), directions, strict=True))
    np.testing.assert_allclose(forward, back, rtol=1e-9, atol=1e-9, err_msg=case.op.name)


def judge_second_order(case: Case) -> None:
    """The derivative of the gradient along a line, by rules and by differences of gradients."""
    cotangent = case.cotangent()
    directions = [uneven(np.shape(x), case.rng) / 16 for x in case.xs]

    def gradient(*xs):
        return bp.vjp(case.f, *xs)[1](cotangent)

    _, curved = bp.jvp(gradient, case.xs, directions)
    for k, got in enumerate(curved):

        def along(t, k=k):
            return gradient(*[x + t * v for x, v in zip(case.xs, directions, strict=True)])[k]

        close(got, slope(along), 1e-7, f"{case.op.name}: operand {case.chosen[k]}")


JUDGES = {
    "torch": judge_by_torch,
    "differences": judge_by_differences,
    "second order": judge_second_order,
}


# -- over the whole table --------------------------------------------------------------------------
@every_op
def test_an_op_is_documented_sampled_and_has_a_judge(op):
    assert op.doc.strip()[-1] in ".?", "the doc is a sentence"
    assert op.samples, "an op without samples is not tested"
    assert len(op.rules) == 1 if op.variadic else len(op.rules) == len(op.names)
    assert op.torch is not None or op.why_no_torch, "torch=None says why"


@every_sample
def test_the_value_has_the_shape_and_dtype_that_the_rule_says(op, sample):
    case = Case(op, sample)
    shape, dtype = op.shape(*map(constant, case.operands), **case.attrs)
    assert (np.shape(case.y), np.asarray(case.y).dtype) == (shape, dtype)


@samples_where(lambda case: not case.op.why_no_torch)
def test_value_and_gradients_agree_with_pytorch(op, sample):
    judge_by_torch(Case(op, sample))


@samples_where(in_float64)
def test_gradients_agree_with_finite_differences(op, sample):
    case = Case(op, sample)
    judge_by_differences(case)


@samples_where(lambda case: case.differentiable)
def test_forward_and_reverse_mode_are_adjoint(op, sample):
    case = Case(op, sample)
    judge_by_adjoint(case)


@samples_where(in_float64)
def test_second_derivatives_agree_with_differences_of_gradients(op, sample):
    case = Case(op, sample)
    judge_second_order(case)


@samples_where(lambda case: case.op.expand is not None)
def test_the_expansion_agrees_in_value_and_gradients(op, sample):
    case = Case(op, sample)
    close(lift(case.expanded(*case.xs)).value, case.y, 1e-12, f"{op.name}: value")
    if not case.differentiable:
        return
    cotangent = case.cotangent()
    own = bp.vjp(case.f, *case.xs)[1](cotangent)
    simpler = bp.vjp(case.expanded, *case.xs)[1](cotangent)
    for k, got, want in zip(case.chosen, own, simpler, strict=True):
        close(got, want, 1e-9, f"{op.name}: operand {k}")


ALWAYS_DOUBLE = {"interp", "gammainc", "gammaincc"}
"""Functions of NumPy's that give float64 whatever they are given; SciPy's do beside integers."""


@samples_where(
    # with a dtype= the operands do not decide
    lambda case: (
        case.chosen
        and is_float(case.y)
        and "dtype" not in case.attrs
        and case.op.name not in ALWAYS_DOUBLE
    )
)
def test_float32_stays_float32(op, sample):
    case = Case(op, sample)
    single = [np.asarray(x, np.float32)[()] for x in case.xs]
    y = lift(case.f(*single))
    assert y.dtype == np.float32
    assert np.asarray(y.value).dtype == np.float32
    if case.differentiable:
        gradients = bp.vjp(case.f, *single)[1](np.ones(y.shape, np.float32)[()])
        assert [np.asarray(g).dtype for g in gradients] == [np.float32] * len(single)


@every_sample
def test_notation_and_reasons_can_be_written(op, sample):
    case = Case(op, sample)
    operands = [
        Formula(parse(f"x{chr(0x2080 + k)}"), np.shape(x)) for k, x in enumerate(case.operands)
    ]
    named = {op.names[0]: operands} if op.variadic else dict(zip(op.names, operands, strict=True))
    written = op.notation.write(named, case.attrs)
    assert written.inline
    assert written.latex
    y = Formula(parse("y"), np.shape(case.y))
    for index in range(len(operands)):
        rule = op.rule(index)
        if isinstance(rule, Rule):
            which = {"index": index} if op.variadic else {}
            because = spelled(rule.because, {**named, **case.attrs, "y": y, **which})
            assert because.inline
            assert "Slot" not in repr(because)
        else:
            assert rule.because


@pytest.mark.parametrize(("op", "bad"), BAD)
def test_a_bad_sample_gets_its_message(op, bad):
    with pytest.raises(AllBPsError) as caught:
        op(*[spec if not isinstance(spec, tuple) else np.zeros(spec) for spec in bad.operands],
           **bad.attrs)  # fmt: skip
    caught.value.where = ""
    assert str(caught.value) == bad.message


@every_op
def test_a_missing_rule_says_so(op):
    for rule in op.rules:
        if isinstance(rule, (NotDifferentiable, NotImplementedRule, Zero)):
            assert rule.because


@samples_where(lambda case: case.differentiable)
def test_the_emitted_source_computes_the_same_gradients(op, sample):
    case = Case(op, sample)
    names = [f"x{k}" for k in range(len(case.operands))]
    scope = {"op": op, "attrs": case.attrs}
    f = eval(f"lambda {', '.join(names)}: op({', '.join(names)}, **attrs)", scope)
    traced = trace(f, *map(np.asarray, case.operands))
    cotangent = case.cotangent()
    passes = backward(traced, cotangents={traced.graph.outputs[0].name: cotangent})
    given = {node.name: value for node, value in {**traced.values, **passes.given}.items()}
    values = emit(passes).run(given)
    for k, want in zip(case.chosen, bp.vjp(case.f, *case.xs)[1](cotangent), strict=True):
        got = values.get(f"dx{k}", 0.0)  # nothing is emitted where nothing flows
        close(got, want, 1e-12, f"{op.name}: operand {k}")


# -- the judges must catch what is wrong -----------------------------------------------------------
def product_without_the_other(g: Node, y: Node, a: Node, b: Node) -> Node:
    return g


def sign_lost(g: Node, y: Node, a: Node, b: Node) -> Node:
    return -(g * a)


def one_percent_off(g: Node, y: Node, x: Node) -> Node:
    return g * y * 1.01


def cut_from_the_tape(g: Node, y: Node, x: Node) -> Node:
    return g * constant(y.value)  # right once, but its own derivative is lost


def upstream_forgotten(g: Node, y: Node, x: Node) -> Node:
    return y


def one_over_n_forgotten(g: Node, y: Node, x: Node, axis, keepdims) -> Node:
    return mean_right(g, y, x, axis, keepdims) * 6.0


def factors_exchanged(g: Node, y: Node, a: Node, b: Node) -> Node:
    return a * 0.0 if a.ndim == 0 else matmul_right(g, y, a, b) * 0.5


def gradient_for_everyone(g: Node, y: Node, x: Node, axis, keepdims) -> Node:
    return x * 0.0 + max_right(g, y, x, axis, keepdims) + 1e-4


mean_right, matmul_right, max_right = (
    op.rules[0].build for op in (mean, matmul, max_)
)  # what the mistakes are made from
PLANTED = [
    (mul, 0, product_without_the_other, {"torch", "differences"}),
    (mul, 1, sign_lost, {"torch", "differences"}),
    (exp, 0, one_percent_off, {"torch", "differences"}),
    (exp, 0, cut_from_the_tape, {"second order"}),
    (exp, 0, upstream_forgotten, {"torch", "differences"}),
    (mean, 0, one_over_n_forgotten, {"torch", "differences"}),
    (matmul, 0, factors_exchanged, {"torch", "differences"}),
    (max_, 0, gradient_for_everyone, {"torch", "differences"}),
]


@pytest.mark.parametrize(
    ("op", "index", "wrong", "catchers"), PLANTED, ids=lambda p: getattr(p, "__name__", None)
)
def test_a_planted_mistake_is_caught(op, index, wrong, catchers, planted):
    for name in catchers:
        JUDGES[name](Case(op, op.samples[0]))  # right as declared
        with planted(op, index, wrong), pytest.raises(AssertionError, match=r"Not equal"):
            JUDGES[name](Case(op, op.samples[0]))
