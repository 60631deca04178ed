"""Layouts of random graphs keep boxes, lines and texts apart."""

import itertools

import numpy as np
import pytest

from allbps.readings.drawing import layout
from allbps.readings.drawing.docking import docking
from allbps.readings.drawing.geometry import Box, Link
from allbps.readings.drawing.labels import HEIGHT
from allbps.readings.drawing.layout import arrange


def random_graph(seed):
    """Boxes of all sizes, arrows to later boxes, some of them twice, several parts, leaves."""
    rng = np.random.default_rng(seed)
    count = int(rng.integers(3, 26))
    leaves = {k for k in range(count) if k == 0 or rng.random() < 0.35}
    ends = [
        (int(rng.integers(max(0, k - 5), k)), k)
        for k in range(count)
        if k not in leaves
        for _ in range(int(rng.integers(1, 4)))
    ]
    sources = [source for source, _ in ends]
    links = [
        Link(s, t, float(rng.integers(20, 90)) if sources.count(s) > 1 else 0.0) for s, t in ends
    ]
    boxes = [Box(*map(float, rng.integers((60, 32), (230, 170)))) for _ in range(count)]
    return boxes, links, leaves


@pytest.fixture(params=range(40))
def graph(request):
    return random_graph(request.param)


@pytest.fixture(params=["across", "down"])
def found(graph, request, monkeypatch):
    monkeypatch.setattr(layout, "WIDEST", 1e9 if request.param == "across" else 0.0)
    return arrange(*graph)


def borders_of(found):
    pairs = zip(found.boxes, found.centres, strict=True)
    return [
        (x - box.width / 2, y - box.height / 2, x + box.width / 2, y + box.height / 2)
        for box, (x, y) in pairs
    ]


def overlap(one, other, slack=0.01):
    return (
        min(one[2], other[2]) - max(one[0], other[0]) > slack
        and min(one[3], other[3]) - max(one[1], other[1]) > slack
    )


def rectangle(segment, clearance=0.0):
    (ax, ay), (bx, by) = segment
    left, right, top, bottom = min(ax, bx), max(ax, bx), min(ay, by), max(ay, by)
    return left - clearance, top - clearance, right + clearance, bottom + clearance


def test_boxes_do_not_overlap(found):
    for one, other in itertools.combinations(borders_of(found), 2):
        assert not overlap(one, other)


def test_lines_keep_clear_of_the_boxes_they_do_not_join(graph, found):
    borders = borders_of(found)
    for link, line in zip(graph[1], found.lines, strict=True):
        strangers = [b for k, b in enumerate(borders) if k not in (link.source, link.target)]
        for segment in itertools.pairwise(line):
            assert not any(overlap(rectangle(segment, 3.0), box) for box in strangers)


def test_lines_go_from_border_to_border(graph, found):
    borders = borders_of(found)
    for link, line in zip(graph[1], found.lines, strict=True):
        for (x, y), end in ((line[0], link.source), (line[-1], link.target)):
            left, top, right, bottom = borders[end]
            assert left - 0.6 <= x <= right + 0.6
            assert top - 0.6 <= y <= bottom + 0.6
            away = min(abs(x - left), abs(x - right), abs(y - top), abs(y - bottom))
            assert away <= 1.5
        for segment in itertools.pairwise(line):
            for end in (link.source, link.target):
                assert not overlap(rectangle(segment, 0.5), borders[end], slack=2.1)


def test_texts_cover_no_box_and_no_other_text(graph, found):
    labels = [
        (x - link.label_width / 2, y - HEIGHT / 2, x + link.label_width / 2, y + HEIGHT / 2)
        for link, (x, y) in zip(graph[1], found.anchors, strict=True)
        if link.label_width
    ]
    for label, box in itertools.product(labels, borders_of(found)):
        assert not overlap(label, box)


def test_boxes_lines_and_texts_are_in_view(graph, found):
    widths = [link.label_width for link in graph[1]]
    texts = [(x - w / 2, x + w / 2) for (x, _), w in zip(found.anchors, widths, strict=True) if w]
    texts += [(left, right) for left, _, right, _ in borders_of(found)]
    texts += [(x, x) for line in found.lines for x, _ in line]
    assert min(left for left, _ in texts) >= 16.0 - 1e-9
    assert max(right for _, right in texts) <= found.width - 16.0 + 1e-9


def test_arrows_between_layers_point_all_to_the_right_or_all_down(graph, found):
    docked = docking(graph[1], graph[2])
    flow = [
        np.subtract(found.centres[link.target], found.centres[link.source])
        for link in graph[1]
        if link.source not in docked
    ]
    assert all(x > 0 for x, _ in flow) or all(y > 0 for _, y in flow)


def test_a_long_chain_runs_downwards_and_a_short_one_across():
    boxes = [Box(100, 50)] * 20
    links = [Link(k, k + 1) for k in range(19)]
    long, short = arrange(boxes, links), arrange(boxes[:5], links[:4])
    assert long.height > long.width
    assert short.width > short.height


def test_parts_that_do_not_hang_together_stand_side_by_side():
    boxes = [Box(80, 40)] * 5
    found = arrange(boxes, [Link(0, 1), Link(2, 3)])
    rows = sorted({y for _, y in found.centres})
    assert len(rows) == 3


def test_nothing_to_join_is_laid_out_too():
    found = arrange([Box(80, 40)], [])
    assert (found.width, found.height, found.lines) == (112.0, 72.0, ())


def test_many_arrows_make_their_box_higher():
    boxes = [Box(80, 40)] * 9
    found = arrange(boxes, [Link(0, k) for k in range(1, 9)])
    assert found.boxes[0].height >= 8 * 18
