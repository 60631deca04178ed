"""Small runs: few images, few epochs, no drawing unless a test asks for it."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from allbps.data import load
from allbps.train import TrainOptions
from allbps.train.loop import Stop


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


SAME = ("weights.safetensors", "checkpoint.safetensors", "log.jsonl")


@pytest.fixture
def bits():
    """The files of a run that another one with the same options writes too."""
    return lambda folder: {name: (Path(folder) / name).read_bytes() for name in SAME}


@pytest.fixture
def stop_after():
    """Have the loop find, with a patch, at its n-th look that somebody asks to stop."""

    def stop(monkeypatch, looks):
        count = iter(range(looks))

        def asked(self):
            return next(count, None) is None

        monkeypatch.setattr(Stop, "asked", property(asked, lambda self, value: None), False)

    return stop
