"""scikit-learn's digits: 1797 real handwritten digits of 8×8 pixels, part of its installation."""

from __future__ import annotations

from allbps.data.images import Dataset, Raw, assemble
from allbps.data.scale import Scale
from allbps.extras import needs


def load_digits() -> Dataset:
    """The digits.

    Source: E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI, 1998.

    Raises:
        MissingExtraError: scikit-learn is not installed.

    >>> load_digits().train.x.shape
    (1797, 1, 8, 8)

    """
    with needs("scikit-learn", extra="train", purpose="the digits data"):
        from sklearn.datasets import load_digits as bundled

    raw = bundled()
    pixels = raw.images[:, None]  # (N, 8, 8) -> (N, 1, 8, 8)
    return assemble("digits", Raw("digits", pixels, raw.target), scale=Scale(16, "whole numbers"))
