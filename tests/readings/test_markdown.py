import html
import re

import numpy as np
import pytest
from markdown_it import MarkdownIt

import allbps as bp
import allbps.functional as F
from allbps.mathematics import parse
from allbps.readings.markdown import display, inline, to_markdown


def softmax_net(logits, y):
    p_1 = F.softmax(logits)
    loss = -np.sum(y * np.log(p_1))
    return loss


@pytest.fixture(scope="module")
def softmax():
    return bp.explain(
        softmax_net, logits=np.array([[0.1, 0.2], [1.0, -1.0]]), y=np.eye(2)
    ).derivation


def test_scalars_stand_in_tables(scalar):
    text = to_markdown(scalar)
    assert text.startswith(
        "# scalar\\_net\n\n## Given\n\n"
        "| $X$ | $W_{1}$ | $b_{1}$ | $W_{2}$ | $b_{2}$ | $Y$ |\n"
        "| --- | --- | --- | --- | --- | --- |\n"
        "| $2$ | $0.5$ | $-1$ | $4$ | $-1$ | $0$ |\n"
    )
    assert "| $Z_{1}$ | $X\\thinspace W_{1}$ | $2 \\cdot 0.5$ | $1$ | `Z1 = X * W1` |" in text


def test_a_step_in_markdown(conv):
    assert (
        "$$\n\\delta K = I \\ast \\delta J = "
        "\\begin{bmatrix} 1 & 2 & 0 \\cr 0 & 1 & 3 \\cr 2 & 0 & 1 \\end{bmatrix} \\ast "
        "\\begin{bmatrix} 1 & 0 \\cr -1 & 2 \\end{bmatrix} = "
        "\\begin{bmatrix} 3 & 7 \\cr -2 & 3 \\end{bmatrix}\n$$\n\n"
        "because $J = I \\ast K$, "
        "$\\frac{\\partial J(i, j)}{\\partial K(p, q)} = I(i+p-1, j+q-1)$\n"
    ) in to_markdown(conv)


def test_markdown_leaves_every_formula_as_it_is(scalar, matrix, conv, shared, softmax):
    """A renderer sees the formulas only after Markdown has done its work on them."""
    for derived in (scalar, matrix, conv, shared, softmax):
        source = to_markdown(derived)
        page = MarkdownIt("commonmark").enable("table").render(source)
        seen = html.unescape(re.sub(r"</?(p|h\d|table|thead|tbody|tr|th|td|code)>", "", page))
        formulas = re.findall(r"\$\$[^$]+\$\$|\$[^$]+\$", source)
        assert len(formulas) > 10
        assert [formula for formula in formulas if formula not in seen] == []


def test_indices_behind_brackets_cannot_begin_emphasis():
    assert inline(parse("Σₖ (δZ₂)ₖ,:")) == (r"$\sum_{k} \mathop{(\delta Z_{2})}\nolimits_{k,:}$")
    assert inline(parse("logitsᵢ")) == r"$\mathop{\mathrm{logits}}\nolimits_{i}$"
    assert display(r"\begin{bmatrix} 1 \\ 2 \end{bmatrix}_{k}") == (
        "$$\n\\mathop{\\begin{bmatrix} 1 \\cr 2 \\end{bmatrix}}\\nolimits_{k}\n$$"
    )
    assert display(r"\left(\frac{a}{b}\right)_{2}") == (
        "$$\n" r"\mathop{\left(\frac{a}{b}\right)}\nolimits_{2}" "\n$$"
    )


def test_brackets_cannot_become_a_link():
    assert inline(parse("a[0](x)")) == "$a[0] (x)$"


def test_words_stand_outside_of_the_formulas():
    assert inline(parse('∂y/∂x = 1 "where" x > 0, "else" 0')) == (
        r"$\frac{\partial y}{\partial x} = 1$ where $x > 0$, else $0$"
    )


def test_pipes_in_code_do_not_end_a_table_cell():
    def f(x):
        y = x * 2.0  # a | b
        return y

    assert "`y = x * 2.0  # a \\| b`" in to_markdown(bp.explain(f, 1.0).derivation)
