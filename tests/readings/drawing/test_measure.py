"""Text is measured at least as wide as the widest common font draws it."""

import pytest

from allbps.readings.drawing.measure import FONT, text_width

# advance widths of DejaVu Sans, in 2048ths of the font size; no common sans-serif font is wider
ADVANCES = {
    "Z₁ = X W₁": [1403, 821, 651, 1716, 651, 1403, 651, 2025, 821],
    "= −0.7311": [1716, 651, 1716, 1303, 651, 1303, 1303, 1303, 1303],
    "δmmWW": [1253, 1995, 1995, 2025, 2025],
    "GOQDN": [1587, 1612, 1612, 1577, 1532],
}


@pytest.mark.parametrize("text", ADVANCES)
def test_no_text_is_wider_than_measured(text):
    drawn = sum(ADVANCES[text]) / 2048 * FONT
    assert drawn <= text_width(text) <= 1.25 * drawn


def test_accents_take_no_room_and_ideographs_a_whole_square():
    assert text_width("x\u0302") == text_width("x")
    assert text_width("日本") >= 2 * FONT
