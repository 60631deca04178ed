"""Texts stand on their lines, off everything else where there is room."""

import numpy as np

from allbps.readings.drawing.labels import HEIGHT, anchors

NO_BOXES = np.zeros((0, 4))


def test_a_text_stands_in_the_middle_of_the_longest_segment():
    line = [(0.0, 0.0), (20.0, 0.0), (20.0, 100.0), (30.0, 100.0)]
    assert anchors([line], [30.0], NO_BOXES) == [(20.0, 50.0)]


def test_a_text_moves_off_a_box():
    box = np.array([[10.0, 40.0, 60.0, 60.0]])
    ((x, y),) = anchors([[(0.0, 0.0), (0.0, 100.0)]], [40.0], box)
    assert x == 0.0
    assert y + HEIGHT / 2 <= 40 or y - HEIGHT / 2 >= 60


def test_a_text_moves_off_another_line():
    lines = [[(0.0, 0.0), (100.0, 0.0)], [(50.0, -30.0), (50.0, 30.0)]]
    (first, _) = anchors(lines, [30.0, 0.0], NO_BOXES)
    assert abs(first[0] - 50) >= 15


def test_texts_move_off_each_other():
    lines = [[(0.0, 0.0), (0.0, 100.0)], [(10.0, 0.0), (10.0, 100.0)]]
    (_, y), (_, v) = anchors(lines, [30.0, 30.0], NO_BOXES)
    assert abs(y - v) >= HEIGHT


def test_where_there_is_no_room_a_line_is_covered_rather_than_a_box():
    short = [(0.0, 0.0), (40.0, 0.0)]
    boxes = np.array([[-50.0, -30.0, 0.0, 30.0], [40.0, -30.0, 90.0, 30.0]])
    crossing = [(20.0, -100.0), (20.0, 100.0)]
    ((x, _), _) = anchors([short, crossing], [36.0, 0.0], boxes)
    assert x == 20.0
