"""Fractions, roots, logarithms and multiples of π are found where they are exact, else not."""

import math

import numpy as np
import pytest

from allbps.readings.exact import exact_form, exact_value

FORMS = {
    "1/3": 1 / 3, "−2/7": -2 / 7, "√2": 2**0.5, "√(1/2)": 0.5**0.5, "√(2/π)": (2 / math.pi) ** 0.5,
    "√(2π)": (2 * math.pi) ** 0.5, "ln 5": math.log(5), "−ln 2": -math.log(2), "π": math.pi,
    "3π/4": 3 * math.pi / 4, "2/√π": 2 / math.pi**0.5, "2 √3": 12**0.5, "√3/2": 0.75**0.5,
    "1/√(2π)": (2 * math.pi) ** -0.5, "√(2/(3π))": (2 / (3 * math.pi)) ** 0.5,
    "√(2/3)": (2 / 3) ** 0.5,
    "ln(5/3)": math.log(5 / 3), "√π": math.pi**0.5, "√(3/(4π))": (3 / (4 * math.pi)) ** 0.5,
    "1/√π": math.pi**-0.5, "√(π/2)": (math.pi / 2) ** 0.5,
}  # fmt: skip


@pytest.mark.parametrize(("text", "value"), FORMS.items())
def test_an_exact_number_is_written_as_what_it_is_and_read_back(text, value):
    assert exact_form(value, 4) == text
    assert exact_value(text) == pytest.approx(value, rel=1e-15)


def test_numbers_that_happen_to_be_near_are_not_taken_for_exact_ones():
    drawn = np.random.default_rng(0).normal(size=2000)
    assert [x for x in drawn if exact_form(float(x), 4)] == []
    assert exact_form(1 / 3 + 1e-12, 4) == ""


@pytest.mark.parametrize("text", ["0.5", "−3", "nan", "∞", "1.2·10⁻⁹", "0"])
def test_other_numerals_are_left_to_the_reader_of_digits(text):
    assert exact_value(text) is None
