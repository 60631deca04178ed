"""A value used far away is repeated beside its use; one used nearby has a line."""

import itertools

import numpy as np

import allbps as bp
from allbps.readings.drawing.depths import depths
from allbps.readings.drawing.geometry import Box, Link
from allbps.readings.drawing.layout import arrange
from allbps.readings.drawing.tags import REACH, far_uses


def a_loop(steps):
    """The boxes of ``for _ in range(steps): x = f(x, w)`` with w in front."""
    boxes = [Box(60, 40)] * (steps + 2)
    chain = [Link(k, k + 1) for k in range(1, steps + 1)]
    return boxes, [*chain, *(Link(0, k, 50.0) for k in range(2, steps + 2))], {0, 1}


def test_a_short_loop_has_lines_only():
    assert arrange(*a_loop(15)).tags == ()


def test_far_uses_in_a_long_loop_have_a_tag_each_and_near_ones_a_line():
    boxes, links, leaves = a_loop(60)
    found = arrange(boxes, links, leaves)
    depth = depths(len(boxes), links, leaves)
    far = [k for k, link in enumerate(links) if depth[link.target] - depth[link.source] > REACH]
    assert [tag.link for tag in found.tags] == far
    assert {tag.source for tag in found.tags} == {0}
    assert 0 < len(far) < 60


def test_tags_stand_apart_from_everything_and_beside_their_use():
    boxes, links, leaves = a_loop(60)
    found = arrange(boxes, links, leaves)
    places = [*zip(found.boxes, found.centres, strict=True)]
    places += [(tag.box, tag.centre) for tag in found.tags]
    for (one, (ax, ay)), (other, (bx, by)) in itertools.combinations(places, 2):
        apart_across = abs(ax - bx) >= (one.width + other.width) / 2 - 0.01
        apart_down = abs(ay - by) >= (one.height + other.height) / 2 - 0.01
        assert apart_across or apart_down
    for tag in found.tags:
        (tx, ty), (ux, uy) = tag.centre, found.centres[links[tag.link].target]
        assert abs(tx - ux) < 150
        assert abs(ty - uy) < 60


def test_the_work_grows_with_the_loop_not_with_its_square():
    """What is drawn as lines stays within a bound for any length."""
    lengths = []
    for steps in (60, 240):
        boxes, links, leaves = a_loop(steps)
        kept = set(range(len(links))) - set(far_uses(len(boxes), links, leaves))
        depth = depths(len(boxes), links, leaves)
        lengths.append(sum(depth[links[k].target] - depth[links[k].source] - 1 for k in kept))
    assert lengths[0] == lengths[1]


def test_each_contribution_of_a_shared_weight_is_in_the_picture():
    def recurrent(x, w):
        for _ in range(40):
            x = np.tanh(x * w)
        return np.sum(x)

    svg = bp.explain(recurrent, np.linspace(-1, 1, 3), 1.5).to_svg()
    assert svg.count('<g class="tag">') > 20
    for k in ("₁", "₂", "₂₀", "₄₀"):
        assert f"δw{k} = " in svg
    assert "reference to a distant node" in svg
    assert svg == bp.explain(recurrent, np.linspace(-1, 1, 3), 1.5).to_svg()
