"""Checks that raise, in a forward pass: a passed one goes on, a failed one is an error."""

import pytest

import allbps as bp
from allbps.errors import ArgumentError

torch = pytest.importorskip("torch")
nn = torch.nn
X = torch.tensor([[1.0, 2.0, 3.0], [-1.0, 0.5, 0.0]], dtype=torch.float64)
BAD = X - 10.0


class Net(nn.Module):
    def __init__(self, check):
        super().__init__()
        torch.manual_seed(0)
        self.layer, self.check = nn.Linear(3, 2, dtype=torch.float64), check

    def forward(self, x):
        self.check(x)
        return self.layer(x).square().sum()


def asserted(x):
    assert x.min() > -5, "too small"


def asserted_not(x):
    assert not torch.isnan(x).any()
    assert not (x < -5).any()


def raised(x):
    if (x < -5).any():
        raise ValueError("too small")


def raised_with_pythons(x):
    if x is not None and x.min() < -5:
        message = "too small"
        raise ValueError(message)


def raised_or(x):
    if torch.isinf(x).any() or bool((x < -5).any()):
        raise ValueError("too small")


PASSED = [asserted, asserted_not, raised, raised_with_pythons, raised_or]


@pytest.mark.parametrize("check", PASSED)
def test_a_check_that_raises_holds_for_each_batch(check):
    pytest.importorskip("llvmlite")
    module = Net(check)
    sgd = torch.optim.SGD(module.parameters(), 0.0)
    step = bp.torch.train_step(module, None, (X,), optimizer=sgd)
    for x in (X, X + 1):
        assert step(x).item() == pytest.approx(module(x).item(), rel=1e-12)
    with pytest.raises((AssertionError, ValueError)):
        module(BAD)
    with pytest.raises(ArgumentError, match=f"in {check.__name__}"):
        step(BAD)
    assert step(X).item() == pytest.approx(module(X).item(), rel=1e-12)


def test_an_example_that_does_not_pass_is_refused_with_its_line():
    net = bp.torch.from_module(Net(raised), X)
    with pytest.raises(ArgumentError, match="in raised: if"):
        net(BAD.numpy())


def branched(x):
    if x.min() > -5:
        return x
    return -x


def raised_both(x):
    """Which of the two is asked for, Python does not say."""
    if (x < -5).any() and (x > 5).any():
        raise ValueError("too far apart")


def raised_or_not(x):
    if (x < -5).any():
        raise ValueError("too small")
    else:
        x.sum()


REFUSED = [branched, raised_both, raised_or_not]


@pytest.mark.parametrize("check", REFUSED)
def test_what_may_go_on_in_two_ways_is_refused(check):
    with pytest.raises(ArgumentError, match="decides by the values"):
        bp.torch.from_module(Net(check), X)
