import shutil
import subprocess

import numpy as np
import pytest

import allbps as bp
import allbps.functional as F
from allbps.mathematics import parse
from allbps.readings.latex import code, document, escape, sentence, to_latex

PDFLATEX, LUALATEX = shutil.which("pdflatex"), shutil.which("lualatex")


def compiled(text, folder, engine=PDFLATEX):
    (folder / "it.tex").write_text(text, "ascii")
    done = subprocess.run(
        [engine, "-interaction=nonstopmode", "-halt-on-error", "it.tex"],
        cwd=folder,
        capture_output=True,
        check=False,
        timeout=600,
    )
    return done.returncode, done.stdout.decode("latin-1")


def test_a_step_in_latex(matrix):
    tex = to_latex(matrix)
    assert (
        r"\step{\delta Z_{4} \equiv \frac{\partial L}{\partial Z_{4}}"
        r" = \frac{\partial Y^{p}}{\partial Z_{4}}\,\delta Y^{p} = \delta Y^{p}"
        r" = \begin{bmatrix} -0.038 & 1.500 \\ 0.904 & 0.731 \end{bmatrix}}{}"
    ) in tex
    assert (
        r"\reason{because $Y^{p} = Z_{4} + b_{2}$, $\frac{\partial Y^{p}}{\partial Z_{4}} = 1$}"
        in tex
    )
    assert r"\code{Z1 = X @ W1}" in tex or r"{Z1 = X @ W1}" in tex


def test_words_of_a_reason_are_text_so_that_the_line_can_break():
    assert sentence(parse('y "holds the numbers of" x')) == "$y$ holds the numbers of $x$"


def test_names_are_printed_and_the_document_names_an_engine_that_can():
    def f(δ, größe, été, ω_1):  # noqa: PLC2401
        """Größe × δ — 50 % of_it {all} \\ # & ~ ^."""
        t = δ * größe * été
        return t + ω_1

    latin = to_latex(bp.explain(f, 1.0, 2.0, 3.0, 4.0).derivation)
    assert r"\acute{e}t\acute{e}" in latin
    assert "lualatex" not in latin

    def g(вес, Σ):  # noqa: PLC2401
        return вес * Σ

    beyond = to_latex(bp.explain(g, 1.0, 2.0).derivation)
    assert beyond.startswith("% !TEX program = lualatex")
    assert r"{fontspec}" in beyond
    assert r"\text{\letter{0432}{ve}}" in beyond
    assert r"\sum" not in beyond, "a variable Σ is not a summation"


@pytest.fixture(scope="module")
def foreign():
    def f(вес, 数, naïve):  # noqa: PLC2401
        """Вес yᵖ of the łódź; ﬁ, 🚀, ½ ‖x‖²."""
        t = вес * 数  # комментарий: ᵖ, ₁, đ, "名"
        return np.sum(t * naïve)

    return bp.explain(f, np.arange(3.0), 2.0, 3.0, symbols={"t": "名₁ᵖ"})


@pytest.mark.parametrize("form", ["to_latex", "to_beamer", "to_fragment"])
def test_whatever_names_and_comments_hold_the_file_is_ascii_and_defines_what_it_uses(foreign, form):
    tex = getattr(foreign, form)()
    assert tex.isascii()
    uses, defines = tex.index(r"\letter{04"), tex.index(r"command{\letter}")
    assert defines < uses
    assert r"\letter{540D}{U+540D}" in tex
    assert r"\letter{0111}{d with stroke}" in tex or form != "to_latex"


def test_a_raised_or_lowered_sign_that_stands_alone_is_one():
    assert code("# ᵖ ₁") == r"\# ${}^{p}$ ${}_{1}$"
    assert escape("(yᵖ.)") == r"$(y{}^{p}.)$"


def test_the_columns_of_a_matrix_end_at_their_last_decimals(foreign):
    for tex in (foreign.to_latex(), foreign.to_beamer()):
        assert r"\array{*\c@MaxMatrixCols r}" in tex.partition(r"\begin{document}")[0]
    assert "mtd:not([style]) { text-align: right" in foreign.to_html()
    assert "mtd:not([style]) { text-align: right" in foreign._repr_html_()


def test_special_characters_are_escaped():
    assert escape("a_b & 50% {x} #1 ~ ^ \\ $") == (
        r"a\_b \& 50\% \{x\} \#1 \textasciitilde{} \textasciicircum{} \textbackslash{} \$"
    )


def test_letters_of_other_alphabets_and_signs_of_mathematics_in_plain_text():
    assert escape("größer, naïve façade") == r"gr\"{o}\ss{}er, na\"{i}ve fa\c{c}ade"
    assert escape("yᵖ of the ‖δlogits‖, 2×2") == (
        r"$y^{p}$ of the $\lVert \delta\mathrm{logits}\rVert ,$ $2\times2$"
    )
    assert escape("“so” — it’s") == "``so'' --- it's"


def test_large_tensors_are_described_in_words():
    tex = to_latex(bp.explain(lambda x: np.sum(x**2), np.ones((20, 3))).derivation)
    assert r"x \quad \text{shape (20, 3)}, \text{from }1\text{ to }1, \text{norm }7.746" in tex


def test_long_equations_have_lines(matrix):
    tex = to_latex(matrix)
    assert r"\begin{aligned}" in tex
    assert "&= \\begin{bmatrix}" in tex


@pytest.mark.skipif(PDFLATEX is None, reason="no pdflatex here")
def test_pdflatex_compiles_the_derivations(scalar, matrix, conv, shared, tmp_path):
    def f(δ, größe, ω_1):  # noqa: PLC2401
        """Größe × δ — 50 % of_it {all} \\ # & ~ ^ < > | 'a' `b` "c" ‖x‖ yᵖ."""
        名 = np.tanh(δ) * größe  # noqa: PLC2401  "σ" & 'τ'
        return np.sum(F.gelu(名 + ω_1)) / 3.0

    odd = bp.explain(f, np.arange(3.0), 2.0, np.ones((2, 2, 3))).derivation
    bodies = [to_latex(one) for one in (scalar, matrix, conv, shared, odd)]
    start, end = r"\begin{document}", r"\end{document}"
    inner = [text.partition(start)[2].partition(end)[0] for text in bodies]
    code, log = compiled(document("All of them", "\n".join(inner)), tmp_path)
    assert code == 0, log[-2000:]
    assert "Overfull" not in log
    assert (tmp_path / "it.pdf").stat().st_size > 10_000


@pytest.mark.skipif(not (PDFLATEX and LUALATEX), reason="no pdflatex or no lualatex here")
@pytest.mark.parametrize("engine", [PDFLATEX, LUALATEX])
def test_every_engine_prints_letters_of_all_alphabets(foreign, engine, tmp_path):
    code, log = compiled(foreign.to_latex(), tmp_path, engine)
    assert code == 0, log[-2000:]
    assert "Missing character" not in (tmp_path / "it.log").read_text("latin-1")
