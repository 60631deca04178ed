"""``compile``: a Python function becomes a compiled step."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from allbps.errors import ArgumentError
from allbps.ir import values_on_demand
from allbps.ir.catching import asks_for_errors
from allbps.ir.draws import Draws, drawing, draws_here
from allbps.ir.traces import depth_here
from allbps.machine.called import Compiled, Gradients, Recipe, require
from allbps.machine.options import Convolution, Options, Params, own_words
from allbps.machine.training import TrainStep
from allbps.optim import Optimizer
from allbps.trace import Traced, bound, trace_bound
from allbps.verify.plain import Witness

if TYPE_CHECKING:
    from allbps.machine.parted import PartedStep

USUAL_PARTS = 8
"""Into how many parts a batch is cut where a group is given and no number."""


def compile(  # noqa: A001 - numpy, jax and torch users know the word
    f: Callable[..., Any],
    /,
    *examples: Any,
    params: Params | None = None,
    optimizer: Optimizer | None = None,
    max_norm: float | None = None,
    carry: str | int | None = None,
    threads: int | None = None,
    convolution: Convolution = "auto",
    group: Any = None,
    parts: int | None = None,
    **named_examples: Any,
) -> Compiled | Gradients | TrainStep | PartedStep:
    """Compile ``f`` for arguments like ``examples``.

    Without ``params`` the result computes ``f``. With ``params`` it computes ``f`` and the
    gradients of its loss; with an ``optimizer`` as well it keeps the parameters and moves them.

    Branches and loops of ``f`` are those of the arguments of each call, not of the examples. What
    ``f`` looks at while it is traced, by ``if``, ``while``, ``int`` and so on, each call looks at
    again, in native code. Where it is another, ``f`` is traced on these arguments and compiled for
    that way too, and both are kept; ``paths()`` shows them with the lines that decided. What ``f``
    raises there, an assertion say, is raised. What is not made from the arguments, a variable
    outside ``f`` or the clock, stays as it was while tracing.

    Where it is short, ``f`` is also run on plain copies of the examples, with the same random
    numbers: what was traced must give the same.

    Args:
        f: a function of arrays and containers of arrays; a loss where ``params`` are given, or a
            tuple whose first part is the loss.
        examples: arguments of the shapes and dtypes to come. For a training step the parameters
            among them are where training starts.
        params: the arguments to differentiate, by name or position.
        optimizer: how parameters move: an optimiser of ``allbps.optim``.
        max_norm: the longest that all gradients together may be; longer ones are shortened, as
            ``torch.nn.utils.clip_grad_norm_`` does.
        carry: an argument that every step replaces, by name or position: running statistics, a
            state. ``f`` then returns a pair, the result and the new value of that argument.
        threads: how many threads; as many as pay where it is left out. Results do not depend on
            it, to the last bit.
        convolution: how 3×3 convolutions of stride 1 are done in float32: "winograd" needs a
            quarter of the products and rounds more, "direct" does not; "auto" takes the faster.
            ``stages()`` names it. In float64 all are direct.
        group: workers that take every step together: a process group of ``torch.distributed``. Each
            computes some parts of a batch; all take the same update.
        parts: into how many parts a batch is cut, 8 with a group. Losses and gradients of the parts
            are added up in one order, so that the bits of a step depend on this number and not on
            how many workers there are. Batch statistics are those of a part.
        named_examples: arguments by name.

    Raises:
        NotScalarError: there are ``params``, and ``f`` returns no loss.
        NameUnknownError: ``params`` names no argument.
        ArgumentError: an option is of the wrong kind; an optimiser without ``params``; a ``carry``
            without an optimiser, or one that ``f`` does not return a new value for; a loss that
            cannot be taken in parts.

    >>> import numpy as np
    >>> from allbps.optim import SGD
    >>> step = compile(lambda K, x: np.sum((K * x) ** 2), 3.0, 2.0, params="K", optimizer=SGD(0.1))
    >>> float(step(2.0)), round(float(step.params["K"]), 12)
    (36.0, 0.6)

    """
    try:
        options = Options(params, optimizer, max_norm, carry, threads, convolution, group, parts)
        draws, arguments = _draws_to_come(), bound(f, examples, named_examples)
        witness = Witness(f, arguments)
        with values_on_demand(), drawing(draws):
            traced = trace_bound(f, arguments, options.ties)
    except ArgumentError as error:
        error.todo = error.todo or own_words(f, examples, named_examples)
        raise
    _say_what_was_drawn(traced.function, witness.drawn(traced))
    _say_what_was_written(traced)
    _say_what_is_not_raised(traced.function, f)
    require(witness, traced, options)
    recipe = Recipe(f, signature_of(f, traced), options, draws)
    if params is None:
        return Compiled(recipe, traced)
    if group is not None or parts is not None:
        return _in_parts(recipe, traced, arguments)
    return Gradients(recipe, traced) if optimizer is None else TrainStep(recipe, traced, optimizer)


def _draws_to_come() -> Draws:
    """Those that the caller wants, who may compile for several sizes; else new ones."""
    wanted = None if depth_here() else draws_here()
    return wanted or Draws()


def _in_parts(recipe: Recipe, traced: Traced, arguments: dict[str, Any]) -> PartedStep:
    from allbps.machine.exchange import Alone, Exchange
    from allbps.machine.parted import PartedStep

    group, parts = recipe.options.group, recipe.options.parts or USUAL_PARTS
    if group is None:
        group = Alone()
    elif not isinstance(group, Exchange):
        from allbps.distributed import exchange_of

        group = exchange_of(group)
    return PartedStep(recipe, traced, arguments, group, parts)


class FrozenWarning(UserWarning):
    """A compiled function keeps numbers that were drawn, texts, or errors that were not raised."""


def _say_what_was_drawn(function: str, generators: list[str]) -> None:
    if generators:
        warnings.warn(
            f"{function} drew from {' and '.join(generators)} while it was compiled: a compiled"
            " function has the same numbers in every call. Draw with allbps.random.Generator(…), or"
            " give the generator to F.dropout(…, rng=…), for fresh ones",
            FrozenWarning,
            stacklevel=3,
        )


def _say_what_was_written(traced: Traced) -> None:
    if traced.texts:
        warnings.warn(
            f"{traced.function} made a text of numbers while it was compiled, at {traced.texts[0]}:"
            " a compiled function does not make it again, and what depends on it is that of the"
            " examples",
            FrozenWarning,
            stacklevel=3,
        )


def _say_what_is_not_raised(function: str, f: Callable[..., Any]) -> None:
    if asks_for_errors(f):
        warnings.warn(
            f"{function} makes errors of divisions by 0 or of warnings (np.errstate, warnings):"
            " compiled code raises none, and goes on as it did with the examples. Ask for the"
            " numbers themselves: if np.any(x == 0)",
            FrozenWarning,
            stacklevel=3,
        )


def signature_of(f: Callable[..., Any], traced: Traced) -> inspect.Signature:
    """The function's own signature, without annotations and defaults."""
    try:
        given = list(inspect.signature(f).parameters.values())
    except ValueError:  # a built-in without a signature
        given = [inspect.Parameter(n, inspect.Parameter.POSITIONAL_ONLY) for n in traced.parameters]
    return inspect.Signature([inspect.Parameter(p.name, p.kind) for p in given])
