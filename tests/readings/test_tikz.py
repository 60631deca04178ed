"""The picture as TikZ: every value and every δ, in a file that stands alone with ``\\input``."""

import re
import shutil
import subprocess

import numpy as np
import pytest

import allbps as bp
from allbps.lecture import NAMES, system
from allbps.readings.granularity import hidden
from allbps.readings.picture import scene

HAS_TIKZ = bool(
    shutil.which("kpsewhich")
    and subprocess.run(["kpsewhich", "tikz.sty"], capture_output=True, check=False).stdout
)


def engine(name):
    """A program that sets LaTeX, left out where it or TikZ is not installed."""
    here = shutil.which(name) and HAS_TIKZ
    return pytest.param(name, marks=pytest.mark.skipif(not here, reason=f"no {name} with TikZ"))


def looped(x, W):
    h = np.ones(2)
    for t in range(3):
        z = W @ h + x[t]
        h = np.tanh(z)
    return np.sum(h)


@pytest.fixture(scope="module")
def rnn():
    return bp.explain(looped, x=np.ones((3, 2)), W=np.eye(2))


def foreign(вес, größe):  # noqa: PLC2401
    return вес * größe * вес


def balanced(tex):
    """Do braces and environments close?"""
    plain = re.sub(r"\\\\|\\[{}]", "", tex)
    opened = re.findall(r"\\begin\{(\w+)\}", tex)
    return plain.count("{") == plain.count("}") and sorted(opened) == sorted(
        re.findall(r"\\end\{(\w+)\}", tex)
    )


@pytest.mark.parametrize("name", NAMES)
def test_every_card_has_a_frame_and_every_delta_a_band(name):
    for example in system(name).examples:
        worked = example.work()
        tex = worked.to_tikz()
        unseen = hidden(worked.backward, worked.by)
        found = scene(worked.backward, worked.values, worked.symbols, hidden=unseen)
        assert tex.count(r"\fill[allbpsband]") == sum(
            card.delta is not None for card in found.cards
        )
        frames = len(found.cards) + len(found.layout.tags)
        assert len(re.findall(r"\\draw\[draw=\w+,.* fill=\w+", tex)) == frames
        assert tex.count(r"\draw[forward]") == len(found.arrows)
        assert balanced(tex)
        assert tex.isascii()


def test_formulas_and_numbers_are_set_by_latex():
    tex = bp.explain(lambda W1, x: np.sum(W1 @ x), W1=np.eye(2), x=np.array([0.5, -2.0])).to_tikz()
    assert r"t_{1} = W_{1}\,x" in tex
    assert r"\begin{array}{@{}rr@{}}0.5&-2.0\end{array}" in tex
    assert r"\delta W_{1} = \left[" in tex


def test_what_a_use_adds_stands_at_its_arrow():
    tex = bp.explain(lambda x: x * x, x=3.0).to_tikz()
    assert re.search(r"\\node\[delta, fill=white, inner sep=1pt\] at .*\\delta x_\{1\} = 3", tex)


def test_by_block_there_is_a_box_for_each_turn(rnn):
    tex = rnn.shown(by="block").to_tikz()
    assert [f"t = {t}" in tex for t in range(4)] == [True, True, True, False]
    assert balanced(tex)


def test_letters_of_other_alphabets_bring_their_definition():
    tex = bp.explain(foreign, 2.0, 3.0).to_tikz()
    assert tex.index(r"\providecommand{\letter}") < tex.index(r"\letter{0432}{ve}")


@pytest.mark.parametrize("engine", [engine("pdflatex"), engine("lualatex")])
def test_pictures_compile_and_fit_the_page(engine, rnn, tmp_path):
    wide = next(iter(system("transformer-block").examples)).work()
    pictures = [rnn, rnn.shown(by="block"), bp.explain(foreign, 2.0, 3.0), wide]
    for k, worked in enumerate(pictures):
        (tmp_path / f"p{k}.tex").write_text(worked.to_tikz(), "ascii")
    inputs = "\n\n".join(rf"\noindent\input{{p{k}}}" for k in range(len(pictures)))
    head = r"\documentclass{article}\usepackage{amsmath,tikz}"
    text = f"{head}\\begin{{document}}{inputs}\\end{{document}}"
    (tmp_path / "it.tex").write_text(text, "ascii")
    done = subprocess.run(
        [engine, "-interaction=nonstopmode", "-halt-on-error", "it.tex"],
        cwd=tmp_path, capture_output=True, check=False, timeout=600,
    )  # fmt: skip
    log = (tmp_path / "it.log").read_text("latin-1")
    assert done.returncode == 0, log[-2000:]
    assert "Overfull" not in log
