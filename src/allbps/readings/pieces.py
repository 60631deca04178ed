"""A large net in pieces: the user's functions, lines and iterations, a few to look at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from allbps.ir import Node
from allbps.ir.site import file_name

FEW = 20
"""So many parts are shown side by side."""
SHORT = 40
"""So many values are shown one after another."""
Key = tuple[str, int, str]
"""Function, line and operation: what comes again in the next iteration of a loop."""


@dataclass(frozen=True)
class Piece:
    """Some values that belong together.

    Attributes:
        label: ``net, lines 4–6, t = 3``.
        nodes: all of them, in the order they are computed.
        parts: smaller pieces that they are made of; none where the values are few.
    """

    label: str
    nodes: tuple[Node, ...]
    parts: tuple[Piece, ...] = ()

    def leaves(self) -> Iterator[Piece]:
        """The smallest pieces, in order."""
        waiting = [self]
        while waiting:
            piece = waiting.pop()
            if piece.parts:
                waiting.extend(reversed(piece.parts))
            else:
                yield piece


def pieces(nodes: Sequence[Node]) -> tuple[Piece, ...]:
    """The values of a net in at most a few pieces, each in at most a few, and so on.

    Iterations are recognised by what comes again: the same operation on the same line.
    """
    found: list[Piece] = []
    for run in _loops(_rounds(nodes)):
        count = len(run)
        for t, part in enumerate(run):
            said = f"{_place(part)}, t = {t}" if count > 1 else _place(part)
            found.append(Piece(said, tuple(part), _short(part)))
    while len(found) > FEW:
        found = list(_bundled(found))
    return tuple(found)


def _key(node: Node) -> Key:
    site = node.site
    return (site.function, site.line, node.op.name) if site else ("", 0, node.op.name)


def _rounds(nodes: Sequence[Node]) -> list[list[Node]]:
    """Cut before an operation of a line that has been left and comes again."""
    rounds: list[list[Node]] = [[]]
    seen: dict[Key, int] = {}
    before = None
    for node in nodes:
        key = _key(node)
        if key in seen and key != before:
            if len(rounds) == 1 and seen[key] > 0:  # what stood before the loop
                rounds = [rounds[0][: seen[key]], rounds[0][seen[key] :]]
            rounds.append([])
            seen = {}
        seen.setdefault(key, len(rounds[-1]))
        rounds[-1].append(node)
        before = key
    return [one for one in rounds if one]


def _loops(rounds: Sequence[list[Node]]) -> Iterator[list[list[Node]]]:
    """Rounds after one another that begin with the same operation of the same line."""
    run: list[list[Node]] = []
    for one in rounds:
        if run and _key(run[-1][0]) != _key(one[0]):
            yield run
            run = []
        run.append(one)
    if run:
        yield run


def _short(nodes: Sequence[Node]) -> tuple[Piece, ...]:
    """A long stretch without loops, by functions and then by length."""
    if len(nodes) <= SHORT:
        return ()
    runs: list[list[Node]] = []
    for node in nodes:
        name = _key(node)[0]
        if not runs or _key(runs[-1][-1])[0] != name or len(runs[-1]) >= SHORT:
            runs.append([])
        runs[-1].append(node)
    found = [Piece(_place(run), tuple(run)) for run in runs]
    while len(found) > FEW:
        found = list(_bundled(found))
    return tuple(found)


def _bundled(found: Sequence[Piece]) -> Iterator[Piece]:
    for start in range(0, len(found), FEW):
        some = found[start : start + FEW]
        if len(some) == 1:
            yield some[0]
            continue
        label = _from_to(some[0].label, some[-1].label)
        yield Piece(label, tuple(n for piece in some for n in piece.nodes), tuple(some))


def _from_to(first: str, last: str) -> str:
    """``net, line 4, t = 0 … 19`` from the labels of the first and the last.

    >>> _from_to("net, line 4, t = 0", "net, line 4, t = 19"), _from_to("f, line 1", "g, line 9")
    ('net, line 4, t = 0 … 19', 'f, line 1 … g, line 9')
    """
    place, sign, number = first.partition(", t = ")
    other, _, end = last.partition(", t = ")
    if sign and end and (place in other or other in place):
        shared = min(place, other, key=len)
        return f"{shared}, t = {number.partition(' … ')[0]} … {end.rpartition(' … ')[2]}"
    start = place if not sign else first
    return f"{start.partition(' … ')[0]} … {last.rpartition(' … ')[2]}"


def _place(nodes: Sequence[Node]) -> str:
    """``net, lines 4–6`` of the file that most of a program stands in."""
    sites = [node.site for node in nodes if node.site]
    if not sites:
        return "constants"
    names = list(dict.fromkeys(site.function for site in sites))
    lines = [site.line for site in sites if site.function == names[0]]
    low, high = min(lines), max(lines)
    said = f"line {low}" if low == high else f"lines {low}–{high}"
    name = names[0] if names[0] != "<module>" else file_name(sites[0].file)
    more = f" and {names[1]}" if len(names) > 1 else ""
    return f"{name}, {said}{more}"
