"""LaTeX for somebody else's document: aligned equations without a preamble, and Beamer frames."""

import re

import numpy as np

import allbps as bp
from allbps.readings.slides import to_beamer, to_fragment

MACROS = {
    "begin", "end", "bmatrix", "frac", "delta", "partial", "equiv", "text", "qquad", "quad",
    "sigma", "lVert", "rVert", "tfrac", "odot", "left", "right", "top", "sum", "mathrm", "cdot",
    "dots", "begingroup", "endgroup", "allowdisplaybreaks",
}  # fmt: skip
"""What a document with amsmath knows."""


def environments_match(tex):
    open_ = []
    for which, name in re.findall(r"\\(begin|end)\{(\w+\*?)\}", tex):
        if which == "begin":
            open_.append(name)
        else:
            assert open_.pop() == name
    assert open_ == []


def test_a_fragment_has_aligned_equations_and_needs_nothing_but_amsmath(scalar, matrix):
    for derived in (scalar, matrix):
        tex = to_fragment(derived)
        environments_match(tex)
        assert set(re.findall(r"\\([A-Za-z]+)", tex)) <= MACROS
        assert tex.count(r"\begin{align*}") == 3
        rows = re.split(r"\\\\\n", re.sub(r"\\begin\{bmatrix\}.*?\\end\{bmatrix\}", "", tex))
        assert all("&" in row for row in rows)
    assert r"\delta Z_{4} \equiv \frac{\partial L}{\partial Z_{4}} &= " in to_fragment(scalar)


def test_beamer_shows_every_step_on_frames_that_are_not_too_full(matrix):
    tex = to_beamer(matrix)
    environments_match(tex)
    frames = re.findall(r"\\begin\{frame\}.*?\\end\{frame\}", tex, re.S)
    assert sum(frame.count(r"\fit{") for frame in frames) == len(matrix.steps)
    assert all(frame.count(r"\fit{") <= 7 for frame in frames)


def test_both_are_formats():
    worked = bp.explain(lambda x: np.sum(x**2), x=np.ones(2))
    assert worked.render("fragment") == worked.to_fragment()
    assert worked.render("beamer").startswith(r"\documentclass")


def test_matrices_of_a_fragment_end_at_their_decimals(matrix):
    tex = to_fragment(matrix)
    assert "matrix}" not in tex
    kernel = r"0.5 & 1.0 \\ 0 & -0.5 \\ 1.0 & 0.5"
    assert rf"\left[\begin{{array}}{{@{{}}rr@{{}}}} {kernel} \end{{array}}\right]" in tex
    environments_match(tex)
