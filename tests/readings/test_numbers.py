import numpy as np
import pytest

from allbps.mathematics.arrays import slices
from allbps.readings.numbers import cells, coefficient, is_small, number, summary


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (2.0, "2"),
        (-0.0, "0"),
        (0.1 + 0.2, "0.3"),
        (-1.5, "−1.5"),
        (0.7310585786, "0.7311"),
        (27.625, "27.62"),
        (123456.0, "123456"),
        (12345.6, "12346"),
        (2.5e12, "2.5·10¹²"),
        (1.2e-9, "1.2·10⁻⁹"),
        (5e-324, "4.941·10⁻³²⁴"),
        (np.nan, "nan"),
        (-np.inf, "−∞"),
        (True, "1"),
        (np.int64(-7), "−7"),
    ],
)
def test_one_number(value, text):
    assert number(value) == text


def test_an_array_has_one_precision_without_zeros_at_the_end():
    assert cells(np.array([0.5, 0.25, 2.0])).tolist() == ["0.50", "0.25", "2.00"]


def test_integers_stay_integers_and_exact_zeros_are_bare():
    assert cells(np.array([3.0, -12.0, 0.0])).tolist() == ["3", "−12", "0"]
    assert cells(np.array([0.5, 0.0, -0.0])).tolist() == ["0.5", "0", "0"]


def test_what_is_not_zero_is_never_shown_as_zero():
    assert cells(np.array([1.25, 1e-17])).tolist() == ["1.25", "1·10⁻¹⁷"]


def test_small_numbers_beside_large_ones_keep_two_digits():
    assert cells(np.array([123.4, 0.5678])).tolist() == ["123.40", "0.57"]


def test_tiny_arrays_are_powers_of_ten_throughout():
    assert cells(np.array([1e-5, 2.5e-7])).tolist() == ["1·10⁻⁵", "2.5·10⁻⁷"]


def test_float32_shows_no_noise():
    assert number(np.float32(0.1)) == "0.1"


def test_coefficients_keep_six_digits():
    assert coefficient(0.044715) == "0.044715"


def test_the_summary_of_an_array_too_large_to_print():
    rng = np.random.default_rng(0)
    value = rng.uniform(-1, 1, (64, 10))
    value[3, 4], value[5, 6] = -1.2, 3.4
    norm = number(np.linalg.norm(value))
    assert summary(value) == f"shape (64, 10), from −1.2 to 3.4, norm {norm}"


def test_the_summary_counts_what_is_not_finite():
    assert summary(np.array([1.0, np.nan, np.inf, 3.0])) == (
        "shape (4,), from 1 to 3, 1 nan, 1 infinite"
    )
    assert summary(np.zeros((0, 3))) == "shape (0, 3), empty"


def test_which_arrays_are_small():
    assert is_small(np.zeros((8, 8)))
    assert is_small(np.zeros((2, 2, 4, 4)))
    assert not is_small(np.zeros((9, 1)))
    assert not is_small(np.zeros((5, 5, 5)))
    assert not is_small(np.zeros(0))


def test_slices_are_labelled_by_their_leading_axes():
    labels = [label for label, _ in slices(np.zeros((2, 1, 3, 3)))]
    assert labels == ["[0, 0]", "[1, 0]"]
