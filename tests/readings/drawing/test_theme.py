"""Every text and every sign stands out from what it is drawn on (WCAG 2.2 AA)."""

import pytest

from allbps.readings.drawing.theme import DARK, LIGHT

TEXTS = [
    ("ink", "paper"),
    ("ink", "given"),
    ("ink", "wanted"),
    ("soft", "paper"),
    ("soft", "given"),
    ("soft", "wanted"),
    ("soft", "ground"),
    ("delta", "band"),
    ("delta", "ground"),
]
SIGNS = [
    ("line", "ground"),
    ("line", "paper"),
    ("line", "given"),
    ("line", "band"),
    ("delta", "wanted"),
    ("delta", "ground"),
]


def luminance(colour):
    channels = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_contrast_is_that_of_the_standard():
    assert contrast("#ffffff", "#000000") == pytest.approx(21.0, rel=1e-12)


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize(("over", "under"), TEXTS)
def test_text_stands_out(palette, over, under):
    assert contrast(palette[over], palette[under]) >= 4.5


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize(("over", "under"), SIGNS)
def test_frames_and_arrows_stand_out(palette, over, under):
    assert contrast(palette[over], palette[under]) >= 3.0
