"""Tracing keeps the user's names and lines, and the graph that the arguments took."""

import sys
from functools import partial

import numpy as np
import pytest

import allbps as bp
import allbps.functional as F
from allbps.errors import ArgumentError, DtypeError, NonFiniteError, ShapeError
from allbps.trace import check_inputs, trace


def total(X):
    return np.sum(X)


def names(traced):
    return [node.name for node in traced.graph.nodes if node.name]


def test_intermediates_keep_the_names_of_the_users_variables():
    def net(X, W, b):
        Z = X @ W
        A = np.tanh(Z + b)
        return np.sum(A)

    traced = trace(net, np.ones((2, 3)), np.ones((3, 4)), np.zeros(4))
    assert names(traced) == ["X", "W", "b", "Z", "t1", "A", "L"]
    assert traced.find("A").site.text == "A = np.tanh(Z + b)"
    traced.graph.verify()


def test_a_rebound_name_is_numbered_and_an_argument_keeps_its_own():
    def net(h, x):
        h = h + x
        y = h * x
        y = np.exp(y)
        return y

    traced = trace(net, np.ones(2), np.ones(2))
    assert names(traced) == ["h", "x", "h_2", "y_1", "y_2"]


def gate(z):
    return 1 / (1 + np.exp(-z))


def test_what_is_only_passed_on_does_not_take_the_name_of_a_variable():
    def net(x, w):
        z = gate(w * x)
        return z * x

    assert names(trace(net, 2.0, 0.5)) == ["x", "w", "t1", "t2", "t3", "t4", "z", "L"]


def test_what_is_only_passed_on_has_the_name_of_the_parameter_where_that_is_free():
    def net(x, w):
        y = gate(w * x)
        return y * x

    assert names(trace(net, 2.0, 0.5)) == ["x", "w", "z", "t1", "t2", "t3", "y", "L"]


def test_a_variable_names_what_a_function_hands_back_as_it_came():
    def same(a):
        return a

    def net(x):
        y = same(x * 2.0)
        return y * y

    assert names(trace(net, 2.0)) == ["x", "y", "L"]


def test_names_of_helper_functions_and_unpacked_tuples_are_seen():
    def pair(x):
        low, high = np.sin(x), np.cos(x)
        return low, high

    def net(x):
        a, b = pair(x)
        return a * b

    assert names(trace(net, 0.5)) == ["x", "low", "high", "L"]


def test_containers_become_inputs_named_by_their_path():
    def net(params, x):
        return np.sum(x @ params["layers"][0]) + params["shift"]

    traced = trace(net, {"layers": [np.ones((2, 2))], "shift": 1.0}, np.ones((1, 2)))
    assert [x.name for x in traced.graph.inputs] == ["params_layers_0", "params_shift", "x"]
    assert traced.parameters["params"]["shift"] is traced.find("params_shift")


def test_options_and_defaults_are_no_inputs():
    def net(x, axis, causal=True, scale=2.0):
        return np.sum(x, axis=axis) * scale if causal else x

    traced = trace(net, np.ones((2, 3)), 0, causal=True)
    assert [x.name for x in traced.graph.inputs] == ["x"]


def test_the_graph_is_the_branch_the_arguments_took():
    def net(x):
        while np.sum(x) < 10:
            x = x * 2
        return np.sum(x) if x[0] > 0 else np.prod(x)

    traced = trace(net, np.array([1.0, 2.0]))
    assert [n.op.name for n in traced.graph.nodes].count("mul") == 2


def test_the_delta_of_X_gives_way_to_a_variable_called_dX():
    def net(X):
        dX = X * 2.0
        return np.sum(dX)

    traced = trace(net, np.ones(2))
    assert names(traced) == ["X", "dX", "L"]
    assert traced.deltas == {"X": "dX_", "dX": "ddX", "L": "dL"}


def test_a_variable_named_like_emitted_functions_gives_way():
    def net(x):
        softmax = F.softmax(x)
        np_ = softmax * 2.0
        return np.sum(np_)

    assert names(trace(net, np.ones(2))) == ["x", "softmax_2", "np_", "L"]


def test_a_debuggers_hook_comes_back():
    def hook(frame, event, arg):
        return None

    before = sys.gettrace()
    sys.settrace(hook)
    try:
        trace(np.sin, 1.0)
        assert sys.gettrace() is hook
    finally:
        sys.settrace(before)


def test_wrong_arguments_say_what_the_function_takes():
    def net(x, w):
        return x * w

    with pytest.raises(ArgumentError) as caught:
        trace(net, x=1.0)
    assert "the arguments do not match net" in str(caught.value)
    assert "expected: net(x, w)" in str(caught.value)
    assert "got:      missing a required argument: 'w'" in str(caught.value)


def test_a_function_that_returns_nothing_is_refused():
    def net(x):
        np.sin(x)

    with pytest.raises(ArgumentError) as caught:
        trace(net, 1.0)
    assert str(caught.value) == (
        "net returned nothing to explain\n"
        f"  at:       test_trace.py:{net.__code__.co_firstlineno} in net: def net(x):\n"
        "  expected: a number or an array\n"
        "  got:      None\n"
        "  fix:      is a return missing?"
    )


def test_a_function_that_returns_text_is_refused():
    def net(x):
        return f"{x}"

    with pytest.raises(ArgumentError) as caught:
        trace(net, 1.0)
    caught.value.where = ""
    assert str(caught.value) == (
        "net returned nothing to explain\n  expected: a number or an array\n  got:      '1.0'"
    )


def test_complex_arguments_are_refused_by_name():
    with pytest.raises(DtypeError) as caught:
        trace(lambda wave: wave * wave, wave=1 + 2j)
    caught.value.where = ""
    assert str(caught.value) == (
        "wave is not made of real numbers\n"
        "  expected: bool, integer or floating-point numbers; complex ones may come up inside\n"
        "  got:      complex128 with dtype complex128\n"
        "  fix:      pass real and imaginary part, and join them by allbps.functional.complex"
    )


def test_an_if_on_many_numbers_names_the_users_line():
    def net(x):
        above = x > 0
        return x if above else -x

    with pytest.raises(ShapeError) as caught:
        trace(net, np.ones(3))
    line = net.__code__.co_firstlineno + 2
    assert str(caught.value) == (
        "an if or while cannot decide on above, which is not a single number\n"
        f"  at:       test_trace.py:{line} in net: return x if above else -x\n"
        "  expected: one condition\n"
        "  got:      above of shape (3,)\n"
        "  fix:      np.where(…) chooses element by element; .any() or .all() make one of many"
    )


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_refused_by_name_and_place(bad):
    traced = trace(total, np.array([[1.0, 2.0], [bad, 3.0]]))
    with pytest.raises(NonFiniteError) as caught:
        check_inputs(traced)
    assert str(caught.value) == (
        "X holds numbers that are not finite\n"
        "  expected: finite numbers\n"
        f"  got:      X[1, 0] = {bad}\n"
        "  fix:      look for a division by zero or an overflow before this call"
    )


def test_an_empty_array_is_refused():
    with pytest.raises(ShapeError) as caught:
        check_inputs(trace(total, np.zeros((0, 3))))
    assert str(caught.value) == (
        "X is empty\n  expected: at least one number\n  got:      shape (0, 3)"
    )


square = lambda x: x * x  # noqa: E731 - a lambda with a name of its own


class Scaled:
    def __call__(self, x):
        return 2.0 * x


def test_a_function_is_called_by_the_name_that_people_know():
    titles = {
        "square": square,
        "Scaled": Scaled(),
        "named": partial(named, y=2.0),
        "sin": np.sin,
    }
    for title, function in titles.items():
        traced = trace(function, 1.5)
        assert (traced.title, traced.function) == (title, title)


def named(x, y):
    return x * y


def test_a_lambda_without_a_name_is_called_by_its_line():
    traced = trace(lambda x: x + 1.0, 1.5)
    line = traced.graph.outputs[0].site.line
    assert (traced.title, traced.function) == (f"lambda (test_trace.py:{line})", "net")
    pair = [lambda x: x, lambda x: 2.0 * x]  # two on one line
    assert trace(pair[1], 1.5).title.startswith("lambda (test_trace.py:")


def test_every_reading_is_headed_by_that_name():
    worked = bp.explain(lambda x: x * x, x=3.0)
    title = worked.backward.traced.title
    assert title.startswith("lambda (test_trace.py:")
    assert worked.to_text().splitlines()[0] == title
    for text in (worked.to_html(), worked.to_svg(), worked.to_json()):
        assert title in text
    assert title in worked.to_markdown().replace("\\", "")
    assert title in worked.to_latex().replace("\\", "")
    assert "def net(x):" in worked.to_source()
    assert repr(worked).startswith(f"<{title} worked: ")


def test_an_argument_keeps_its_name_beside_a_part_of_another():
    traced = trace(lambda p, p_0: p[0] * p_0**2, (2.0,), 3.0)
    assert traced.values[traced.find("p_0")] == 3.0


@pytest.mark.parametrize("ask", [bp.explain, bp.check])
def test_an_argument_that_is_called_like_an_option_is_passed_by_its_place(ask):
    option = {bp.explain: "wrt", bp.check: "seed"}[ask]
    scope = {}
    exec(f"def net(x, {option}):\n    return x * {option}\n", scope)
    with pytest.raises(ArgumentError, match=f"{option}= is an option of allbps.{ask.__name__}"):
        ask(scope["net"], x=2.0, **{option: 3.0})
    ask(scope["net"], 2.0, 3.0)
