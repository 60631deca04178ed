"""Rows of PyTorch modules: all can be trained, and ours agrees with PyTorch in double precision."""

import numpy as np
import pytest

from allbps.bench.agree import STEPS, deviation
from allbps.bench.bench import BenchOptions
from allbps.bench.module_work import MODULES
from allbps.bench.peer import ANSWERING, PEERS, TRAINED
from allbps.bench.row import work_for
from allbps.bench.work import ROWS

torch = pytest.importorskip("torch")
pytest.importorskip("llvmlite")


@pytest.fixture(autouse=True)
def _threads():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("row", TRAINED)
def test_every_row_has_a_loss_that_every_parameter_moves(row):
    module, loss, batches = work_for(row).built()
    again = work_for(row).built()[0].state_dict()
    assert all(torch.equal(p, again[name]) for name, p in module.state_dict().items())
    whole = "graph" in row or "attention" in row
    *inputs, target = (part if whole else part[:4] for part in batches[0])
    value = loss(module(*inputs), target)
    value.backward()
    assert value.isfinite()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in module.parameters())


def test_our_step_agrees_with_pytorch_in_double_precision():
    from allbps.bench.by_module import Native, reference

    work = work_for("torch-mlp")
    expected = reference(work).run(STEPS)
    assert deviation(Native(work).run(STEPS), expected) < 1e-4
    assert len(set(np.round(expected, 6))) > STEPS // 2


@pytest.mark.parametrize("row", ANSWERING)
def test_our_answers_are_pytorchs(row):
    from allbps.bench.by_answers import Native, reference

    work = work_for(row)
    expected = reference(work).run(9)
    assert deviation(Native(work).run(9), expected) < 1e-4
    assert len(set(expected)) == 8, "nine questions, of which the last is the first"


def test_modules_are_measured_only_where_they_are_asked_for():
    assert not set(MODULES) & set(ROWS)
    assert [p.name for p in PEERS.values() if p.takes("torch-lstm")] == [
        "train_step", "module", "module.compile",
    ]  # fmt: skip
    assert not any(p.takes("mlp") for p in PEERS.values() if p.module == "by_module")
    assert BenchOptions(("torch-mlp",)).rows == ("torch-mlp",)
