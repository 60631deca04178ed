"""An operation's own NumPy text read as arithmetic on one element.

Which operations work element by element is not listed anywhere: it is those whose text can be
read here. ``np.where({condition}, {a}, {b})`` becomes ``select(c, a, b)``, a truth value in a sum
becomes 1 or 0, and a text with a word that is not in the vocabulary is refused. Where the result is
a whole number, whole operands are computed with as they are, in 64 bits.
"""

from __future__ import annotations

import ast
import functools
import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from allbps.ir import Node

REAL, BOOL, INT = "Real", "Bool", "Int"

#: Module -> the words and formulas of Reals that NumPy has a function for, by their names there.
FORMULAS = {
    "language.words": {
        "np.sqrt": "sqrt", "np.abs": "absolute", "np.rint": "nearest", "np.maximum": "maximum",
        "np.floor": "floor", "np.ceil": "ceil", "np.trunc": "trunc", "np.copysign": "copysign",
        "np.fmod": "remainder",
    },
    "kernels.functions": {
        "np.exp": "exp", "np.log": "log", "np.tanh": "tanh", "special.erf": "erf",
        "sigmoid": "sigmoid",
    },
    "kernels.trigonometry": {
        f"np.{name}": name
        for name in ("sin", "cos", "tan", "arcsin", "arccos", "arctan", "arctan2", "hypot")
    },
    "kernels.logarithmic": {
        **{
            f"np.{name}": name
            for name in ("expm1", "log1p", "log2", "log10", "logaddexp", "sinh", "cosh",
                         "arcsinh", "arccosh", "arctanh")
        },
        "binary_cross_entropy": "binary_cross_entropy",
    },
    "kernels.entropy": {
        f"special.{name}": name
        for name in ("xlogy", "xlog1py", "entr", "logit", "pseudo_huber", "boxcox")
    },
    "kernels.normal": {
        f"special.{name}": name
        for name in ("erfc", "erfcx", "ndtr", "log_ndtr", "ndtri", "erfinv", "erfcinv")
    },
    "kernels.gammas": {
        "special.gammaln": "gammaln", "special.psi": "digamma", "special.zeta(2.0, …)": "trigamma",
    },
}  # fmt: skip
#: NumPy's name of a function, perhaps with the number that it begins with -> the word or formula.
FUNCTIONS = {numpy: name for table in FORMULAS.values() for numpy, name in table.items()}
#: What the text of a kernel that is written for a program may use -> its module.
VOCABULARY = {
    **{word: module for module, table in FORMULAS.items() for word in table.values()},
    **dict.fromkeys(
        ("lanes", "select", "real", "double", "is_nan", "fma", "kernel"), "language.words"
    ),
    **dict.fromkeys(("INFINITY", "NAN"), "kernels.functions"),
    **dict.fromkeys(("power", "modulo", "floor_quotient"), "kernels.logarithmic"),
    **dict.fromkeys(
        ("quotient", "remainder_of", "cut_to_64", "cut_to_32", "at_place"), "kernels.whole"
    ),
    "pad_image": "kernels.conv",
}
COMPARISONS = {
    ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!=",
}  # fmt: skip
ARITHMETIC = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}
QUOTIENTS = {ast.Mod: "modulo", ast.FloorDiv: "floor_quotient"}
WHOLE_QUOTIENTS = {ast.Mod: ("%", "remainder_of"), ast.FloorDiv: ("//", "quotient")}
LOGICAL = {"np.logical_and": "&", "np.logical_or": "|", "np.logical_xor": "!="}


class NotScalarTextError(Exception):
    """The text is not arithmetic on single elements."""


@dataclass(frozen=True)
class Scalar:
    """An expression of kernels.

    Attributes:
        code: its text.
        kind: Real, Bool or Int.
        simple: is it a name or a number, so that it may stand anywhere?
        whole: the number that it is, if it is a whole one that never changes.

    """

    code: str
    kind: str
    simple: bool = False
    whole: int | None = None

    @property
    def closed(self) -> str:
        """The text, in parentheses where it needs them."""
        return self.code if self.simple else f"({self.code})"


def scalar_of(node: Node, operands: Sequence[Scalar]) -> Scalar:
    """What ``node`` computes for one element.

    Raises:
        NotScalarTextError: it does not work element by element.

    """
    names = [f"_{k}" for k in range(len(operands))]
    text = node.op.text(node.op.numpy, names, node.attrs)
    known = dict(zip(names, operands, strict=True))
    return (_Reader if node.is_float else _WholeReader)(known).read(_parsed(text))


@functools.lru_cache(1024)
def _parsed(text: str) -> ast.expr:
    """The syntax tree of an operation's text, which is the same for all its uses."""
    return ast.parse(text, mode="eval").body


def number(value: float) -> Scalar:
    """A constant."""
    if math.isfinite(value):
        return Scalar(repr(float(value)), REAL, simple=value >= 0)
    if math.isnan(value):
        return Scalar("NAN", REAL, simple=True)
    return Scalar("INFINITY" if value > 0 else "-INFINITY", REAL, simple=value > 0)


def whole_number(value: int) -> Scalar:
    """A constant that is a whole number."""
    return Scalar(repr(value), INT, simple=value >= 0, whole=value)


def as_real(x: Scalar) -> str:
    """A scalar where a Real is needed."""
    if x.whole is not None:
        return number(x.whole).closed
    if x.kind == BOOL:
        return f"select({x.code}, 1.0, 0.0)"
    return f"real({x.code})" if x.kind == INT else x.closed


def as_whole(x: Scalar) -> str:
    """A scalar that is no Real where an Int is needed."""
    return f"select({x.code}, 1, 0)" if x.kind == BOOL else x.closed


def as_kind(x: Scalar, kind: str) -> Scalar:
    """A scalar as another kind of number that can hold it."""
    if x.kind == kind or kind not in (REAL, INT):
        return x
    return Scalar(as_real(x) if kind == REAL else as_whole(x), kind)


def wrapped(code: str, dtype: np.dtype[Any]) -> str:
    """An Int as so many bits hold it: NumPy's numbers of fewer than 64 bits wrap around.

    >>> wrapped("a + b", np.dtype("int8")), wrapped("a + b", np.dtype("uint8"))
    ('((a + b) << 56) >> 56', '(a + b) & 255')
    """
    bits = 8 * dtype.itemsize
    if bits == 64:
        return code
    if dtype.kind == "u":
        return f"({code}) & {2**bits - 1}"
    return f"(({code}) << {64 - bits}) >> {64 - bits}"


class _Reader:
    """Reads texts whose result is a Real."""

    def __init__(self, operands: dict[str, Scalar]) -> None:
        self.operands = operands

    def read(self, node: ast.expr) -> Scalar:
        value = _constant(node)
        if value is not None:
            return number(value)
        method = getattr(self, f"_{type(node).__name__}", None)
        if method is None:
            raise NotScalarTextError(ast.unparse(node))
        found: Scalar = method(node)
        return found

    def real(self, node: ast.expr) -> str:
        return as_real(self.read(node))

    def _Name(self, node: ast.Name) -> Scalar:
        if node.id not in self.operands:
            raise NotScalarTextError(node.id)
        return self.operands[node.id]

    def _UnaryOp(self, node: ast.UnaryOp) -> Scalar:
        if not isinstance(node.op, ast.USub):
            raise NotScalarTextError(ast.unparse(node))
        return Scalar(f"-{self.real(node.operand)}", REAL)

    def _BinOp(self, node: ast.BinOp) -> Scalar:
        if isinstance(node.op, ast.Pow):
            return self._power(node)
        left, right = self.read(node.left), self.read(node.right)
        if type(node.op) in QUOTIENTS:
            word = QUOTIENTS[type(node.op)]
            return Scalar(f"{word}({as_real(left)}, {as_real(right)})", REAL)
        symbol = ARITHMETIC.get(type(node.op))
        if symbol is None:
            raise NotScalarTextError(ast.unparse(node))
        if symbol == "*":
            for truth, factor in ((left, right), (right, left)):
                if truth.kind == BOOL:
                    return Scalar(f"select({truth.code}, {as_real(factor)}, 0.0)", REAL)
        return Scalar(f"{as_real(left)} {symbol} {as_real(right)}", REAL)

    def _power(self, node: ast.BinOp) -> Scalar:
        exponent = _constant(node.right)
        x = self.real(node.left)
        if exponent is None:
            return Scalar(f"power({x}, {self.real(node.right)})", REAL)
        if exponent in POWERS:
            return Scalar(POWERS[exponent].format(x=x), REAL)
        return Scalar(f"power({x}, {number(exponent).code})", REAL)

    def _Compare(self, node: ast.Compare) -> Scalar:
        if len(node.ops) != 1 or type(node.ops[0]) not in COMPARISONS:
            raise NotScalarTextError(ast.unparse(node))
        left, right = self.read(node.left), self.read(node.comparators[0])
        sides = [x.closed for x in (left, right)]
        if left.kind != right.kind or left.kind == BOOL:
            sides = [as_real(x) for x in (left, right)]
        return Scalar(f"{sides[0]} {COMPARISONS[type(node.ops[0])]} {sides[1]}", BOOL)

    def _Call(self, node: ast.Call) -> Scalar:
        name = ast.unparse(node.func)
        if name == "sum" and isinstance(node.args[0], ast.List):
            return Scalar(" + ".join(self.real(x) for x in node.args[0].elts), REAL)
        if name == "np.asarray":  # astype
            word = ast.unparse(node.keywords[0].value)
            return self._cast(word, self.read(node.args[0]))
        if node.keywords:
            raise NotScalarTextError(name)
        return self._called(name, [self.read(x) for x in node.args])

    def _cast(self, word: str, x: Scalar) -> Scalar:
        if word not in ("np.float32", "np.float64"):
            raise NotScalarTextError(word)
        return Scalar(as_real(x), REAL)

    def _called(self, name: str, parts: list[Scalar]) -> Scalar:
        if name == "np.where":
            code = f"select({_truth(parts[0])}, {as_real(parts[1])}, {as_real(parts[2])})"
            return Scalar(code, REAL)
        if name in LOGICAL:
            return Scalar(f"({_truth(parts[0])}) {LOGICAL[name]} ({_truth(parts[1])})", BOOL)
        if name == "np.logical_not":
            return Scalar(f"({_truth(parts[0])}) == False", BOOL)
        return _function(name, [as_real(x) for x in parts])


class _WholeReader(_Reader):
    """Reads texts whose result is a whole number or a truth value."""

    def read(self, node: ast.expr) -> Scalar:
        value = _constant(node)
        return whole_number(value) if isinstance(value, int) else super().read(node)

    def _UnaryOp(self, node: ast.UnaryOp) -> Scalar:
        x = self.read(node.operand)
        if x.kind != INT or not isinstance(node.op, ast.USub):
            return super()._UnaryOp(node)
        return Scalar(f"-{x.closed}", INT)

    def _BinOp(self, node: ast.BinOp) -> Scalar:
        left, right = self.read(node.left), self.read(node.right)
        if REAL in (left.kind, right.kind) or isinstance(node.op, ast.Div):
            return super()._BinOp(node)
        if left.kind == right.kind == BOOL:
            return _of_truths(node.op, left, right)
        if type(node.op) in WHOLE_QUOTIENTS:
            return _whole_quotient(*WHOLE_QUOTIENTS[type(node.op)], left, right)
        if isinstance(node.op, ast.Pow):
            return _whole_power(as_whole(left), right)
        symbol = ARITHMETIC.get(type(node.op))
        if symbol is None:
            raise NotScalarTextError(ast.unparse(node))
        return Scalar(f"{as_whole(left)} {symbol} {as_whole(right)}", INT)

    def _Compare(self, node: ast.Compare) -> Scalar:
        kinds = [self.read(x).kind for x in (node.left, *node.comparators)]
        if len(kinds) != 2 or type(node.ops[0]) not in COMPARISONS or INT not in kinds:
            return super()._Compare(node)
        left, right = self.read(node.left), self.read(node.comparators[0])
        symbol = COMPARISONS[type(node.ops[0])]
        if REAL not in kinds:
            return Scalar(f"{as_whole(left)} {symbol} {as_whole(right)}", BOOL)
        if left.whole is not None or right.whole is not None:
            return Scalar(f"{as_real(left)} {symbol} {as_real(right)}", BOOL)
        return Scalar(f"double({left.code}) {symbol} double({right.code})", BOOL)

    def _cast(self, word: str, x: Scalar) -> Scalar:
        if word in ("bool", "np.bool", "np.bool_"):
            return Scalar(_truth(x), BOOL)
        if x.kind != REAL:
            return Scalar(as_whole(x), INT, x.simple and x.kind == INT, x.whole)
        if word not in ("np.int64", "np.int32"):
            raise NotScalarTextError(word)
        return Scalar(f"cut_to_{word[-2:]}({x.code})", INT)

    def _called(self, name: str, parts: list[Scalar]) -> Scalar:
        kinds = {x.kind for x in (parts[1:] if name == "np.where" else parts)}
        if name in (*WHOLE_CALLS, "np.where") and REAL not in kinds:
            if name == "np.where":
                sides = [x.code if kinds == {BOOL} else as_whole(x) for x in parts[1:]]
                code = f"select({_truth(parts[0])}, {', '.join(sides)})"
                return Scalar(code, BOOL if kinds == {BOOL} else INT)
            if kinds == {INT}:
                return Scalar(WHOLE_CALLS[name].format(*map(as_whole, parts)), INT)
            if kinds == {BOOL} and name in ("np.maximum", "np.minimum"):
                return _of_truths(ast.Add() if name == "np.maximum" else ast.Mult(), *parts)
        return super()._called(name, parts)


#: NumPy's name of a function -> an expression of Ints.
WHOLE_CALLS = {
    "np.maximum": "select({0} > {1}, {0}, {1})", "np.minimum": "select({0} < {1}, {0}, {1})",
    "np.abs": "select({0} < 0, -{0}, {0})",
    **dict.fromkeys(("np.floor", "np.ceil", "np.trunc"), "{0}"),
    "np.sign": "select({0} > 0, 1, 0) - select({0} < 0, 1, 0)",
}  # fmt: skip


def _of_truths(op: ast.operator, left: Scalar, right: Scalar) -> Scalar:
    """Of truth values a sum is *or*, a product *and*."""
    if not isinstance(op, (ast.Add, ast.Mult)):
        raise NotScalarTextError(type(op).__name__)
    return Scalar(f"({left.code}) {'|' if isinstance(op, ast.Add) else '&'} ({right.code})", BOOL)


def _whole_quotient(symbol: str, word: str, left: Scalar, right: Scalar) -> Scalar:
    """A quotient or remainder, rounded down; by 0 it is 0, as in NumPy."""
    if right.whole is not None and right.whole not in (0, -1):
        return Scalar(f"{as_whole(left)} {symbol} {right.closed}", INT)
    return Scalar(f"{word}({as_whole(left)}, {as_whole(right)})", INT)


def _whole_power(x: str, exponent: Scalar) -> Scalar:
    if exponent.whole is None or not 0 <= exponent.whole <= 6:
        raise NotScalarTextError(exponent.code)
    return Scalar(POWERS[exponent.whole].format(x=x) if exponent.whole else "1", INT)


def _truth(x: Scalar) -> str:
    """A scalar where a truth value is needed."""
    if x.kind == BOOL:
        return x.code
    return f"{x.closed} != {'0' if x.kind == INT else '0.0'}"


def _function(name: str, x: list[str]) -> Scalar:
    """A function of Reals."""
    if name == "np.maximum" and x[1] == "0.0":
        return Scalar(f"max({x[0]}, 0.0)", REAL)  # max keeps a NaN on its left
    if name in PHRASES:
        code, kind = PHRASES[name]
        return Scalar(code.format(*x), kind)
    of_first = f"{name}({x[0]}, …)"
    if of_first in FUNCTIONS:
        name, x = of_first, x[1:]
    if name not in FUNCTIONS:
        raise NotScalarTextError(name)
    return Scalar(f"{FUNCTIONS[name]}({', '.join(x)})", REAL)


PHRASES = {
    "np.isnan": ("is_nan({0})", BOOL),
    "np.isfinite": ("{0} - {0} == 0.0", BOOL),
    "np.sign": ("select(({0} == 0.0) | is_nan({0}), {0}, copysign(1.0, {0}))", REAL),
    "np.minimum": ("-maximum(-{0}, -{1})", REAL),
}
"""NumPy's name of a function -> an expression of kernels, and its kind."""


def _constant(node: ast.expr) -> float | int | None:
    """The value of an expression of numbers alone."""
    match node:
        case ast.Constant(value=bool() as value):
            return float(value)
        case ast.Constant(value=int() | float() as value):
            return value
        case ast.Attribute(value=ast.Name(id="np"), attr="pi"):
            return math.pi
        case ast.UnaryOp(op=op, operand=operand) if type(op) in SIGNS:
            x = _constant(operand)
            return None if x is None else SIGNS[type(op)](x)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in OPERATORS:
            x, y = _constant(left), _constant(right)
            return None if x is None or y is None else OPERATORS[type(op)](x, y)
    return None


SIGNS: dict[type[ast.unaryop], Callable[[float], float]] = {
    ast.USub: operator.neg, ast.UAdd: operator.pos, ast.Not: operator.not_,
}  # fmt: skip
OPERATORS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
    ast.Div: operator.truediv, ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}  # fmt: skip
"""What stands between numbers in the text of an operation."""


#: Exponents that a few products, a quotient or a root make; x is written where it stands.
POWERS = {
    0: "1.0", 1: "{x}", 2: "{x} * {x}", 3: "{x} * {x} * {x}",
    4: "({x} * {x}) * ({x} * {x})", 5: "({x} * {x}) * ({x} * {x}) * {x}",
    6: "({x} * {x} * {x}) * ({x} * {x} * {x})", -1: "1.0 / {x}", -2: "1.0 / ({x} * {x})",
    -3: "1.0 / ({x} * {x} * {x})", 0.5: "sqrt({x})", -0.5: "1.0 / sqrt({x})",
    1.5: "{x} * sqrt({x})", -1.5: "1.0 / ({x} * sqrt({x}))",
}  # fmt: skip
