"""The insides of blocks: level by level down to every value."""

import re

import numpy as np

import allbps as bp
from allbps.readings.levels import levels


def gate(x, W):
    return 1 / (1 + np.exp(-x @ W))


def cell(x, W, U):
    a = gate(x, W)
    b = gate(x, U)
    return a * b


def net(x, W, U):
    for _ in range(2):
        x = cell(x, W, U)
    return np.sum(x)


def found():
    w = bp.explain(net, x=np.ones((1, 2)), W=np.eye(2), U=-np.eye(2))
    return w, {level.path: level for level in levels(w.backward, w.values)}


def test_every_box_with_more_than_one_value_has_an_inside():
    w, opened = found()
    svgs = [w.shown(by="block").to_svg(), *(level.svg for level in opened.values())]
    marked = {path for svg in svgs for path in re.findall(r'data-level="([^"]*)"', svg)}
    assert marked == set(opened)
    assert all(path.rpartition(".")[0] in {"", *opened} for path in opened)


def test_the_innermost_levels_show_every_value_that_was_computed_in_them():
    w, opened = found()
    outermost = w.shown(by="block").to_svg()
    cards = {name for level in opened.values() for name in names(level.svg, "data-node")}
    single = {
        name
        for svg in (outermost, *(level.svg for level in opened.values()))
        for box in re.findall(r'data-nodes="([^"]*)"', svg)
        if len(box.split()) == 1
        for name in box.split()
    }
    computed = {node.name for node in w.backward.traced.graph.nodes if node.inputs}
    assert computed <= cards | single


def test_a_level_shows_what_comes_in_and_what_goes_out():
    _, opened = found()
    turn = next(level for level in opened.values() if "gate" in level.svg)
    assert "Comes in" in turn.svg
    assert "Goes out" in turn.svg


def test_a_level_of_values_shows_the_operands_from_outside_without_their_own():
    _, opened = found()
    leaf = next(level for level in opened.values() if "Comes in" not in level.svg)
    shown = names(leaf.svg, "data-node")
    assert "W" in shown
    assert "U" not in shown


def names(svg, mark):
    return set(re.findall(rf'{mark}="([^"]*)"', svg))
