"""The element-wise sums of the convolution page, evaluated with the bounds that it prints."""

import re

import numpy as np
import pytest

from allbps.lecture.convolution import DELTA_J, KERNEL, SYSTEM, convolution
from allbps.lecture.system import Display
from allbps.transforms import vjp

TEXT = "\n".join(
    equation for part in SYSTEM.sections if isinstance(part, Display) for equation in part.equations
)
SUM = re.compile(r"Σ\[(\w) = (.+?) … (.+?)\] Σ\[(\w) = (.+?) … (.+?)\] (K\([^)]+\) δJ\([^)]+\))")


def evaluated(found, p, q):
    """One element of δI by a sum as printed; (a, b) picks an element, counted from 1."""
    first, low, high, second, left, right, summand = (part.replace("−", "-") for part in found)
    (H, W), (h, w) = (4, 5), KERNEL.shape
    known = {"p": p, "q": q, "H": H, "W": W, "h": h, "w": w, "max": max, "min": min}
    known["K"] = lambda a, b: KERNEL[a - 1, b - 1]
    known["δJ"] = lambda a, b: DELTA_J[a - 1, b - 1]
    assert min(eval(low, known), eval(left, known)) >= 1
    product = re.sub(r"\) (?=δJ|K)", ") * ", summand)
    return sum(
        eval(product, {**known, first: i, second: j})
        for i in range(eval(low, known), eval(high, known) + 1)
        for j in range(eval(left, known), eval(right, known) + 1)
    )


@pytest.mark.parametrize("which", [0, 1], ids=["over J", "over K"])
def test_the_sums_of_the_page_are_the_delta(which):
    sums = SUM.findall(TEXT)
    assert len(sums) == 2
    I = np.random.default_rng(0).standard_normal((4, 5))
    _, pullback = vjp(convolution, I, KERNEL)
    want, _ = pullback(DELTA_J)
    got = [[evaluated(sums[which], p, q) for q in range(1, 6)] for p in range(1, 5)]
    np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12)
