"""What is only the rounding of terms that cancel is shown as 0, and said to be."""

import json

import numpy as np
import pytest

import allbps as bp


def softmax_by_hand(z):
    e = np.exp(z - np.max(z))
    p = e / np.sum(e)
    return -np.log(p[1])


LOGITS = np.array([0.3, -0.2, 0.9])


@pytest.fixture
def softmax():
    return bp.explain(softmax_by_hand, LOGITS)


def test_the_delta_of_the_maximum_that_is_taken_off_is_0(softmax):
    step = softmax.derivation["dz_1"]
    assert not np.any(step.value)
    assert "0 but for rounding" in step.because
    assert "10⁻¹" not in softmax.to_text()


def test_the_picture_and_the_json_say_the_same(softmax):
    steps = {step["name"]: step for step in json.loads(softmax.to_json())["steps"]}
    assert steps["dz_1"]["value"] == [0.0, 0.0, 0.0]
    assert "e-1" not in softmax.to_svg()
    assert "10⁻¹" not in softmax.to_svg()


def test_the_number_itself_stays_what_it_was(softmax):
    np.testing.assert_array_equal(softmax.values["dz"], softmax["z"].delta)
    raw = softmax.values["dz_1"]
    assert 0 < np.max(np.abs(raw)) < 1e-12


def test_a_small_number_that_is_no_rounding_stays():
    w = bp.explain(lambda x: np.sum(x * 1e-17), np.array([0.5, 2.0]))
    assert "rounding" not in w.to_text()
    assert "1·10⁻¹⁷" in w.to_text()


def test_a_forward_value_is_swept_too():
    def centred(x):
        mean = np.mean(x)
        rest = x - mean
        again = np.mean(rest)
        return again * 2.0

    w = bp.explain(centred, np.array([0.1, 0.2, 0.4]))
    assert abs(w.values["again"]) > 0
    assert "0 but for rounding" in w.derivation["again"].because


def test_one_element_beside_larger_ones_is_left():
    def f(x):
        y = np.stack([x[0] + x[1] - x[0] - x[1], x[0]])
        return np.sum(y)

    w = bp.explain(f, np.array([0.1, 0.7]))
    assert "rounding" not in w.derivation["y"].because
