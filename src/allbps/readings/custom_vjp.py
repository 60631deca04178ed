"""Emitted source as a ``jax.custom_vjp``, standing alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from allbps.errors import NoRuleError
from allbps.readings.dialect import JAX
from allbps.readings.literals import PACKED, module_level
from allbps.readings.signature import signature
from allbps.readings.source import Program, column, common_width
from allbps.readings.split import Split, container


def custom_vjp(cut: Split, guards: Program | None = None, *, packed: bool = True) -> str:
    """A file with the function, its emitted forward and backward pass given to ``custom_vjp``.

    Args:
        cut: the emitted source.
        guards: gives the values that the trace took for granted; where they are others, results
            and gradients are NaN, since compiled JAX has no errors.
        packed: are large constants written into the text?

    Raises:
        NoRuleError: there are such values, and a result that cannot be NaN.

    """
    if guards and any(y not in cut.cotangents for y in cut.results):
        raise NoRuleError(
            f"{cut.program.function} looks at numbers and returns whole numbers, which cannot be"
            " NaN where the numbers are others",
            todo="np.where(condition, a, b) in place of if",
        )
    return "\n\n\n".join(_parts(cut, guards, packed)) + "\n"


def names_of(cut: Split) -> tuple[str, str, str]:
    """What the function of arrays, its forward and its backward pass are called."""
    name = cut.program.function
    return f"{name}_vjp", f"{name}_forward", f"{name}_backward"


def _parts(cut: Split, guards: Program | None, packed: bool) -> Iterator[str]:
    program = cut.program
    constants = {**program.constants, **(guards.constants if guards else {})}
    above = [module_level(name, value) for name, value in constants.items()] if packed else []
    imports = {*program.imports, *(guards.imports if guards else ()), *JAX.imports.values()}
    imports.discard(JAX.imports["numpy"])
    yield "\n".join(sorted({*imports, *(PACKED if above else ())}))
    yield from above
    yield from dict.fromkeys((*program.helpers, *(guards.helpers if guards else ())))
    whole, forward, backward = names_of(cut)
    arguments = ", ".join(cut.arguments)
    yield "\n".join(_forward(cut, guards))
    yield "\n".join(_backward(cut, guards))
    yield (
        f"@jax.custom_vjp\ndef {whole}({arguments}):\n"
        f'    """The results of {program.function}, for arrays."""\n'
        f"    return {forward}({arguments})[0]"
    )
    yield f"{whole}.defvjp({forward}, {backward})"
    yield "\n".join(_function(cut))


def _forward(cut: Split, guards: Program | None) -> Iterator[str]:
    _, forward, _ = names_of(cut)
    yield f"def {forward}({', '.join(cut.arguments)}):"
    yield '    """The results, and what the backward pass needs."""'
    yield from _indented(signature(cut.traced, cut.traced.graph.inputs, {}).shape_guards)
    yield from _indented(_taken_for_granted(cut, guards))
    yield from cut.program.statements("forward")
    holds = [cut.unused("holds")] if guards else []
    results = [f"jnp.where({holds[0]}, {y}, jnp.nan)" if holds else y for y in cut.results]
    yield f"    return {_tuple(results)}, {_tuple([*cut.arguments, *cut.kept, *holds])}"


def _taken_for_granted(cut: Split, guards: Program | None) -> Iterator[str]:
    """Are the values those that the function looked at when it was traced?"""
    if guards is None:
        return
    yield from (line.code for line in guards.forward)
    seen = [
        f"jnp.all({text} == jnp.array({np.asarray(guard.value).tolist()!r}))"
        for text, guard in zip(guards.results, cut.traced.guards, strict=True)
    ]
    yield f"{cut.unused('holds')} = {' & '.join(seen)}"


def _backward(cut: Split, guards: Program | None) -> Iterator[str]:
    _, _, backward = names_of(cut)
    kept, given, unread = (cut.unused(name) for name in ("kept", "given", "_"))
    holds = [cut.unused("holds")] if guards else []
    yield f"def {backward}({kept}, {given}):"
    yield '    """dX is the derivative with respect to X."""'
    yield f"    {_tuple([*cut.arguments, *cut.kept, *holds])} = {kept}"
    yield f"    {_tuple(cut.cotangents.get(y, unread) for y in cut.results)} = {given}"
    if holds:
        for name in cut.cotangents.values():
            yield f"    {name} = jnp.where({holds[0]}, {name}, jnp.nan)"
    yield from (f"    {line.code}" for line in cut.again)
    lines = [line for line, _ in cut.backward]
    yield from column(lines, common_width(lines))
    yield f"    return {_tuple(cut.gradients.get(x, 'None') for x in cut.arguments)}"


def _function(cut: Split) -> Iterator[str]:
    called = signature(cut.traced, cut.traced.graph.inputs, {})
    whole, _, _ = names_of(cut)
    yield f"def {cut.program.function}({', '.join(called.parameters)}):"
    yield f'    """{", ".join(cut.results)} of {cut.program.function}."""'
    yield from _indented(called.opening)
    made = _tuple(cut.results)
    yield f"    {made} = {whole}({', '.join(cut.arguments)})"
    names = dict(zip(cut.traced.graph.outputs, cut.program.results, strict=True))
    yield f"    return {container(cut.traced.outputs, names)}"


def _indented(lines: Iterable[str]) -> Iterator[str]:
    yield from (f"    {line}" for line in lines)


def _tuple(names: Iterable[str]) -> str:
    found = list(names)
    return f"({', '.join(found)}{',' * (len(found) == 1)})"
