"""Large nets in pieces, large arrays as heat maps: nothing is refused, nothing is lost."""

import base64
import re
import zlib

import numpy as np
import pytest

import allbps as bp
import allbps.functional as F
from allbps.page import heat
from allbps.page.large import LARGE
from allbps.readings.pieces import FEW, SHORT, pieces


def block(x, W):
    return F.relu(x @ W)


def looped(x, W, b, rounds):
    h = x
    for _ in range(int(rounds)):
        z = h @ W + b
        h = np.tanh(z)
    return np.sum(h)


def straight(x):
    for _ in range(1):
        y = x + x + x + x + x + x + x + x + x + x + x + x + x + x + x + x + x + x + x + x
    return np.sum(y)


def worked(rounds):
    rng = np.random.default_rng(0)
    return bp.explain(
        looped, rng.normal(size=(1, 2)), rng.normal(size=(2, 2)), rng.normal(size=2), rounds=rounds
    )


def computed(w):
    return [node for node in w.backward.traced.graph.nodes if node.inputs]


@pytest.mark.parametrize("rounds", [1, 7, 30, 450])
def test_pieces_hold_every_value_once_and_in_order(rounds):
    nodes = computed(worked(rounds))
    parts = pieces(nodes)
    assert len(parts) <= FEW
    found = [node for part in parts for leaf in part.leaves() for node in leaf.nodes]
    assert found == nodes
    assert all(len(leaf.nodes) <= SHORT for part in parts for leaf in part.leaves())


def test_an_iteration_is_a_piece_that_says_which():
    labels = [part.label for part in pieces(computed(worked(6)))]
    assert [re.sub(r"line \d+", "line", label) for label in labels[:6]] == [
        f"line, turn {k}" for k in range(1, 7)
    ]


def test_a_long_stretch_without_loops_is_cut_too():
    nodes = computed(bp.explain(straight, np.ones(2)))
    assert [n for part in pieces(nodes) for n in part.nodes] == nodes


def test_every_value_and_every_delta_of_a_large_net_is_on_its_page():
    w = worked(120)
    assert len(w.backward.traced.graph.nodes) > LARGE
    html = w.to_html()
    shown = re.findall(r'data-name="([^"]*)"', html)
    assert sorted(shown) == sorted(step.name for step in w.derivation)
    assert 'class="walk"' not in html


def test_a_picture_of_a_net_too_large_for_one_shows_its_pieces():
    svg = worked(350).to_svg()
    assert "Overview of looped" in svg
    assert svg.count('class="box"') <= FEW + 1


def test_a_delta_comes_back_only_where_one_does():
    w = bp.explain(looped, np.ones((1, 2)), np.ones((2, 2)), np.ones(2), rounds=350, wrt=["x"])
    svg = w.to_svg()
    assert svg.count('class="head"') > svg.count('class="back"') > 0


# -- heat maps -----------------------------------------------------------------------------------
def pixels(html):
    data = base64.b64decode(re.search(r"base64,([^\"]*)", html)[1])
    width, height = (int.from_bytes(data[k : k + 4], "big") for k in (16, 20))
    start = data.index(b"IDAT") + 4
    size = int.from_bytes(data[start - 8 : start - 4], "big")
    rows = np.frombuffer(zlib.decompress(data[start : start + size]), np.uint8)
    return rows.reshape(height, width + 1)[:, 1:]


def test_a_heat_map_of_complex_numbers_shows_how_large_they_are():
    assert heat.heat(np.array([[3 + 4j, 0]]), "Z") == heat.heat(np.array([[5.0, 0]]), "|Z|")


def test_a_heat_map_has_a_pixel_for_each_number_from_blue_to_orange():
    array = np.arange(-50, 50.0).reshape(10, 10)
    found = pixels(heat.heat(array, "X"))
    assert found.shape == (10, 10)
    np.testing.assert_array_equal(np.argsort(found.ravel(), kind="stable"), np.arange(100))
    assert found[5, 0] == 127  # zero is white


def test_a_larger_array_is_the_mean_of_blocks():
    array = np.random.default_rng(0).normal(size=(130, 640))
    grid = heat.shrunk(array)
    assert grid.shape == (64, 64)
    np.testing.assert_allclose(grid[0, 0], array[:2, :10].mean(), rtol=1e-12)


def test_axes_before_the_last_two_are_laid_out_as_tiles():
    array = np.arange(2 * 3 * 2 * 2.0).reshape(2, 3, 2, 2)
    tiles = heat.flat(array)
    np.testing.assert_array_equal(tiles[2:4, 4:6], array[1, 2])


@pytest.mark.parametrize("array", [np.zeros((20, 20)), np.full(100, np.nan), np.ones((1, 300))])
def test_an_array_of_any_kind_has_a_picture(array):
    html = heat.heat(array, "<x>")
    assert pixels(html).size
    assert "&lt;x&gt;" in html


def test_an_array_without_numbers_has_none_and_its_page_is_written(tmp_path):
    def f(a):
        phi = np.array([])
        for r in np.tanh(a):
            phi = np.append(phi - r * phi[::-1], r)
        return np.sum(phi**2)

    worked = bp.explain(f, np.array([0.1, 0.2, 0.3]))
    worked.to_html(tmp_path / "page.html")
    assert "empty" in (tmp_path / "page.html").read_text()


def test_large_arrays_of_a_page_have_one_and_small_ones_do_not():
    w = bp.explain(lambda X: np.sum(X * X), np.ones((30, 30)))
    html = w.to_html()
    assert html.count('class="heat"') == sum(bool(step.summary) for step in w.derivation) > 0
    assert 'class="heat"' not in bp.explain(lambda X: np.sum(X * X), np.ones((3, 3))).to_html()


# -- a long derivation ---------------------------------------------------------------------------
def packed_of(html):
    text = re.search(r'<script type="application/octet-stream">([^<]*)</script>', html)[1]
    return zlib.decompress(base64.b64decode(text)).decode()


@pytest.mark.parametrize("by", ["operation", "line", "block"])
def test_a_long_derivation_lies_packed_in_its_page_below_itself_as_plain_text(by):
    w = worked(40).shown(by=by)
    assert len(w.backward.traced.graph.nodes) < LARGE
    html = w.to_html()
    names = sorted(step.name for step in w.derivation)
    assert sorted(re.findall(r'data-name="([^"]*)"', html)) == names
    inner = packed_of(html)
    assert sorted(set(re.findall(r'class="step [^"]*" data-step="([^"]*)"', inner))) == names
    assert len(html) < len(inner) / 2


@pytest.mark.parametrize("by", ["operation", "line", "block"])
def test_a_large_net_has_a_page_by_line_and_by_block_too(by):
    w = worked(120).shown(by=by)
    shown = re.findall(r'data-name="([^"]*)"', w.to_html())
    assert sorted(shown) == sorted(step.name for step in w.derivation)


def test_a_page_of_many_pictures_draws_them_coarsely():
    def squares(X):
        for _ in range(10):
            X = X * X
        return np.sum(X)

    def side(f):
        html = bp.explain(f, np.ones((64, 64))).to_html()
        return pixels(html[html.index('class="heat"') :]).shape

    assert side(squares) == (24, 24)
    assert side(lambda X: np.sum(X)) == (64, 64)
