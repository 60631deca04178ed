"""The picture shows every value with its δ, without crossings, overlaps or broken markup."""

import itertools
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

import allbps as bp
from allbps.errors import ArgumentError
from allbps.lecture import NAMES, system
from allbps.readings.layout import Box, arrange

SVG = "{http://www.w3.org/2000/svg}"


def boxes_of(svg):
    rects = ET.fromstring(svg).iter(f"{SVG}rect")
    return [tuple(float(r.get(k)) for k in ("x", "y", "width", "height")) for r in rects]


def segments_of(svg):
    for line in ET.fromstring(svg).iter(f"{SVG}polyline"):
        points = [tuple(map(float, p.split(","))) for p in line.get("points").split()]
        yield [(a, b) for a, b in itertools.pairwise(points)]


def crosses(first, second):
    """Do two axis-parallel segments cross properly, inside both?"""
    (ax, ay), (bx, by) = first
    (cx, cy), (dx, dy) = second
    if (ax == bx) == (cx == dx):
        return False
    if ax != bx:
        (ax, ay), (bx, by), (cx, cy), (dx, dy) = (cx, cy), (dx, dy), (ax, ay), (bx, by)
    inside_x = min(cx, dx) + 0.5 < ax < max(cx, dx) - 0.5
    inside_y = min(ay, by) + 0.5 < cy < max(ay, by) - 0.5
    return inside_x and inside_y


def picture_of(name):
    return next(system(name).examples).work().to_svg()


@pytest.fixture(scope="module", params=NAMES)
def svg(request):
    return picture_of(request.param)


# two vectors that meet in three components and one sum contain K₃,₃: no plane drawing exists;
# a value that three products share, each with its own parameter, crosses one line in layers
CROSSING = {"euclidean-loss", "transformer-block"}


@pytest.mark.parametrize("name", sorted(set(NAMES) - CROSSING))
def test_the_lectures_graphs_have_no_crossing_lines(name):
    lines = list(segments_of(picture_of(name)))
    for one, other in itertools.combinations(lines, 2):
        assert not any(crosses(a, b) for a in one for b in other)


def test_boxes_do_not_overlap(svg):
    for (x, y, w, h), (u, v, p, q) in itertools.combinations(boxes_of(svg), 2):
        assert x + w <= u or u + p <= x or y + h <= v or v + q <= y


def test_lines_do_not_run_through_boxes(svg):
    for line in segments_of(svg):
        for (ax, ay), (bx, by) in line:
            for x, y, w, h in boxes_of(svg):
                apart_x = max(ax, bx) <= x + 0.5 or min(ax, bx) >= x + w - 0.5
                apart_y = max(ay, by) <= y + 0.5 or min(ay, by) >= y + h - 0.5
                assert apart_x or apart_y


def test_every_delta_stands_beside_its_value():
    worked = next(system("scalar-net").examples).work()
    text = worked.to_svg()
    for mark in ("δL = 1", "δYᵖ = −2", "δZ₃ = −8", "δW₁ = −4", "δb₂ = −2"):
        assert f">{mark}</text>" in text


def test_the_uses_of_one_value_label_their_edges():
    text = next(system("residual").examples).work().to_svg()
    assert ">δx₁</text>" in text
    assert ">δx₂</text>" in text


def test_the_same_graph_gives_the_same_bytes():
    example = next(system("convnet").examples)
    assert example.work().to_svg() == example.work().to_svg()


def test_names_and_formulas_are_escaped():
    def net(x):
        smaller = np.where(x < 1.0, x, 2.0)
        return np.sum(smaller)

    svg = bp.explain(net, np.ones(2)).to_svg()
    assert re.search(r"x &lt; 1", svg)
    ET.fromstring(svg)


def test_a_graph_too_large_to_read_is_refused():
    def net(x):
        for _ in range(500):
            x = x + 1.0
        return x

    with pytest.raises(ArgumentError) as caught:
        bp.explain(net, 1.0).to_svg()
    assert str(caught.value) == (
        "a picture of 501 values could not be read\n"
        "  expected: at most 400\n"
        "  to do:    picture a part of the net, or read the derivation as text"
    )


def test_a_long_chain_runs_downwards():
    boxes = [Box(100, 50)] * 20
    layout = arrange(boxes, [(k, k + 1, ("", 0.0)) for k in range(19)])
    assert layout.height > layout.width
