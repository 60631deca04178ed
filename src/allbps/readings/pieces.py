"""A large net in pieces: calls, modules, iterations and lines, a few to look at a time."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from allbps.ir import Node
from allbps.ir.site import Part, file_name
from allbps.readings.blocks import stretches

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

    Pieces are the calls of the user's functions, torch modules and turns of loops. Iterations that
    no variable counts are recognised by what comes again: the same operation on the same line.
    """
    return tuple(_few(_parts(nodes, 0)))


def unfolded(parts: Sequence[Piece]) -> tuple[Piece, ...]:
    """The same where a piece that is most of the net is opened, as long as the pieces stay few."""
    count = sum(len(piece.nodes) for piece in parts)
    for k, piece in enumerate(parts):
        opened = (*parts[:k], *piece.parts, *parts[k + 1 :])
        if piece.parts and len(piece.nodes) > 0.8 * count and len(opened) <= FEW:
            return unfolded(opened)
    return tuple(parts)


def _parts(nodes: Sequence[Node], depth: int) -> list[Piece]:
    """The blocks at that depth, and what stands between them."""
    runs: list[tuple[Part | None, list[Node]]] = []
    for part, some in stretches(nodes, depth):
        block = part if part is not None and (part.is_turn or len(some) > 1) else None
        if block is None and runs and runs[-1][0] is None:
            runs[-1][1].extend(some)
        else:
            runs.append((block, some))
    found: list[Piece] = []
    for block, some in runs:
        found += _between(some, depth) if block is None else [_block(block, some, depth)]
    return _numbered(found)


def _block(part: Part, nodes: Sequence[Node], depth: int) -> Piece:
    label = f"line {part.number}, {part.label}" if part.is_turn else part.label
    inner = _few(_parts(nodes, depth + 1))
    if len(inner) == 1 and inner[0].label == _place(nodes):  # its own lines, in one stretch
        inner = list(inner[0].parts)
    return Piece(label, tuple(nodes), tuple(inner))


def _numbered(found: Sequence[Piece]) -> list[Piece]:
    """Calls of the same function are told apart: ``cell, call 2``."""
    counts = Counter(piece.label for piece in found)
    seen: Counter[str] = Counter()
    named: list[Piece] = []
    for piece in found:
        seen[piece.label] += 1
        label = f"{piece.label}, call {seen[piece.label]}"
        is_one = counts[piece.label] == 1 or "line" in piece.label
        named.append(piece if is_one else replace(piece, label=label))
    return named


def _between(nodes: Sequence[Node], depth: int) -> list[Piece]:
    """What stands in no block, by iterations and by length; a call of one value by its name."""
    within = nodes[0].site.within[depth:] if nodes[0].site else ()
    if len(nodes) == 1 and within:
        return [Piece(within[0].label, tuple(nodes))]
    found: list[Piece] = []
    for run in _loops(_rounds(nodes)):
        count = len(run)
        for t, part in enumerate(run):
            said = f"{_place(part)}, t = {t}" if count > 1 else _place(part)
            found.append(Piece(said, tuple(part), _short(part)))
    return found


def _few(found: list[Piece]) -> list[Piece]:
    while len(found) > FEW:
        found = list(_bundled(found))
    return found


def _key(node: Node) -> Key:
    site = node.site
    return (site.function, site.line, node.op.name) if site else ("", 0, node.op.name)


def _rounds(nodes: Sequence[Node]) -> list[list[Node]]:
    """Cut where an earlier line comes again, or where a line does the same once more."""
    rounds: list[list[Node]] = [[]]
    seen: dict[Key, int] = {}
    before = None
    keys = [_key(node) for node in nodes]
    for k, (node, key) in enumerate(zip(nodes, keys, strict=True)):
        back = before is not None and key[0] == before[0] and key[1] < before[1]
        period = len(rounds[-1]) - seen.get(key, 0)
        again = back or keys[k - period : k] == keys[k : k + period]
        if key in seen and key != before and again:
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
    return tuple(_few([Piece(_place(run), tuple(run)) for run in runs]))


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
    start, end = _COUNTED.fullmatch(first), _COUNTED.fullmatch(last)
    if start and end and start[2] == end[2] and (start[1] in end[1] or end[1] in start[1]):
        shared = min(start[1], end[1], key=len)
        return f"{shared}, {start[2]} {start[3]} … {end[4] or end[3]}"
    return f"{first.partition(' … ')[0]} … {last.rpartition(' … ')[2]}"


_COUNTED = re.compile(r"(.*), (\w+ =|call|turn) (\S+)(?: … (\S+))?")
"""What is numbered, how, from, to."""


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
