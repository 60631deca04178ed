"""bp.check: cotangents for results that are not a loss, and marks for gradients handed in."""

import numpy as np
import pytest

import allbps.functional as F
from allbps.errors import (
    ArgumentError,
    NameUnknownError,
    NonFiniteError,
    ShapeError,
    SingularError,
)
from allbps.ops.activation import relu, sigmoid_op
from allbps.verify import State, check

rng = np.random.default_rng(5)
X, W, b = rng.normal(size=(4, 3)), rng.normal(size=(3, 3)), rng.normal(size=3)
T = rng.normal(size=(4, 3))


def net(X, W, b, T):
    Z1 = X @ W
    Z2 = Z1 + b
    H = relu(Z2)
    Y = H @ W
    return 0.5 * np.sum((Y - T) ** 2)


def by_hand():
    """Every δ of ``net``, right."""
    Z2 = X @ W + b
    H = np.maximum(Z2, 0)
    dY = H @ W - T
    dH = dY @ W.T
    dZ2 = dH * (Z2 > 0)
    return {
        "Y": dY, "H": dH, "Z2": dZ2, "Z1": dZ2, "b": dZ2.sum(0),
        "W": X.T @ dZ2 + H.T @ dY, "X": dZ2 @ W.T,
    }  # fmt: skip


def marked(**wrong):
    report = check(net, X, W, b, T, gradients={**by_hand(), **wrong}, judges=["torch"])
    assert report.verified
    return {mark.node: mark for mark in report.marks}


def test_right_gradients_are_marked_right():
    assert all(mark.state is State.RIGHT for mark in marked().values())
    assert check(net, X, W, b, T, gradients={"dW": by_hand()["W"]}, judges=["torch"])


def test_the_first_wrong_edge_is_blamed_and_what_follows_is_called_a_consequence():
    own = by_hand()
    dZ2 = own["H"]  # the mask of ReLU is forgotten
    found = marked(Z2=dZ2, Z1=dZ2, b=dZ2.sum(0), X=dZ2 @ W.T)
    assert found["Z2"].state is State.WRONG
    assert "the derivative of ReLU is left out" in found["Z2"].mistakes
    assert found["Z2"].edges == ("H = np.maximum(Z2, 0)",)
    assert found["X"].follows_from == ("δZ1",)
    assert found["Z1"].state is found["b"].state is found["X"].state is State.FOLLOWS
    assert found["Y"].state is found["H"].state is State.RIGHT


g = by_hand()
H = np.maximum(X @ W + b, 0)
MISTAKES = {
    "the sign is flipped": ("Y", -g["Y"]),
    "a factor of 2 too many": ("Y", 2 * g["Y"]),
    "a factor of ½ too many": ("Y", g["Y"] / 2),
    "left out: zeros": ("b", 0 * g["b"]),
    "divided by 4 once too often: averaged instead of summed": ("b", g["b"] / 4),
    "multiplied by 4: a division by 4 (1/N of a mean) is missing": ("b", g["b"] * 4),
    "a transpose is missing": ("X", g["Z1"] @ W),
    "not summed over axis 0": ("b", g["Z2"]),
    "transposed": ("W", g["W"].T),
    "turned by 180°": ("W", g["W"][::-1, ::-1]),
    "only the use in Y is counted": ("W", H.T @ g["Y"]),
    "only the use in Z1 is counted": ("W", X.T @ g["Z1"]),
    "the use in Y is counted twice": ("W", g["W"] + H.T @ g["Y"]),
    "the derivative of ReLU is left out": ("Z2", g["H"]),
    "the derivative of ReLU is taken at the upstream δ": ("Z2", g["H"] * (g["H"] > 0)),
    "the mask of ReLU is inverted": ("Z2", g["H"] - g["Z2"]),
    "ReLU itself instead of its derivative": ("Z2", g["H"] * H),
}


@pytest.mark.parametrize("text", MISTAKES)
def test_a_simple_mistake_is_recognised(text):
    node, numbers = MISTAKES[text]
    found = marked(**{node: numbers})[node]
    assert found.state is State.WRONG
    assert any(text in name for name in found.mistakes), found.mistakes
    assert len(found.mistakes) <= 4, found.mistakes


def test_matrix_mistakes_are_recognised():
    A, B = rng.normal(size=(3, 3)), rng.normal(size=(3, 3))

    def product(A, B):
        return A @ B

    c = rng.normal(size=(3, 3))
    wrong = {
        "A": (B.T @ c, "the factors of a matrix product are in the wrong order"),
        "B": (A.T * c, "multiplied element by element instead of as matrices"),
    }
    for name, (numbers, text) in wrong.items():
        report = check(
            product, A, B, gradients={name: numbers}, cotangent=c, judges=["differences"]
        )
        assert text in report.marks[0].mistakes[0]


def test_convolution_mistakes_are_recognised():
    I, K = rng.normal(size=(5, 6)), rng.normal(size=(3, 2))
    dJ = rng.normal(size=(3, 5))

    def conv(I, K):
        return F.conv2d(I, K)

    kernel = np.array([[np.sum(I[p : p + 3, q : q + 5] * dJ) for q in range(2)] for p in range(3)])
    padded = np.pad(dJ, ((2, 2), (1, 1)))
    image = [[np.sum(padded[i : i + 3, j : j + 2] * K) for j in range(6)] for i in range(5)]
    report = check(
        conv, I, K, gradients={"K": kernel[::-1, ::-1], "I": np.array(image)}, cotangent=dJ,
        judges=["exact"],
    )  # fmt: skip
    found = {mark.node: mark.mistakes for mark in report.marks}
    assert found == {"I": ("the kernel is not flipped",), "K": ("turned by 180°",)}


def test_a_derivative_taken_at_the_output_is_recognised():
    x = rng.normal(size=3)
    a = sigmoid_op.run([sigmoid_op.run([x], {})], {})
    report = check(
        lambda x: np.sum(sigmoid_op(x)), x, gradients={"x": a * (1 - a)}, judges=["differences"]
    )
    assert report.marks[0].mistakes == ("the derivative of sigmoid is taken at its output",)


def test_a_wrong_mark_in_words():
    own = np.array([2.0, -4.0])
    report = check(
        lambda x: np.sum(x * x), np.array([1.0, 2.0]), gradients={"x": own}, judges=["exact"]
    )
    assert str(report.marks[0]) == (
        "δx is wrong\n"
        "  δx[1] is -4, and should be 4\n"
        "  comes through L = np.sum(x * x)\n"
        "  only element 1 is wrong"
    )
    assert report.to_json()["marks"][0]["state"] == "wrong"


def test_numbers_rounded_by_hand_are_right_within_their_digits():
    found = marked(W=np.round(by_hand()["W"], 2))
    assert found["W"].state is State.RIGHT
    assert found["W"].note == "read as rounded to 2 decimals"
    off = np.round(by_hand()["W"], 2)
    off[1, 1] += 0.02  # a forward value that was rounded to 2 decimals does that
    assert marked(W=off)["W"].state is State.UNDECIDED
    off[1, 1] += 0.2
    assert marked(W=off)["W"].state is State.WRONG


@pytest.mark.parametrize("place", [(0, 0), (0, 1), (1, 0)])
@pytest.mark.parametrize("off", [0.25, -0.25])
def test_what_was_given_in_full_was_not_rounded_on_the_way(place, off):
    """Rounding after every step moves δW by as much, but would show in the δ it is made of."""
    wrong = np.round(by_hand()["W"], 2)
    wrong[place] += off
    alone = check(net, X, W, b, T, gradients={"W": wrong}, judges=[], decimals=2)
    assert alone.marks[0].state is State.UNDECIDED
    assert marked(W=wrong)["W"].state is State.WRONG


def test_a_gradient_of_something_unused_must_be_zero():
    def f(x, unused):
        return np.sum(x)

    report = check(f, np.ones(2), np.ones(2), gradients={"unused": np.ones(2)})
    assert str(report.marks[0]) == (
        "δunused is wrong (the result does not depend on it: its gradient is 0)"
    )


def test_a_result_that_is_no_scalar_gets_several_uneven_cotangents():
    report = check(lambda X: (np.sin(X), np.sum(X, axis=0)), X)
    assert report, report
    assert report.notes[0] == "3 random δ were given to the result"


def test_an_all_ones_cotangent_would_have_hidden_this():
    from allbps.ops.activation import softmax_op

    assert check(lambda X: softmax_op(X, axis=1), X)


def test_float32_arguments_are_checked_on_a_float64_copy():
    report = check(lambda X: np.sum(np.sin(X)), X.astype(np.float32))
    assert report
    assert max(judge["max_error"] for judge in report.judges.values()) < 1e-7
    assert report.notes[0] == "checked on a float64 copy of the float32 arguments"


def test_containers_and_keywords_are_taken_as_they_are():
    def f(params, *, scale):
        return np.sum(params["W"] * scale) + params["b"][0]

    given = {"params": {"W": np.full((2, 2), 3.0)}}
    report = check(f, {"W": np.ones((2, 2)), "b": [1.0]}, scale=np.float64(3.0), gradients=given)
    assert report, report
    assert [mark.node for mark in report.marks] == ["params_W"]


def test_gradients_without_a_loss_need_a_cotangent():
    with pytest.raises(ArgumentError) as caught:
        check(lambda X: X * 2.0, X, gradients={"X": X})
    assert str(caught.value) == (
        "net does not return a scalar, so gradients= belong to a δ of its result\n"
        "  expected: cotangent=, shaped like the result\n"
        "  got:      y of shape (4, 3)"
    )


def test_a_cotangent_must_be_shaped_like_the_result():
    with pytest.raises(ShapeError) as caught:
        check(lambda X: X * 2.0, X, cotangent=(X, X))
    assert str(caught.value) == (
        "the cotangent is not a container like the result\n"
        "  expected: (4, 3)\n"
        "  got:      ((4, 3), (4, 3))"
    )


def test_a_gradient_of_an_unknown_name_is_refused():
    with pytest.raises(NameUnknownError) as caught:
        check(net, X, W, b, T, gradients={"Z3": X})
    assert str(caught.value).startswith("there is no 'Z3'\n  expected: one of X, W, b, T, Z1, Z2")


def test_arguments_that_are_not_finite_are_refused():
    with pytest.raises(NonFiniteError, match="a holds numbers that are not finite"):
        check(np.sum, np.array([1.0, np.nan]))


def test_elements_of_which_a_judge_has_no_finite_number_are_counted_in_words():
    pytest.importorskip("torch")
    report = check(lambda x: np.sum(np.hypot(x, x * 0)), np.array([1.0, 0.0, 2.0]))
    said = "torch has no finite number for 1 of 3 elements of δx; it says nothing about them"
    assert said in report.notes
    report = check(lambda x: np.sum(np.hypot(x, x * 0)), np.array([1.0, 3.0, 2.0]))
    assert not [note for note in report.notes if "finite" in note]


@pytest.mark.parametrize(("slope", "passes"), [(4e-4, True), (6e-4, False), (2e-3, False)])
def test_zeros_are_right_only_where_the_right_gradient_rounds_to_zero(slope, passes):
    x = np.ones(3)
    report = check(
        lambda x, u: 0.5 * np.sum((u - 1.25) ** 2) + np.sum(slope * x), x, x,
        gradients={"u": x - 1.25, "x": np.zeros(3)}, decimals=3, judges=["expansion"],
    )  # fmt: skip
    marks = {mark.node: bool(mark) for mark in report.marks}
    assert marks == {"u": True, "x": passes}
    assert passes == ("forgotten one" in str(report))


def test_a_matrix_that_the_backward_pass_cannot_invert_is_said():
    def f(m):
        sign, size = np.linalg.slogdet(m)
        return sign * np.exp(size)

    with pytest.raises(SingularError, match="singular matrix") as caught:
        check(f, np.zeros((3, 3)))
    assert "np.linalg.inv" in str(caught.value)
