"""How an emitted function is called: as the user's own, with containers as the user passes them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from allbps.ir import Node
from allbps.trace import Traced

PER_GUARD = 3
"""Arguments whose shapes one statement compares."""


@dataclass(frozen=True)
class Signature:
    """The arguments of an emitted function, and the gradients that it returns.

    Attributes:
        function: its name.
        parameters: those that hold arrays: ``x``, ``*layers``, ``**options``.
        head: all of them as they stand in its head, ``axis=1`` among them.
        options: (name, value) of those without arrays; the text is for these values alone.
        opened: (name in the statements, expression of the parameters), where they differ.
        shapes: (name in the statements, shape) of every array among the arguments.
        gradients: the text of the gradients, arranged as the arguments are.

    """

    function: str
    parameters: tuple[str, ...]
    head: tuple[str, ...]
    options: tuple[tuple[str, Option], ...]
    opened: tuple[tuple[str, str], ...]
    shapes: tuple[tuple[str, tuple[int, ...]], ...]
    gradients: str

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters without stars."""
        return tuple(name.lstrip("*") for name in self.parameters)

    @property
    def renamed(self) -> tuple[str, ...]:
        """The parameters whose names the statements do not use for them."""
        return tuple(dict.fromkeys(value.partition("[")[0] for _, value in self.opened))

    @property
    def opening(self) -> Iterator[str]:
        """Statements that give the arrays in the arguments their names."""
        targets, values = [t for t, _ in self.opened], [v for _, v in self.opened]
        if set(targets) & set(self.names):  # a name would be overwritten before it is read
            yield f"{', '.join(targets)}, = {', '.join(values)},"
            return
        yield from (f"{target} = {expression}" for target, expression in self.opened)

    @property
    def guards(self) -> Iterator[str]:
        """Statements that refuse other options and shapes than those that the text holds."""
        for name, value in self.options:
            other = f"{name} is not {value}" if value is None else f"{name} != {value!r}"
            yield f"if {other}:"
            said = f"{self.function} was written for {name} = {value!r}"
            yield f"    raise ValueError({said!r})"
        yield from self.shape_guards

    @property
    def shape_guards(self) -> Iterator[str]:
        """Those for a text that is given the arrays alone."""
        for k in range(0, len(self.shapes), PER_GUARD):
            some = self.shapes[k : k + PER_GUARD]
            names, shapes = (f"{name}.shape" for name, _ in some), (str(s) for _, s in some)
            here, there = ", ".join(names), ", ".join(shapes)
            if len(some) > 1:
                here, there = f"({here})", f"({there})"
            said = ", ".join(f"{name} {shape}" for name, shape in some)
            yield f"if {here} != {there}:"
            yield f'    raise ValueError("{self.function} was written for {said}")'


def signature(traced: Traced, inputs: Iterable[Node], deltas: Mapping[Node, str]) -> Signature:
    """The signature of the user's function for the arrays in its arguments.

    Args:
        traced: the function; of options among its arguments the text has the values.
        inputs: of the emitted function; those that are no argument are given δ, and come last.
        deltas: argument -> the name of its δ, where it has one.

    """
    parameters, opened, gradients = [], [], []
    head: list[str] = []
    options: dict[str, Option] = {}
    arrays: dict[Node, None] = {}
    for name, tree in traced.parameters.items():
        found = list(_opened(name, tree))
        stars = traced.stars.get(name, "")
        if not found and not stars and is_option(tree):
            head.append(name)
            options[name] = tree
        if not found:
            continue
        parameters.append(f"{stars}{name}")
        head.append(parameters[-1])
        opened += [(x.name, path) for path, x in found if x.name != path]
        arrays |= {x: None for _, x in found}
        whole = _gathered(tree, deltas)
        if stars == "**":
            parts = ((key, _gathered(part, deltas)) for key, part in tree.items())
            gradients += [f"{key!r}: {text}" for key, text in parts if text]
        elif whole:
            gradients.append(f"{name!r}: {whole}")
    given = [x for x in inputs if x not in arrays]
    shapes = tuple((x.name, x.shape) for x in (*arrays, *given) if x.shape)
    return Signature(
        traced.function,
        (*parameters, *(x.name for x in given)),
        (*_with_defaults(head, options if not given else {}), *(x.name for x in given)),
        tuple(options.items()),
        tuple(opened),
        shapes,
        f"{{{', '.join(gradients)}}}",
    )


Option = int | float | bool | str | None | tuple[Any, ...]


def is_option(x: Any) -> bool:
    """Can it be written down and compared: ``1``, ``"mean"``, ``None``, ``(0, 1)``?"""
    if isinstance(x, tuple) and type(x) is tuple:
        return all(map(is_option, x))
    return x is None or type(x) in (int, float, bool, str)


def _with_defaults(head: list[str], options: Mapping[str, Option]) -> list[str]:
    """Options have their values as defaults where no array comes behind them."""
    last = max((k for k, name in enumerate(head) if name not in options), default=-1)
    return [f"{n}={options[n]!r}" if k > last else n for k, n in enumerate(head)]


def _opened(path: str, tree: Any) -> Iterator[tuple[str, Node]]:
    """(expression, node) for each array in an argument."""
    if isinstance(tree, Node):
        yield path, tree
    elif isinstance(tree, dict):
        for key, part in tree.items():
            yield from _opened(f"{path}[{key!r}]", part)
    elif isinstance(tree, (tuple, list)):
        for k, part in enumerate(tree):
            yield from _opened(f"{path}[{k}]", part)


def _gathered(tree: Any, deltas: Mapping[Node, str]) -> str:
    """The text of a container with δ in the places of arrays; empty where there is none."""
    if isinstance(tree, Node):
        return deltas.get(tree, "")
    if isinstance(tree, dict):
        parts = ((key, _gathered(part, deltas)) for key, part in tree.items())
        text = ", ".join(f"{key!r}: {part}" for key, part in parts if part)
        return f"{{{text}}}" if text else ""
    if not isinstance(tree, (tuple, list)):
        return ""
    texts = [_gathered(part, deltas) for part in tree]
    if not any(texts):
        return ""
    inside = ", ".join(text or "None" for text in texts)
    is_list = isinstance(tree, list)
    return f"[{inside}]" if is_list else f"({inside},)" if len(texts) == 1 else f"({inside})"
