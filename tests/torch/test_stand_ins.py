"""What PyTorch decides by numbers and need not: batch norms over all batches, ``ctc_loss``."""

import copy

import numpy as np
import pytest

import allbps as bp

torch = pytest.importorskip("torch")
T, nn = torch.nn.functional, torch.nn


def randn(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


class Reader(nn.Module):
    """Scores of five classes at eight times for three examples, and their loss."""

    def __init__(self, loss):
        super().__init__()
        self.scores = nn.Parameter(randn(8, 3, 5))
        self.loss = loss

    def forward(self, *batch):
        return self.loss((1.3 * self.scores).log_softmax(2), *batch)


ROWS = torch.tensor([[1, 1, 3, 4], [2, 4, 0, 0], [3, 3, 3, 3]])
ROW = torch.tensor([1, 1, 3, 4, 0, 0, 1, 4])
TIMES, SIZES = torch.tensor([8, 7, 5]), torch.tensor([3, 2, 4])
LOSSES = {
    "mean": (T.ctc_loss, (ROWS, TIMES, torch.tensor([3, 2, 1]))),
    "none, whole lengths": (
        lambda p, t: (T.ctc_loss(p, t, (8, 8, 8), (3, 2, 0), reduction="none") ** 2).sum(), (ROWS,)
    ),
    "in one row": (nn.CTCLoss(blank=2, reduction="sum"), (ROW, TIMES, SIZES[[0, 1, 0]])),
    "impossible texts": (nn.CTCLoss(zero_infinity=True), (ROWS, torch.tensor([8, 7, 3]), SIZES)),
    "one example": (lambda p, t, n: T.ctc_loss(p[:, 0], t, n, n - 2), (ROW[:4], torch.tensor(6))),
}  # fmt: skip


@pytest.mark.parametrize("name", LOSSES)
def test_ctc_loss_is_one_path_for_all_targets_and_lengths(name):
    loss, batch = LOSSES[name]
    module = Reader(loss)
    net = bp.torch.from_module(module, *(torch.ones_like(x) for x in batch))
    expected = module(*batch)
    expected.backward()
    arrays = [x.numpy() for x in batch]
    value, found = bp.value_and_grad(lambda params: net(*arrays, params=params))(net.params)
    assert float(value) == pytest.approx(expected.item(), rel=1e-12)
    np.testing.assert_allclose(found["scores"], module.scores.grad, rtol=1e-9, atol=1e-12)


def test_a_text_that_cannot_be_has_an_infinite_loss():
    net = bp.torch.from_module(Reader(T.ctc_loss), ROWS, TIMES, SIZES)
    assert np.isinf(net(ROWS.numpy(), np.array([8, 7, 3]), SIZES.numpy()))


def test_a_batch_norm_without_momentum_keeps_the_mean_of_all_batches():
    pytest.importorskip("llvmlite")
    module = nn.Sequential(
        nn.Linear(4, 5), nn.BatchNorm1d(5, momentum=None), nn.Linear(5, 3)
    ).double()
    other, x, y = copy.deepcopy(module), randn(6, 4), torch.tensor([0, 1, 2, 0, 1, 2])
    ours, theirs = (torch.optim.SGD(m.parameters(), 0.1) for m in (module, other))
    step = bp.torch.train_step(module, T.cross_entropy, (x, y), optimizer=ours)
    for k in range(4):
        theirs.zero_grad()
        expected = T.cross_entropy(other(x + k), y)
        expected.backward()
        theirs.step()
        assert step(x + k, y).item() == pytest.approx(expected.item(), rel=1e-10)
    for name, tensor in other.state_dict().items():
        torch.testing.assert_close(module.state_dict()[name], tensor, rtol=1e-9, atol=1e-12)
