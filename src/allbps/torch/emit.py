"""An exported graph as source in NumPy's style: a line for each node, with its own place."""

from __future__ import annotations

import keyword
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.export import ExportedProgram
from torch.export.graph_signature import (
    ConstantArgument,
    InputKind,
    OutputKind,
)
from torch.fx import Node

from allbps.errors import ArgumentError, NoRuleError
from allbps.ir import Site
from allbps.torch.checks import CHECKED
from allbps.torch.inside import is_aim
from allbps.torch.table import writers_of
from allbps.torch.table.named import by_name
from allbps.torch.table.use import NotWrittenError, Use, Writer
from allbps.torch.where import class_of, own_name, path_of, said, site_of

RESERVED = {"np", "F", "bp", "parts", "special", "rng", "params", "buffers", "constants"}
"""Names that emitted source uses for other things."""


@dataclass(frozen=True)
class Line:
    """One statement.

    Attributes:
        name: what it assigns to.
        text: what it assigns.
        node: of the exported graph.
        site: the line of the module that it comes from.

    """

    name: str
    text: str
    node: Node
    site: Site | None

    @property
    def code(self) -> str:
        """The statement."""
        return f"{self.name} = {self.text}"


@dataclass(frozen=True)
class Written:
    """An exported graph, written.

    Attributes:
        lines: in order.
        inputs: names of the tensors among the arguments, in the order of the flattened ones.
        states: how a parameter, buffer or constant is written -> its name.
        results: how each leaf of the result is written.
        new: buffer -> how its new value is written.
        examples: what stands for each input: shape and dtype.

    """

    lines: tuple[Line, ...]
    inputs: tuple[str, ...]
    states: Mapping[str, str]
    results: tuple[str, ...]
    new: Mapping[str, str]
    examples: Mapping[str, Any] = field(default_factory=dict)


def write(
    program: ExportedProgram, roles: Mapping[str, str], called: Callable[[str], str],
    words: Sequence[str] = (), result: str = "",
) -> Written:  # fmt: skip
    """Every node of a graph as a line.

    Args:
        program: the graph.
        roles: name of a parameter or buffer -> the container that holds it in the source.
        called: the program's name of a parameter or buffer -> the name it goes by.
        words: names for the inputs in order, where there are better ones than the program's.
        result: a name for the first result.

    Raises:
        NoRuleError: operations that the table cannot write; all of them in one message.
        ArgumentError: the forward pass writes into an argument or a parameter.

    """
    _refuse_writes(program)
    names: dict[Node, str] = {}
    states: dict[str, str] = {}
    specs = {spec.arg.name: spec for spec in program.graph_signature.input_specs}
    inputs: list[str] = []
    examples: dict[str, Any] = {}
    chooser = _Names()
    for node in program.graph.nodes:
        if node.op != "placeholder":
            continue
        spec = specs[node.name]
        if spec.kind == InputKind.USER_INPUT:
            if isinstance(spec.arg, ConstantArgument):
                continue
            own = words[len(inputs)] if len(inputs) < len(words) else node.name
            names[node] = chooser.taken_by(own)
            inputs.append(names[node])
            examples[names[node]] = node.meta["val"]
        elif node.users:
            name = called(str(spec.target))
            names[node] = f"{roles.get(name, 'constants')}[{name!r}]".replace("'", '"')
            states[names[node]] = name
    (output,) = [node for node in program.graph.nodes if node.op == "output"]
    outputs = list(zip(program.graph_signature.output_specs, output.args[0], strict=True))
    last = _last_of_modules(program)
    first = next((v for s, v in outputs if s.kind == OutputKind.USER_OUTPUT), None)
    if result and isinstance(first, Node):
        last[first] = result
    lines, missing = _lines(program, names, chooser, last)
    if missing:
        raise _all_missing(missing)
    results, new = [], {}
    passed = _checked(program, names)
    if passed and isinstance(first, Node):
        text = f"parts.passed({names[first]}{passed})"
        names[first] = chooser.taken_by("passed")
        lines.append(Line(names[first], text, first, None))
    for spec, value in outputs:
        text = names[value] if isinstance(value, Node) else repr(value)
        if spec.kind == OutputKind.BUFFER_MUTATION:
            new[called(str(spec.target))] = text
        else:
            results.append(text)
    return Written(tuple(lines), tuple(inputs), states, tuple(results), new, examples)


def _lines(
    program: ExportedProgram, names: dict[Node, str], chooser: _Names, last: Mapping[Node, str]
) -> tuple[list[Line], list[tuple[Node, str]]]:
    """The lines, and each node that cannot be written with the reason."""
    lines = _aims(names, chooser)
    missing: list[tuple[Node, str]] = []
    apart: dict[Node, tuple[Writer | None, ...]] = {}
    for node in program.graph.nodes:
        if node.op != "call_function" or not node.users:
            continue
        try:
            text = _text(node, names, apart)
        except NotWrittenError as problem:
            missing.append((node, problem.what))
            names[node] = chooser.choose(node, last)
            continue
        if text is None:
            continue
        if is_aim(node):
            text = f"parts.itself({text})"
        if text.isidentifier() and text in names.values():
            names[node] = text  # another name for the same numbers
            continue
        names[node] = chooser.choose(node, last)
        lines.append(Line(names[node], text, node, site_of(node)))
    return lines, missing


def _checked(program: ExportedProgram, names: Mapping[Node, str]) -> str:
    """What every batch has to pass, and where that is asked, as further arguments."""
    checks = [node.args for node in program.graph.nodes if node.target is CHECKED]
    return "".join(f", ({names[met]}, {site!r})" for met, site in checks)


def _aims(names: dict[Node, str], chooser: _Names) -> list[Line]:
    """Arguments that the forward pass takes a gradient with respect to, under their own names."""
    lines = []
    for node, text in list(names.items()):
        if is_aim(node):
            names[node] = chooser.taken_by(str(node.name))
            lines.append(Line(names[node], f"parts.itself({text})", node, None))
    return lines


def _text(
    node: Node, names: Mapping[Node, str], apart: dict[Node, tuple[Writer | None, ...]]
) -> str | None:
    """How a node is written; None where its parts are.

    Raises:
        NotWrittenError: the table has no text for it.

    """
    if node.target is operator.getitem:
        source, k = node.args
        assert isinstance(source, Node)
        if source not in apart:
            if source not in names:
                raise NotWrittenError("")
            return f"{names[source]}[{k}]"
        found = apart[source][int(str(k))]
        if found is None:
            raise NotWrittenError(f"result {k} of {source.target}")
        return _by(found, Use.of(source, names))
    writers = writers_of(node.target)
    if writers is None:
        raise NotWrittenError("")
    if isinstance(writers, tuple):
        apart[node] = writers
        return None
    use = Use.of(node, names)
    try:
        return _by(writers, use)
    except NotWrittenError:
        other = by_name(node.target)
        if other is None:
            raise
        return _by(other, use)


def _by(writer: Writer, use: Use) -> str:
    return writer.format_map(use.texts()) if isinstance(writer, str) else writer(use)


# -- what is refused -------------------------------------------------------------------------------
def _refuse_writes(program: ExportedProgram) -> None:
    for spec in program.graph_signature.output_specs:
        if spec.kind == OutputKind.USER_INPUT_MUTATION:
            raise ArgumentError(
                f"forward writes into its argument {spec.target}",
                where=_writer_of(program, spec.arg.name),
                expected="a forward pass that leaves its arguments as they are",
                todo=f"{spec.target} = {spec.target}.clone() before it",
            )
        if spec.kind.name == "PARAMETER_MUTATION":
            raise ArgumentError(
                f"forward writes into the parameter {own_name(str(spec.target))}",
                where=_writer_of(program, spec.arg.name),
                expected="a forward pass that leaves parameters to the optimizer",
            )


def _writer_of(program: ExportedProgram, name: str) -> str:
    found = [node for node in program.graph.nodes if node.name == name]
    return said(found[0]) if found else ""


def _all_missing(missing: Iterable[tuple[Node, str]]) -> NoRuleError:
    """One error for all operations that cannot be written, each with its module and line."""
    rows: dict[str, list[str]] = {}
    for node, reason in missing:
        what = str(node.target).removeprefix("aten.").removesuffix(".default")
        rows.setdefault(f"{what} with {reason}" if reason else what, []).append(said(node))
    rows = {what: places for what, places in rows.items() if "getitem" not in what} or rows
    shown = [
        f"{what} ({places[0]}{f', and {len(places) - 1} more' if len(places) > 1 else ''})"
        for what, places in rows.items()
    ]
    names = ", ".join(rows)
    return NoRuleError(
        f"{len(rows)} operation{'s' if len(rows) > 1 else ''} of this module"
        f" cannot be written in NumPy yet: {names}",
        where="\n            ".join(shown),
        expected="operations of allbps.torch.table, or what PyTorch decomposes into them",
        todo=_OTHER_NUMBERS
        if all(" with numbers of torch." in what for what in rows)
        else "write the forward pass without them, or add a line to src/allbps/torch/table/"
        " (docs/pytorch.md shows how)",
    )


_OTHER_NUMBERS = (
    "leave out autocast and .bfloat16() or .half(): steps are float32 or float64, since what is"
    " rounded after every operation would not be PyTorch's numbers"
)


# -- names -----------------------------------------------------------------------------------------
_SHORT = {
    "native_batch_norm_legit_functional": "batch_norm", "native_batch_norm_legit": "batch_norm",
    "native_batch_norm_legit_no_training": "batch_norm", "native_dropout": "dropout",
    "scaled_dot_product_attention": "attention", "cross_entropy_loss": "cross_entropy",
}  # fmt: skip
"""Operation -> what its result is called, where its own name is long."""


class _Names:
    """One name for every line: the module's, the variable's, or the operation's."""

    def __init__(self) -> None:
        self._taken = {*RESERVED, *keyword.kwlist}

    def taken_by(self, name: str) -> str:
        """That name, or the next free one like it."""
        name = re.sub(r"\W+", "_", name).strip("_") or "x"
        name = f"_{name}" if name[0].isdigit() else name
        free, k = name, 1
        while free in self._taken:
            k += 1
            free = f"{name}_{k}"
        self._taken.add(free)
        return free

    def choose(self, node: Node, last: Mapping[Node, str]) -> str:
        """A name for what a node computes."""
        if node in last:
            return self.taken_by(last[node])
        if node.target is operator.getitem:
            node = node.args[0]  # type: ignore[assignment]
        name = str(node.target).removeprefix("aten.").partition(".")[0].strip("_")
        return self.taken_by(_SHORT.get(name, name))


def _last_of_modules(program: ExportedProgram) -> dict[Node, str]:
    """What a module of ``torch.nn`` returns -> that module's name; what a line assigns -> its name.

    ``h = F.relu(self.conv1(x))`` gives ``conv1`` and ``h``.
    """
    found: dict[Node, str] = {}
    (output,) = [node for node in program.graph.nodes if node.op == "output"]
    buffers = set(output.args[0][: len(program.graph_signature.buffers_to_mutate)])
    nodes = [
        node
        for node in program.graph.nodes
        if node.op == "call_function" and node.users and node not in buffers and _is_first(node)
    ]
    for node, after in zip(nodes, [*nodes, None][1:], strict=True):
        path, site = path_of(node), site_of(node)
        leaves = after is None or path_of(after) != path
        if path and leaves and class_of(node).startswith("torch.nn.modules"):
            found[node] = path.replace(".", "_")
        elif site is not None and (after is None or _line_of(after) != _line_of(node)):
            assigned = _ASSIGNED.match(site.text)
            if assigned:
                found[node] = assigned[1]
    return found


def _line_of(node: Node) -> tuple[str, int] | None:
    site = site_of(node)
    return (site.file, site.line) if site else None


def _is_first(node: Node) -> bool:
    """Is this a result of its own, or the first of several?"""
    return node.target is not operator.getitem or bool(node.args[1] == 0)


_ASSIGNED = re.compile(r"([A-Za-z_]\w*)\s*(?::[^=]+)?=\s*[^=]")


def tensors_of(program: ExportedProgram, called: Callable[[str], str]) -> dict[str, torch.Tensor]:
    """Name -> the module's own tensor: parameters, buffers and constants of a graph."""
    found: dict[str, torch.Tensor] = {}
    for spec in program.graph_signature.input_specs:
        name = str(spec.target)
        if spec.kind == InputKind.USER_INPUT or spec.target is None:
            continue
        held = program.state_dict.get(name)
        found.setdefault(called(name), program.constants[name] if held is None else held)
    return found
