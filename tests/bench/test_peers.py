"""Peers that are installed train as PyTorch does in double precision."""

import os
import shutil
import warnings
from dataclasses import replace

import numpy as np
import pytest

from allbps.bench.agree import STEPS, deviation
from allbps.bench.by_numpy import Emitted
from allbps.bench.peer import PEERS, peer_named
from allbps.bench.row import work_for
from allbps.bench.work import ROWS, image_row, lecture_row, text_row
from allbps.errors import NameUnknownError

SMALL = {
    "lecture": lecture_row,
    "mlp": lambda: image_row("", "mlp", (1, 4, 4), 6, 0.05),
    "lenet": lambda: image_row("", "lenet", (2, 8, 8), 5, 0.05),
    "resnet20": lambda: image_row("", "resnet20", (3, 8, 8), 8, 0.001),
    "gpt": lambda: text_row("", 2, 6, 11),
}
# Compilers take seconds to minutes for the larger nets; allbps bench asks them to agree before it
# times them, so here they show only that they are driven rightly.
COMPILERS = {"machine", "machine.epoch", "jax", "jax.scan", "tinygrad"}
QUICK = {"lecture", "mlp"}
# Single precision. Of a ResNet's many ReLUs some have an input so near 0 that rounding decides on
# which side it falls, and its whole δ with it; in double precision all agree, see below.
SINGLE = {"resnet20": 5e-3}
CLAIMS = [
    (row, peer.name)
    for row in ROWS
    for peer in PEERS.values()
    if peer.name != "torch.compile"
    and (row in QUICK or peer.name not in COMPILERS)
    and peer.takes(row)
]


def test_there_is_a_small_copy_of_every_row():
    assert set(SMALL) == set(ROWS)


@pytest.fixture(scope="module")
def expected():
    torch = pytest.importorskip("torch")
    threads = torch.get_num_threads()
    from allbps.bench.by_torch import reference

    yield {row: reference(make()).run(STEPS) for row, make in SMALL.items()}
    torch.set_num_threads(threads)


@pytest.mark.parametrize(("row", "name"), CLAIMS)
def test_twenty_losses_agree_with_pytorch_in_double_precision(row, name, expected):
    peer = PEERS[name]
    if not peer.version:
        pytest.skip(f"{peer.library} is not installed")
    if name == "tinygrad" and not shutil.which(os.environ.get("CC", "clang")):
        pytest.skip("tinygrad compiles with clang, which is not on the PATH")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the libraries' own, and what falls back
        runner = peer.load()(SMALL[row]())
        losses = np.concatenate([runner.run(7), runner.run(STEPS - 7)])
    assert deviation(losses, expected[row]) < SINGLE.get(row, 1e-4)
    assert len(set(np.round(expected[row], 6))) > STEPS // 2, "the losses tell steps apart"


@pytest.mark.parametrize("row", ROWS)
def test_in_double_precision_our_losses_are_pytorchs(row, expected):
    work = SMALL[row]()
    params = {name: p.astype(float) for name, p in work.params.items()}
    x, y = (a.astype(float) if a.dtype.kind == "f" else a for a in (work.x, work.y))
    losses = Emitted(replace(work, params=params, x=x, y=y)).run(STEPS)
    assert deviation(losses, expected[row]) < 1e-10


def test_unknown_rows_and_peers_are_refused_with_the_nearest():
    with pytest.raises(NameUnknownError) as caught:
        work_for("lenett")
    first, expected, fix = str(caught.value).splitlines()
    assert first == "there is no row 'lenett'"
    assert expected.startswith("  expected: one of lecture, mlp, lenet, resnet20, gpt, torch-mlp")
    assert fix == "  fix:      did you mean 'lenet'?"
    with pytest.raises(NameUnknownError) as caught:
        peer_named("torch.compil")
    assert str(caught.value).endswith("did you mean 'torch.compile'?")
