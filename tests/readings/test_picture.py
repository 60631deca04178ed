"""The picture shows every value with its δ, without crossings, overlaps or broken markup."""

import itertools
import subprocess
import sys
import time
import xml.etree.ElementTree as ET

import numpy as np
import pytest

import allbps as bp
import allbps.functional as F
from allbps.errors import ArgumentError
from allbps.lecture import NAMES, system
from allbps.readings import picture as picture_module
from allbps.readings.granularity import hidden
from allbps.readings.picture import picture
from allbps.readings.symbols import symbols

SVG = "{http://www.w3.org/2000/svg}"
KINDS = ("given", "wanted", "computed", "result")


# -- nets and what their pictures hold -------------------------------------------------------------
def scalar_net(X, W1, b1, W2, b2, Y):
    Z1 = X * W1
    Z2 = Z1 + b1
    Z3 = F.sigmoid(Z2)
    Z4 = Z3 * W2
    Yp = Z4 + b2
    return F.euclidean_loss(Yp, Y)


def fan_out(x, w):
    a = x * w
    b = x * x
    c = np.sin(a) + b * x
    return c * a


def residual_tower(x, layers):
    for layer in layers:
        x = x + F.relu(x @ layer["W"] + layer["b"])
    return np.sum(x**2)


def attention(x, Wq, Wk, Wv):
    q = x @ Wq
    k = x @ Wk
    v = x @ Wv
    return np.sum(F.softmax(q @ k.T / 2.0) @ v)


def examples():
    rng = np.random.default_rng(0)
    for name in NAMES:
        for k, example in enumerate(system(name).examples):
            yield pytest.param(example.work, id=f"{name}-{k}")
    layers = [{"W": rng.normal(size=(3, 3)), "b": rng.normal(size=3)} for _ in range(3)]
    square = [rng.normal(size=(4, 4)) for _ in range(4)]
    numbers = (2.0, 0.5, -1.0, 4.0, -1.0, 3.0)
    yield pytest.param(lambda: bp.explain(scalar_net, *numbers), id="scalar")
    yield pytest.param(lambda: bp.explain(fan_out, 2.0, 0.5), id="fan-out")
    yield pytest.param(lambda: bp.explain(residual_tower, np.ones((2, 3)), layers), id="tower")
    yield pytest.param(lambda: bp.explain(attention, *square), id="attention")


@pytest.fixture(scope="module", params=list(examples()))
def worked(request):
    return request.param()


@pytest.fixture(scope="module")
def drawn(worked):
    return ET.fromstring(worked.to_svg())


@pytest.fixture(scope="module")
def scalar():
    return bp.explain(scalar_net, 2.0, 0.5, -1.0, 4.0, -1.0, 3.0, symbols={"Yp": "Yᵖ"})


def cards_of(svg):
    return [g for g in svg.findall(f"{SVG}g") if g.get("class") in KINDS]


def numbers_of(element, *names):
    return tuple(float(element.get(name)) for name in names)


def borders_of(card):
    x, y, width, height = numbers_of(card.find(f"{SVG}rect"), "x", "y", "width", "height")
    return x, y, x + width, y + height


def lines_of(svg):
    """The segments of every edge; those of the legend stand deeper."""
    for line in svg.findall(f"{SVG}polyline"):
        points = [tuple(map(float, point.split(","))) for point in line.get("points").split()]
        yield list(itertools.pairwise(points))


def labels_of(svg):
    """The borders of every text beside an edge."""
    for rect in svg.findall(f"{SVG}rect")[1:]:
        x, y, width, height = numbers_of(rect, "x", "y", "width", "height")
        yield x, y, x + width, y + height


def texts_of(svg):
    return ["".join(text.itertext()) for text in svg.iter(f"{SVG}text")]


def tooltips_of(svg):
    return [card.findtext(f"{SVG}title") for card in cards_of(svg)]


def overlap(one, other, slack=0.1):
    return (
        min(one[2], other[2]) - max(one[0], other[0]) > slack
        and min(one[3], other[3]) - max(one[1], other[1]) > slack
    )


def thick(segment):
    (ax, ay), (bx, by) = segment
    return min(ax, bx) - 0.5, min(ay, by) - 0.5, max(ax, bx) + 0.5, max(ay, by) + 0.5


def crosses(first, second):
    """Do two axis-parallel segments cross, inside both?"""
    (ax, ay), (bx, by) = first
    (cx, cy), (dx, dy) = second
    if (ax == bx) == (cx == dx):
        return False
    if ax != bx:
        (ax, ay), (bx, by), (cx, cy), (dx, dy) = (cx, cy), (dx, dy), (ax, ay), (bx, by)
    return min(cx, dx) + 0.5 < ax < max(cx, dx) - 0.5 and min(ay, by) + 0.5 < cy < max(ay, by) - 0.5


def crossings(svg):
    pairs = itertools.combinations(lines_of(svg), 2)
    return sum(crosses(a, b) for one, other in pairs for a in one for b in other)


# -- the drawing -----------------------------------------------------------------------------------
def test_no_lines_cross(drawn):
    assert crossings(drawn) == 0


def test_a_crossing_would_be_seen():
    assert crosses(((0, 0), (10, 0)), ((5, -5), (5, 5)))
    assert crosses(((5, -5), (5, 5)), ((0, 0), (10, 0)))
    assert not crosses(((0, 0), (10, 0)), ((5, 0), (5, 5)))


def test_cards_do_not_overlap(drawn):
    for one, other in itertools.combinations(map(borders_of, cards_of(drawn)), 2):
        assert not overlap(one, other)


def test_lines_run_through_no_card(drawn):
    cards = [borders_of(card) for card in cards_of(drawn)]
    for line in lines_of(drawn):
        for segment in line:
            assert not any(overlap(thick(segment), card, slack=1.0) for card in cards)


def test_lines_are_horizontal_or_vertical(drawn):
    for line in lines_of(drawn):
        for (ax, ay), (bx, by) in line:
            assert ax == bx or ay == by


def test_texts_beside_lines_cover_no_card_and_no_other_text(drawn):
    labels = list(labels_of(drawn))
    for label, card in itertools.product(labels, map(borders_of, cards_of(drawn))):
        assert not overlap(label, card)
    for one, other in itertools.combinations(labels, 2):
        assert not overlap(one, other)


def test_everything_is_inside_the_picture(drawn):
    width, height = numbers_of(drawn, "width", "height")
    corners = [corner for line in lines_of(drawn) for segment in line for corner in segment]
    assert all(0 < x < width and 0 < y < height for x, y in corners)
    for left, top, right, bottom in map(borders_of, cards_of(drawn)):
        assert left > 0
        assert top > 0
        assert right < width
        assert bottom < height


# -- what it shows ---------------------------------------------------------------------------------
def test_every_delta_stands_on_a_card(worked, drawn):
    written = symbols(worked.backward, worked.symbols)
    shown = texts_of(drawn)
    unseen = hidden(worked.backward, worked.by)
    deltas = [delta for x, delta in worked.backward.deltas.items() if x not in unseen]
    assert len(deltas) > 1
    for delta in deltas:
        start = written[delta.node]
        lengths = delta.node.shape
        shape = f"({lengths[0]})" if len(lengths) == 1 else "×".join(map(str, lengths))
        assert any(text == f"{start} {shape}" or text.startswith(f"{start} = ") for text in shown)


def test_numbers_of_the_scalar_net_stand_beside_their_deltas(scalar):
    shown = texts_of(ET.fromstring(scalar.to_svg()))
    for mark in ("X = 2", "W₁ = 0.5", "Z₁ = X W₁", "Z₃ = σ(Z₂)", "L = ½ (Yᵖ − Y)²", "= 0.5"):
        assert mark in shown
    for mark in ("δL = 1", "δYᵖ = −2", "δZ₃ = −8", "δZ₁ = −2", "δW₁ = −4", "δb₂ = −2"):
        assert mark in shown


def test_small_matrices_are_shown_number_by_number():
    def net(X, W):
        return np.sum(X @ W)

    X, W = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[5.0], [7.0]])
    svg = ET.fromstring(bp.explain(net, X, W).to_svg())
    (weights,) = [card for card in cards_of(svg) if card.findtext(f"{SVG}title").startswith("W")]
    assert texts_of(weights) == ["W = ", "5", "7", "δW = ", "4", "6"]


def test_large_arrays_are_shown_by_their_shape():
    svg = bp.explain(lambda X: np.sum(X), np.ones((30, 2, 4))).to_svg()
    shown = texts_of(ET.fromstring(svg))
    assert "X 30×2×4" in shown
    assert "δX 30×2×4" in shown


def test_the_uses_of_one_value_label_their_edges_with_what_they_contribute():
    shown = texts_of(ET.fromstring(bp.explain(fan_out, 2.0, 0.5).to_svg()))
    # ∂L/∂x by its four uses: in x w, twice in x x, in b x
    assert {"δx₂ = 4, δx₃ = 4", "δx₄ = 4", "δa₂ = 8.841"} <= set(shown)
    assert not any(text.startswith("δw₁") for text in shown)


def test_a_head_points_back_along_every_edge_that_carries_a_delta(scalar):
    svg = ET.fromstring(scalar.to_svg())
    arrows = [path.get("class") for path in svg.findall(f"{SVG}path")]
    assert arrows.count("head") == 11
    assert arrows.count("back") == 11  # δX and δY were asked for, too
    only = bp.explain(scalar_net, 2.0, 0.5, -1.0, 4.0, -1.0, 3.0, wrt=["W2"])
    arrows = [path.get("class") for path in ET.fromstring(only.to_svg()).findall(f"{SVG}path")]
    assert arrows.count("head") == 11
    assert arrows.count("back") == 3  # L to Yᵖ to Z₄ to W₂


def test_kinds_of_values_differ_by_shape_and_not_only_by_colour():
    svg = bp.explain(lambda x, w: np.sum(x * w), 2.0, np.ones(2), wrt=["w"]).to_svg()
    cards = {card.get("class"): card.find(f"{SVG}rect") for card in cards_of(ET.fromstring(svg))}
    assert set(cards) == set(KINDS)
    assert float(cards["wanted"].get("rx")) > float(cards["computed"].get("rx"))
    assert ".given .box { stroke-dasharray: 4 3; }" in svg
    assert ".result .box { stroke-width: 3; }" in svg


def test_an_argument_no_result_depends_on_has_a_delta_of_zero():
    svg = ET.fromstring(bp.explain(lambda x, unused: x * 2.0, 1.0, 5.0).to_svg())
    assert {"unused = 5", "δunused = 0"} <= set(texts_of(svg))
    assert "δunused = 0, because no result depends on unused" in "\n".join(tooltips_of(svg))


def test_a_large_constant_has_a_small_card():
    table = np.arange(40.0).reshape(20, 2)
    svg = ET.fromstring(bp.explain(lambda x: np.sum(table * x), np.ones(2)).to_svg())
    assert "C₁ 20×2" in texts_of(svg)


def test_the_legend_names_what_occurs_and_nothing_else(scalar):
    def legend(worked):
        (group,) = ET.fromstring(worked.to_svg()).findall(f"{SVG}g[@class='legend']")
        return texts_of(group)

    assert legend(scalar) == ["δ requested", "computed", "result", "forward", "δ comes back"]
    alone = bp.explain(lambda x: x, 1.0)
    assert legend(alone) == ["result"]


# -- tooltips and accessibility --------------------------------------------------------------------
def test_a_card_tells_formula_number_reason_and_line(scalar):
    (told,) = [t for t in tooltips_of(ET.fromstring(scalar.to_svg())) if t.startswith("Z₃")]
    forward, delta, because, line = told.splitlines()
    assert forward == "Z₃ = σ(Z₂) = 0.5"
    assert delta == "δZ₃ = W₂ δZ₄ = −8"
    assert because == "because ∂Z₄/∂Z₃ = W₂"
    assert line.startswith("test_picture.py:")
    assert line.endswith("in scalar_net: Z3 = F.sigmoid(Z2)")


def test_a_card_with_several_uses_tells_each():
    svg = ET.fromstring(bp.explain(fan_out, 2.0, 0.5).to_svg())
    (told,) = [t for t in tooltips_of(svg) if t.startswith("b =")]
    assert "because ∂t₂/∂b = x" in told
    (told,) = [t for t in tooltips_of(svg) if t.startswith("a =")]
    assert "δa = δa₁ + δa₂ = 9.382" in told
    assert "δa₂ = δL c = 8.841, because ∂L/∂a = c" in told or "δa₂ = c = 8.841" in told


def test_the_picture_has_a_title_and_a_description(drawn, worked):
    assert drawn.get("role") == "img"
    title = drawn.findtext(f"{SVG}title")
    assert title == f"Computational graph of {worked.backward.traced.function}"
    assert drawn.findtext(f"{SVG}desc").splitlines() == [
        told.splitlines()[0] for told in tooltips_of(drawn)
    ]


def test_nothing_is_loaded_or_run(worked):
    text = worked.to_svg()
    for word in ("<script", "href", "url(", "@import", "@font-face", "onload"):
        assert word not in text


# -- input of all kinds ----------------------------------------------------------------------------
def test_names_and_formulas_are_escaped():
    def net(x):
        smaller = np.where(x < 1.0, x, 2.0)
        return np.sum(smaller)

    worked = bp.explain(net, np.ones(2), symbols={"x": 'a<b&"c">\x07'})
    svg = ET.fromstring(worked.to_svg())
    assert any(text.startswith('a<b&"c">\ufffd') for text in texts_of(svg))


def test_the_same_graph_gives_the_same_bytes_in_another_process(tmp_path):
    code = (
        "import sys; from allbps.lecture import system\n"
        "example = next(system('transformer-block').examples)\n"
        "sys.stdout.buffer.write(example.work().to_svg().encode())"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, check=True, env={"PYTHONHASHSEED": h}
        ).stdout
        for h in ("1", "2")
    ]
    assert runs[0] == runs[1]
    assert runs[0].decode() == next(system("transformer-block").examples).work().to_svg()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_fixed_theme_asks_the_device_nothing(scalar, theme):
    text = picture(scalar.backward, scalar.values, theme=theme)
    assert "prefers-color-scheme" not in text
    assert "prefers-color-scheme: dark" in picture(scalar.backward, scalar.values)


def test_an_unknown_theme_is_refused(scalar):
    with pytest.raises(ArgumentError) as caught:
        picture(scalar.backward, scalar.values, theme="sepia")
    assert str(caught.value) == (
        "unknown theme 'sepia'\n  expected: auto, light, dark\n  got:      'sepia'"
    )


def test_a_graph_too_large_to_read_is_refused_as_one_picture_and_shown_in_pieces(monkeypatch):
    monkeypatch.setattr(picture_module, "LARGEST", 20)
    layers = [{"W": np.eye(3), "b": np.ones(3)}] * 4
    worked = bp.explain(residual_tower, np.ones(3), layers)
    with pytest.raises(ArgumentError) as caught:
        picture(worked.backward, worked.values)
    assert str(caught.value) == (
        "a picture of 27 values could not be read\n"
        "  expected: at most 20\n"
        "  fix:      picture a part of the net, or read the derivation as text"
    )
    overview = worked.to_svg()
    assert "Overview of residual_tower" in overview
    assert "9 arguments" in overview


def test_three_hundred_values_take_less_than_two_seconds():
    def net(x, w):
        pool = [x, w]
        for k in range(150):
            pool.append(pool[-1 - k % 3] * pool[-1 - k % 5])
        return sum(pool[2:], 0.0)

    worked = bp.explain(net, 1.0, 1.0)
    assert len(worked.names) > 300
    started = time.process_time()
    svg = ET.fromstring(worked.to_svg())
    assert time.process_time() - started < 2.0
    assert len(cards_of(svg)) == len(worked.names)


def test_by_line_the_picture_shows_the_values_that_the_derivation_shows():
    def logistic(X, w, y):
        z = X @ w
        p = 1 / (1 + np.exp(-z))
        return -np.sum(y * np.log(p))

    w = bp.explain(logistic, np.eye(2), np.ones(2), np.array([1.0, 0.0])).shown(by="line")
    svg = w.to_svg()
    shown = {step.symbol for step in w.derivation.of_kind("given", "forward")}
    assert shown == {"X", "w", "y", "z", "p", "L"}
    assert "t₁" not in svg
    assert "1 / (1 + exp(−z))" in svg
    assert "\\tau" not in w.to_tikz()
    assert "t_{1}" not in w.to_tikz()


def test_uses_in_the_same_value_are_one_arrow_that_names_each():
    def square(x):
        y = x * x
        return np.sum(y)

    w = bp.explain(square, np.ones(2))
    assert "δx₁, δx₂" in w.to_svg()
    assert r"\delta x_{1},\; \delta x_{2}" in w.to_tikz()
