"""The embedded font: small, free, and with every sign that a derivation shows."""

import re
from html import unescape
from importlib.resources import files

import pytest

from allbps.lecture import NAMES, system
from allbps.lecture.pages import html_blocks, open_system

ttlib = pytest.importorskip("fontTools.ttLib")
pytest.importorskip("brotli")
FONT = files("allbps.page").joinpath("math.woff2")


@pytest.fixture(scope="module")
def font():
    with FONT.open("rb") as file:
        yield ttlib.TTFont(file)


def italic(letter):
    """What MathML draws for a variable of one letter."""
    if letter == "h":
        return 0x210E
    for first, count, start in ("A", 26, 0x1D434), ("a", 26, 0x1D44E), ("α", 25, 0x1D6FC):
        if 0 <= ord(letter) - ord(first) < count:
            return start + ord(letter) - ord(first)
    return ord(letter)


@pytest.mark.parametrize("name", NAMES)
def test_every_sign_of_the_lecture_is_in_it(font, name):
    known = font.getBestCmap()
    html = "".join(block.content for block in html_blocks(open_system(system(name))))
    leaves = re.findall(r"<(m[ino])[^>]*>([^<]*)</m[ino]>", html)
    assert leaves
    wanted = set()
    for kind, text in leaves:
        said = unescape(text).strip()
        single = kind == "mi" and len(said) == 1
        wanted |= {italic(said)} if single else {ord(sign) for sign in said if sign != " "}
    assert not {chr(code) for code in wanted if code not in known}


def test_brackets_have_taller_forms(font):
    stretching = set(font["MATH"].table.MathVariants.VertGlyphCoverage.glyphs)
    known = font.getBestCmap()
    assert {known[ord(sign)] for sign in "()[]{}|‖√∑"} <= stretching


def test_it_is_small_and_its_licence_stands_beside_it():
    assert len(FONT.read_bytes()) < 100_000
    licence = files("allbps.page").joinpath("math.OFL.txt").read_text("utf-8")
    assert "SIL OPEN FONT LICENSE Version 1.1" in licence
