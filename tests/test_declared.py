"""Operations that a user declares: values, δ, readings, judges, the machine, and mistakes."""

import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

import allbps as bp
from allbps.errors import AllBPsError, ArgumentError, InPlaceError, NoRuleError, ShapeError
from allbps.machine.building import FallbackWarning

LIMIT = 3.0


def d_bent(g, y, x, *, limit):
    return g * (1.0 - (y / limit) ** 2)


def bent_by_known(x, *, limit):
    return limit * np.tanh(x / limit)


def halves(x):
    return x / 2.0


@bp.rule(
    d_bent,
    because="∂{y}/∂{x} = 1 − ({y} / {limit})²",
    notation="bent({x})",
    torch="{limit} * torch.tanh({x} / {limit})",
    expand=bent_by_known,
)
def bent(x, *, limit=1.0):
    """The numbers bent into (−limit, limit)."""
    return limit * np.tanh(2.0 * halves(x) / limit)


def d_scaled_x(g, y, x, w):
    return g * w


def d_scaled_w(g, y, x, w):
    return g * x


@bp.rule(d_scaled_x, d_scaled_w, because={"x": "∂{y}/∂{x} = {w}", "w": "∂{y}/∂{w} = {x}"})
def scaled(x, w):
    """The product, broadcast."""
    return np.multiply(x, w)


def net(x, w):
    h = bent(scaled(x, w), limit=2.0)
    return np.sum(h * h)


X, W = np.array([[0.5, -1.0, 2.0], [1.5, 0.25, -0.75]]), np.array([1.0, 2.0, -0.5])


def known(x, w):
    h = 2.0 * np.tanh(x * w / 2.0)
    return np.sum(h * h)


def test_values_and_derivatives_of_every_order_are_those_of_known_operations():
    assert type(bent(X)) is np.ndarray
    np.testing.assert_allclose(net(X, W), known(X, W), rtol=1e-15)
    for got, want in zip(bp.grad(net, (0, 1))(X, W), bp.grad(known, (0, 1))(X, W), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-13)
    np.testing.assert_allclose(
        bp.hessian(lambda w: net(X, w))(W), bp.hessian(lambda w: known(X, w))(W), rtol=1e-12
    )
    directions = (np.ones_like(X), np.ones_like(W))
    np.testing.assert_allclose(
        bp.jvp(net, (X, W), directions)[1], bp.jvp(known, (X, W), directions)[1], rtol=1e-13
    )


def test_every_reading_and_judge_knows_it():
    worked = bp.explain(net, X, W)
    text = worked.to_text()
    assert "because t₁ = scaled(x, w), ∂t₁/∂w = x" in text
    assert "bent(" in text
    assert "def bent(" in worked.to_source()
    assert "def halves(" in worked.to_source()
    assert "<svg" in worked.to_svg()
    report = worked.verify()
    assert report
    assert "expansion" in report.judges
    with pytest.raises(NoRuleError, match="scaled says nothing of torch="):
        worked.to_source("torch")
    single = bp.explain(lambda x: np.sum(bent(x, limit=2.0)), X)
    assert "2.0 * torch.tanh(x / 2.0)" in single.to_source("torch")


def wrong(g, y, x):
    return g * 2.0 * y


def test_a_wrong_rule_is_found():
    @bp.rule(wrong)
    def cubed(x):
        return x**3

    assert not bp.check(lambda x: np.sum(cubed(x)), X)


def test_compiled_it_runs_from_its_expansion_or_says_that_it_calls_the_function():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        step = bp.compile(lambda x: np.sum(bent(x, limit=2.0)), X, params="x")
    np.testing.assert_allclose(step(X)[1], bp.grad(lambda x: np.sum(bent(x, limit=2.0)))(X))
    with pytest.warns(FallbackWarning, match="scaled"):
        step = bp.compile(lambda x, w: np.sum(scaled(x, w) ** 2), X, W, params="w")
    np.testing.assert_allclose(step(X, W)[1], bp.grad(lambda w: np.sum(scaled(X, w) ** 2))(W))


def declared(*rules, forward=None, **how):
    def plain(x):
        return x * 2.0

    return bp.rule(*rules, **how)(forward or plain)


def d_one(g, y, x):
    return g * 2.0


def nothing(g, y, x):
    return None


def misfit(g, y, x):
    return np.zeros(7)


def two(g, x):
    return g


def relu(x):
    return np.maximum(x, 0.0)


def with_default(x, w=1.0):
    return x * w


def over_global(x):
    return np.minimum(x, LIMIT)


def in_place(x):
    x += 1.0
    return x


def gives_two(x):
    return x, x


def of_numbers(x):
    return x[x > 0]


MISTAKES = {
    "too few rules": (lambda: declared(), "plain needs one rule for each operand, or None"),
    "other parameters": (
        lambda: declared(two), "the rule for x of plain takes other parameters",
    ),
    "unknown name": (
        lambda: declared(d_one, because="∂{z}"), "a template of plain names {z}",
    ),
    "unknown operand": (lambda: declared(d_one, because={"z": "1"}), "plain has no operand 'z'"),
    "open brace": (lambda: declared(d_one, notation="f({x"), "a template of plain: "),
    "taken": (lambda: declared(d_one, forward=relu), "allbps has an operation relu of its own"),
    "default": (
        lambda: declared(d_one, d_one, forward=with_default),
        "the operand w of with_default has a default",
    ),
    "global": (
        lambda: declared(d_one, forward=over_global),
        "over_global uses LIMIT, which emitted source would not know",
    ),
    "lambda": (
        lambda: bp.rule(d_one)(lambda x: x), "rule declares a function that was written with def",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_in_the_declaration_is_told_at_once(name):
    make, message = MISTAKES[name]
    with pytest.raises(ArgumentError) as caught:
        make()
    assert caught.value.what.startswith(message)
    assert "test_declared.py" in caught.value.where


USES = {
    "returns nothing": (declared(nothing), ArgumentError, "the rule nothing of plain must return"),
    "does not fit": (declared(misfit), ShapeError, "the rule misfit of plain returns a δ that"),
    "writes": (
        declared(d_one, forward=in_place), InPlaceError, "in_place writes into one of its operands",
    ),
    "gives two": (
        declared(d_one, forward=gives_two), ArgumentError, "gives_two must return one array",
    ),
    "numbers decide": (
        declared(d_one, forward=of_numbers), ShapeError,
        "the shape of what of_numbers returns depends on its numbers",
    ),
    "an array as a constant": (
        lambda x: bent(x, limit=np.ones(2)), ArgumentError,
        "bent takes a constant for limit, not an array",
    ),
    "an unknown constant": (
        lambda x: bent(x, bound=2.0), ArgumentError, "bent: got an unexpected keyword argument",
    ),
    "shapes": (
        lambda x: scaled(x, np.ones(7)), ShapeError, "scaled does not take these operands",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", USES)
def test_a_mistake_in_use_is_told(name):
    f, error, message = USES[name]
    with pytest.raises(AllBPsError) as caught:
        bp.grad(lambda x: np.sum(f(x)))(X)
    assert isinstance(caught.value, error)
    assert caught.value.what.startswith(message)


def test_where_nothing_flows_back_is_said():
    @bp.rule(d_first, None, because=["∂{y}/∂{x} = 1", "{k} only counts"])
    def counted(x, k):
        return x + 0.0 * k

    gradients = bp.grad(lambda x, k: np.sum(counted(x, k)), (0, 1))(X, W)
    np.testing.assert_array_equal(gradients[0], np.ones_like(X))
    np.testing.assert_array_equal(gradients[1], np.zeros_like(W))


def d_first(g, y, x, k):
    return g


def test_the_guide_runs(tmp_path):
    guide = (Path(__file__).parents[1] / "docs" / "your-own-operation.md").read_text("utf-8")
    file = tmp_path / "guide.py"  # emitted source reads the function's own
    file.write_text(guide.split("```python\n")[1].split("```")[0], "utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", file], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "∂H/∂t₁ = 1 − (H / 2)²" in done.stdout
