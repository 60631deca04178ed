"""Backprop: sums of contributions, fitted shapes and dtypes, rules that are missing, size."""

import time

import numpy as np
import pytest

import allbps as bp
from allbps.backprop import backprop, seed_of
from allbps.errors import NoRuleError, NotDifferentiableError
from allbps.ir import (
    CONST,
    OPS,
    Graph,
    Notation,
    NotDifferentiable,
    NotImplementedRule,
    Op,
    constant,
    new_input,
)
from allbps.ops.arithmetic import accumulate
from allbps.ops.shapes import same


def inputs(*shapes):
    rng = np.random.default_rng(0)
    return [new_input(rng.normal(size=shape), 1, "xyz"[k]) for k, shape in enumerate(shapes)]


def scalar_loss(x, w):
    return np.sum(np.tanh(x @ w) * x[0, 0])


# -- contributions ---------------------------------------------------------------------------------
def test_contributions_of_all_uses_are_terms_in_the_order_of_use():
    (x,) = inputs((3,))
    y = np.sin(x) * x + x
    delta = backprop({y: constant(np.ones(3))}, [x])[x]
    assert [term.consumer.op.name for term in delta.terms] == ["sin", "mul", "add"]
    assert [term.index for term in delta.terms] == [0, 1, 1]
    assert delta.node.op is accumulate
    total = sum(term.node.value for term in delta.terms)
    np.testing.assert_array_equal(delta.node.value, total)


def test_one_operand_twice_gives_two_terms():
    (x,) = inputs((2, 2))
    y = np.sum(x * x)
    delta = backprop({y: seed_of(y)}, [x])[x]
    assert [term.index for term in delta.terms] == [0, 1]
    np.testing.assert_allclose(delta.node.value, 2 * x.value, rtol=1e-15)


def test_an_output_that_is_used_again_adds_its_seed():
    (x,) = inputs(())
    y = x * 3.0
    z = y * y
    delta = backprop({y: constant(10.0), z: constant(1.0)}, [x])
    np.testing.assert_allclose(delta[y].node.value, 10.0 + 2 * y.value, rtol=1e-15)
    np.testing.assert_allclose(delta[x].node.value, 3 * (10.0 + 2 * y.value), rtol=1e-15)


def test_only_what_leads_to_the_wanted_inputs_gets_a_delta():
    x, w = inputs((2, 3), (3, 2))
    y = scalar_loss(x, w)
    deltas = backprop({y: seed_of(y)}, [w])
    assert x not in deltas
    assert w in deltas
    unrelated = new_input(np.ones(2), 1)
    assert unrelated not in backprop({y: seed_of(y)}, [unrelated])


def test_a_delta_has_the_shape_and_dtype_of_its_primal():
    x = new_input(np.ones((3, 1), np.float32), 1)
    w = new_input(np.ones((2, 1, 4)), 1)
    y = np.sum(x * w + x[0, 0] * np.float64(2.0))
    for primal, delta in backprop({y: seed_of(y)}, [x, w]).items():
        assert (delta.node.shape, delta.node.dtype) == (primal.shape, primal.dtype)
        for term in delta.terms:
            assert (term.node.shape, term.node.dtype) == (primal.shape, primal.dtype)


def test_a_delta_belongs_to_the_line_of_its_primal():
    (x,) = inputs((3,))
    y = np.sin(x)
    z = np.sum(y * y)
    delta = backprop({z: seed_of(z)}, [x])[y]
    assert y.site.text == "y = np.sin(x)"
    assert delta.node.site == y.site


def test_the_starting_one_does_not_appear_in_formulas():
    (x,) = inputs(())
    y = x * 5.0
    delta = backprop({y: seed_of(y)}, [x])[x]
    assert delta.node.op is CONST
    assert delta.node.value == 5.0


# -- graphs ----------------------------------------------------------------------------------------
def test_forward_and_backward_graphs_are_well_formed():
    x, w = inputs((2, 3), (3, 2))
    y = scalar_loss(x, w)
    Graph((x, w), (y,)).verify()
    deltas = backprop({y: seed_of(y)}, [x, w])
    Graph((x, w), tuple(delta.node for delta in deltas.values())).verify()
    g = deltas[x].node
    second = backprop({g: constant(np.ones(g.shape))}, [x, w])
    Graph((x, w), (second[x].node, second[w].node)).verify()


# -- rules that are missing ------------------------------------------------------------------------
@pytest.fixture
def op_with():
    """An op with a given rule, gone after the test."""
    made = []

    def declare(rule):
        op = Op(
            name="peculiar", doc="Twice x.", operands="x", shape=same, numpy="2 * {x}",
            torch="2 * {x}", rules=(rule,), notation=Notation("peculiar({x})"),
        )  # fmt: skip
        made.append(op)
        return op

    yield declare
    for op in made:
        del OPS[op.name]


def test_an_op_without_a_rule_says_so(op_with):
    op = op_with(NotImplementedRule("nobody has worked it out"))
    with pytest.raises(NoRuleError) as caught:
        bp.grad(lambda x: np.sum(op(x)))(np.ones(2))
    assert "test_backprop.py" in caught.value.where
    caught.value.where = ""
    assert str(caught.value) == (
        "peculiar has no BP rule yet: nobody has worked it out\n"
        "  fix:      declare one (docs/adding-an-op.md), or write it with operations that have one"
    )
    assert bp.grad(lambda x: np.sum(x) + np.sum(op(np.ones(2))))(np.ones(2)).tolist() == [1.0, 1.0]


def test_an_op_without_a_derivative_says_so(op_with):
    op = op_with(NotDifferentiable("its graph is a cloud of points"))
    with pytest.raises(NotDifferentiableError) as caught:
        bp.grad(lambda x: np.sum(op(x)))(np.ones(2))
    caught.value.where = ""
    assert str(caught.value) == "peculiar has no derivative: its graph is a cloud of points"


def test_a_name_is_declared_once(op_with):
    op_with(NotDifferentiable("first"))
    with pytest.raises(ValueError, match="'peculiar' is declared twice"):
        op_with(NotDifferentiable("second"))


# -- size ------------------------------------------------------------------------------------------
def chain(n):
    def f(x):
        for _ in range(n):
            x = np.sin(x) + 0.0
        return x

    return f


def fan_out(n):
    def f(x):
        total = 0.0
        for k in range(n):
            total = total + x * float(k)
        return total

    return f


def test_a_chain_of_100_000_nodes():
    g = bp.grad(chain(50_000))(0.5)
    x, slope = 0.5, 1.0
    for _ in range(50_000):
        slope *= np.cos(x)
        x = np.sin(x)
    np.testing.assert_allclose(g, slope, rtol=1e-10)


def test_100_000_uses_of_one_value():
    assert bp.grad(fan_out(50_000))(0.5) == sum(range(50_000))


def test_10_000_operands_of_one_operation():
    def f(x):
        return np.sum(np.stack([x * float(k) for k in range(10_000)]) ** 2)

    np.testing.assert_allclose(bp.grad(f)(0.5), sum(k**2 for k in range(10_000)), rtol=1e-12)


def test_10_000_nodes_take_less_than_a_second():
    took = []
    for _ in range(3):  # the machine may be busy with something else
        start = time.process_time()
        bp.grad(chain(5_000))(0.5)
        took.append(time.process_time() - start)
    assert min(took) < 1.0


def test_time_grows_as_the_number_of_nodes():
    def best(n):
        took = []
        for _ in range(3):
            start = time.process_time()
            bp.grad(chain(n))(0.5)
            took.append(time.process_time() - start)
        return min(took)

    assert best(8_000) < 3 * 4 * best(2_000)  # a quadratic algorithm would take 16 times as long
