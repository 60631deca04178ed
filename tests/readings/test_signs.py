import pytest

from allbps.readings.signs import latex, phrases, symbol_latex


@pytest.mark.parametrize(
    ("text", "tex"),
    [
        ("δZ₃ = δZ₄ W₂ᵀ", r"\delta Z_{3} = \delta Z_{4} W_{2}^{\top}"),
        ("½ ‖Yᵖ − Y‖²", r"\tfrac{1}{2} \lVert Y^{p} - Y\rVert ^{2}"),
        ("∂J(i, j)/∂K(p, q)", r"\frac{\partial J(i, j)}{\partial K(p, q)}"),
        ("∂yᵖₖ/∂logitsᵢ", r"\frac{\partial y_{k}^{p}}{\partial\mathrm{logits}_{i}}"),
        ("∂L/∂δZ₁", r"\frac{\partial L}{\partial\delta Z_{1}}"),
        ("Σₖ (δZ₂)ₖ,:", r"\sum_{k} (\delta Z_{2})_{k,:}"),
        ("Σₖ (x):,ₖ", r"\sum_{k} (x)_{:,k}"),
        ("Σₗ₌₁ʰ K(l, m)", r"\sum_{l=1}^{h} K(l, m)"),
        ("Σₖ≠ᵢ yₖ", r"\sum_{k\ne i} y_{k}"),
        ("Σ[i = max(1, p−h+1) … n] aᵢ", r"\sum_{i = \max(1, p-h+1)}^{n} a_{i}"),
        ("σ′(Z₂)", r"\sigma '(Z_{2})"),
        ("2 exp(−x²) / √π", r"2 \exp(-x^{2}) / \sqrt{\pi }"),
        ("1 / √(1 − x²)", r"1 / \sqrt{1 - x^{2}}"),
        ("pad(δJ) * flip(K)", r"\mathrm{pad}(\delta J) \ast \mathrm{flip}(K)"),
        ("log Σ exp(x)", r"\log \sum \exp(x)"),
        ("x⁰·⁵", "x^{0.5}"),
        ("1.2·10⁻⁹", r"1.2\cdot10^{-9}"),
        ("(−π, π]", r"(-\pi , \pi ]"),
        ("|x| + ⌊y⌋", r"\lvert x\rvert  + \lfloor y\rfloor "),
        ("x̂ + ŷ", r"\hat{x} + \hat{y}"),
        ("[x > 0] ⊙ y", r"[x > 0] \odot y"),
        ("1 where x > 0, else −1", r"1\text{ where }x > 0,\text{ else }-1"),
        ("K ← K − η δK", r"K \leftarrow K - \eta  \delta K"),
        ("名", r"\text{名}"),  # for an engine of Unicode
    ],
)
def test_signs_become_latex(text, tex):
    assert latex(text) == tex


@pytest.mark.parametrize(
    ("symbol", "tex"),
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
        ("_", "x"),
    ],
)
def test_symbols_become_latex(symbol, tex):
    assert symbol_latex(symbol) == tex


def test_words_are_taken_out_of_formulas_at_the_top_only():
    assert list(phrases(r"y\text{ is }\frac{1\text{ or }2}{x}\text{ here}")) == [
        (True, "y"),
        (False, " is "),
        (True, r"\frac{1\text{ or }2}{x}"),
        (False, " here"),
    ]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (
            "t₁ is a copy of some elements; the others get 0",
            "$t_{1}$ is a copy of some elements; the others get $0$",
        ),
        (
            "1 at the first maximum of each window, else 0",
            "$1$ at the first maximum of each window, else $0$",
        ),
        (
            "every summand counts once: ∂y/∂x = 1",
            r"every summand counts once: $\frac{\partial y}{\partial x} = 1$",
        ),
        ("x is used 3 times, in t₁, t₃ and L", "$x$ is used $3$ times, in $t_{1}, t_{3}$ and $L$"),
        ("the ideal output is IO = [7, 10]", r"the ideal output is $\mathrm{IO} = [7, 10]$"),
        ("with loss = −yᵖ yᵖᵀ", r"with $\mathrm{loss} = -y^{p} y^{p\top}$"),
        ("the learning rate η", r"the learning rate $\eta$"),
    ],
)
def test_lines_break_at_words_and_stops_and_never_inside_of_a_formula(text, parts):
    shown = "".join(f"${part}$" if is_math else part for is_math, part in phrases(latex(text)))
    assert shown == parts
