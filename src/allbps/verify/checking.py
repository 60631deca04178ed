"""``check``: are a function's gradients right, and how sure are we?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from allbps.backward import Backward, backward
from allbps.errors import ArgumentError, ShapeError
from allbps.readings.source import emit
from allbps.trace import Traced, bound, check_inputs, trace_bound
from allbps.tree import leaves, rebuild, same_structure, tree_map
from allbps.verify.blame import marks
from allbps.verify.given import by_name
from allbps.verify.handwritten import handwritten
from allbps.verify.judging import verify
from allbps.verify.plain import Witness
from allbps.verify.replay import DOUBLE, as_double
from allbps.verify.report import Report, combined

COTANGENTS = 3
"""How many random δ are given to a result that is not a scalar loss."""


def check(
    f: Callable[..., Any],
    /,
    *xs: Any,
    gradients: Any = None,
    cotangent: Any = None,
    decimals: int | None = None,
    judges: Sequence[str] | None = None,
    seed: int = 0,
    **kwargs: Any,
) -> Report:
    """Verify the gradients of ``f`` at ``xs``, every δ on the way included.

    ``f`` also runs on plain arrays, unless that would take long: its value must be the graph's.

    A result that is not a scalar is given several random, uneven δ: one of all ones would hide a
    forgotten factor. Arguments in lower precision are checked on a float64 copy.

    Args:
        f: any function of arrays, or containers of them, to arrays.
        xs: its arguments.
        gradients: gradients computed elsewhere, by the names of arguments or of variables inside
            ``f``: ``{"W1": dW1, "Z2": dZ2}``. Each is marked right, wrong, or a consequence of a
            wrong one nearer to the loss, with every simple mistake that would explain it. Or a
            backward function that returns them, or a pair ``(forward, backward)`` with
            ``result, cache = forward(…)`` and ``backward(δ, cache)``: it is run, with random δ of
            the result where it takes one.
        cotangent: δ of the result, shaped like it, where ``gradients`` belong to a certain one.
        decimals: to how many ``gradients`` were rounded. Without it they are taken as rounded
            only where enough of their digits speak for it.
        judges: as for ``verify``.
        seed: of everything that is drawn.
        kwargs: passed to ``f``.

    Raises:
        ArgumentError: ``gradients`` without ``cotangent``, and ``f`` does not return a scalar.
        NameUnknownError: a gradient is named that ``f`` does not have.
        ShapeError, NonFiniteError: an argument is empty, or not finite.

    >>> import numpy as np
    >>> report = check(lambda x: np.sum(x**3), np.array([1.0, 2.0]), judges=["differences"])
    >>> bool(report)
    True
    >>> wrong = {"x": np.array([-3.0, -12.0])}
    >>> report = check(lambda x: np.sum(x**3), np.array([1.0, 2.0]), gradients=wrong)
    >>> bool(report), report.marks[0].mistakes
    (False, ('the sign is flipped',))

    """
    arguments = bound(f, tree_map(_lift, xs), tree_map(_lift, kwargs), asked=check)
    if decimals is not None:
        _require_whole("decimals", decimals, "a whole number", -99)
    _require_whole("seed", seed, "a whole number of at least 0", 0)
    witness = Witness(f, arguments)
    with np.errstate(all="ignore"):  # the report says where a NaN comes from
        traced = trace_bound(f, arguments)
    check_inputs(traced)
    written = handwritten(gradients)
    drawn = written is not None and written.takes_delta(len(xs) + len(kwargs))
    named = {} if written or gradients is None else by_name(traced, gradients)
    reports = []
    for given in _cotangents(traced, cotangent, bool(written or named), drawn, seed):
        passes = backward(traced, cotangents=given)
        values = _values(passes)
        if written:
            results = [given.get(y.name, 1.0) for y in traced.graph.outputs]
            delta = rebuild(traced.outputs, iter(results))
            named = by_name(traced, written.gradients(traced, xs, kwargs, delta))
        report = verify(passes, values, judges, seed, witness.judges(passes, values))
        found = marks(passes, values, named, decimals) if named and not report.origin else ()
        found = witness.granted(passes, values, found, named)
        reports.append(replace(report, marks=found))
    whole = combined(reports)
    return replace(whole, notes=(*_notes(xs, kwargs, len(reports)), *whole.notes))


def _require_whole(option: str, value: Any, expected: str, least: int) -> None:
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not whole or value < least:
        raise ArgumentError(f"{option} is of the wrong kind", expected=expected, got=repr(value))


def _lift(leaf: Any) -> Any:
    """In double precision; what is so already stays the very array, that may be passed twice."""
    if not isinstance(leaf, (np.ndarray, np.generic)) or leaf.dtype == DOUBLE:
        return leaf
    return as_double(leaf)


def _values(passes: Backward) -> dict[str, Any]:
    given = {**passes.traced.values, **passes.given}
    with np.errstate(all="ignore"):
        return emit(passes).run({node.name: value for node, value in given.items()})


def _cotangents(
    traced: Traced, cotangent: Any, named: bool, drawn: bool, seed: int
) -> Iterator[dict[str, Any]]:
    """Output name -> δ, once for each pass; drawn where the result is not a loss, or on request."""
    outputs = [y for y in dict.fromkeys(traced.graph.outputs) if y.is_float]
    if cotangent is not None:
        yield _given(traced, cotangent)
    elif not drawn and len(outputs) == 1 and outputs[0].shape == ():
        yield {}
    elif named and not drawn:
        raise ArgumentError(
            f"{traced.function} does not return a scalar, so gradients= belong to a δ of its"
            " result",
            expected="cotangent=, shaped like the result",
            got=f"{', '.join(f'{y.name} of shape {y.shape}' for y in outputs)}",
        )
    else:
        rng = np.random.default_rng(seed)
        for _ in range(COTANGENTS):
            yield {y.name: _uneven(y.shape, rng) for y in outputs}


def _given(traced: Traced, cotangent: Any) -> dict[str, Any]:
    if not same_structure(cotangent, traced.outputs):
        raise ShapeError(
            "the cotangent is not a container like the result",
            expected=str(tree_map(lambda y: y.shape, traced.outputs)),
            got=str(tree_map(np.shape, cotangent)),
        )
    pairs = zip(traced.graph.outputs, leaves(cotangent), strict=True)
    return {y.name: value for y, value in pairs if y.is_float}


def _uneven(shape: tuple[int, ...], rng: np.random.Generator) -> Any:
    """Sixteenths between −2 and 2, none of them 0: exact in binary and short to read."""
    return (rng.integers(1, 33, shape) * rng.choice([-1, 1], shape) / 16)[()]


def _notes(xs: Any, kwargs: Any, count: int) -> Iterator[str]:
    dtypes = {leaf.dtype for leaf in leaves([xs, kwargs]) if hasattr(leaf, "dtype")}
    for dtype in sorted((d for d in dtypes if d.kind == "f" and d != DOUBLE), key=str):
        yield f"checked on a float64 copy of the {dtype} arguments"
    if count > 1:
        yield f"{count} random δ were given to the result"
