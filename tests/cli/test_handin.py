"""Gradients handed in on the command line."""

import json

import numpy as np
import pytest

from allbps.errors import UserFileError
from allbps.handin import gradients_from

NET = """
import numpy as np
import allbps.functional as F

def net(x, W):
    z = x @ W
    a = F.sigmoid(z)
    return np.sum(a ** 2)

inputs = {"x": np.array([[1.0, 2.0]]), "W": np.array([[0.5], [-1.0]])}

def right(x, W):
    a = 1 / (1 + np.exp(-(x @ W)))
    return {"W": x.T @ (2 * a * a * (1 - a))}

def forgotten(W, x):
    a = 1 / (1 + np.exp(-(x @ W)))
    return {"W": x.T @ (2 * a)}

def nothing(x):
    return None
"""


@pytest.fixture
def net(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(NET)
    return tmp_path


def right():
    x, w = np.array([[1.0, 2.0]]), np.array([[0.5], [-1.0]])
    a = 1 / (1 + np.exp(-(x @ w)))
    return x.T @ (2 * a * a * (1 - a))


def test_each_source_of_gradients_gives_the_same_numbers(net):
    (net / "g.json").write_text(json.dumps({"W": right().tolist()}))
    np.savez(net / "g.npz", W=right())
    inputs = {"x": np.array([[1.0, 2.0]]), "W": np.array([[0.5], [-1.0]])}
    np.savetxt(net / "W.csv", right(), delimiter=",")  # a column, as W is one
    for source in ("g.json", "g.npz", "W.csv", "net.py:right"):
        np.testing.assert_allclose(gradients_from(source, inputs)["W"], right(), rtol=1e-15)


@pytest.mark.parametrize(
    "source",
    ["missing.json", "g.csv", "g.txt", "bad.json", "list.json", "net.py:nothing", "net.py:absent"],
)
def test_what_holds_no_gradients_is_refused_in_words(net, source):
    (net / "bad.json").write_text("{")
    (net / "g.txt").write_text("1")
    (net / "list.json").write_text("[1]")
    with pytest.raises((UserFileError, KeyError)):
        gradients_from(source, {"x": np.ones((1, 2))})


def test_a_forgotten_derivative_is_named_on_the_command_line(net, allbps):
    code, out, _ = allbps("check", "net.py:net", "--gradients", "net.py:forgotten")
    assert code == 1
    assert out.startswith("net: δW is wrong")
    assert "the derivative of sigmoid is left out" in out
    assert allbps("check", "net.py:net", "--gradients", "net.py:right")[0] == 0
    assert allbps("check", "net.py:net", "--gradients", "g.csv")[0] == 2


def test_an_option_that_would_be_ignored_is_refused(net, allbps):
    code, _, err = allbps("check", "net.py:net", "--gradients", "net.py:right", "--wrt", "W")
    assert code == 2
    assert "leave --wrt out" in err
