"""One tree, two printers: what the compact notation means, in Unicode and in LaTeX."""

import re

import pytest

import allbps.numpy_api  # noqa: F401  (fills the table of operations)
from allbps.ir import OPS, Rule
from allbps.mathematics import Formula, parse, write
from allbps.mathematics.letters import symbol
from allbps.mathematics.tex import sentence
from allbps.mathematics.tree import Number, Product, Sum


@pytest.mark.parametrize(
    ("text", "tex"),
    [
        ("δZ₃ = δZ₄ W₂ᵀ", r"\delta Z_{3} = \delta Z_{4}\,W_{2}^{\top}"),
        ("δz y", r"\delta z\,y"),
        ("½ ‖Yᵖ − Y‖²", r"\tfrac{1}{2}\,\lVert Y^{p} - Y\rVert ^{2}"),
        ("∂J(i, j)/∂K(p, q)", r"\frac{\partial J(i, j)}{\partial K(p, q)}"),
        ("∂yᵖₖ/∂logitsᵢ", r"\frac{\partial y_{k}^{p}}{\partial\mathrm{logits}_{i}}"),
        ("∂L/∂δZ₁", r"\frac{\partial L}{\partial\delta Z_{1}}"),
        ("Σₖ (δZ₂)ₖ,:", r"\sum_{k} (\delta Z_{2})_{k,:}"),
        ("Σₖ x:,ₖ", r"\sum_{k} x_{:,k}"),
        ("Σₗ₌₁ʰ K(l, m)", r"\sum_{l=1}^{h} K(l, m)"),
        ("Σₖ≠ᵢ yₖ", r"\sum_{k\ne i} y_{k}"),
        ("Σ[i = max(1, p−h+1) … n] aᵢ", r"\sum_{i = \max(1, p-h+1)}^{n} a_{i}"),
        ("σ′(Z₂)", r"\sigma'(Z_{2})"),
        ("2 exp(−x²) / √π", r"\frac{2\,\exp(-x^{2})}{\sqrt{\pi}}"),
        ("1 / √(1 − x²)", r"\frac{1}{\sqrt{1 - x^{2}}}"),
        ("pad(δJ) * flip(K)", r"\mathrm{pad}(\delta J) \ast \mathrm{flip}(K)"),
        ("log Σ exp(x)", r"\log\,\sum \exp(x)"),
        ("x⁰·⁵", "x^{0.5}"),
        ("1.2·10⁻⁹", r"1.2\cdot10^{-9}"),
        ("|x| + ⌊y⌋", r"\lvert x\rvert  + \lfloor y\rfloor "),
        ("x̂ + ŷ", r"\hat{x} + \hat{y}"),
        ("[x > 0] ⊙ y", r"[x > 0] \odot y"),
        ("1 if x > 0, else −1",
         r"\begin{cases} 1, & \text{if }x > 0 \\ -1, & \text{otherwise} \end{cases}"),
        ("K ← K − η δK", r"K \leftarrow K - \eta\,\delta K"),
        ("∂z(n, o, i, j)/∂x(n, c, p, q) = K(o, c, p−2i+3, q−j+1)",
         r"\frac{\partial z(n, o, i, j)}{\partial x(n, c, p, q)} = K(o, c, p-2i+3, q-j+1)"),
        ("(H−h+1) × (W−w+1)", r"(H-h+1) \times (W-w+1)"),
        ("√(2π)", r"\sqrt{2\pi}"),
        ("名", r"\text{名}"),  # for an engine of Unicode
    ],
)  # fmt: skip
def test_a_formula_reads_the_same_in_unicode_and_in_latex(text, tex):
    assert parse(text).inline == text
    assert parse(text).latex == tex


@pytest.mark.parametrize(
    ("template", "operands", "text"),
    [
        ("{a} ⊙ {b}", {"a": "x + y", "b": "z"}, "(x + y) z"),
        ("{a} − {b}", {"a": "x − y", "b": "x − y"}, "x − y − (x − y)"),
        ("{a}²", {"a": "−x"}, "(−x)²"),
        ("{a}²", {"a": "xᵀ"}, "(xᵀ)²"),
        ("{a} / {b}", {"a": "x / y", "b": "x y"}, "x / y / (x y)"),
        ("{a} {b}", {"a": "A B", "b": "A B"}, "A B (A B)"),
        ("σ({a})", {"a": "x + y"}, "σ(x + y)"),
        ("−{a}", {"a": "x + y"}, "−(x + y)"),
        ("∂{a}/∂{b}", {"a": "y₁", "b": "Yᵖ"}, "∂y₁/∂Yᵖ"),
    ],
)
def test_parentheses_stand_where_an_operand_needs_them(template, operands, text):
    filled = {name: Formula(parse(said)) for name, said in operands.items()}
    assert write(template, **filled).inline == text


def test_a_product_element_by_element_of_numbers_is_an_ordinary_one():
    x, y = parse("x"), parse("y")
    assert write("{x} ⊙ {y}", x=Formula(x), y=Formula(y)).inline == "x y"
    assert write("{x} ⊙ {y}", x=Formula(x, (2,)), y=Formula(y, (2,))).inline == "x ⊙ y"


def test_trees_are_values():
    assert parse("a + b") == parse("a + b") != parse("a − b")
    assert isinstance(parse("a b + 1"), Sum)
    assert isinstance(parse("2 a"), Product)
    with pytest.raises(AttributeError):
        parse("2").text = "3"
    assert parse("−2") == Number("−2")


@pytest.mark.parametrize("text", ["x +", "(x", "∂", ") x", "a = = b", "½ ‖x"])
def test_what_is_no_formula_is_refused_or_stays_what_it_is(text):
    try:
        assert parse(text).inline == text
    except ValueError:
        return


def test_the_notation_of_every_operation_can_be_read_and_its_english_stands_in_quotes():
    templates = [op.notation.template for op in OPS.values()]
    templates += [r.because for op in OPS.values() for r in op.rules if isinstance(r, Rule)]
    written = [template for template in templates if isinstance(template, str)]
    assert len([parse(template) for template in written]) > 200
    bare = [re.sub(r'"[^"]*"', "", template) for template in written]
    assert [text for text in bare if re.search(r"\b(is|of|the|where|with|and|for)\b", text)] == []


@pytest.mark.parametrize(
    ("name", "tex"),
    [
        ("Z₁", "Z_{1}"),
        ("Yᵖ", "Y^{p}"),
        ("δYᵖ", r"\delta Y^{p}"),
        ("logits", r"\mathrm{logits}"),
        ("δh₂⁽¹⁾", r"\delta h_{2}^{(1)}"),
        ("σ", r"\sigma"),
        ("W_q", "W_{q}"),
        ("params_0_W", r"\mathrm{params}_{0,W}"),
        ("conv1₃", r"\mathrm{conv1}_{3}"),
        ("_", r"\_"),
    ],
)
def test_names_become_latex(name, tex):
    assert symbol(name) == tex


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ('t₁ "is a copy of some elements; the others get" 0',
         "$t_{1}$ is a copy of some elements; the others get $0$"),
        ('x "is used 3 times, in" t₁, t₃ "and" L',
         "$x$ is used 3 times, in $t_{1}$, $t_{3}$ and $L$"),
        ('"the learning rate" η', r"the learning rate $\eta$"),
    ],
)  # fmt: skip
def test_lines_break_at_words_and_stops_and_never_inside_of_a_formula(text, parts):
    shown = "".join(f"${part}$" if is_math else part for is_math, part in sentence(parse(text)))
    assert shown == parts
