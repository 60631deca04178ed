"""What the living page is told: the derivation of what was asked, or a mistake in words."""

import textwrap

import numpy as np
import pytest

import allbps as bp
from allbps.lecture import NAMES

pytest.importorskip("lark")
from allbps.serve.derive import answer

NET = """
    import numpy as np
    import allbps.functional as F

    def net(X, params, labels):
        return F.cross_entropy(F.relu(X @ params["W"] + params["b"]), labels)

    net_inputs = {
        "X": np.array([[1.0, 2.0], [0.5, -1.0]]),
        "params": {"W": np.array([[1.0, -1.0, 0.5], [0.5, 1.0, 2.0]]), "b": np.zeros(3)},
        "labels": np.array([0, 2]),
    }

    def vector(x):
        return x * x

    x = np.array([1.0, 2.0])

    def broken(x):
        return x / undefined
"""


@pytest.fixture
def target(tmp_path):
    file = tmp_path / "net.py"
    file.write_text(textwrap.dedent(NET))
    return f"{file}:net"


def shown(answered):
    assert "error" not in answered, answered["error"]
    return {array["key"]: array for array in answered["arrays"]}


def test_every_system_of_the_lecture_shows_its_page():
    for name in NAMES:
        arrays = shown(found := answer({"source": name}, ""))
        assert 'class="walk"' in found["html"]
        assert found["remark"] == ""
        assert any(array["values"] is not None for array in arrays.values())


def test_a_seed_draws_other_numbers_and_the_same_ones_again():
    first = answer({"source": "residual", "seed": 1}, "")
    assert first == answer({"source": "residual", "seed": 1}, "")
    own, drawn = shown(answer({"source": "residual"}, "")), shown(first)
    assert own["0/x"]["values"] != drawn["0/x"]["values"]
    assert own["0/δz"]["values"] != drawn["0/δz"]["values"]


def test_a_changed_number_is_the_one_that_is_derived():
    found = answer({"source": "scalar-net", "numbers": {"0/W1": 0.25}}, "")
    assert shown(found)["0/W1"]["values"] == 0.25
    assert "0.25" in found["html"]


def test_text_that_need_not_hold_for_the_readers_numbers_is_said_to():
    found = answer({"source": "relu", "numbers": {"0/x": [-1.0, -1.0, -1.0, -1.0]}}, "")
    assert "need not hold" in found.get("remark", "") or "error" in found


def test_a_changed_shape_draws_numbers_and_a_delta_that_fit():
    arrays = shown(answer({"source": "residual", "sizes": {"0/x": [3, 5]}}, ""))
    assert arrays["0/x"]["shape"] == arrays["0/δz"]["shape"] == [3, 5]


def test_the_users_file_with_its_containers_and_labels(target):
    arrays = shown(answer({"source": "file"}, target))
    assert [*arrays] == ["X", "params.W", "params.b", "labels"]
    changed = {"source": "file", "numbers": {"params.b": [1, 2, 3]}, "seed": 4}
    again = shown(answer(changed, target))
    assert again["params.b"]["values"] == [1, 2, 3]
    assert again["labels"]["values"] == [0, 2]  # whole numbers are not drawn anew
    assert again["X"]["values"] != arrays["X"]["values"]


def test_a_result_that_is_not_a_number_is_given_a_delta(target):
    arrays = shown(answer({"source": "file"}, target.replace(":net", ":vector")))
    (delta,) = [array for key, array in arrays.items() if key.startswith("δ")]
    assert delta["shape"] == [2]
    assert np.any(delta["values"])


def test_a_mistake_in_the_users_file_is_said_with_its_line(target):
    error = answer({"source": "file"}, target.replace(":net", ":broken"))["error"]
    assert "NameError" in error["what"]
    assert "return x / undefined" in error["where"]


def test_the_files_to_watch_are_the_users_own(target, tmp_path):
    assert answer({"source": "file"}, target)["files"] == [str(tmp_path / "net.py")]
    assert answer({"source": "relu"}, "")["files"] == []


def test_a_formula_derives_what_explain_does():
    found = answer({"source": "formula", "formula": "sum(X ⊙ X)", "numbers": {"X": [[1, 2]]},
                    "shapes": "X: 1×2"}, "")  # fmt: skip
    assert shown(found)["X"]["values"] == [[1, 2]]
    w = bp.explain(lambda X: (X * X).sum(), X=np.array([[1.0, 2.0]]))
    assert w["X"].delta.tolist() == [[2, 4]]


WRONG = [
    [],
    {"source": 3},
    {"source": "x" * 2000},
    {"source": "nothing"},
    {"source": "../../etc/passwd"},
    {"source": "file"},
    {"source": "relu", "seed": -1},
    {"source": "relu", "seed": 1.5},
    {"source": "relu", "seed": True},
    {"source": "relu", "numbers": {"0/x": [1, 2]}},
    {"source": "relu", "numbers": {"0/x": ["a"]}},
    {"source": "relu", "numbers": {"0/x": [float("nan")]}},
    {"source": "relu", "numbers": [1]},
    {"source": "relu", "sizes": {"0/x": [0]}},
    {"source": "relu", "sizes": {"0/x": [200, 200]}},
    {"source": "relu", "sizes": {"0/x": ["3"]}},
    {"source": "relu", "sizes": {"0/x": [1] * 20}},
    {"source": "formula", "formula": "X W", "shapes": "X 2 by 3"},
    {"source": "formula", "formula": "X W", "shapes": "X: 2×2×2"},
]


@pytest.mark.parametrize("asked", WRONG, ids=str)
def test_a_request_that_is_none_is_answered_in_words(asked):
    error = answer(asked, "")["error"]
    assert error["what"]
    assert "allbps failed" not in error["what"]


@pytest.mark.parametrize(
    ("asked", "what"),
    [
        ({"shapes": "X: 1000000000×2"}, "X is too large"),
        ({"shapes": f"X: {'9×' * 300}9"}, "a shape cannot be read"),
        ({"sizes": {"X": [1] * 30}}, "X has too many axes"),
        ({"sizes": {"X": [10**9, 10**9]}}, "X is too large to change here"),
        ({"numbers": {"X": [[[[[[[[[[1.0]]]]]]]]]]}}, "X has too many axes"),
    ],
)
def test_a_size_beyond_the_limits_is_named_for_what_it_is(asked, what):
    error = answer({"source": "formula", "formula": "X W"} | asked, "")["error"]
    assert error["what"] == what
    assert len(error["got"]) <= 60
