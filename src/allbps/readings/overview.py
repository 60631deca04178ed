"""The picture of a net that is too large for one: its pieces, and what goes from which to which."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from allbps.backward import Backward
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
    parts, texts, links, layout = plan.parts, plan.texts, plan.links, plan.layout
    width, height = n(layout.width), n(layout.height + MARGIN)
    name = f"Overview of {safe(backward.traced.title)}"
    role = f'role="group" aria-label="{name}"' if anchor else 'role="img"'  # links are no picture
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="allbps" {role} width="{width}"'
        f' height="{height}" viewBox="0 0 {width} {height}">',
        f"<title>{name}</title>",
        f"<desc>{safe('; '.join(': '.join(text) for text in texts))}</desc>",
        f"<style>{style(theme)}</style>",
        f'<rect class="ground" width="{width}" height="{height}"/>',
    ]
    for line, back in zip(layout.lines, links.values(), strict=True):
        lines += arrow(line, True, back)
    names = [" ".join(node.name for node in part.nodes) if named else "" for part in parts]
    for k, (text, (x, y), box) in enumerate(zip(texts, layout.centres, layout.boxes, strict=True)):
        shown = "".join(_box(text, x, y, box, names[k - 1] if k else None))
        lines.append(f'<a href="#{anchor}-{k}">{shown}</a>' if anchor else shown)
    return "\n".join([*lines, "</svg>"])


@dataclass(frozen=True)
class Plan:
    """What an overview shows and where, in pixels; what is given comes first.

    Attributes:
        parts: the pieces.
        texts: the two lines of each box.
        links: from which box to which -> does a δ come back?
        layout: where they stand.
    """

    parts: tuple[Piece, ...]
    texts: tuple[tuple[str, str], ...]
    links: dict[tuple[int, int], bool]
    layout: Layout


def planned(backward: Backward, folded: bool = False) -> Plan:
    """The boxes of an overview; unless ``folded`` a piece that is most of the net is opened."""
    graph = backward.traced.graph
    parts = pieces([node for node in graph.nodes if node.inputs])
    parts = parts if folded else unfolded(parts)
    texts = [("Given", _counted(len(graph.inputs), "argument"))]
    texts += [(part.label, _counted(len(part.nodes), "value")) for part in parts]
    boxes = [Box(max(text_width(t, True) for t in text) + 2 * PADDING, HEIGHT) for text in texts]
    links = _links(backward, parts)
    layout = arrange(boxes, [Link(s, t) for s, t in links], leaves={0})
    return Plan(parts, tuple(texts), links, layout)


def _counted(count: int, word: str) -> str:
    return f"{count} {word}{'s' * (count != 1)}"


def _links(backward: Backward, parts: Sequence[Piece]) -> dict[tuple[int, int], bool]:
    """(from, to) of pieces that use one another -> does a δ come back? 0 is what is given."""
    place = {node: k for k, part in enumerate(parts, 1) for node in part.nodes}
    place |= dict.fromkeys(backward.traced.graph.inputs, 0)
    carrying = {
        (term.consumer, term.index) for delta in backward.deltas.values() for term in delta.terms
    }
    found: dict[tuple[int, int], bool] = {}
    for node, k in place.items():
        for index, x in enumerate(node.inputs):
            if x in place and place[x] != k:
                ends = place[x], k
                found[ends] = found.get(ends, False) or (node, index) in carrying
    return dict(sorted(found.items()))


def _box(text: tuple[str, str], x: float, y: float, box: Box, names: str | None) -> Iterator[str]:
    """One box; ``names`` of the values in it, None for what is given."""
    left, top = x - box.width / 2, y - box.height / 2
    kind = "given" if names is None else "computed"
    listed = f' data-nodes="{safe(names)}"' if names else ""
    yield f'<g class="{kind}"{listed}><title>{safe(": ".join(text))}</title>'
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
