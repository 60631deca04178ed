"""Inside an operation: what is written out is true, and the places are those that meet."""

import re

import numpy as np
import pytest

import allbps as bp
import allbps.functional as F
from allbps.readings.element import inside
from allbps.readings.numbers import cells, last_place, read

POOLED = np.array([[1, 2, 9, 9], [4, 8, 5, 6], [7, 7, 2, 3], [5, 4, 6, 8.0]])


def draw(*shape):
    return np.random.default_rng(1).normal(size=shape)


def soft(z, t):
    s = F.softmax(z)
    return np.sum(s * t)


def scored(z, t):
    return F.cross_entropy(z, t)


def named(z):
    return F.cross_entropy(z, np.array([1, 0, 2]))


def normed(x, t):
    y = F.layer_norm(x, (4,))
    return np.sum(y * t)


def batch(x, t):
    y = F.batch_norm(x, None, None, training=True)
    return np.sum(y * t)


def pooled(x, t):
    y = F.max_pool2d(x, 2)
    return np.sum(y * t)


def convolved(x, w, t):
    y = F.conv2d(x, w)
    return np.sum(y * t)


def padded(x, w, t):
    y = F.conv2d(x, w, stride=2, padding=1)
    return np.sum(y * t)


def attended(q, k, v, t):
    y = F.scaled_dot_product_attention(q, k, v)
    return np.sum(y * t)


def biased(x, b, t):
    z = x + b
    return np.sum(z * t)


NETS = {
    "softmax": (soft, (draw(2, 3), draw(2, 3)[::-1])),
    "softmax of a vector": (soft, (draw(4), draw(4)[::-1])),
    "probabilities": (scored, (draw(3), np.array([0.2, 0.5, 0.3]))),
    "labels": (named, (draw(3, 4),)),
    "layer norm": (normed, (draw(2, 4), draw(2, 4)[::-1])),
    "batch norm": (batch, (draw(3, 2), draw(3, 2)[::-1])),
    "max pooling": (pooled, (POOLED, draw(2, 2))),
    "convolution": (convolved, (draw(4, 5), draw(2, 3), draw(3, 3))),
    "strides": (padded, (draw(5, 5), draw(3, 3), draw(3, 3))),
    "attention": (attended, (draw(3, 2), draw(4, 2), draw(4, 2), draw(3, 2))),
    "bias": (biased, (draw(3, 2), draw(2), draw(3, 2))),
}


def views(name):
    f, inputs = NETS[name]
    w = bp.explain(f, *inputs)
    return w, inside(w.derivation)


NUMBERS = re.compile(r"(?:[−+·/().,\d\s]|exp|max)*\d(?:[−+·/().,\d\s]|exp|max)*")


def arithmetic(text):
    """The value of what is written out in numbers."""
    plain = text.replace("−", "-").replace("·", "*")
    return eval(plain, {"exp": np.exp, "max": max})


@pytest.mark.parametrize("name", NETS)
def test_every_element_is_that_of_the_json_and_what_is_written_gives_it(name):
    w, found = views(name)
    checked = 0
    for step, elements in found.items():
        value = np.asarray(w.derivation[step].to_json()["value"])
        assert len(elements) == value.size
        texts = cells(value)
        for element, place in zip(elements, np.ndindex(value.shape), strict=True):
            head, *sides = element["said"].split(" = ")
            assert head.endswith(f"({', '.join(str(k + 1) for k in place)})")
            assert any(side.partition(", ")[0] == texts[place] for side in sides)
            for side in filter(NUMBERS.fullmatch, sides):
                off = abs(arithmetic(side) - float(read(texts[place])))
                assert off <= 0.5 * float(last_place(texts[place])) * 1.001 + 1e-12, element["said"]
                checked += 1
    assert checked > 0


def test_the_rows_of_the_jacobian_are_those_of_softmax():
    w, found = views("softmax")
    s = w["s"].value
    for row in (0, 1):
        table = found["dz"][3 * row + 2]["table"]
        shown = np.array([[float(read(x)) for x in line[1:]] for line in table[1:]])
        np.testing.assert_allclose(
            shown, np.diag(s[row]) - np.outer(s[row], s[row]), rtol=0, atol=6e-5
        )


def test_the_three_paths_through_a_norm_add_up():
    w, found = views("layer norm")
    for element, value in zip(found["dx"], w["x"].delta.flat, strict=True):
        shares = [float(read(line[1])) for line in element["table"][1:]]
        assert len(shares) == 3
        np.testing.assert_allclose(sum(shares), value, rtol=0, atol=2e-3)


def test_the_pieces_of_cross_entropy_collapse_to_their_sum():
    _, found = views("labels")
    p, t, _, _, product = (
        [float(read(x)) for x in line[1:]] for line in found["dz"][0]["table"][1:]
    )
    np.testing.assert_allclose(sum(product), p[0] - t[0], rtol=0, atol=1e-3)


def test_a_delta_lands_on_the_first_maximum_and_a_tie_says_so():
    _, found = views("max pooling")
    said = [element["said"] for element in found["dx"]]
    assert said[2].endswith("the first maximum of window (1, 2)")
    assert "a tie in window (1, 2), whose δ goes to the first" in said[3]
    assert "a tie in window (2, 1)" in said[9]
    assert said[0] == "δx(1, 1) = 0, the maximum of no window"
    assert found["dx"][2]["parts"] == [[1], [1]]
    assert found["dx"][3]["parts"] == [[], []]


def test_corners_of_a_convolution_meet_the_padded_delta_and_the_kernels_window():
    _, found = views("convolution")
    # x 4×5 and w 2×3: y is 3×3, pad(δy) 5×7
    assert found["dx"][0]["parts"] == [[0, 1, 2, 7, 8, 9], [0, 1, 2, 3, 4, 5]]
    assert found["dx"][-1]["parts"] == [[25, 26, 27, 32, 33, 34], [0, 1, 2, 3, 4, 5]]
    assert found["dw"][0]["parts"][0] == [0, 1, 2, 5, 6, 7, 10, 11, 12]
    assert found["dw"][-1]["parts"][0] == [7, 8, 9, 12, 13, 14, 17, 18, 19]


def test_at_the_border_of_a_padded_convolution_the_zeros_that_are_shown_meet_too():
    _, found = views("strides")
    # x 5×5 is shown with its border, 7×7
    assert found["y"][0]["parts"] == [[0, 1, 2, 7, 8, 9, 14, 15, 16], list(range(9))]
    assert found["y"][-1]["parts"] == [[32, 33, 34, 39, 40, 41, 46, 47, 48], list(range(9))]


def test_attention_says_how_much_a_query_looks_at_a_key():
    w, found = views("attention")
    name = next(n for n in found if n in w.names and "looks at" in found[n][0]["said"])
    assert found[name][-1]["parts"] == [[4, 5], [6, 7]]
    assert found[name][-1]["said"].split(" = ")[1].startswith(str(cells(w[name].value)[-1, -1]))


def test_a_bias_sums_its_column():
    _, found = views("bias")
    assert [element["parts"] for element in found["db"]] == [[[0, 2, 4]], [[1, 3, 5]]]
