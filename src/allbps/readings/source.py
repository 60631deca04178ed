"""Source: the forward and backward pass as a function a person would have written, and running it.

What ``Program.run`` executes is the very text that ``Program.text`` shows.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import re
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import count
from textwrap import dedent
from typing import Any, Literal

import numpy as np

from allbps.backward import Backward
from allbps.errors import NonFiniteError, NoRuleError, SingularError
from allbps.ir import CONST, INPUT, Graph, Node
from allbps.ops.shape import broadcast_to, identity, transpose
from allbps.readings.aside import Aside, aside
from allbps.readings.dialect import NUMPY, Dialect, expression
from allbps.readings.literals import BESIDE, LITERAL_SIZE, PACKED, Likes, module_level, read_from
from allbps.readings.signature import Signature, signature
from allbps.trace import Traced


@dataclass(frozen=True)
class Line:
    """One statement: what it assigns, to which node, and the remark behind it."""

    node: Node
    code: str
    remark: str

    @property
    def name(self) -> str:
        """What the statement assigns to: the node's name, or a temporary's."""
        return self.code.partition(" = ")[0]


@dataclass(frozen=True)
class Program:
    """Emitted source.

    Attributes:
        dialect: the language it is in.
        function: name of the function.
        signature: its arguments, as the user passes them, and the gradients that it returns.
        constants: large constants, which stand above the function, by name.
        forward, backward: its statements.
        results: names of what it returns.
        helpers: source of the functions that it calls.
        aside: what is spelled otherwise, because the function is called like it.

    """

    dialect: Dialect
    function: str
    signature: Signature
    constants: Mapping[str, Any]
    forward: tuple[Line, ...]
    backward: tuple[Line, ...]
    results: tuple[str, ...]
    helpers: tuple[str, ...]
    aside: Aside | None = None

    @property
    def arguments(self) -> tuple[str, ...]:
        """Names of its arguments, as the user has them: the traced ones, then given δ."""
        return self.signature.names

    @property
    def body(self) -> str:
        """The statements alone."""
        return "\n".join(line.code for line in (*self.forward, *self.backward))

    @property
    def imports(self) -> tuple[str, ...]:
        """The import lines that the statements and helpers need."""
        used = "\n".join((*self.helpers, self.body))
        imports = self.dialect.imports.items()
        needed = [line for name, line in imports if re.search(rf"(?<![\w.]){name}\.", used)]
        return tuple(
            sorted([*needed, self.aside.line] if self.aside and self.aside.line else needed)
        )

    @property
    def text(self) -> str:
        """The whole file, large constants packed into it."""
        above = [module_level(name, value) for name, value in self.constants.items()]
        return self._file(PACKED if above else (), above)

    def text_beside(self, file: str) -> str:
        """The whole file; large constants are read from ``file``, an ``.npz`` in its folder."""
        if not self.constants:
            return self.text
        return self._file(BESIDE, ["\n".join(read_from(file, self.constants))])

    def _file(self, imports: Iterable[str], above: Iterable[str]) -> str:
        head = "\n".join(sorted({*self.imports, *imports}))
        parts = [head, *above, *self.helpers, "\n".join(self._function())]
        return "\n\n\n".join(part for part in parts if part) + "\n"

    def _function(self) -> Iterator[str]:
        yield f"def {self.function}({', '.join(self.signature.head)}):"
        yield f'    """{self._docstring()}"""'
        yield from (f"    {line}" for line in self.signature.opening)
        yield from self._hidden_words()
        yield from (f"    {line}" for line in self.signature.guards)
        if self.backward:
            yield "    # forward"
        yield from self.statements("forward")
        if self.backward:
            yield "    # backward"
            yield from self.statements("backward")
        results = ", ".join(self.results)
        if not self.backward:
            yield f"    return {results}"
            return
        yield f"    return {results}, {self.signature.gradients}"

    def statements(self, part: Literal["forward", "backward"]) -> Iterator[str]:
        """The statements of the forward or the backward pass, their remarks in one column."""
        width = common_width((*self.forward, *self.backward))
        yield from column(self.forward if part == "forward" else self.backward, width)

    def _hidden_words(self) -> Iterator[str]:
        """Words of libraries and helpers that arguments hid, once these have other names."""
        for given in self.signature.renamed:
            if given in self.dialect.imports:
                yield f"    {self.dialect.imports[given]}"
            elif any(helper.startswith(f"def {given}(") for helper in self.helpers):
                yield f"    {given} = globals()[{given!r}]"
            elif hasattr(builtins, given):
                yield f"    from builtins import {given}"

    def _docstring(self) -> str:
        results = ", ".join(self.results)
        if not self.backward:
            return f"{results} of {self.function}."
        return f"{results} and its gradients; dX is the derivative with respect to X."

    def scope(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """What the statements need before they run: imports, helpers, constants, arguments."""
        scope: dict[str, Any] = {}
        exec("\n".join((*self.imports, *self.helpers)), scope)
        scope.update(self.constants)
        scope.update(values)
        return scope

    def run(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Execute the statements.

        Args:
            values: argument name -> array.

        Returns:
            every name that the statements assign, and the arguments.

        Raises:
            NonFiniteError: plain numbers are divided by 0.
            SingularError: a matrix has no such inverse or factorisation.

        """
        scope = self.scope(values)
        text = f"<{self.function} by allbps>"
        try:
            exec(compile(self.body, text, "exec"), scope)
        except ZeroDivisionError as error:
            raise NonFiniteError(
                f"{self.function} or its backward pass divides by zero",
                got=self._line(error, text),
                todo="look for a denominator that can be 0",
            ) from error
        except np.linalg.LinAlgError as error:
            raise SingularError(
                f"{self.function} or its backward pass: {str(error)[:1].lower()}{str(error)[1:]}",
                got=self._line(error, text),
                todo="look for a matrix that can be singular: its inverse has no derivative",
            ) from error
        return scope

    def _line(self, error: Exception, text: str) -> str:
        """The statement at which an error arose."""
        trail = traceback.extract_tb(error.__traceback__)
        numbers = [step.lineno or 1 for step in trail if step.filename == text]
        return self.body.splitlines()[numbers[-1] - 1].strip() if numbers else ""


def emit(subject: Traced | Backward, dialect: Dialect = NUMPY) -> Program:
    """The source of a traced function, with its backward pass if ``subject`` has one.

    Raises:
        NoRuleError: an operation has no text in this dialect.

    """
    traced = subject.traced if isinstance(subject, Backward) else subject
    graph = subject.graph
    likes = Likes.among(graph.inputs, dialect)
    deltas = _own_nodes(subject, likes) if isinstance(subject, Backward) else {}
    everything = Graph(graph.inputs, (*graph.outputs, *deltas))
    writer = _Writer(everything, likes, traced.function)
    forward_nodes = set(traced.graph.nodes)
    remarks = {**_sites(traced.graph.nodes), **deltas}
    lines = list(writer.lines(remarks))
    helpers = _helpers(everything.nodes, "\n".join(line.code for line in lines), dialect)
    meets = aside(traced.function, dialect.imports, (*helpers, *(line.code for line in lines)))
    if meets is not None:
        lines = [replace(line, code=meets.spelled(line.code)) for line in lines]
        helpers = tuple(map(meets.spelled, helpers))
    backward = tuple(line for line in lines if line.node not in forward_nodes)
    gradients = {}
    if isinstance(subject, Backward):
        gradients = {x: subject.deltas[x].node.name for x in subject.wrt if x in subject.deltas}
    return Program(
        dialect=dialect,
        function=traced.function,
        signature=signature(traced, graph.inputs, gradients),
        constants=writer.constants,
        forward=tuple(line for line in lines if line.node in forward_nodes),
        backward=_in_reading_order(backward, subject),
        results=tuple(writer.name(y) for y in traced.graph.outputs),
        helpers=helpers,
        aside=meets,
    )


def _in_reading_order(lines: tuple[Line, ...], subject: Traced | Backward) -> tuple[Line, ...]:
    """Back along the graph first, the arguments' δ last, unless something still needs them."""
    if not isinstance(subject, Backward):
        return lines
    late = {node for x in subject.wrt if x in subject.deltas for node in _own(subject, x)}
    used_early = {
        operand for line in lines if line.node not in late for operand in line.node.inputs
    }
    late -= used_early
    order = [line for line in lines if line.node not in late]
    tail = [line for line in lines if line.node in late]
    if any(not line.node.name for line in lines):
        return lines  # shared temporaries: leave everything where its operands are ready
    return (*order, *_by_argument(tail, subject))


def _by_argument(tail: list[Line], subject: Backward) -> list[Line]:
    rank = {
        node: k
        for k, x in enumerate(subject.wrt)
        if x in subject.deltas
        for node in _own(subject, x)
    }
    return sorted(tail, key=lambda line: (rank[line.node], line.node.born))


def _own(subject: Backward, primal: Node) -> list[Node]:
    delta = subject.deltas[primal]
    return [*(term.node for term in delta.terms if len(delta.terms) > 1), delta.node]


def _own_nodes(subject: Backward, likes: Likes) -> dict[Node, str]:
    """Every δ and every contribution -> the remark that ties it to its forward line."""
    remarks: dict[Node, str] = {}
    for primal, delta in subject.deltas.items():
        if len(delta.terms) == 1:  # its node may be another δ, which has a remark of its own
            remarks[delta.node] = _tie(delta.terms[0].consumer, likes)
            continue
        for term in delta.terms:
            remarks[term.node] = _tie(term.consumer, likes)
        remarks[delta.node] = f"{primal.name} is used {len(delta.terms)} times" * bool(delta.terms)
    return remarks


def _tie(consumer: Node, likes: Likes) -> str:
    operands = [x.name or _shown(x, likes) for x in consumer.inputs]
    code = likes.follow(expression(consumer, operands, likes.dialect))
    return f"from {consumer.name} = {code}" if len(code) < 60 else f"from {consumer.name}"


def _shown(constant: Node, likes: Likes) -> str:
    return likes.literal(constant) if constant.size <= LITERAL_SIZE else "constant"


def _sites(nodes: Iterable[Node]) -> dict[Node, str]:
    return {node: f"line {node.site.line}" for node in nodes if node.site is not None}


WIDEST = 44
"""Longer statements do not push the remarks of the others to the right."""


def common_width(lines: Iterable[Line]) -> int:
    return max((len(line.code) for line in lines if len(line.code) <= WIDEST), default=0)


def column(lines: Iterable[Line], width: int) -> Iterator[str]:
    """The statements, their remarks in one column."""
    for line in lines:
        yield (
            f"    {line.code.ljust(width)}  # {line.remark}" if line.remark else f"    {line.code}"
        )


class _Writer:
    """Turns nodes into statements: named nodes get a line, the others stand inside one."""

    def __init__(self, graph: Graph, likes: Likes, function: str) -> None:
        self.graph, self.likes, self.function = graph, likes, function
        self.constants: dict[str, Any] = {}
        self._texts: dict[Node, str] = {}
        self._temporaries = 0
        self._spread = _spread(graph)
        self._same = merged(graph)
        self._uses = Counter(
            self._same[operand]
            for node in graph.nodes
            if self._same[node] is node
            for operand in node.inputs
        )

    def lines(self, remarks: Mapping[Node, str]) -> Iterator[Line]:
        for node in self.graph.nodes:
            if self._same[node] is not node:
                continue
            if node.op is INPUT:
                self._texts[node] = node.name
            elif node.op is CONST and not node.name:
                self._texts[node] = self._constant(node)
            else:
                text = self._constant(node) if node.op is CONST else self._expression(node)
                name = node.name or self._temporary(node)
                if name:
                    yield Line(node, f"{name} = {text}", remarks.get(node, ""))
                self._texts[node] = name or text

    def name(self, node: Node) -> str:
        return self._texts[node]

    def _expression(self, node: Node) -> str:
        operands = [self._texts[self._same[x]] for x in node.inputs]
        if node.op is identity and node.inputs[0].op is CONST:
            weak = node not in self._spread and node.dtype == np.float64
            constant = node.inputs[0]
            operands = [operands[0] if weak else self.likes.of_its_own(constant)]
        operands = self.likes.promoted(node, operands)
        return self.likes.follow(expression(node, operands, self.likes.dialect))

    def _temporary(self, node: Node) -> str:
        """A name for an unnamed value that is used more than once."""
        if self._uses[node] <= 1 or node.op is transpose:  # x.T is shorter than a name
            return ""
        self._temporaries += 1
        return f"_{self._temporaries}"

    def _constant(self, node: Node) -> str:
        if node.size <= LITERAL_SIZE:
            return self.likes.literal(node)
        name = self._unused()
        self.constants[name] = np.asarray(node.value)
        return self.likes.large(name, node)

    def _unused(self) -> str:
        """``C1``, ``C2``, … unless a variable or the function is called so."""
        taken = {node.name for node in self.graph.nodes} | {*self.constants, self.function}
        return next(name for k in count(1) if (name := f"C{k}") not in taken)


def _spread(graph: Graph) -> set[Node]:
    """Numbers that are repeated into an array: what sets its dtype."""
    stack = [x for node in graph.nodes if node.op is broadcast_to for x in node.inputs]
    found: set[Node] = set()
    while stack:
        node = stack.pop()
        if node.shape == () and node not in found:
            found.add(node)
            stack += node.inputs
    return found


def merged(graph: Graph) -> dict[Node, Node]:
    """Node -> the first node that computes the same; a named one is always itself.

    A rule for q and a rule for k may build the same expression: it is written, and run, once.
    """
    first: dict[Any, Node] = {}
    same: dict[Node, Node] = {}
    for node in graph.nodes:
        if node.op is INPUT or (node.op is CONST and np.size(node.value) > 1):
            same[node] = node
            continue
        value = (type(node.value), repr(node.value)) if node.op is CONST else repr(node.attrs)
        key = (node.op.name, *(id(same[x]) for x in node.inputs), value, node.dtype)
        found = first.setdefault(key, node)
        same[node] = node if node.name else found
    return same


def _helpers(nodes: Iterable[Node], body: str, dialect: Dialect) -> tuple[str, ...]:
    """Source of the NumPy functions that the statements call, and of those they call."""
    known = {helper.__name__: helper for node in nodes for helper in node.op.helpers}
    sources = {name: dialect.respell(_plain_source(helper)) for name, helper in known.items()}
    wanted: dict[str, None] = {}
    pending = [body]
    while pending:
        text = pending.pop()
        for name, source in sources.items():
            if name not in wanted and re.search(rf"(?<![\w.]){name}\(", text):
                wanted[name] = None
                pending.append(source)
    return tuple(sources[name] for name in sources if name in wanted)


@lru_cache(maxsize=256)
def _plain_source(helper: Callable[..., Any]) -> str:
    """A helper's source without annotations, as emitted code is written."""
    try:
        source = dedent(inspect.getsource(helper)).rstrip()
    except OSError:
        raise NoRuleError(
            f"the source of {helper.__name__} cannot be read",
            todo="define it in a file or in a cell of a notebook",
        ) from None
    (definition,) = ast.parse(source).body
    assert isinstance(definition, ast.FunctionDef)
    arguments = definition.args
    for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
        argument.annotation = None
    body = source.splitlines()[definition.body[0].lineno - 1 :]
    return "\n".join([f"def {definition.name}({ast.unparse(arguments)}):", *body])
