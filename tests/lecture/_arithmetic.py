"""A reader of printed equations: what a person knows of the notation, and nothing of the package.

``read(text, arrays)`` computes what a line of mathematics says; ``UnreadError`` names what it does
not know. Arrays stand in the text as private signs, one each.
"""

import math
import re

import numpy as np

TOKEN = re.compile(
    r"(?P<number>\d+(?:\.\d+)?(?:·10[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)?|½|𝟏)|(?P<array>[\U000F0000-\U000F7FFF])"
    r"|(?P<sum>Σₖ?)|(?P<rows>ₖ,:)|(?P<columns>:,ₖ)|(?P<square>²)|(?P<root>√)|(?P<turned>ᵀ)"
    r"|(?P<word>[A-Za-zσ]+)|(?P<sign>[−+·⊙*/(),‖>])|(?P<space> )"
)
STARTS = ("number", "array", "word", "sum", "root")
"""What an operand begins with."""
DIGITS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")


class UnreadError(Exception):
    """A sign or a word that the reader does not know."""


def read_number(text):
    if text in ("½", "𝟏"):
        return {"½": 0.5, "𝟏": 1.0}[text]
    mantissa, _, power = text.replace("\N{COMBINING LOW LINE}", "").partition("·10")
    return float(mantissa.replace("−", "-")) * 10.0 ** int(power.translate(DIGITS) or 0)


def read_array(texts):
    return np.vectorize(read_number, otypes=[float])(np.asarray(texts, object))


def softmax(x):
    powers = np.exp(x - np.max(x, axis=-1, keepdims=True))
    return powers / np.sum(powers, axis=-1, keepdims=True)


def cross_entropy(logits, labels):
    return -np.sum(labels * np.log(softmax(logits)), axis=-1).mean()


def windows(image, kernel):
    """J(i, j) = Σ I(i+l−1, j+m−1) K(l, m)."""
    views = np.lib.stride_tricks.sliding_window_view(image, kernel.shape)
    return np.einsum("ijlm,lm->ij", views, kernel)


FUNCTIONS = {
    "σ": lambda x: 1 / (1 + np.exp(-x)),
    "log": np.log,
    "exp": np.exp,
    "ReLU": lambda x: np.maximum(x, 0),
    "GELU": lambda x: x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2))),
    "softmax": softmax,
    "CE": cross_entropy,
    "norm": lambda x: (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5),
    "mean": lambda x: np.mean(x, axis=-1, keepdims=np.ndim(x) > 1),
}


def read(text, arrays):
    """The value of the formula; arrays of numerals, or of places ``(row, column)``."""
    if where := re.fullmatch(r"(.+) if (.+), else (.+)", text):
        value, condition, other = (read(part, arrays) for part in where.groups())
        return np.where(condition, value, other)
    if placed := re.fullmatch(r"(.) at (.), else 0", text):
        return _Scattered(read(placed[1], arrays), np.asarray(arrays[placed[2]], object))
    return _Reader(text, arrays).whole()


class _Scattered:
    """Numbers at places, and 0 elsewhere, in an array of a shape that the result tells."""

    def __init__(self, numbers, places):
        self.numbers, self.places = numbers, places

    def in_shape(self, shape):
        found = np.zeros(shape)
        for number, place in zip(self.numbers.flat, self.places.flat, strict=True):
            found[tuple(int(k) - 1 for k in re.findall(r"\d+", str(place)))] += number
        return found


def in_shape_of(found, want):
    """What was read, to be compared with the printed result."""
    if isinstance(found, _Scattered):
        return found.in_shape(np.shape(want))
    return np.reshape(found, np.shape(want)) if np.size(found) == np.size(want) else found


class _Reader:
    """Precedence from loose to tight: sum, product, factor with what is raised and lowered."""

    def __init__(self, text, arrays):
        if rest := TOKEN.sub("", text):
            raise UnreadError(rest)
        found = [(m.lastgroup, m[0]) for m in TOKEN.finditer(text)]
        self.tokens = [token for token in found if token[0] != "space"]
        self.arrays = arrays
        self.in_norm = False

    def whole(self):
        value = self.comparison()
        if self.tokens:
            raise UnreadError(self.tokens[0][1])
        return value

    def sees(self, *signs):
        return bool(self.tokens) and self.tokens[0][1] in signs

    def take(self):
        if not self.tokens:
            raise UnreadError("the end")
        return self.tokens.pop(0)

    def closing(self, sign):
        if self.take()[1] != sign:
            raise UnreadError(f"no {sign}")

    def comparison(self):
        value = self.sum()
        if self.sees(">"):
            self.take()
            value = value > self.sum()
        return value

    def sum(self):
        value = self.product()
        while self.sees("+", "−"):
            _, sign = self.take()
            term = self.product()
            value = value + term if sign == "+" else value - term
        return value

    def product(self):
        if self.sees("−"):
            self.take()
            return -self.product()
        value = self.factor()
        while self.tokens:
            kind, sign = self.tokens[0]
            if sign in ("⊙", "·", "*", "/"):
                self.take()
                value = self.joined(sign, value, self.factor())
            elif kind in STARTS or sign == "(" or (sign == "‖" and not self.in_norm):
                value = self.joined("", value, self.factor())
            else:
                break
        return value

    def joined(self, sign, left, right):
        both = np.ndim(left) and np.ndim(right)
        if sign == "*":
            return windows(left, right)
        if sign == "/":
            return left / right
        return left @ right if both and not sign else left * right

    def factor(self):
        kind, sign = self.take()
        if kind == "sum":
            return self.total(sign)
        if kind == "number":
            value = np.float64(read_number(sign))
        elif kind == "array":
            value = read_array(self.arrays[sign])
        elif kind == "word":
            value = self.applied(sign)
        elif kind == "root":
            value = np.sqrt(self.factor())
        elif sign == "(":
            value = self.comparison()
            self.closing(")")
        elif sign == "‖":
            self.in_norm = True
            value = np.sqrt(np.sum(self.sum() ** 2))
            self.closing("‖")
            self.in_norm = False
        else:
            raise UnreadError(sign)
        while self.tokens and self.tokens[0][0] in ("square", "turned"):
            value = value**2 if self.take()[0] == "square" else np.swapaxes(value, -1, -2)
        return value

    def total(self, sign):
        """``Σ x``; ``Σₖ xₖ,:`` and ``Σₖ x:,ₖ``, which stays upright."""
        if sign == "Σ":
            return np.sum(self.product())
        value = self.factor()
        axis = {"rows": 0, "columns": 1}.get(self.take()[0])
        if axis is None:
            raise UnreadError("an index that is not summed")
        return np.sum(value, axis=axis, keepdims=axis == 1)

    def applied(self, name):
        if name not in FUNCTIONS:
            raise UnreadError(name)
        if not self.sees("("):  # log of what stands behind it
            return FUNCTIONS[name](self.product())
        self.take()
        operands = [self.sum()]
        while self.sees(","):
            self.take()
            operands.append(self.sum())
        self.closing(")")
        return FUNCTIONS[name](*operands)
