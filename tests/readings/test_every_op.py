"""What must hold of the derivation of any operation, tried on the samples of all of them."""

import json
import re
import zlib
from xml.etree import ElementTree

import numpy as np
import pytest

import allbps as bp
import allbps.functional as F
from allbps.ir import CONST, INPUT, OPS, Rule

DOUBLED = re.compile(r"([_^])\{(?:[^{}]|\{[^{}]*\})*\}\s*\1")
"""A script upon a script, which LaTeX refuses: A^{\\top}^{-1}."""

TABLE = [
    pytest.param(op, sample, id=f"{op.name}-{k}")
    for op in OPS.values()
    if op not in (INPUT, CONST)
    for k, sample in enumerate(op.samples)
]


def explained(op, sample):
    """The op on a sample, squared, so that its δ is part of a product; None without a rule or
    numbers. Complex operands are put together from their parts."""
    rng = np.random.default_rng(zlib.crc32(op.name.encode()))
    operands = [np.asarray(x)[()] for x in sample.draw(rng)]
    moved = [k for k, x in enumerate(operands) if x.dtype.kind in "fc"]
    if not any(isinstance(op.rule(k), Rule) for k in moved) or not all(x.size for x in operands):
        return None

    def net(*xs):
        filled = list(operands)
        for k, x in zip(moved, xs, strict=True):
            filled[k] = F.complex(*x) if isinstance(x, tuple) else x
        y = op(*filled, **sample.attrs)
        return np.sum(y * y if y.dtype.kind != "c" else np.abs(y) ** 2)

    parts = [
        (x.real, x.imag) if x.dtype.kind == "c" else x for x in map(operands.__getitem__, moved)
    ]
    return bp.explain(net, *parts)


@pytest.mark.parametrize(("op", "sample"), TABLE)
def test_the_derivation_of_an_op_can_be_typeset(op, sample):
    worked = explained(op, sample)
    if worked is None:
        return
    latex = worked.to_latex()
    assert not DOUBLED.search(latex), DOUBLED.search(latex)
    assert latex.count("{") - latex.count(r"\{") == latex.count("}") - latex.count(r"\}")
    for formula in re.findall(r"<math.*?</math>", worked.to_html(), re.S):
        ElementTree.fromstring(formula)
    assert len(json.loads(worked.to_json())["steps"]) == len(worked.derivation.steps)


@pytest.mark.parametrize(("op", "sample"), TABLE)
def test_the_derivation_of_an_op_fits_a_terminal(op, sample):
    worked = explained(op, sample)
    if worked is None:
        return
    long = [line for line in worked.to_text().splitlines() if len(line) > 100]
    assert not long
