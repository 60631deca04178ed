"""What is printed is true: every equation of the lecture, read back as arithmetic.

The reader (``_arithmetic.py``) knows what a person knows of the notation, nothing of
the package. What it cannot read, such as a pooling whose window is not on the line, it leaves out.
ALLBPS_SEEDS=200 reads that many seeds instead of a few.
"""

import importlib.util
import os
from pathlib import Path

import numpy as np
import pytest

from allbps.lecture import NAMES, system
from allbps.mathematics.plain import inline

SPEC = importlib.util.spec_from_file_location(
    "arithmetic", Path(__file__).with_name("_arithmetic.py")
)
arithmetic = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(arithmetic)
UnreadError, in_shape_of, read = arithmetic.UnreadError, arithmetic.in_shape_of, arithmetic.read
read_array, read_number = arithmetic.read_array, arithmetic.read_number
SEEDS = [None, *range(int(os.environ.get("ALLBPS_SEEDS", "4")))]


def as_printed(math):
    """The formula as text, a private sign for each array, and what the signs stand for."""
    arrays = {}

    def piece(matrix):
        sign = chr(0xF0000 + len(arrays))
        arrays[sign] = matrix.values
        return sign

    return inline(math, piece), arrays


def read_result(written):
    """The numbers on the right, and half of what their last place is worth."""
    text, arrays = as_printed(written)
    texts = np.asarray(arrays.get(text, text), object)
    half = [0.5 * _last_place(str(t)) for t in texts.flat]
    return read_array(texts), np.reshape(half, texts.shape)


def _last_place(text):
    mantissa, _, power = text.partition("·10")
    scale = read_number(f"1·10{power}") if power else 1.0
    return scale / 10 ** len(mantissa.partition(".")[2])


def is_true(filled, result):
    """Does the left side as printed give the right side to half of its last place?"""
    found = read(*as_printed(filled))
    want, half = read_result(result)
    off = np.abs(in_shape_of(found, want) - want)
    return bool(np.all(off <= half * (1 + 1e-6) + 1e-12)), found


@pytest.mark.parametrize("name", NAMES)
def test_the_printed_digits_of_every_equation_give_its_printed_result(name):
    unread, count = [], 0
    for seed in SEEDS:
        for example in system(name).examples:
            for step in example.work(seed).derivation.steps:
                numbers = step.numbers()
                if len(numbers) < 2:
                    continue
                count += 1
                filled, result = numbers
                try:
                    true, got = is_true(filled, result)
                except UnreadError:
                    unread.append(step.formula)
                    continue
                assert true, (
                    f"seed {seed}: {step.formula} = {filled.inline} = {result.inline}: {got}"
                )
    windows = {"y = maxpool(x)", "p = maxpool(z)", "O = maxpool(K)"}
    assert set(unread) <= windows, "equations that a reader cannot follow"
    assert count > len(unread)


ONE, TWO = "\U000f0000", "\U000f0001"
SAID = {
    f"½ ‖{ONE} − {TWO}‖²": 2.5,
    f"log Σ exp({ONE})": 3.126928,
    f"{ONE} ⊙ ({TWO} + 1)": [3, 6],
    f"Σ {ONE} ⊙ {TWO}": 5,
    "(3 − 1) 𝟏 / 4": 0.5,
    "2 if 1 > 0, else 5": 2,
    "−2 (3 − 1)²": -8,
    "2 · 3 / 4 − (−1)": 2.5,
}


@pytest.mark.parametrize("text", SAID)
def test_the_reader_reads(text):
    arrays = {ONE: ["1", "3"], TWO: ["2", "1"]}
    np.testing.assert_allclose(read(text, arrays), SAID[text], rtol=1e-6)


def test_the_reader_notices_a_wrong_last_digit():
    step = next(
        s for s in next(system("scalar-net").examples).work(1).derivation if s.name == "dZ2"
    )
    filled, result = step.numbers()
    assert is_true(filled, result)[0]
    want, half = read_result(result)
    found = read(*as_printed(filled))
    assert abs(found - (want + 2 * half)) > half
