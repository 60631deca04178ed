"""Which arguments are docked, and where they stand."""

from allbps.readings.drawing.docking import DOCK_GAP, docking
from allbps.readings.drawing.geometry import Box, Link
from allbps.readings.drawing.layout import arrange


def test_an_argument_used_once_is_docked():
    chain = [Link(0, 2), Link(1, 2), Link(2, 4), Link(3, 4)]
    assert docking(chain, leaves={0, 1, 3}) == {1: (2, 1), 3: (4, 1)}


def test_an_argument_used_twice_stays_in_the_layers():
    assert docking([Link(0, 1), Link(0, 2), Link(1, 2)], leaves={0}) == {}
    assert docking([Link(0, 1), Link(0, 1)], leaves={0}) == {}


def test_a_box_takes_one_argument_on_each_side():
    affine = [Link(0, 1), Link(1, 5), Link(2, 5), Link(3, 5), Link(4, 5)]
    assert docking(affine, leaves={0, 2, 3, 4}) == {2: (5, 1), 3: (5, -1)}


def test_a_docked_box_hangs_straight_below_and_joins_by_one_straight_arrow():
    boxes = [Box(60, 40), Box(90, 60), Box(80, 70)]
    found = arrange(boxes, [Link(0, 2), Link(1, 2)], leaves={0, 1})
    (x, y), (u, v) = found.centres[1], found.centres[2]
    assert x == u
    assert y - v == 70 / 2 + DOCK_GAP + 60 / 2
    assert found.lines[1] == ((x, y - 30), (u, v + 35))
    assert found.boxes[2] == Box(90, 70)  # as wide as what is docked to it


def test_between_facing_docked_boxes_there_is_room_for_both():
    # 0 → 2 with 1 below it; 0 → 5 with 3 below and 4 above it
    boxes = [Box(60, 40)] * 7
    links = [Link(0, 2), Link(1, 2), Link(0, 5), Link(3, 5), Link(4, 5), Link(2, 6), Link(5, 6)]
    found = arrange(boxes, links, leaves={0, 1, 3, 4})
    column = [found.centres[k][1] for k in (1, 2, 3, 4, 5)]
    assert min(abs(a - b) for k, a in enumerate(column) for b in column[:k]) >= 60
