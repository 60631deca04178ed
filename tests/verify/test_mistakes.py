"""A sample of the planted mistakes of ``benchmarks/mistakes.py``: blamed, named, none accused."""

import sys
from pathlib import Path

import numpy as np
import pytest

import allbps as bp
from allbps.verify.mistakes import MISTAKES

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import mistakes as planted

SAMPLE = [(net, plant) for net in planted.NETS for plant in net.mistakes[::5]]


@pytest.mark.parametrize("decimals", [None, 3])
@pytest.mark.parametrize(
    ("net", "plant"), SAMPLE, ids=[f"{net.name}: {p.kind} at {p.node}" for net, p in SAMPLE]
)
def test_a_planted_mistake_is_blamed_and_named(net, plant, decimals):
    result = planted.tried(net, plant, 1, decimals)
    if result is None:
        pytest.skip("it changes nothing that could be seen")
    assert result.node, result.said
    assert result.named, result.said


@pytest.mark.parametrize("net", planted.NETS, ids=lambda net: net.name)
def test_no_right_hand_in_is_called_wrong(net):
    assert planted.accused((net,), range(4)) == (0, 8)


def test_a_mistake_above_parameters_is_named_from_their_gradients_alone():
    said = [
        planted.parameters_only(net, plant, 1, None)
        for net in planted.NETS
        for plant in net.mistakes[::7]
    ]
    assert all(x is not False for x in said)
    assert any(said)


def test_every_mistake_says_what_goes_wrong():
    assert len(MISTAKES) > 40
    assert all(m.doc.endswith(".") and m.doc[0].isupper() for m in MISTAKES.values())


def test_another_way_to_the_right_gradient_is_no_mistake():
    """δJ is δ(J + b): who sums it for δb has made none there, whatever is wrong with δJ."""
    rng = np.random.default_rng(0)
    X, W, b = rng.standard_normal((3, 4)), rng.standard_normal((4, 2)), rng.standard_normal(2)

    def net(X, W, b):
        J = X @ W
        A = np.log(1 + np.exp(J + b))
        return np.sum(A**2)

    dJ = np.array(bp.explain(net, X, W, b)["J"].delta)
    dJ[1, 1] += 0.37
    given = bp.check(net, X, W, b, gradients={"J": dJ, "b": np.sum(dJ, axis=0)}).marks
    assert [mark.state.name for mark in given] == ["WRONG", "WRONG"]
    assert not any(mark.mistakes for mark in given)


# -- a line that runs several times ----------------------------------------------------------------
def recurrent(X, W, U, b, V, T):
    h = np.zeros((2, 4))
    for k in range(3):
        a = X[k] @ W + h @ U + b
        h = np.tanh(a)
    return 0.5 * np.sum((h @ V - T) ** 2)


def recurrent_by_hand(
    X, W, U, b, V, T, slope=lambda a, h, before: 1 - h**2, back=lambda da, U: da @ U.T,
    to_U=lambda X, hs, k: hs[k], to_W=lambda X, hs, k: X[k],
):  # fmt: skip
    """Gradients of ``recurrent``, with what is done in every turn of its loop."""
    hs, inputs = [np.zeros((2, 4))], []
    for k in range(3):
        inputs.append(X[k] @ W + hs[-1] @ U + b)
        hs.append(np.tanh(inputs[-1]))
    do = hs[-1] @ V - T
    dh, dW, dU, db = do @ V.T, 0 * W, 0 * U, 0 * b
    for k in (2, 1, 0):
        da = dh * slope(inputs[k], hs[k + 1], hs[k])
        dW, dU = dW + to_W(X, hs, k).T @ da, dU + to_U(X, hs, k).T @ da
        db = db + da.sum(0)
        dh = back(da, U)
    return {"W": dW, "U": dU, "b": db, "V": hs[-1].T @ do}


def recurrent_values():
    rng = np.random.default_rng(1)
    shapes = {"X": (3, 2, 3), "W": (3, 4), "U": (4, 4), "b": (4,), "V": (4, 2), "T": (2, 2)}
    return {name: 0.6 * rng.normal(size=shape) for name, shape in shapes.items()}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"slope": lambda a, h, before: 1.0}, "the derivative of tanh is left out"),
        ({"slope": lambda a, h, before: 1 - h}, "1 − tanh instead of 1 − tanh²"),
        ({"slope": lambda a, h, before: 1 - a**2}, "with its input a instead of its output"),
        ({"slope": lambda a, h, before: 1 - before**2}, "h of the last turn is used"),
        ({"back": lambda da, U: da @ U}, "a transpose is missing: U is not transposed"),
    ],
)
@pytest.mark.parametrize("decimals", [None, 4])
def test_a_mistake_in_every_turn_of_a_loop_is_named_once(wrong, said, decimals):
    values = recurrent_values()
    given = recurrent_by_hand(**values, **wrong)
    if decimals:
        given = {name: np.round(g, decimals) for name, g in given.items()}
    report = bp.check(recurrent, gradients=given, judges=[], **values)
    text = str(report).partition("What they were compared with")[0]
    assert [mark.state.name for mark in report.marks] == ["WRONG", "WRONG", "WRONG", "RIGHT"]
    assert "in every turn of the loop" in text
    assert text.count(said) == 1, text


@pytest.mark.parametrize(
    ("node", "wrong", "said"),
    [
        ("U", {"to_U": lambda X, hs, k: hs[k + 1]}, "h of the next turn is used"),
        ("U", {"to_U": lambda X, hs, k: np.tanh(hs[k + 1])}, None),
        ("W", {"to_W": lambda X, hs, k: X[k - 1]}, "X[k] of the last turn is used"),
        ("W", {"to_W": lambda X, hs, k: hs[k][:, :3]}, None),
    ],
)
@pytest.mark.parametrize("decimals", [None, 3])
def test_values_of_another_turn_are_named_also_where_the_loop_starts_from_zeros(
    node, wrong, said, decimals
):
    values = recurrent_values()
    given = recurrent_by_hand(**values, **wrong)
    if decimals:
        given = {name: np.round(g, decimals) for name, g in given.items()}
    marks = {m.node: m for m in bp.check(recurrent, gradients=given, judges=[], **values).marks}
    assert [name for name, mark in marks.items() if not mark] == [node]
    expected = (f"in every turn of the loop, {said}",) if said else ()
    assert marks[node].mistakes == expected


def test_a_right_loop_is_right():
    values = recurrent_values()
    assert all(
        bp.check(recurrent, gradients=recurrent_by_hand(**values), judges=[], **values).marks
    )


# -- two mistakes ----------------------------------------------------------------------------------
def test_a_second_mistake_is_named_after_the_first():
    rng = np.random.default_rng(0)
    shapes = {"X": (4, 3), "W1": (3, 5), "b1": (5,), "W2": (5, 2), "Y": (4, 2)}
    v = {name: rng.normal(size=shape) for name, shape in shapes.items()}

    def net(X, W1, b1, W2, Y):
        Z1 = X @ W1 + b1
        A1 = np.maximum(0, Z1)
        Z2 = A1 @ W2
        return np.mean((Z2 - Y) ** 2)

    A1 = np.maximum(0, v["X"] @ v["W1"] + v["b1"])
    dZ2 = 2 * (A1 @ v["W2"] - v["Y"]) / 4  # averaged over rows only
    dZ1 = dZ2 @ v["W2"].T  # and the mask is forgotten
    given = {"W2": A1.T @ dZ2, "W1": v["X"].T @ dZ1, "b1": dZ1.sum(0)}
    found = {m.node: m for m in bp.check(net, gradients=given, judges=[], **v).marks}
    assert any("factor of 2" in text for text in found["W2"].mistakes)
    for name in ("W1", "b1"):
        first, _, then = found[name].mistakes[0].partition("; and then, ")
        assert "a factor of 2 too many" in first
        assert "the derivative of ReLU is left out" in then
