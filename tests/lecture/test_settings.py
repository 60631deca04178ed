"""The lecture in the reader's digits and in LaTeX for somebody else's document."""

from allbps.lecture.commands import show, write


def test_digits_decimals_and_exact_numbers_hold_for_derivations_and_for_lists():
    usual = show(["convnet"], "text", None, 100)
    assert "0.9934" in usual
    two = show(["convnet"], "text", None, 100, decimals=2)
    assert "0.9934" not in two
    assert "0.99  −0.03" in two
    fine = show(["scalar-net"], "text", 1, 100, digits=8)
    assert fine != show(["scalar-net"], "text", 1, 100)


def test_fragments_and_frames_of_one_example_and_of_several(tmp_path):
    fragment = show(["scalar-net"], "fragment", None, 100)
    assert r"\begin{align*}" in fragment
    assert r"\documentclass" not in fragment
    write(["max-pooling"], tmp_path, "beamer", None)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [f"max-pooling-{k}-beamer.tex" for k in (1, 2, 3, 4)]
