"""``allbps.rule``: an operation of the user's own, declared in one place."""

from __future__ import annotations

import inspect
import string
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from types import FunctionType
from typing import Any

import numpy as np

import allbps.numpy_api  # noqa: F401  (rules are written with NumPy's functions)
from allbps.errors import ArgumentError
from allbps.ir import (
    OPS,
    Node,
    Notation,
    Rule,
    TracedArray,
    Zero,
    handed,
    is_traced,
    lift,
    resolved,
    user_site,
)
from allbps.ir.op import AnyRule
from allbps.ops.own import OwnOp, checked, helpers_of, operands_of, shape_rule

Reason = str | Sequence[str] | Mapping[str, str] | None


def rule(
    *rules: Callable[..., Any] | None,
    because: Reason = None,
    notation: str = "",
    torch: str = "",
    jax: str = "",
    expand: Callable[..., Any] | None = None,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Declare a function of arrays as one operation, with BP rules of your own.

    The function computes with NumPy on plain arrays; its positional parameters are the operands,
    its keyword-only ones constants. A rule builds δ of its operand from the upstream δ ``g``, the
    value ``y`` and the operands, with NumPy's functions, ``allbps.functional`` or other declared
    operations, so that derivatives of every order follow. What was broadcast is summed for it.

    Args:
        rules: for each operand in order ``rule(g, y, *operands, **constants)``, or None where
            nothing flows back.
        because: the reason of each rule, as mathematics with ``{y}`` and ``{operand}`` in braces
            and English in quotes: one string, a sequence, or a dict by operand. For a rule None,
            why nothing flows.
        notation: how formulas write it, ``"clip({x})"``; by default the name and the operands.
        torch: PyTorch's text of the same, ``"torch.clamp({x})"``: emitted source, and a judge.
        jax: JAX's text of the same.
        expand: the same from operations that allbps knows, ``expand(*operands, **constants)``:
            a judge, and what a compiled function runs instead of calling yours.

    Returns:
        A decorator; the decorated function takes traced and plain arrays.

    Raises:
        ArgumentError: a rule, a reason or the function does not fit the form; the name is taken.

    >>> import numpy as np, allbps as bp
    >>> def d_square(g, y, x):
    ...     return g * 2.0 * x
    >>> @bp.rule(d_square, because="∂{y}/∂{x} = 2 {x}", notation="square({x})")
    ... def squared(x):
    ...     return x * x
    >>> bp.grad(lambda x: np.sum(squared(x)))(np.array([1.0, 3.0]))
    array([2., 6.])

    """

    def declare(forward: Callable[..., Any]) -> Callable[..., Any]:
        if not isinstance(forward, FunctionType) or forward.__name__ == "<lambda>":
            raise _misused("rule declares a function that was written with def", repr(forward))
        operands, constants = _parameters(forward)
        found = _rules(forward, rules, operands, constants, because)
        missing = f"@allbps.rule of {forward.__name__} says nothing of "
        op = OwnOp(
            name=_free(forward.__name__),
            doc=(inspect.getdoc(forward) or forward.__name__).splitlines()[0],
            operands=" ".join(operands),
            shape=shape_rule(lambda: op),
            numpy=_text(forward.__name__, operands, constants),
            torch=torch or None,
            why_no_torch="" if torch else f"{missing}torch=",
            jax=jax or None,
            why_no_jax="" if jax else f"{missing}jax=",
            helpers=helpers_of(forward),
            rules=found,
            notation=Notation(notation or _text(forward.__name__, operands, [])),
            expand=None if expand is None else _expanding(expand),
            forward=forward,
        )
        for template in (notation, torch, jax):
            _fields(forward, template, {*operands, *constants})
        return _offered(forward, op)

    return declare


def _parameters(forward: FunctionType) -> tuple[list[str], list[str]]:
    """Operands and constants.

    Raises:
        ArgumentError: a parameter is neither.

    """
    kinds = inspect.Parameter
    parameters = inspect.signature(forward).parameters
    for name, p in parameters.items():
        if p.kind in (kinds.VAR_POSITIONAL, kinds.VAR_KEYWORD):
            raise _misused(f"{forward.__name__} must name its parameters", f"*{name}")
        if p.kind is not kinds.KEYWORD_ONLY and p.default is not kinds.empty:
            raise _misused(
                f"the operand {name} of {forward.__name__} has a default",
                f"{name}={p.default!r}",
                f"a constant stands behind a star: def {forward.__name__}(…, *, {name}=…)",
            )
    operands = operands_of(forward)
    if not operands:
        raise _misused(f"{forward.__name__} has no operand", "no positional parameter")
    return operands, [name for name in parameters if name not in operands]


def _rules(
    forward: FunctionType,
    rules: tuple[Callable[..., Any] | None, ...],
    operands: list[str],
    constants: list[str],
    because: Reason,
) -> tuple[AnyRule, ...]:
    """One rule for each operand, with its reason."""
    name = forward.__name__
    if len(rules) != len(operands):
        raise _misused(
            f"{name} needs one rule for each operand, or None",
            f"{len(rules)} rules for ({', '.join(operands)})",
        )
    reasons = _reasons(name, operands, because)
    made: list[AnyRule] = []
    for operand, one in zip(operands, rules, strict=True):
        said = reasons.get(operand, "")
        _fields(forward, said, {*operands, *constants, "y"})
        if one is None:
            made.append(Zero(said or "nothing flows back"))
            continue
        try:
            inspect.signature(one).bind("g", "y", *operands, **dict.fromkeys(constants))
            fits = operands_of(one)[2:] == operands
        except TypeError:
            fits = False
        if not fits:
            wanted = ", ".join(["g", "y", *operands, *(["*"] * bool(constants)), *constants])
            raise _misused(
                f"the rule for {operand} of {name} takes other parameters",
                f"{getattr(one, '__name__', one)}{inspect.signature(one)}",
                f"def {getattr(one, '__name__', 'rule')}({wanted})",
            )
        text = said or f'δ{{{operand}}} "by the rule {one.__name__}"'
        made.append(Rule(checked(one, name, operand), text))
    return tuple(made)


def _reasons(name: str, operands: list[str], because: Reason) -> Mapping[str, str]:
    """Operand -> reason."""
    if because is None or isinstance(because, str):
        if isinstance(because, str) and len(operands) > 1:
            raise _misused(f"{name} has several operands, and one reason", repr(because))
        return {operands[0]: because} if because else {}
    if not isinstance(because, Mapping):
        if len(because) != len(operands):
            raise _misused(f"{name} needs one reason for each operand", f"{len(because)} reasons")
        because = dict(zip(operands, because, strict=True))
    for key in because:
        if key not in operands:
            raise _misused(f"{name} has no operand {key!r}", f"because={because!r}")
    return because


def _fields(forward: FunctionType, template: str, known: set[str]) -> None:
    """Raise where a template names something else in braces."""
    try:
        named = [part[1] for part in string.Formatter().parse(template) if part[1] is not None]
    except ValueError as error:
        raise _misused(f"a template of {forward.__name__}: {error}", repr(template)) from None
    for field in named:
        if field not in known:
            raise _misused(
                f"a template of {forward.__name__} names {{{field}}}", repr(template),
                f"{', '.join(sorted(known))} in braces; other braces are doubled",
            )  # fmt: skip


def _free(name: str) -> str:
    if name in OPS:
        raise _misused(f"allbps has an operation {name} of its own", f"def {name}", "another name")
    return name


def _text(name: str, operands: list[str], constants: list[str]) -> str:
    """``name({x}, limit={limit})``."""
    shown = [f"{{{x}}}" for x in operands] + [f"{x}={{{x}}}" for x in constants]
    return f"{name}({', '.join(shown)})"


def _expanding(expand: Callable[..., Any]) -> Callable[..., Node]:
    def build(*inputs: Node, **attrs: Any) -> Node:
        return lift(expand(*inputs, **attrs))

    return build


def _offered(forward: FunctionType, op: OwnOp) -> Callable[..., Any]:
    """The function as it is on plain arrays, the operation on traced ones."""
    signature = inspect.signature(forward)

    @wraps(forward)
    def function(*args: Any, **kwargs: Any) -> Any:
        given = (*args, *kwargs.values())
        traced = is_traced(*given)
        if not traced and not any(isinstance(x, Node) for x in given):
            return forward(*args, **kwargs)
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError as error:
            raise _misused(f"{op.name}: {error}", "", f"{op.name}{signature}") from None
        bound.apply_defaults()
        for name, value in bound.kwargs.items():
            _constant(op.name, name, value)
        made = op(*map(resolved, bound.args), **bound.kwargs)
        return handed(made) if traced else made

    function.op = op  # type: ignore[attr-defined]
    return function


def _constant(function: str, name: str, value: Any) -> None:
    """Raise where a constant is an array."""
    if isinstance(value, (Node, TracedArray, np.ndarray)):
        raise _misused(
            f"{function} takes a constant for {name}, not an array",
            type(value).__name__,
            f"an operand stands before the star: def {function}(…, {name}, *, …)",
        )


def _misused(what: str, got: str, todo: str = "") -> ArgumentError:
    return ArgumentError(what, where=str(user_site() or ""), got=got, todo=todo)
