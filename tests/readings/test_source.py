"""Emitted source reads as a person would have written it, and runs."""

import numpy as np
import pytest

import allbps.functional as F
from allbps.backward import backward
from allbps.errors import ArgumentError
from allbps.readings.dialect import JAX, NUMPY, TORCH, dialect_named
from allbps.readings.source import emit
from allbps.trace import trace


def net(X, W1, b1, Y):
    Z1 = X @ W1
    Z2 = Z1 + b1
    Yp = F.sigmoid(Z2)
    return F.euclidean_loss(Yp, Y)


ARRAYS = [np.ones((2, 3)), np.ones((3, 2)), np.zeros(2), np.zeros((2, 2))]


def test_the_backward_pass_in_the_users_names_tied_to_the_forward_lines():
    text = emit(backward(trace(net, *ARRAYS), ["W1", "b1"])).text
    first = net.__code__.co_firstlineno
    assert text.endswith(
        f'''def net(X, W1, b1, Y):
    """L and its gradients; dX is the derivative with respect to X."""
    # forward
    Z1 = X @ W1                      # line {first + 1}
    Z2 = Z1 + b1                     # line {first + 2}
    Yp = sigmoid(Z2)                 # line {first + 3}
    L = 0.5 * np.sum((Yp - Y) ** 2)  # line {first + 4}
    # backward
    dL = 1.0
    dYp = Yp - Y                     # from L = 0.5 * np.sum((Yp - Y) ** 2)
    dZ2 = dYp * (Yp * (1.0 - Yp))    # from Yp = sigmoid(Z2)
    dZ1 = dZ2                        # from Z2 = Z1 + b1
    dW1 = X.T @ dZ1                  # from Z1 = X @ W1
    db1 = np.sum(dZ2, axis=0)        # from Z2 = Z1 + b1
    return L, {{'W1': dW1, 'b1': db1}}
'''
    )


def test_parentheses_are_only_where_python_needs_them():
    def f(a, b):
        return (a + b) * np.exp(a - b) ** 2 - (a - (b - a))

    text = emit(trace(f, 1.0, 2.0)).text
    assert "t6 = b - a" in text


def test_a_large_constant_becomes_an_argument_and_a_small_one_is_written_out():
    small, large = np.arange(3.0), np.arange(50.0)
    program = emit(trace(lambda x: np.sum(x * large) + np.sum(x[:3] * small), np.ones(50)))
    assert program.arguments == ("x", "c1")
    assert "np.array([0.0, 1.0, 2.0], dtype=np.float64)" in program.text
    assert program.run({"x": np.ones(50)})["L"] == 1225 + 3


def test_only_helpers_that_are_called_are_emitted():
    text = emit(trace(lambda x: F.softmax(x) + np.sin(x), np.ones(3))).text
    assert text.count("def ") == 2
    assert "def softmax(x, axis):" in text


def test_each_dialect_imports_what_it_uses():
    traced = backward(trace(net, *ARRAYS))
    assert emit(traced, NUMPY).imports == ("import numpy as np",)
    assert emit(traced, TORCH).imports == ("import torch",)
    assert "import jax.numpy as jnp" in emit(traced, JAX).imports


def test_an_unknown_target_is_refused():
    with pytest.raises(ArgumentError) as caught:
        dialect_named("cobol")
    assert str(caught.value) == (
        "there is no target 'cobol'\n  expected: numpy or torch or jax\n  got:      'cobol'"
    )


def test_infinite_constants_survive():
    program = emit(trace(lambda x: np.maximum(x, -np.inf), 1.0))
    assert program.run({"x": 2.0})["L"] == 2.0


def test_emission_is_linear_in_the_number_of_nodes():
    def chain(x):
        for _ in range(3000):
            x = np.sin(x)
        return x

    program = emit(backward(trace(chain, 0.5)))
    assert len(program.forward) == 3000
    values = program.run({"x": 0.5})
    assert values["dx"] == pytest.approx(values["dx_2"] * np.cos(0.5), rel=1e-15)
