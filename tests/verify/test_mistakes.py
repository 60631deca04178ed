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
