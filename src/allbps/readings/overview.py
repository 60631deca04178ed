"""The picture of a net that is too large for one: its pieces, and what goes from which to which."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from allbps.backward import Backward
from allbps.ir import CONST, Node
from allbps.readings.drawing.geometry import Box, Link
from allbps.readings.drawing.layout import arrange
from allbps.readings.drawing.measure import text_width
from allbps.readings.drawing.placed import MARGIN, Layout
from allbps.readings.drawing.strokes import arrow, n, safe
from allbps.readings.drawing.theme import style
from allbps.readings.pieces import Piece, pieces, unfolded

HEIGHT, PADDING, LINE = 52.0, 14.0, 18.0


def overview(backward: Backward, theme: str = "auto", anchor: str = "", named: bool = False) -> str:
    """One box for each piece of a net, with how many values it holds.

    Where it leads nowhere, a piece that is most of the net is opened.

    Args:
        backward: the graph with its δ nodes.
        theme: "light", "dark", or "auto" for what the reader's device prefers.
        anchor: where not empty, box k is a link to ``#anchor-k``.
        named: list the names of its values with each box, as a page needs that steps through them.

    """
    plan = planned(backward, folded=bool(anchor))
    return drawn(plan, f"Overview of {backward.traced.title}", theme, anchor, named)


def drawn(
    plan: Plan, title: str, theme: str = "auto", anchor: str = "", named: bool = False,
    level: str = "",
) -> str:  # fmt: skip
    """The boxes of a plan as a picture; box k that has an inside is marked with ``level.k``."""
    width, height = n(plan.layout.width), n(plan.layout.height + MARGIN)
    name = safe(title)
    role = f'role="group" aria-label="{name}"' if anchor else 'role="img"'  # links are no picture
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="allbps" {role} width="{width}"'
        f' height="{height}" viewBox="0 0 {width} {height}">',
        f"<title>{name}</title>",
        f"<desc>{safe('; '.join(': '.join(text) for text in plan.texts))}</desc>",
        f"<style>{style(theme)}</style>",
        f'<rect class="ground" width="{width}" height="{height}"/>',
    ]
    for line, back in zip(plan.layout.lines, plan.links.values(), strict=True):
        lines += arrow(line, True, back)
    placed = zip(plan.texts, plan.layout.centres, plan.layout.boxes, strict=True)
    for k, (text, (x, y), box) in enumerate(placed):
        marks = _marks(plan, k, level) if named else ""
        shown = "".join(_box(text, x, y, box, plan.holds(k), marks))
        lines.append(f'<a href="#{anchor}-{k}">{shown}</a>' if anchor else shown)
    return "\n".join([*lines, "</svg>"])


def _marks(plan: Plan, k: int, level: str) -> str:
    """The names of a box's values and, where it has an inside, which level that is."""
    nodes = plan.parts[k - 1].nodes if plan.holds(k) else plan.given if k == 0 else ()
    if not nodes:
        return ""
    names = safe(" ".join(node.name for node in nodes))
    inside = f' data-level="{level}{k}"' if plan.holds(k) and len(nodes) > 1 else ""
    return f' data-nodes="{names}"{inside}'


@dataclass(frozen=True)
class Plan:
    """What an overview shows and where, in pixels; what comes in first, what goes out last.

    Attributes:
        given: arguments that come in.
        parts: the pieces.
        texts: the two lines of each box.
        links: from which box to which -> does a δ come back?
        layout: where they stand.
    """

    given: tuple[Node, ...]
    parts: tuple[Piece, ...]
    texts: tuple[tuple[str, str], ...]
    links: dict[tuple[int, int], bool]
    layout: Layout

    def holds(self, k: int) -> bool:
        """Does box k stand for one of the pieces?"""
        return 1 <= k <= len(self.parts)


def planned(backward: Backward, folded: bool = False) -> Plan:
    """The boxes of an overview; unless ``folded`` a piece that is most of the net is opened."""
    graph = backward.traced.graph
    parts = pieces([node for node in graph.nodes if node.inputs])
    parts = parts if folded else unfolded(parts)
    texts = [("Given", _counted(len(graph.inputs), "argument"))]
    texts += map(_text, parts)
    links = _links(backward, parts, dict.fromkeys(graph.inputs, 0))
    return _plan(graph.inputs, parts, texts, links)


def planned_inside(backward: Backward, piece: Piece) -> Plan:
    """The parts of a piece, what comes in from outside of it, and what goes out."""
    graph = backward.traced.graph
    own = set(piece.nodes)
    comes = {
        x: 0 for node in piece.nodes for x in node.inputs if x not in own and x.op is not CONST
    }
    goes = [node for node in piece.nodes if not own.issuperset(u for u, _ in graph.users[node])]
    goes += [node for node in graph.outputs if node in own and node not in goes]
    texts = [("Comes in", _counted(len(comes), "value")), *map(_text, piece.parts)]
    texts += [("Goes out", _counted(len(goes), "value"))]
    links = _links(backward, piece.parts, comes)
    place = _places(piece.parts)
    for node in goes:
        ends = place[node], len(texts) - 1
        links[ends] = links.get(ends, False) or node in backward.deltas
    given = [x for x in graph.inputs if x in comes]
    return _plan(given, piece.parts, texts, dict(sorted(links.items())))


def _plan(
    given: Sequence[Node],
    parts: Sequence[Piece],
    texts: list[tuple[str, str]],
    links: dict[tuple[int, int], bool],
) -> Plan:
    boxes = [Box(max(text_width(t, True) for t in text) + 2 * PADDING, HEIGHT) for text in texts]
    layout = arrange(boxes, [Link(s, t) for s, t in links], leaves={0})
    return Plan(tuple(given), tuple(parts), tuple(texts), links, layout)


def _text(part: Piece) -> tuple[str, str]:
    return part.label, _counted(len(part.nodes), "value")


def _counted(count: int, word: str) -> str:
    return f"{count} {word}{'s' * (count != 1)}"


def _places(parts: Sequence[Piece]) -> dict[Node, int]:
    return {node: k for k, part in enumerate(parts, 1) for node in part.nodes}


def _links(
    backward: Backward, parts: Sequence[Piece], outside: Mapping[Node, int]
) -> dict[tuple[int, int], bool]:
    """(from, to) of boxes that use one another -> does a δ come back?"""
    place = _places(parts) | dict(outside)
    carrying = {
        (term.consumer, term.index) for delta in backward.deltas.values() for term in delta.terms
    }
    found: dict[tuple[int, int], bool] = {}
    for node, k in place.items():
        for index, x in enumerate(node.inputs if k else ()):
            if x in place and place[x] != k:
                ends = place[x], k
                found[ends] = found.get(ends, False) or (node, index) in carrying
    return dict(sorted(found.items()))


def _box(
    text: tuple[str, str], x: float, y: float, box: Box, is_part: bool, marks: str
) -> Iterator[str]:
    left, top = x - box.width / 2, y - box.height / 2
    kind = "computed" if is_part else "given"
    yield f'<g class="{kind}"{marks}><title>{safe(": ".join(text))}</title>'
    yield (
        f'<rect class="box" x="{n(left)}" y="{n(top)}" width="{n(box.width)}"'
        f' height="{n(box.height)}" rx="8"/>'
    )
    for line, tone, down in ((text[0], "symbol", -4.0), (text[1], "how", 14.0)):
        yield (
            f'<text class="{tone}" x="{n(x)}" y="{n(y + down)}"'
            f' text-anchor="middle">{safe(line)}</text>'
        )
    yield "</g>"
