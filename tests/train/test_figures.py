"""The pictures: what they say, and the same bits every time."""

import io
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from PIL import Image

from allbps.train.curve import draw_curve
from allbps.train.kernels import as_kernels, draw_kernels
from allbps.train.moment import EpochRow

HISTORY = [
    EpochRow(k, 10 * k, 0.1, 1 / k, 1 - 1 / (k + 1), 1.1 / k, 1 - 1.1 / (k + 1)) for k in (1, 2, 3)
]


def texts(path):
    """Everything that an SVG says in words."""
    root = ET.fromstring(path.read_bytes())
    return ["".join(e.itertext()).strip() for e in root.iter("{http://www.w3.org/2000/svg}text")]


def test_the_curve_says_what_it_shows(tmp_path):
    png, svg = draw_curve(tmp_path / "curve", "a title", HISTORY, "held out")
    said = texts(svg)
    for words in ("a title", "epoch", "loss (cross-entropy)", "accuracy in %", "training",
                  "held out", "held out, finally 72.5%"):  # fmt: skip
        assert words in said
    assert Image.open(io.BytesIO(png.read_bytes())).size == (1350, 540)


def test_one_epoch_can_be_drawn(tmp_path):
    png, _ = draw_curve(tmp_path / "curve", "a title", HISTORY[:1], "held out")
    assert png.is_file()


@pytest.mark.parametrize(
    ("shape", "tiles"),
    [((3, 1, 3, 3), ["1", "2", "3"]), ((2, 3, 3, 3), ["1a", "1b", "1c", "2a", "2b", "2c"])],
)
def test_every_kernel_is_a_tile_and_the_scale_is_shown(tmp_path, shape, tiles):
    kernels = np.linspace(-1, 2, np.prod(shape)).reshape(shape)
    _, svg = draw_kernels(tmp_path / "kernels", "K", kernels)
    said = texts(svg)
    assert said[: len(tiles)] == tiles
    assert {"−2", "0", "2"} <= set(said)
    assert "K" in said


def test_of_many_kernels_the_first_are_shown(tmp_path):
    _, svg = draw_kernels(tmp_path / "kernels", "W1", np.zeros((70, 1, 2, 2)))
    assert "W1, 64 of 70" in texts(svg)


def test_positive_is_red_and_negative_blue(tmp_path):
    png, _ = draw_kernels(tmp_path / "kernels", "K", np.array([[[[1.0]]], [[[-1.0]]]]))
    pixels = np.asarray(Image.open(png).convert("RGB")).astype(int)
    excess = pixels[:, :, 0] - pixels[:, :, 2]  # of red over blue
    tiles = excess[:, : excess.shape[1] * 6 // 10]  # without the scale
    columns = [np.flatnonzero((tiles * sign > 50).any(axis=0)) for sign in (1, -1)]
    assert columns[0].max() < columns[1].min(), "the positive tile stands left of the negative one"


def test_rows_of_a_linear_layer_are_images():
    weight = np.arange(24.0).reshape(2, 12)
    np.testing.assert_array_equal(as_kernels(weight, (3, 2, 2))[1, 2], [[20, 21], [22, 23]])


def test_the_same_numbers_give_the_same_bits(tmp_path):
    kernels = np.random.default_rng(0).normal(size=(4, 1, 3, 3))
    for name in ("a", "b"):
        draw_curve(tmp_path / name / "curve", "t", HISTORY, "validation")
        draw_kernels(tmp_path / name / "kernels", "t", kernels)
    for file in ("curve.png", "curve.svg", "kernels.png", "kernels.svg"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
