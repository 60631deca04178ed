"""The sources at the end of a page: the user's function, and the emitted one."""

import re

import numpy as np

import allbps as bp
import allbps.functional as F
from allbps.lecture import NAMES, system


def net(x, K):
    y = F.conv2d(x, K)
    return np.sum(F.softmax(y) * y)


def test_functions_that_the_source_calls_are_folded_and_no_line_is_lost():
    w = bp.explain(net, np.ones((3, 3)), np.eye(2))
    shown = w.to_html().partition("Forward and backward in NumPy</h3>")[2]
    before, folded, own = re.split(r"<details class=.helpers.>|</details>", shown)[:3]
    assert "<summary>conv2d, softmax</summary>" in folded
    assert "def net" in own
    assert "def" not in before
    lines = re.findall(r'<span class="line"[^>]*>(.*?)</span>', shown, re.S)
    unescaped = [
        x.replace("&#x27;", "'").replace("&gt;", ">").replace("&quot;", '"') for x in lines
    ]
    assert "\n".join(unescaped) + "\n" == w.to_source("numpy")


def test_a_source_without_helpers_is_in_one_piece():
    html = bp.explain(lambda x: np.sum(x * x), np.ones(2)).to_html()
    assert '<details class="helpers">' not in html


def test_the_lectures_functions_stand_as_a_student_would_write_them():
    for name in NAMES:
        for example in system(name).examples:
            html = example.work().to_html()
            assert ": Any" not in html
            assert f"def {example.function.__name__}(" in html
