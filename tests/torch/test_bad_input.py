"""What a step cannot take is said in one message."""

import numpy as np
import pytest

import allbps as bp
from allbps.errors import ArgumentError, NotScalarError

torch = pytest.importorskip("torch")
pytest.importorskip("llvmlite")
T, nn = torch.nn.functional, torch.nn
X, Y = torch.ones(4, 3), torch.tensor([0, 1, 1, 0])


def step_of(module, loss=T.cross_entropy, batch=(X, Y)):
    return bp.torch.train_step(
        module, loss, batch, optimizer=torch.optim.SGD(module.parameters(), 0.1)
    )


def test_whole_numbers_where_pytorch_wants_others_are_refused_in_an_example_and_later():
    with pytest.raises(ArgumentError, match="PyTorch itself cannot run Linear"):
        step_of(nn.Linear(3, 2), batch=(X.long(), Y))
    step = step_of(nn.Linear(3, 2))
    with (
        pytest.raises(ArgumentError, match="PyTorch itself cannot run Linear"),
        pytest.warns(bp.torch.CompiledAgainWarning),
    ):
        step(X.long(), Y)


def test_arrays_of_numpy_are_refused_by_their_place():
    with pytest.raises(ArgumentError, match="part 1 of the batch is an array of NumPy"):
        step_of(nn.Linear(3, 2), batch=(X, np.array([0, 1, 1, 0])))


def test_a_module_whose_output_is_no_loss_is_told_so():
    with pytest.raises(NotScalarError, match="the module's output is no loss"):
        step_of(nn.Linear(3, 2), None, (X,))


def test_a_decision_in_a_helper_is_told_with_its_own_line():
    class Net(nn.Module):
        def forward(self, x):
            return chosen(x)

    def chosen(x):
        return x if x.sum() > 0 else -x

    with pytest.raises(ArgumentError, match="in chosen: return x if"):
        bp.torch.from_module(Net(), X)
