"""The judge that does not share the graph: the user's function itself, on plain arrays.

The other judges start from the traced graph, so none of them sees a graph that is not the
function's: a value that was read too early, a write that was lost, an operation whose value is not
NumPy's. Here the function runs once more, on plain arrays and with the random numbers that it drew
while it was traced, and its value must be the graph's.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np

from allbps.backward import Backward
from allbps.errors import PlainValueError
from allbps.ir import Graph, Node, ancestors
from allbps.ir.arraylike import ArrayLike
from allbps.ir.draws import drawing
from allbps.noise import run_nodes
from allbps.outside import Outside
from allbps.trace import Traced, call_bound
from allbps.tree import flatten, leaves, rebuild, same_structure, tree_map
from allbps.verify.branches import on_a_border, other_slopes
from allbps.verify.effects import Effects
from allbps.verify.finding import Verdict
from allbps.verify.given import Given
from allbps.verify.likeness import apart
from allbps.verify.marks import Mark, State

SHORT = 1e8
"""Work up to which the function is run again whenever it is traced: about a tenth of a second."""
LONG = 1e10
"""Work up to which it is run again for a report: seconds."""
CALL = 2000
"""What calling an operation costs at least, in numbers computed."""


class SideEffectWarning(UserWarning):
    """A function that gives another value from run to run, or changes what lies outside of it."""


@dataclass(frozen=True)
class PlainRun:
    """What the function itself gives on plain arrays, beside what its graph gives.

    Attributes:
        verdict: "agree", "disagree", "noisy" where rounding explains the difference and is large,
            or "not checked".
        note: why, in words; names the output.
        expected: the function's number where they differ.
        got: the graph's.
        steady: does the function give the same value each time?
        effects: what it changes outside of itself.
        border: the line of a branch on whose border δ is the slope on no side, if there is one.

    """

    verdict: Verdict
    note: str = ""
    expected: str = ""
    got: str = ""
    steady: bool = True
    effects: tuple[str, ...] = ()
    border: str = ""

    def __str__(self) -> str:
        if self.border:
            return (
                f"a branch is decided on its border at {self.border}, and δ is the slope of the"
                " function on neither side of it"
            )
        if self.verdict is Verdict.AGREE:
            return "the function's own value on plain arrays is the graph's"
        numbers = f": {self.expected} plain, {self.got} traced" if self.expected else ""
        return f"{self.note}{numbers}"

    @property
    def confirms(self) -> bool:
        """May the graph be the function's, as far as this says anything?"""
        return self.steady and not self.border and self.verdict is not Verdict.DISAGREE

    def to_json(self) -> dict[str, Any]:
        """As plain dicts, lists and strings."""
        return {
            "verdict": str(self.verdict), "note": str(self), "steady": self.steady,
            "effects": list(self.effects),
        }  # fmt: skip


class Witness:
    """Stands by while a function is traced, and can run it again as it ran then.

    Args:
        f: the function; to be made before it is traced.
        arguments: by the names of its parameters.

    """

    def __init__(self, f: Callable[..., Any], arguments: Mapping[str, Any]) -> None:
        self._f, self._arguments = f, arguments
        self._outside = Outside(f, *arguments.values())
        self._said: PlainRun | None = None

    def drawn(self, traced: Traced) -> list[str]:
        """The generators from which the function drew by itself while it was traced."""
        return self._outside.drawn(traced.draws)

    def says(
        self, traced: Traced, values: Mapping[str, Any] | None = None, limit: float = SHORT
    ) -> PlainRun:
        """Compare the function's value with its graph's; the function runs once for all calls.

        Args:
            traced: the function's graph.
            values: what its program computed, by name; the graph is evaluated where None.
            limit: of the work that is worth it.

        """
        if self._said is not None:
            return self._said
        work = work_of(traced.graph)
        if work > limit:
            return _unsaid(f"about {work:.0e} numbers to compute, more than is worth it here")
        if self._outside.is_mixed(traced.draws):
            return _unsaid("a generator was drawn from and given as rng= too, in an unknown order")
        self._said = self._compared(traced, values)
        return self._said

    def judges(self, passes: Backward, values: Mapping[str, Any]) -> PlainRun:
        """What ``says`` says for a report, and whether δ are slopes of the function itself."""
        traced = passes.traced
        said = self.says(traced, values, LONG)
        if passes.given or said.verdict is not Verdict.AGREE or work_of(traced.graph) > SHORT:
            return said
        deltas = {
            x: np.asarray(values[passes.deltas[x].node.name]) if x in passes.deltas else 0.0
            for x in passes.wrt
            if x.is_float
        }
        guard = on_a_border(traced, deltas, partial(self._value, traced))
        return said if guard is None else replace(said, border=str(guard.site or guard.purpose))

    def granted(
        self, passes: Backward, values: Mapping[str, Any], found: tuple[Mark, ...],
        given: Mapping[str, Given],
    ) -> tuple[Mark, ...]:  # fmt: skip
        """Marks of arguments, right where a branch is decided on its border and allows them."""
        traced = passes.traced
        arguments = {x.name: x for x in traced.graph.inputs if x in passes.deltas and x.is_float}
        only = all(mark.node in arguments for mark in found) and not passes.given
        if all(found) or not only or not traced.guards or work_of(traced.graph) > SHORT:
            return found
        return tuple(
            mark if mark else self._granted(passes, values, mark, arguments[mark.node], given)
            for mark in found
        )

    def _granted(
        self, passes: Backward, values: Mapping[str, Any], mark: Mark, node: Node,
        given: Mapping[str, Given],
    ) -> Mark:  # fmt: skip
        traced, ours = passes.traced, np.asarray(values[passes.deltas[node].node.name])
        theirs = given[mark.node].numbers
        guard = other_slopes(traced, ours, node, theirs, partial(self._value, traced))
        if guard is None:
            return mark
        where = guard.site or guard.purpose
        note = f"by a convention different from ours at the branch of {where}; any there is right"
        return Mark(mark.node, State.RIGHT, mark.label, mark.edges, note=note, where=mark.where)

    def require(self, traced: Traced, values: Mapping[str, Any] | None = None) -> None:
        """Refuse a graph that does not compute what the function computes.

        A function whose value changes from run to run has no one graph: that is a warning.

        Raises:
            PlainValueError: the function is steady, and its value is another one.

        """
        said = self.says(traced, values)
        if not said.steady:
            warnings.warn(f"{traced.title}: {said}", SideEffectWarning, stacklevel=4)
        if said.verdict is Verdict.DISAGREE:
            raise PlainValueError(
                f"{traced.title}: {said.note}", expected=said.expected, got=said.got,
                todo="write it so that it does the same for traced arrays as for plain ones",
            )  # fmt: skip

    # -- running and comparing -------------------------------------------------------------------
    def _compared(self, traced: Traced, values: Mapping[str, Any] | None) -> PlainRun:
        effects = Effects(self._f)
        plain = self._run(traced)
        changed = (*effects.changed(), *plain.written)
        found = _difference(traced, plain, values)
        if found is None:
            return PlainRun(Verdict.AGREE, effects=changed)
        name, note, expected, got, verdict = found
        if verdict is Verdict.DISAGREE and not plain.same_as(self._run(traced)):
            why = f"it changes {', '.join(changed)}" if changed else "hidden random numbers?"
            note = (
                f"{name} changes from run to run ({why}): noise in which nothing can be compared;"
                " δ are those of the run that was traced"
            )
            return PlainRun(Verdict.NOISY, note, expected, got, steady=False, effects=changed)
        return PlainRun(verdict, note, expected, got, effects=changed)

    def _value(self, traced: Traced, values: Mapping[Node, Any]) -> Any:
        return self._run(traced, values).value

    def _run(self, traced: Traced, values: Mapping[Node, Any] | None = None) -> _Returned:
        """The function on copies of the arguments, arrays that were one array still being one.

        The arguments are those that it was traced on, or others in their place.
        """
        values = traced.values if values is None else values
        copies: dict[int, Any] = {}
        arguments = {
            name: rebuild(tree, self._plain(values, tree, self._arguments[name], copies))
            for name, tree in traced.parameters.items()
        }
        before = {name: leaf.copy() for name, leaf in _named_arrays(arguments)}
        with (
            np.errstate(all="ignore"),
            self._outside.rewound(),
            drawing(traced.draws.again(traced.draws.step)),
        ):
            try:
                returned = call_bound(self._f, arguments)
            except Exception as error:  # whatever the function raises is its answer
                return _Returned(None, f"{type(error).__name__}: {error}".splitlines()[0])
        returned = tree_map(_plainly, returned)
        after = dict(_named_arrays(arguments))
        written = tuple(n for n, old in before.items() if _bytes(old) != _bytes(after.get(n)))
        return _Returned(returned, written=written)

    def _plain(
        self, values: Mapping[Node, Any], tree: Any, given: Any, copies: dict[int, Any]
    ) -> Iterator[Any]:
        for node, user in zip(leaves(tree), leaves(given), strict=True):
            if not isinstance(node, Node):
                yield node
                continue
            value = values[node]
            if isinstance(user, np.ndarray):  # a number would not do for an array without axes
                value = copies.setdefault(id(user), np.array(value))
            yield value


@dataclass(frozen=True, eq=False)
class _Returned:
    """What a plain run gave.

    Attributes:
        value: what the function returned.
        raised: or the error it raised.
        written: arguments that it wrote into.

    """

    value: Any
    raised: str = ""
    written: tuple[str, ...] = ()

    @cached_property
    def arrays(self) -> list[Any]:
        return [np.array(leaf, copy=True) for leaf in leaves(self.value)]

    def same_as(self, other: _Returned) -> bool:
        """Is it the same to the last bit?"""
        if self.raised or other.raised:
            return self.raised == other.raised
        return list(map(_bytes, self.arrays)) == list(map(_bytes, other.arrays))


def _difference(
    traced: Traced, plain: _Returned, values: Mapping[str, Any] | None
) -> tuple[str, str, str, str, Verdict] | None:
    """(output, what differs, the function's, the graph's, the verdict); None: nothing does."""
    wrong = Verdict.DISAGREE
    nodes = traced.graph.outputs
    if values is None:  # here an error of the graph's own comes out
        given = {x: traced.values[x] for x in traced.graph.inputs}
        found = run_nodes(ancestors(nodes), given)
        ours = [found[node] for node in nodes]
    else:
        ours = [values[node.name] for node in nodes]
    if plain.raised:
        raises = "on plain arrays the function raises an error"
        return "what it raises", raises, plain.raised, "a value", wrong
    if not same_structure(plain.value, traced.outputs):
        return (
            "its container", "on plain arrays the function returns another container",
            _shown_tree(plain.value), _shown_tree(traced.outputs), wrong,
        )  # fmt: skip
    doubtful = None
    for node, mine, theirs in zip(nodes, ours, leaves(plain.value), strict=True):
        name = node.name or "the result"
        if isinstance(theirs, ArrayLike) or _is_object(theirs):
            return name, f"{name} holds traced arrays that the function kept", "numbers", "", wrong
        said = apart(traced, node, np.asarray(mine), theirs)
        if said is None:
            continue
        verdict, expected, got = said
        note = f"on plain arrays the function gives a different {name} from the graph's"
        if verdict is wrong:
            return name, note, expected, got, wrong
        rounding = f"{name} differs from the graph's, but rounding alone may change it"
        doubtful = (name, rounding, expected, got)
    return (*doubtful, Verdict.NOISY) if doubtful else None


def work_of(graph: Graph) -> float:
    """What computing the outputs costs, in numbers; a product of matrices counts as m·n·k."""
    return float(sum(CALL + _work(node) for node in graph.nodes))


def _work(node: Node) -> float:
    sizes = [x.size for x in node.inputs]
    most = max([node.size, *sizes])
    if len(sizes) < 2 or _is_elementwise(node):
        return float(most)
    return float(max(most, math.sqrt(math.prod([node.size, *sorted(sizes)[-2:]]))))


def _is_elementwise(node: Node) -> bool:
    shapes = {x.shape for x in node.inputs if x.shape}
    return shapes <= {node.shape} and node.op.operator != "@"


def _unsaid(why: str) -> PlainRun:
    return PlainRun(Verdict.NOT_CHECKED, f"not run on plain arrays: {why}")


def _plainly(leaf: Any) -> Any:
    """The array of a node that no trace knows, as an operation makes of plain arrays."""
    return leaf.value if isinstance(leaf, ArrayLike) and not leaf.traces else leaf


def _is_object(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind == "O"


def _shown_tree(tree: Any) -> str:
    paths = [path.strip(".") or "an array" for path, _ in flatten(tree)]
    return f"{type(tree).__name__}: {', '.join(paths[:6])}{' …' if len(paths) > 6 else ''}"


def _named_arrays(arguments: Mapping[str, Any]) -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
    for name, tree in arguments.items():
        for path, leaf in flatten(tree, name):
            if isinstance(leaf, np.ndarray):
                yield path, leaf


def _bytes(value: Any) -> tuple[Any, ...]:
    """Equal where two arrays are equal to the last bit."""
    array = np.asarray(value)
    return array.shape, array.dtype.str, array.tobytes() if array.dtype.kind != "O" else id(value)
