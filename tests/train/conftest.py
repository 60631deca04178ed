"""Small runs: few images, few epochs, no drawing unless a test asks for it."""

import sys
from dataclasses import replace

import numpy as np
import pytest

from allbps.data import load
from allbps.train import TrainOptions


@pytest.fixture(scope="session")
def few_digits(tmp_path_factory):
    """A file with 120 digits of four classes."""
    digits = load("digits").train
    index = np.flatnonzero(digits.labels < 4)[:120]
    path = tmp_path_factory.mktemp("data") / "few.npz"
    np.savez(path, images=digits.x[index, 0], labels=digits.labels[index])
    return path


@pytest.fixture(autouse=True)
def drawn(request, monkeypatch):
    """Drawing takes longer than a small run: only the tests that ask for ``pictures`` wait."""
    if "pictures" not in request.fixturenames:
        # by way of sys.modules: the package has a function of the module's name
        monkeypatch.setattr(sys.modules["allbps.train.run"], "_draw", lambda *parts: None)


@pytest.fixture
def pictures():
    """For tests that need the pictures of a run."""


@pytest.fixture
def options(few_digits, tmp_path):
    """Options for a run of three epochs, to be varied."""
    usual = TrainOptions(data=str(few_digits), epochs=3, batch_size=8, out=str(tmp_path / "out"))
    return lambda **changed: replace(usual, **changed)
