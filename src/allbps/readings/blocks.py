"""Blocks of a run: calls of the user's functions, torch modules and turns of loops."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from itertools import groupby

from allbps.backward import Backward
from allbps.ir import CONST, Graph, Node
from allbps.ir.site import Part
from allbps.mathematics import Math
from allbps.mathematics.tree import Symbol
from allbps.readings.formula import Writer

MOST_NAMED = 6
"""So many values are listed in the heading of a block."""


@dataclass(frozen=True, eq=False)
class Block:
    """Some values that were computed after one another in the same call or turn.

    Attributes:
        label: what it is called.
        nodes: all its values, those of the blocks inside of it too, in order.
        takes: what it uses from outside: computed values, then arguments, in the order of use.
        gives: what is used outside of it, or returned.
    """

    label: str
    nodes: tuple[Node, ...] = field(repr=False)
    takes: tuple[Node, ...] = field(repr=False)
    gives: tuple[Node, ...] = field(repr=False)


def blocks_of(graph: Graph, hidden: Set[Node] = frozenset()) -> dict[Node, tuple[Block, ...]]:
    """Each computed value -> the blocks that it stands in, outermost first.

    A call with one value that is not hidden is no block: it says no more than the value's line.
    """
    results = set(graph.outputs)
    found: dict[Node, tuple[Block, ...]] = {}

    def made(label: str, nodes: Sequence[Node]) -> Block:
        own = set(nodes)
        used = dict.fromkeys(x for node in nodes for x in node.inputs if x not in own)
        takes = sorted((x for x in used if x.op is not CONST), key=lambda x: not x.inputs)
        outside = (n for n in nodes if n in results or any(u not in own for u, _ in graph.users[n]))
        return Block(label, tuple(nodes), tuple(takes), tuple(outside))

    def walk(nodes: Sequence[Node], around: tuple[Block, ...], depth: int) -> None:
        for part, some in stretches(nodes, depth):
            if part is None:
                found.update(dict.fromkeys(some, around))
                continue
            is_one = not part.is_turn and sum(x not in hidden for x in some) <= 1
            walk(some, around if is_one else (*around, made(part.label, some)), depth + 1)

    walk([node for node in graph.nodes if node.inputs], (), 0)
    return found


def stretches(nodes: Sequence[Node], depth: int) -> Iterator[tuple[Part | None, list[Node]]]:
    """Values after one another that stand in the same part at that depth; None where in none."""

    def part_of(node: Node) -> Part | None:
        within = node.site.within if node.site else ()
        return within[depth] if len(within) > depth else None

    for part, some in groupby(nodes, key=part_of):
        yield part, list(some)


def forward_order(found: Mapping[Node, tuple[Block, ...]]) -> dict[Node, int]:
    """Each value -> the number of its stretch, which goes on as long as the blocks are the same."""
    order: dict[Node, int] = {}
    for k, (_, some) in enumerate(groupby(found, key=found.__getitem__)):
        order |= dict.fromkeys(some, k)
    return order


# -- headings --------------------------------------------------------------------------------------
@dataclass(frozen=True, eq=False)
class Heading:
    """What stands above the steps of a block: its name, what goes in and what comes out.

    Attributes:
        label: ``cell``, ``encoder.layers.0``, ``t = 0``.
        takes: what it uses from outside; backward the δ that come in.
        gives: what is used of it outside; backward the δ that it hands back.
        block: whose.
    """

    label: str
    takes: tuple[Math, ...]
    gives: tuple[Math, ...]
    block: Block

    def flow(self, write: Callable[[Math], str]) -> str:
        """``h₀, W → h₁``, each symbol as ``write`` prints it; empty where one side is."""
        sides = [", ".join(map(write, side)) for side in (self.takes, self.gives)]
        return " → ".join(sides) if all(sides) else ""

    @property
    def inline(self) -> str:
        """``cell: h₀, W → h₁``."""
        flow = self.flow(lambda math: math.inline)
        return f"{self.label}: {flow}" if flow else self.label


class Headings:
    """Makes the headings of blocks, each once, so that steps can be grouped by them."""

    def __init__(self, backward: Backward, pen: Writer) -> None:
        self._deltas, self._pen = backward.deltas, pen
        self._made: dict[tuple[Block, bool], Heading] = {}

    def forward(self, block: Block) -> Heading:
        """Above the values."""
        return self._once(block, False, lambda: (block.takes, block.gives))

    def backward(self, block: Block) -> Heading:
        """Above their δ."""
        return self._once(block, True, lambda: (self._coming(block), self._handed(block)))

    def _once(
        self, block: Block, back: bool, ends: Callable[[], tuple[Iterable[Node], Iterable[Node]]]
    ) -> Heading:
        if (block, back) not in self._made:
            takes, gives = (self._named(nodes) for nodes in ends())
            self._made[block, back] = Heading(block.label, takes, gives, block)
        return self._made[block, back]

    def _coming(self, block: Block) -> Iterator[Node]:
        yield from (self._deltas[x].node for x in block.gives if x in self._deltas)

    def _handed(self, block: Block) -> Iterator[Node]:
        """The δ of what it uses; where others use it too, its one contribution."""
        own = set(block.nodes)
        for x in (x for x in block.takes if x in self._deltas):
            inside = [term.node for term in self._deltas[x].terms if term.consumer in own]
            if inside:
                yield inside[0] if len(inside) == 1 else self._deltas[x].node

    def _named(self, nodes: Iterable[Node]) -> tuple[Math, ...]:
        shown = [self._pen.phrase("{x}", x=x) for x in dict.fromkeys(nodes)]
        if len(shown) <= MOST_NAMED:
            return tuple(shown)
        return (*shown[: MOST_NAMED - 1], Symbol("…"))
