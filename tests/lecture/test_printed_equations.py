"""What is printed is true: every equation of the lecture, read back as arithmetic.

The reader below knows what a person knows of the notation and nothing of the package. What it
cannot read, such as a pooling, it leaves out and counts.
ALLBPS_SEEDS=200 reads that many seeds instead of a few.
"""

import math
import os
import re

import numpy as np
import pytest

from allbps.lecture import NAMES, system
from allbps.mathematics.plain import inline

SEEDS = [None, *range(int(os.environ.get("ALLBPS_SEEDS", "4")))]
UNREAD = re.compile(r"into|at|pool|pad|norm|broadcast|softmax|CE|\*|ᵀ|\[\d")
FUNCTIONS = {
    "σ": lambda x: 1 / (1 + np.exp(-x)),
    "log": np.log,
    "exp": np.exp,
    "ReLU": lambda x: np.maximum(x, 0),
    "N": lambda x: np.sum(x**2),  # the square of a norm
    "GELU": lambda x: x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2))),
}


class Value:
    """A number or array; ``@`` is two factors side by side, matrices or numbers."""

    def __init__(self, x):
        self.x = np.asarray(x)

    def __matmul__(self, other):
        both = self.x.ndim and other.x.ndim
        return Value(self.x @ other.x if both else self.x * other.x)

    def __mul__(self, other):
        return Value(self.x * other.x)

    def __truediv__(self, other):
        return Value(self.x / other.x)

    def __add__(self, other):
        return Value(self.x + other.x)

    def __sub__(self, other):
        return Value(self.x - other.x)

    def __neg__(self):
        return Value(-self.x)


def squared(v):
    return Value(v.x**2)


def read_number(text):
    mantissa, _, power = text.partition("·10")
    digits = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
    return float(mantissa.replace("−", "-")) * 10.0 ** int(power.translate(digits) or 0)


def read_array(texts):
    return np.vectorize(read_number, otypes=[float])(np.asarray(texts, object))


TOKEN = re.compile(
    r"(?P<number>\d+(?:\.\d+)?(?:·10[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)?|½)|(?P<piece>[\U000F0000-\U000F7FFF])"
    r"|(?P<function>σ|log|exp|ReLU|GELU|N)|(?P<sign>[−+·⊙/()²])|(?P<sum>ₖ,:)|(?P<space> )"
)


def as_printed(math):
    """The formula as text, a private sign for each array, and what the signs stand for."""
    arrays = {}

    def piece(matrix):
        sign = chr(0xF0000 + len(arrays))
        arrays[sign] = matrix.values
        return sign

    return inline(math, piece), arrays


def as_python(text):
    """The printed formula as a Python expression over Values; None where it cannot be read."""
    text = re.sub("‖([^‖]+)‖²", r"N(\1)", text)
    if UNREAD.search(text) or TOKEN.sub("", text):
        return None
    total = re.fullmatch(r"Σₖ (.*)ₖ,:", text)
    if total:
        inner = as_python(total[1])
        return inner and f"Value(np.sum(({inner}).x, axis=0))"
    if text.startswith("Σ "):
        inner = as_python(text[2:])
        return inner and f"Value(np.sum(({inner}).x))"
    if "Σ" in text or "ₖ" in text:
        return None
    parts, operand = [], False  # does an operand stand just before?
    for found in TOKEN.finditer(text):
        kind, sign = found.lastgroup, found[0]
        if kind == "space":
            continue
        opens = kind in ("number", "piece", "function") or sign == "("
        if opens and operand:
            parts.append("@")
        if kind == "number":
            parts.append(f"Value({0.5 if sign == '½' else read_number(sign)})")
        elif kind == "piece":
            parts.append(f"Value(arrays[{sign!r}])")
        elif kind == "function":
            parts.append(f"call_{sign}")
        else:
            parts.append(
                {"−": "-", "+": "+", "·": "*", "⊙": "*", "/": "/", "²": "²"}.get(sign, sign)
            )
        operand = kind in ("number", "piece") or sign in ")²"
    return with_powers(parts)


def with_powers(parts):
    """``x²`` as a call around what stands before it."""
    done = []
    for part in parts:
        if part != "²":
            done.append(part)
            continue
        depth, start = 0, len(done)
        while start:
            start -= 1
            depth += (done[start] == ")") - (done[start] == "(")
            if depth == 0:
                break
        if start and done[start - 1].startswith("call_"):
            start -= 1
        done[start:] = [f"squared({' '.join(done[start:])})"]
    return " ".join(done)


def evaluated(expression, arrays):
    calls = {f"call_{name}": lambda v, f=f: Value(f(v.x)) for name, f in FUNCTIONS.items()}
    scope = {
        "np": np, "Value": Value, "squared": squared,
        "arrays": {piece: read_array(texts) for piece, texts in arrays.items()}, **calls,
    }  # fmt: skip
    return eval(expression, scope).x


def read_result(written):
    """The numbers on the right, and half of what their last place is worth."""
    text, arrays = as_printed(written)
    texts = arrays.get(text, text)
    places = [
        len(t.partition("·10")[0].partition(".")[2]) for t in np.ravel(np.asarray(texts, object))
    ]
    powers = [t.partition("·10")[2] for t in np.ravel(np.asarray(texts, object))]
    scale = [read_number(f"1·10{p}") if p else 1.0 for p in powers]
    half = [0.5 * s / 10**k for s, k in zip(scale, places, strict=True)]
    return read_array(texts), np.reshape(half, np.shape(texts))


@pytest.mark.parametrize("name", NAMES)
def test_the_printed_digits_of_every_equation_give_its_printed_result(name):
    read = count = 0
    for seed in SEEDS:
        for example in system(name).examples:
            for step in example.work(seed).derivation.steps:
                numbers = step.numbers()
                if len(numbers) < 2:
                    continue
                count += 1
                filled, result = numbers
                text, arrays = as_printed(filled)
                expression = as_python(text)
                if expression is None:
                    continue
                read += 1
                got = evaluated(expression, arrays)
                want, half = read_result(result)
                off = np.abs(got - want)
                assert np.all(off <= half * (1 + 1e-6) + 1e-12), (
                    f"seed {seed}: {step.formula} = {filled.inline} = {result.inline}: got {got}"
                )
    if name not in ("max-pooling", "relu", "convolution", "residual"):
        assert read >= 0.4 * count, f"only {read} of {count} equations could be read"


def test_the_reader_notices_a_wrong_last_digit():
    step = next(
        s for s in next(system("scalar-net").examples).work(1).derivation if s.name == "dZ2"
    )
    filled, result = step.numbers()
    want, half = read_result(result)
    text, arrays = as_printed(filled)
    got = evaluated(as_python(text), arrays)
    assert abs(got - want) <= half * (1 + 1e-6)
    assert abs(got - (want + 2 * half)) > half
