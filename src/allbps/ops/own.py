"""Operations that a user declares: one forward function, one rule for each operand.

They are told apart from the table's by being no part of it; every reading and judge takes both.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import FunctionType, ModuleType
from typing import Any

import numpy as np

from allbps.errors import AllBPsError, ArgumentError, InPlaceError, ShapeError
from allbps.ir import Aval, Node, Op, is_array_of_nodes, lift, user_site

KNOWN_MODULES = {"np": "numpy", "numpy": "numpy", "special": "scipy.special"}
"""What a forward function may use under that name, since emitted source knows it too."""


@dataclass(frozen=True, eq=False, kw_only=True)
class OwnOp(Op):
    """An operation that a user declared; it is no part of the table.

    Attributes:
        forward: the user's function of arrays.

    """

    forward: Callable[..., Any]
    _seen: dict[Any, Aval] = field(default_factory=dict)

    def __post_init__(self) -> None:
        return

    def run(self, values: list[Any], attrs: Mapping[str, Any]) -> Any:
        """The forward function on arrays that it may not write into.

        Raises:
            InPlaceError: it writes into an operand.
            ShapeError: the shape of what it returns depends on the numbers.

        """
        made = self.called(values, attrs)
        expected, _ = self.aval_of(values, attrs)
        if made.shape != expected:
            raise ShapeError(
                f"the shape of what {self.name} returns depends on its numbers",
                where=str(user_site() or ""),
                expected=f"{expected}, as for ones",
                got=str(made.shape),
            )
        return made[()]

    def called(self, values: list[Any], attrs: Mapping[str, Any]) -> Any:
        """What the forward function returns, as an array.

        Raises:
            InPlaceError: it writes into an operand.
            ArgumentError: it returns no array.

        """
        try:
            made = self.forward(*map(_read_only, values), **attrs)
        except ValueError as error:
            if "read-only" not in str(error):
                raise
            raise InPlaceError(
                f"{self.name} writes into one of its operands",
                where=str(user_site() or ""),
                expected="a new array as its result",
                got=str(error),
                todo="out = x.copy() first, and write into out",
            ) from None
        if made is None or isinstance(made, (tuple, list, dict, str)):
            raise ArgumentError(
                f"{self.name} must return one array",
                where=str(user_site() or ""),
                got="None" if made is None else f"a {type(made).__name__}",
                todo="is a return missing?" if made is None else "one operation for each result",
            )
        return np.asarray(made)

    def aval_of(self, values: list[Any], attrs: Mapping[str, Any]) -> Aval:
        """Shape and dtype of the result, tried on ones of the operands' shapes and dtypes."""
        arrays = [np.asarray(x) for x in values]
        key = (*((x.shape, x.dtype.str) for x in arrays), repr(sorted(attrs.items())))
        if key not in self._seen:
            with np.errstate(all="ignore"):
                made = self.called([np.ones(x.shape, x.dtype) for x in arrays], attrs)
            self._seen[key] = made.shape, made.dtype
        return self._seen[key]


def _read_only(value: Any) -> Any:
    array = np.asarray(value)
    if not array.ndim:
        return array[()]
    view = array.view()
    view.flags.writeable = False
    return view


def shape_rule(op: Callable[[], OwnOp]) -> Callable[..., Aval]:
    """The shape rule of a declared operation: what its forward function makes of ones."""

    def shape(*inputs: Node, **attrs: Any) -> Aval:
        plain = [np.broadcast_to(np.ones((), node.dtype), node.shape) for node in inputs]
        try:
            return op().aval_of(plain, attrs)
        except AllBPsError:
            raise
        except (ValueError, TypeError, IndexError) as error:
            got = " and ".join(f"{{{k}}} is {node.shape}" for k, node in enumerate(inputs))
            raise ShapeError(
                f"{op().name} does not take these operands: {error}", got=got
            ) from None

    return shape


def checked(rule: Callable[..., Any], name: str, operand: str) -> Callable[..., Node]:
    """A user's rule, whose result is a node that fits the operand.

    Raises:
        ArgumentError: it returns nothing.
        ShapeError: it returns another shape.

    """

    def build(g: Node, y: Node, *inputs: Node, **attrs: Any) -> Node:
        made = rule(g, y, *inputs, **attrs)
        if made is None or isinstance(made, (tuple, dict, str)) or is_array_of_nodes(made):
            raise ArgumentError(
                f"the rule {rule.__name__} of {name} must return δ of {operand}",
                expected="one array, made from g by operations",
                got="None" if made is None else f"a {type(made).__name__}",
                todo="is a return missing?" if made is None else "np.stack instead of np.array",
            )
        node, primal = lift(made), inputs[names.index(operand)]
        if not _fits(node.shape, primal.shape, y.shape):
            raise ShapeError(
                f"the rule {rule.__name__} of {name} returns a δ that does not fit {operand}",
                expected=f"shape {primal.shape}, or what was broadcast to {y.shape}",
                got=f"shape {node.shape}",
            )
        return node

    names = operands_of(rule)[2:]
    build.__name__ = rule.__name__
    return build


def _fits(given: tuple[int, ...], primal: tuple[int, ...], result: tuple[int, ...]) -> bool:
    """Is it δ of an operand, maybe before sums over what was broadcast?"""
    try:
        both = np.broadcast_shapes(given, primal)
    except ValueError:
        return False
    return both == primal or (both == given and given == result)


def operands_of(function: Callable[..., Any]) -> list[str]:
    """The names of its positional parameters."""
    kinds = inspect.Parameter
    return [
        name for name, p in inspect.signature(function).parameters.items()
        if p.kind in (kinds.POSITIONAL_ONLY, kinds.POSITIONAL_OR_KEYWORD)
    ]  # fmt: skip


def helpers_of(forward: FunctionType) -> tuple[FunctionType, ...]:
    """The forward function and the user's functions that it calls, which emitted source holds.

    Raises:
        ArgumentError: it uses something that emitted source would not know.

    """
    found: dict[str, FunctionType] = {}
    pending = [forward]
    while pending:
        function = pending.pop()
        if found.setdefault(function.__name__, function) is not function:
            raise ArgumentError(f"two functions that {forward.__name__} uses have one name")
        if function.__code__.co_freevars:
            raise _unknown(forward, function.__code__.co_freevars[0], "a variable around it")
        for name in function.__code__.co_names:
            if name not in function.__globals__:
                continue  # a built-in, or an attribute
            value = function.__globals__[name]
            if isinstance(value, ModuleType) and KNOWN_MODULES.get(name) == value.__name__:
                continue
            if not isinstance(value, FunctionType):
                raise _unknown(forward, name, f"a {type(value).__name__}")
            if value not in found.values():
                pending.append(value)
    return tuple(found.values())


def _unknown(forward: FunctionType, name: str, what: str) -> ArgumentError:
    return ArgumentError(
        f"{forward.__name__} uses {name}, which emitted source would not know",
        where=str(user_site() or ""),
        expected="its arguments, np, scipy's special, and plain functions",
        got=f"{name}, {what}",
        todo="pass numbers as keyword arguments, import modules inside the function",
    )
