"""``x[mask]`` in a module or loss: PyTorch's value and gradients for any count, or one refusal."""

import pytest

import allbps as bp
from allbps.errors import ArgumentError

torch = pytest.importorskip("torch")
T, nn = torch.nn.functional, torch.nn
Y = torch.tensor([-1, 0, 2, -1, 1, 0, -1, 2])
OTHER = torch.tensor([0, -1, -1, -1, 2, -1, -1, -1])


class Body(nn.Module):
    """Two layers, then what is made of their result by a mask."""

    def __init__(self, end):
        super().__init__()
        torch.manual_seed(0)
        self.inner, self.outer, self.end = nn.Linear(4, 5), nn.Linear(5, 3), end

    def forward(self, x, y):
        return self.end(self.outer(torch.tanh(self.inner(x))), y)


def put_back(o, y):
    out = torch.zeros_like(o)
    out[y >= 0] = o[y >= 0].exp()
    return (out + out**2).mean()


def dispatched(o, y):
    """As mixtures of experts send rows: each to those that were chosen, weighted, and back."""
    weights, chosen = torch.topk(torch.softmax(o, -1), 2)
    out = torch.zeros_like(o)
    for k in range(3):
        column, row = torch.where(T.one_hot(chosen, 3).permute(2, 1, 0)[k])
        out.index_add_(0, row, torch.sin(o[row] + k) * weights[row, column, None])
    return (out**2).mean()


def without_diagonal(o, y):
    similar = o @ o.T
    rest = similar[~torch.eye(8, dtype=torch.bool)].view(8, 7)
    return torch.logsumexp(rest, 1).sum()


def balanced(o, y):
    counts = torch.bincount(y.clamp(min=0), minlength=3).to(o.dtype)
    return T.cross_entropy(o, y.clamp(min=0), weight=1 / counts.clamp(min=1))


def gathered(o, y):
    """As DeBERTa has it: rows by their places, where there are some."""
    places = (y >= 0).nonzero()
    if places.size(0) > 0:
        rows = torch.gather(o, 0, places.expand(places.size(0), o.size(1)))
        return T.cross_entropy(rows, torch.gather(y, 0, places.view(-1)))
    return torch.tensor(0.0).to(o)


def active(o, y):
    """As ELECTRA has it."""
    mask = (y >= 0).view(-1, 8) == 1
    labels = y.view(-1, 8)[mask]
    return T.binary_cross_entropy_with_logits(o[:, 0].view(-1, 8)[mask], labels.double())


RIGHT = {
    "rows, where there are some": gathered,
    "labels as another kind of number": active,
    "labels": lambda o, y: T.cross_entropy(o[y >= 0], y[y >= 0], label_smoothing=0.1),
    "a sum": lambda o, y: T.nll_loss(T.log_softmax(o, -1)[y > -1], y[y > -1], reduction="sum"),
    "NaN": lambda o, y: (o[~torch.isnan(_gaps(o, y))] - 1).square().mean(),
    "a loss of pairs": lambda o, y: T.smooth_l1_loss(o[y > -1], torch.sin(o[y > -1]).detach()),
    "a count": lambda o, y: o[y >= 0].square().sum() / o[y >= 0].shape[0] + o[y >= 0].numel(),
    "rows": lambda o, y: o[y >= 0].log_softmax(-1).mean(0).max() + o[y >= 0].norm(dim=1).sum(),
    "extremes": lambda o, y: o[y >= 0].amax(0).sum() - o[y >= 0].min(),
    "a row of the mask": lambda o, y: o[:, (o > 0.1).any(0)].mean(),
    "masked_select": lambda o, y: torch.masked_select(o, (y >= 0)[:, None]).exp().mean(),
    "put back": put_back,
    "experts": dispatched,
    "a mask that stays": without_diagonal,
    "bincount": balanced,
    "counts of one mask": lambda o, y: (
        o[y >= 0].sum() if o[y >= 0].shape[0] == y[y >= 0].shape[0] else o.mean()
    ),
}  # fmt: skip


def _gaps(o, y):
    return torch.where((y < 0)[:, None], torch.nan, o.detach())


@pytest.mark.parametrize("name", RIGHT)
def test_values_and_gradients_are_pytorchs_for_every_count(name):
    module = Body(RIGHT[name]).double()
    rng = torch.Generator().manual_seed(1)
    x = torch.randn(8, 4, generator=rng, dtype=torch.double)
    net = bp.torch.from_module(module, x, Y)
    for y in (Y, OTHER):
        expected = module(x, y)
        params = dict(module.named_parameters())
        wanted = torch.autograd.grad(expected, list(params.values()))
        value, found = bp.value_and_grad(lambda p: net(x, y, params=p))(net.params)  # noqa: B023
        assert float(value) == pytest.approx(expected.item(), rel=1e-12)
        for own, g in zip(params, wanted, strict=True):
            torch.testing.assert_close(torch.tensor(found[own]), g, rtol=1e-9, atol=1e-12)


REFUSED = {
    "a part of them": lambda o, y: o[y >= 0][:2].sum(),
    "some behind others": lambda o, y: torch.cat([o[y >= 0], o]).mean(),
    "a spread": lambda o, y: o[y >= 0].std(),
    "another mask": lambda o, y: T.mse_loss(o[y >= 0], o[y <= 0]),
    "sorted": lambda o, y: o[y >= 0].sort(0).values[0].sum(),
    "a decision": lambda o, y: o.sum() if len(o[y >= 0]) > 3 else o.mean(),
    "two counts": lambda o, y: o.sum() if o[y >= 0].size(0) == o[y <= 0].size(0) else o.mean(),
    "a result": lambda o, y: o[y >= 0],
    "bincount without a length": lambda o, y: torch.bincount(y + 1).float().mean() * o.mean(),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_minds_the_places_is_refused(name):
    module = Body(REFUSED[name]).double()
    with pytest.raises(ArgumentError, match="decides by the values of tensors"):
        bp.torch.from_module(module, torch.ones(8, 4, dtype=torch.double), Y)


def test_a_batch_without_any_is_refused_where_somebody_asks_for_some():
    pytest.importorskip("llvmlite")
    module = Body(gathered).double()
    x = torch.ones(8, 4, dtype=torch.double)
    sgd = torch.optim.SGD(module.parameters(), 0.1)
    step = bp.torch.train_step(module, None, (x, Y), optimizer=sgd)
    before = {name: p.clone() for name, p in module.state_dict().items()}
    with pytest.raises(ArgumentError, match="goes another way"):
        step(x, torch.full_like(Y, -1))
    assert all(torch.equal(p, before[name]) for name, p in module.state_dict().items())
    assert step(x, Y).item() == pytest.approx(Body(gathered).double()(x, Y).item(), rel=1e-12)


def test_a_step_is_compiled_once_for_all_counts():
    pytest.importorskip("llvmlite")
    module = Body(RIGHT["labels"])
    sgd = torch.optim.SGD(module.parameters(), 0.1)
    x = torch.randn(8, 4, generator=torch.Generator().manual_seed(2))
    step = bp.torch.train_step(module, None, (x, Y), optimizer=sgd)
    for y in (OTHER, Y):
        expected = module(x, y).item()
        assert step(x, y).item() == pytest.approx(expected, rel=1e-5)
    with pytest.raises(bp.errors.NonFiniteError):
        step(x, torch.full((8,), -1))
