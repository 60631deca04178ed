"""Emitted source as a ``torch.autograd.Function``, standing alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from textwrap import indent

import numpy as np

from allbps.readings.dialect import TORCH
from allbps.readings.literals import PACKED, module_level
from allbps.readings.signature import signature
from allbps.readings.source import Program, column, common_width
from allbps.readings.split import Split, container
from allbps.trace import Guard


def autograd_function(cut: Split, guards: Program | None = None, *, packed: bool = True) -> str:
    """A file with a class whose ``backward`` is the emitted one, and a function that applies it.

    In ``backward`` what the statements need is what ``forward`` kept. Where derivatives of
    derivatives are wanted, and there only, it is computed again from the arguments, since it
    depends on them.

    Args:
        cut: the emitted source.
        guards: gives the values that the trace took for granted; asserted when it runs.
        packed: are large constants written into the text?

    """
    return "\n\n\n".join(_parts(cut, guards, packed)) + "\n"


def class_name(cut: Split) -> str:
    """``NetFunction`` for ``net``."""
    words = cut.program.function.split("_")
    return cut.unused("".join(word[:1].upper() + word[1:] for word in words) + "Function")


def _parts(cut: Split, guards: Program | None, packed: bool) -> Iterator[str]:
    program = cut.program
    constants = {**program.constants, **(guards.constants if guards else {})}
    above = [module_level(name, value) for name, value in constants.items()] if packed else []
    own = {TORCH.imports["torch"], *program.imports, *(guards.imports if guards else ())}
    yield "\n".join(sorted({*own, *(PACKED if above else ())}))
    yield from above
    yield from dict.fromkeys((*program.helpers, *(guards.helpers if guards else ())))
    yield "\n".join(_class(cut, guards))
    yield "\n".join(_function(cut))


def _class(cut: Split, guards: Program | None) -> Iterator[str]:
    name = cut.program.function
    yield f"class {class_name(cut)}(torch.autograd.Function):"
    yield f'    """{name} with its own backward pass; dX is the derivative with respect to X."""'
    yield ""
    yield "    generate_vmap_rule = True"
    for method in (_forward(cut, guards), _setup(cut), _backward(cut)):
        yield ""
        yield "    @staticmethod"
        yield indent("\n".join(method), "    ")


def _forward(cut: Split, guards: Program | None) -> Iterator[str]:
    yield f"def forward({', '.join(cut.arguments)}):"
    yield from _indented(signature(cut.traced, cut.traced.graph.inputs, {}).shape_guards)
    yield from _indented(_taken_for_granted(cut, guards))
    yield from cut.program.statements("forward")
    results = [f"{y}.clone()" if y in cut.shared else y for y in cut.results]
    yield f"    return {_tuple((*results, *_beside(cut)))}"


def _taken_for_granted(cut: Split, guards: Program | None) -> Iterator[str]:
    """Assertions on the values that the function looked at when it was traced."""
    if guards is None:
        return
    yield from (line.code for line in guards.forward)
    for text, guard in zip(guards.results, cut.traced.guards, strict=True):
        seen = np.asarray(guard.value).tolist()
        like = {True: text, False: f"~{text}"}.get(seen) if isinstance(seen, bool) else None
        same = like or f"({text} == {text}.new_tensor({seen!r})).all()"
        yield f"torch._assert_async({same}, {_said(guard)!r})"


def _said(guard: Guard) -> str:
    return f"this text is for the case {' '.join(str(guard).split())}"


def _beside(cut: Split) -> list[str]:
    """What forward gives beside the results; a result must not be given twice."""
    return [name for name in cut.kept if name not in _fresh(cut)]


def _fresh(cut: Split) -> list[str]:
    return [y for y in cut.results if y not in cut.shared]


def _setup(cut: Split) -> Iterator[str]:
    ctx, inputs, output = (cut.unused(name) for name in ("ctx", "inputs", "output"))
    yield f"def setup_context({ctx}, {inputs}, {output}):"
    yield f"    {_tuple(cut.arguments)} = {inputs}"
    outside, made = _outside(cut), (*cut.results, *_beside(cut))
    needed = {*outside, *cut.kept}
    if needed:
        targets = [name if name in needed else cut.unused("_") for name in made]
        yield f"    {_tuple(targets)} = {output}"
    if outside:
        yield f"    {ctx}.mark_non_differentiable({', '.join(outside)})"
    yield f"    {ctx}.save_for_backward({', '.join((*cut.arguments, *cut.kept))})"


def _outside(cut: Split) -> list[str]:
    """What forward gives through which no derivative goes."""
    return [y for y in cut.results if y not in cut.cotangents] + _beside(cut)


def _backward(cut: Split) -> Iterator[str]:
    ctx, rest = cut.unused("ctx"), cut.unused("_")
    places = {y: k for k, y in enumerate(cut.results)}
    given = [cut.cotangents.get(y, f"{rest}{k}") for y, k in places.items()]
    yield f"def backward({ctx}, {', '.join([*given, f'*{rest}'])}):"
    yield f"    {_tuple((*cut.arguments, *cut.kept))} = {ctx}.saved_tensors"
    if cut.kept:
        yield "    if torch.is_grad_enabled():  # a derivative of this derivative is wanted"
        made = (*cut.results, *_beside(cut))
        targets = [name if name in cut.kept else rest for name in made]
        again = f"{class_name(cut)}.forward({', '.join(cut.arguments)})"
        yield f"        {_tuple(targets)} = {again}"
    yield from (f"    {line.code}" for line in cut.again)
    gradients = [cut.gradients.get(x, "None") for x in cut.arguments]
    alone = [cut.gradients[x] for x in dict.fromkeys(x for _, x in cut.backward if x)]
    alone = [name for name in dict.fromkeys(alone) if name not in cut.cotangents.values()]
    if alone:
        yield f"    {' = '.join(alone)} = None"
    yield from _statements(cut, ctx)
    yield f"    return {', '.join(gradients)}"


def _statements(cut: Split, ctx: str) -> Iterator[str]:
    """The backward statements; what serves one argument alone only where its δ is wanted."""
    before = ""
    width = common_width(line for line, _ in cut.backward)
    for line, argument in cut.backward:
        if argument and argument != before:
            place = cut.arguments.index(argument)
            yield f"    if {ctx}.needs_input_grad[{place}]:"
        inset = "    " if argument else ""
        (code,) = column([line], width + 4 - len(inset))
        yield inset + code
        before = argument


def _function(cut: Split) -> Iterator[str]:
    called = signature(cut.traced, cut.traced.graph.inputs, {})
    yield f"def {cut.program.function}({', '.join(called.parameters)}):"
    yield f'    """{", ".join(cut.results)} of {cut.program.function}."""'
    yield from _indented(called.opening)
    made = ", ".join(cut.results)
    yield f"    {made}, *_ = {class_name(cut)}.apply({', '.join(cut.arguments)})"
    names = dict(zip(cut.traced.graph.outputs, cut.program.results, strict=True))
    yield f"    return {container(cut.traced.outputs, names)}"


def _indented(lines: Iterable[str]) -> Iterator[str]:
    yield from (f"    {line}" for line in lines)


def _tuple(names: Iterable[str]) -> str:
    found = list(names)
    return f"({found[0]},)" if len(found) == 1 else ", ".join(found)
