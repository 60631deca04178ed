"""Nodes never change, graphs are well formed, and order needs no recursion."""

import copy

import numpy as np
import pytest

from allbps.errors import InPlaceError
from allbps.ir import (
    OPS,
    Graph,
    Node,
    Notation,
    Op,
    Zero,
    ancestors,
    constant,
    new_input,
    values_on_demand,
    within,
)
from allbps.ops.arithmetic import add


@pytest.fixture
def x():
    return new_input(np.array([1.0, 2.0]), 1, "x")


def test_a_node_never_changes(x):
    with pytest.raises(InPlaceError) as caught:
        x.value = 3.0
    caught.value.where = ""
    assert str(caught.value) == (
        "x is traced and cannot be changed in place (set the attribute .value)\n"
        "  expected: a new array: x = np.where(…), np.concatenate(…), x + …\n"
        "  got:      a write into x\n"
        "  fix:      build the changed array and bind it to x again"
    )


def test_a_copy_of_a_node_is_the_node(x):
    assert copy.copy(x) is x
    assert copy.deepcopy({"a": [x]})["a"][0] is x


def test_ancestors_are_oldest_first_and_each_once(x):
    y = np.sin(x)
    z = y * y + x
    order = ancestors([z])
    assert order == sorted(order, key=lambda node: node.born)
    assert order[0] is x
    assert order[-1] is z
    assert len(set(order)) == len(order) == 4


def test_users_are_listed_with_the_place_where_they_use_a_node(x):
    y = np.sin(x)
    z = y * y
    users = Graph((x,), (z,)).users
    assert users[y] == ((z, 0), (z, 1))
    assert users[x] == ((y, 0),)
    assert users[z] == ()


def test_a_chain_of_100_000_nodes_is_ordered_and_freed(x):
    y = x
    for _ in range(100_000):
        y = add(y, x)
    assert len(ancestors([y])) == 100_001
    del y  # no recursion here either


def test_verify_finds_what_is_wrong(x):
    y = np.sin(x)
    Graph((x,), (y,)).verify()
    with pytest.raises(AssertionError, match="an input the graph lacks"):
        Graph((), (y,)).verify()
    wrong_shape = Node(y.op, (x,), (3,), x.dtype, value=y.value)
    with pytest.raises(AssertionError, match=r"says \(2,\)"):
        Graph((x,), (wrong_shape,)).verify()
    wrong_value = Node(y.op, (x,), x.shape, x.dtype, value=np.zeros(3))
    with pytest.raises(AssertionError, match=r"value is \(3,\)"):
        Graph((x,), (wrong_value,)).verify()
    wrong_dtype = Node(y.op, (x,), x.shape, x.dtype, value=np.zeros(2, np.float32))
    with pytest.raises(AssertionError, match="value is float32"):
        Graph((x,), (wrong_dtype,)).verify()
    without_operand = Node(y.op, (), x.shape, x.dtype)
    with pytest.raises(AssertionError, match="arity"):
        Graph((x,), (without_operand,)).verify()


def test_arithmetic_of_python_numbers_stays_a_python_number():
    y = add(constant(2), constant(0.5))
    assert type(y.value) is float
    assert add(constant(np.float32(1.0)), y).dtype == np.float32


def test_values_on_demand_are_worked_out_once_and_only_if_read():
    runs = []

    def counted(x):
        runs.append(1)
        return np.sin(x)

    op = Op(
        name="counted", doc="", operands="x", shape=lambda x: (x.shape, x.dtype),
        numpy="counted({x})", torch=None, why_no_torch="a test", rules=(Zero("a test"),),
        notation=Notation("c({x})"), helpers=(counted,),
    )  # fmt: skip
    try:
        with within() as bit, values_on_demand():
            x = new_input(np.array([1.0, 2.0]), bit, "x")
            y = x
            for _ in range(3000):  # deeper than Python's stack
                y = y * 1.0
            z = op(y) + 1.0
            assert (runs, z.shape, z.has_value) == ([], (2,), True)
            if z[0] > 0:
                np.testing.assert_array_equal(z.value, np.sin([1.0, 2.0]) + 1.0)
        assert (runs, y.value[1]) == ([1], 2.0)
    finally:
        del OPS["counted"]
