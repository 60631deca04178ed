"""By block: steps in the calls of the user's functions, torch modules and turns of loops."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest

import allbps as bp
import allbps.functional as F
from allbps.readings.pieces import pieces, unfolded


def gate(x, h, W, U):
    z = W @ x
    return F.sigmoid(z + U @ h)


def cell(x, h, W, U):
    g = gate(x, h, W, U)
    return g * h + (1 - g) * np.tanh(x)


def recurrent(xs, W, U):
    h = np.ones(2)
    for t in range(3):
        h = cell(xs[t], h, W, U)
    return np.sum(h**2)


@pytest.fixture(scope="module")
def worked():
    rng = np.random.default_rng(0)
    return bp.explain(
        recurrent, xs=rng.normal(size=(3, 2)), W=rng.normal(size=(2, 2)), U=rng.normal(size=(2, 2))
    ).shown(by="block")


def labels(worked, *kinds):
    """The blocks of each stretch of steps, in order."""
    steps = worked.derivation.of_kind(*kinds)
    found = [tuple(heading.label for heading in step.within) for step in steps]
    return [one for one, before in zip(found, [None, *found], strict=False) if one != before]


def test_forward_steps_stand_in_their_turn_and_call(worked):
    turns = [
        ((turn,), (turn, "cell", "gate"), (turn, "cell")) for turn in ("t = 0", "t = 1", "t = 2")
    ]
    assert labels(worked, "forward") == [one for turn in turns for one in turn] + [()]


def test_backward_the_last_block_comes_first_and_the_arguments_last(worked):
    found = labels(worked, "seed", "contribution", "delta")
    assert [one for one in found if len(one) == 3] == [
        (turn, "cell", "gate") for turn in ("t = 2", "t = 1", "t = 0")
    ]
    assert found[0] == found[-1] == ()
    assert {s.name for s in worked.derivation.steps[-3:]} == {"dxs", "dW", "dU"}


def test_each_block_hands_back_its_contribution_to_a_shared_weight(worked):
    steps = {step.name: step for step in worked.derivation}
    turns = [steps[f"dW_{k}"].within[0].label for k in (1, 2, 3)]
    assert turns == ["t = 0", "t = 1", "t = 2"]


def test_no_step_is_used_before_it_is_shown(worked):
    shown = set()
    for step in worked.derivation:
        if step.kind in ("contribution", "delta") and step.node is not None:
            named = {x.name for x in step.node.inputs if x.name in worked.values}
            assert {x for x in named if x in {s.name for s in worked.derivation}} <= shown
        shown.add(step.name)


def test_the_steps_and_their_numbers_are_those_by_line(worked):
    by_line = worked.shown(by="line").derivation
    assert {s.name for s in by_line} <= {s.name for s in worked.derivation}
    for step in by_line:
        np.testing.assert_array_equal(step.value, worked.derivation[step.name].value)


def test_a_heading_says_what_goes_in_and_what_comes_out(worked):
    text = worked.to_text(100)
    assert "┌ t = 1: h₁, xs, W, U → h₂" in text
    assert "│ │ ┌ gate: x₂, h₁, W, U → g₂" in text
    assert re.search(r"┌ t = 1: δh₂ → δh₁.*", text)
    assert max(map(len, text.split("\n"))) <= 100


class Nesting(HTMLParser):
    """How deep ``details`` stand in one another; fails where they do not close."""

    def __init__(self):
        super().__init__()
        self.depth = self.deepest = self.count = 0

    def handle_starttag(self, tag, attrs):
        if tag == "details" and dict(attrs).get("class") == "block":
            self.depth += 1
            self.count += 1
            self.deepest = max(self.depth, self.deepest)

    def handle_endtag(self, tag):
        self.depth -= tag == "details" and self.depth > 0


def test_a_page_and_markdown_have_parts_that_fold(worked):
    read = Nesting()
    read.feed(worked.to_mathml())
    assert (read.depth, read.deepest) == (0, 3)
    assert read.count == 2 * 9
    markdown = worked.to_markdown()
    assert markdown.count("<details open>") == markdown.count("</details>") == 18
    assert 'class="block"' in worked.to_html()


def test_latex_has_environments_and_slides_say_where_they_are(worked):
    tex = worked.to_latex()
    assert tex.count(r"\begin{block}") == tex.count(r"\end{block}") == 18
    assert r"\begin{block}{t = 1}{$h_{1}$, $\mathrm{xs}$, $W$, $U$ $\rightarrow$ $h_{2}$}" in tex
    assert "% Forward: t = 0, cell, gate\n" in worked.to_fragment()
    assert r"\begin{frame}{Forward: t = 0, cell, gate}" in worked.to_beamer()


def test_the_picture_has_a_box_for_each_block_which_names_its_values(worked):
    svg = worked.to_svg()
    assert svg.count("<title>line ") == 3
    named = " ".join(re.findall(r'data-nodes="([^"]*)"', svg)).split()
    forward = [step.name for step in worked.derivation.of_kind("forward")]
    assert set(forward) <= set(named)


def test_json_names_the_blocks_of_a_step(worked):
    assert worked.derivation["g_2"].to_json()["block"] == ["t = 1", "cell", "gate"]
    assert "block" not in worked.shown(by="line").derivation["g_2"].to_json()


def test_calls_after_one_another_are_blocks_apart():
    def dense(x, W):
        z = x @ W
        return np.tanh(z)

    def net(x, W):
        return np.sum(dense(dense(x, W), W))

    found = bp.explain(net, x=np.ones(2), W=np.eye(2)).shown(by="block").derivation
    blocks = [heading for step in found.of_kind("forward") for heading in step.within]
    assert [heading.label for heading in blocks] == ["dense"] * 4
    assert len(set(map(id, blocks))) == 2


def test_a_call_with_one_value_is_no_block():
    def squared(x):
        return x**2

    found = bp.explain(lambda x: np.sum(squared(x) + x), x=np.ones(2)).shown(by="block")
    assert not any(step.within for step in found.derivation)


def test_a_variable_that_nobody_reads_is_no_heading():
    def net(x):
        for _ in range(2):
            x = x * x + 1.0
        return x

    assert "_ = 0" not in bp.explain(net, x=0.5).to_text()


def test_deep_recursion_costs_no_deep_nesting():
    def down(x, k):
        y = np.sin(x)
        return down(y * y, k - 1) if k else y

    found = bp.explain(lambda x: down(x, 60), x=0.5).shown(by="block").derivation
    assert max(len(step.within) for step in found) <= 20


def test_pieces_of_a_large_net_are_its_calls_and_turns():
    def step(x):
        for k in range(25):  # noqa: B007  (names the turns)
            x = np.sin(x) * x
        return x

    def net(x):
        for t in range(4):  # noqa: B007
            x = step(x)
        return x

    nodes = [n for n in bp.explain(net, 0.5).backward.traced.graph.nodes if n.inputs]
    found = pieces(nodes)
    assert [re.sub(r"line \d+", "line", piece.label) for piece in found] == [
        f"line, t = {t}" for t in range(4)
    ]
    (inner,) = found[0].parts
    assert inner.label == "step"
    assert re.sub(r"line \d+", "line", inner.parts[0].label) == "line, k = 0 … 19"


def test_products_of_one_line_are_not_taken_for_a_loop():
    def net(A, P):
        return np.sum(A @ P @ A.T + P)

    nodes = bp.explain(net, np.eye(2), np.eye(2)).backward.traced.graph.nodes
    assert [piece.label[:3] for piece in pieces([n for n in nodes if n.inputs])] == ["net"]


def test_modules_of_pytorch_are_blocks_by_their_paths():
    torch = pytest.importorskip("torch")

    class Cell(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = torch.nn.Linear(2, 2)

        def forward(self, x):
            return torch.tanh(self.inner(x)) * x

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.cell = Cell()
            self.head = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Sigmoid())

        def forward(self, x):
            return self.head(self.cell(self.cell(x))).sum()

    net = bp.torch.from_module(Net(), torch.ones(1, 2))
    worked = bp.explain(net, torch.ones(1, 2)).shown(by="block")
    assert labels(worked, "forward") == [("cell",), ("cell, call 2",), ("head",), ()]
    nodes = [n for n in worked.backward.traced.graph.nodes if n.inputs]
    assert [p.label for p in unfolded(pieces(nodes))][:3] == ["cell", "cell, call 2", "head"]


squashed = lambda a: 1 / (1 + np.exp(-a))  # noqa: E731 - as people write a helper


def gated(x, W):
    h = squashed(x @ W)
    return np.sum(h)


@pytest.mark.parametrize("by", ["operation", "line", "block"])
def test_what_a_lambda_computes_stands_on_the_line_that_calls_it(by):
    w = bp.explain(gated, np.ones((1, 2)), np.eye(2)).shown(by=by)
    lines = {step.site.text for step in w.derivation.of_kind("forward")}
    assert lines == {"h = squashed(x @ W)", "return np.sum(h)"}


def test_a_lambda_that_is_explained_itself_keeps_its_own_line():
    w = bp.explain(lambda x: np.sum(np.tanh(x)), np.ones(2))
    assert {step.site.function for step in w.derivation.of_kind("forward")} == {"<lambda>"}
