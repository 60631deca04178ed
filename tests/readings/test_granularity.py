"""A step for each operation, or for each line of the user's code; loops with headings."""

import numpy as np
import pytest

import allbps as bp
import allbps.functional as F
from allbps.errors import ArgumentError
from allbps.readings.derivation import headings


def logistic(X, w, b, y):
    z = X @ w + b
    p = F.sigmoid(z)
    loss = -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))
    return loss


def recurrent(xs, W, U, b):
    h = np.zeros(2)
    for t in range(3):
        h = np.tanh(U @ xs[t] + W @ h + b)
    return np.sum(h)


@pytest.fixture(scope="module")
def logreg():
    rng = np.random.default_rng(0)
    return bp.explain(
        logistic, wrt=["w", "b"], X=rng.normal(size=(4, 2)), w=rng.normal(size=2), b=0.1,
        y=np.array([1.0, 0.0, 1.0, 1.0]),
    )  # fmt: skip


@pytest.fixture(scope="module")
def rnn():
    rng = np.random.default_rng(1)
    return bp.explain(
        recurrent, wrt=["W"], xs=rng.normal(size=(3, 2)), W=rng.normal(size=(2, 2)),
        U=rng.normal(size=(2, 2)), b=rng.normal(size=2),
    )  # fmt: skip


def test_three_lines_are_three_steps_and_no_temporary_is_left(logreg):
    derived = logreg.shown(by="line").derivation
    assert [s.formula for s in derived.of_kind("forward")] == [
        "z = X w + b",
        "p = σ(z)",
        "loss = −mean(y ⊙ log(p) + (1 − y) ⊙ log(1 − p))",
    ]
    assert derived["dz"].formula == "δz = p ⊙ (1 − p) ⊙ δp"
    assert derived["dw"].formula == "δw = Xᵀ δz"
    assert "t₁" not in logreg.to_text(by="line")


def test_the_numbers_are_the_same_by_line_and_by_operation(logreg, rnn):
    for worked in (logreg, rnn):
        coarse, fine = worked.shown(by="line").derivation, worked.derivation
        assert 3 < len(coarse.steps) < len(fine.steps)
        for step in coarse:
            np.testing.assert_array_equal(step.value, fine[step.name].value)


def test_no_formula_becomes_longer_than_a_reader_can_follow():
    def long(x):
        return np.sum(np.tanh(sum((x * k + 1.0) * (x - k) for k in range(30))))

    steps = bp.explain(long, x=np.array([0.1, 0.2])).shown(by="line").derivation.steps
    assert max(len(step.formula) for step in steps) < 400


def test_an_unknown_granularity_is_refused(logreg):
    with pytest.raises(ArgumentError, match="unknown granularity 'chapter'"):
        logreg.to_text(by="chapter")


def turns(worked, section):
    """The headings of a section that tell of loops."""
    return [heading for heading in headings(dict(worked.derivation.sections())[section]) if heading]


def test_the_turns_of_a_loop_have_headings(rnn):
    assert turns(rnn, "Forward") == ["t = 0", "t = 1", "t = 2", "After the loop"]
    assert turns(rnn, "Backward") == ["t = 2", "t = 1", "t = 0", "Arguments"]
    assert "**t = 1**" in rnn.to_markdown()
    assert '<h4 class="turn">t = 2</h4>' in rnn.to_mathml()


def over_rows(xs, W):
    h = np.zeros(2)
    for x in xs:
        h = np.tanh(W @ h + x)
    return np.sum(h)


def in_pairs(xs, ys, W):
    loss = 0.0
    for x, y in zip(xs, ys, strict=True):
        loss = loss + np.sum((W @ x - y) ** 2)
    return loss


def over_labels(labels, W):
    s = 0.0
    for k in labels:
        s = s + np.sum(W[k] ** 2)
    return s


def over_layers(params, x):
    for W, b in params:
        x = np.tanh(W @ x + b)
    return np.sum(x)


def counted_rows(xs, W):
    h = np.zeros(2)
    for t, x in enumerate(xs):
        h = np.tanh(W @ h + x * t)
    return np.sum(h)


def repeated(x, W):
    k = 0
    while k < 2:
        x = W @ x
        k += 1
    for _ in range(2):
        x = np.tanh(x)
    return np.sum(x)


def from_the_end(xs, W):
    h = np.zeros(2)
    for x in xs[::-1]:
        h = np.tanh(W @ h + x)
    return np.sum(h)


def within_another(xs, W):
    s = 0.0
    for t in range(2):
        for x in xs:
            s = s + np.sum(W @ x) * (t + 1)
    return s


ROWS = np.array([[0.1, -0.2], [0.3, 0.4]])


@pytest.mark.parametrize(
    ("function", "arguments", "expected"),
    [
        (over_rows, {"xs": ROWS, "W": ROWS}, ["x = xs[0]", "x = xs[1]"]),
        (in_pairs, {"xs": ROWS, "ys": ROWS, "W": ROWS}, ["x = xs[0]", "x = xs[1]"]),
        (over_labels, {"labels": np.array([1, 0]), "W": ROWS}, ["k = labels[0]", "k = labels[1]"]),
        (
            over_layers,
            {"params": [(ROWS, ROWS[0])] * 2, "x": ROWS[0]},
            ["W, b = params[0]", "W, b = params[1]"],
        ),
        (counted_rows, {"xs": ROWS, "W": ROWS}, ["t = 0", "t = 1"]),
        (repeated, {"x": ROWS[0], "W": ROWS}, ["turn 1", "turn 2"] * 2),
        (
            from_the_end,
            {"xs": ROWS, "W": ROWS},
            ["turn 1", "turn 2"],
        ),
        (
            within_another,
            {"xs": ROWS, "W": ROWS},
            [f"t = {t}, x = xs[{k}]" for t in range(2) for k in range(2)],
        ),
    ],
)
def test_turns_without_a_counter_are_called_by_what_the_loop_goes_through(
    function, arguments, expected
):
    worked = bp.explain(function, wrt=["W"] if "W" in arguments else None, **arguments)
    forward, back = (turns(worked.shown(by="line"), x) for x in ("Forward", "Backward"))
    assert [x for x in forward if x != "After the loop"] == expected
    assert [x for x in back if x != "Arguments"] == expected[::-1]


def test_vectors_right_of_a_matrix_are_columns_and_products_show_their_factors(rnn):
    step = rnn.derivation["dh_1"]
    filled, result = step.numbers()
    assert step.formula.startswith("δh₁ = Wᵀ δt")
    assert np.shape(result.values) == (2, 1)
    assert filled.inline.count("[") == 2


def test_a_vector_left_of_a_matrix_is_a_row():
    derived = bp.explain(lambda v, W: np.sum(v @ W), v=np.ones(2), W=np.ones((2, 3))).derivation
    assert np.shape(derived["v"].numbers()[-1].values) == (2,)
    both = bp.explain(lambda v, W: v @ (W @ v), v=np.ones(2), W=np.eye(2)).derivation
    assert both["L"].formula == "L = vᵀ t₁"


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({}, "0.3333"),
        ({"digits": 7}, "0.3333333"),
        ({"decimals": 2}, "0.33"),
        ({"exact": True}, "1/3"),
    ],
)
def test_numbers_are_shown_as_asked(settings, text):
    worked = bp.explain(lambda x: x / 3, x=1.0).shown(**settings)
    assert worked.derivation["L"].numbers()[-1].inline == text


def test_limits_can_be_raised():
    worked = bp.explain(lambda x: np.sum(x**2), x=np.ones((10, 10)))
    assert worked.derivation["x"].summary
    assert not worked.shown(side=10).derivation["x"].summary
    with pytest.raises(ArgumentError, match="digits must be at least 1"):
        worked.shown(digits=0)


def test_names_in_a_dict_go_by_their_keys_and_hats_are_hats():
    def net(params, x):
        y_hat = x @ params["W_in"]
        return np.sum(y_hat)

    worked = bp.explain(net, wrt=["W_in"], params={"W_in": np.ones((2, 1))}, x=np.ones((1, 2)))
    assert worked["y_hat"].forward == "ŷ = x W_in"
    assert worked.derivation["dparams_W_in"].formula == "δW_in = xᵀ δŷ"


def squash(v):
    total = v * 0
    for k in range(2):
        total = total + v**k
    return 1 / (1 + np.exp(-v)) + 0 * total


def squashing(W, xs):
    h = np.zeros(2)
    for t in range(2):
        h = squash(W @ h + xs[t])
    return np.sum(h)


def test_by_line_a_value_stands_on_the_line_of_its_variable_in_the_turn_that_made_it():
    w = bp.explain(squashing, np.eye(2), np.ones((2, 2))).shown(by="line")
    first, second = w.derivation["h_1"].site, w.derivation["h_2"].site
    assert {first.text, second.text} == {"h = squash(W @ h + xs[t])"}
    assert (first.turn, second.turn) == ("t = 0", "t = 1")
    by_operation = w.shown(by="operation").derivation["h_1"].site
    assert by_operation.text.startswith("return 1 / (1")
