"""PyTorch's own samples of every operation: a few of each entry; benchmarks/opinfo.py runs all."""

import re
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))

from vocabulary.judge import entries, judge, label  # noqa: E402

DOCUMENTED = dict(
    re.findall(r"^\| `([^`]+)` \| (\w+) \|", (ROOT / "docs/operations.md").read_text("utf-8"), re.M)
)
ENTRIES = {label(op): op for op in entries()}


@pytest.mark.parametrize("entry", ENTRIES)
def test_no_answer_is_wrong_and_the_document_is_true(entry):
    verdict = judge(ENTRIES[entry], most=4)
    documented = DOCUMENTED[entry]
    assert not verdict.wrong or documented == "wrong", verdict.wrong
    if documented == "right":
        assert verdict.right or verdict.random, "no sample was judged"
        assert not verdict.crashed
        assert not verdict.refused
    if documented == "missing":
        assert verdict.missing, "python benchmarks/opinfo.py --write says what is true now"


def test_the_document_lists_every_entry():
    assert list(DOCUMENTED) == list(ENTRIES)
