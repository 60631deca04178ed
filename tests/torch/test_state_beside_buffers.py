"""What a forward pass writes beside parameters and buffers: put back, or refused with its line."""

import pytest

import allbps as bp
from allbps.errors import ArgumentError
from allbps.torch.checked import DifferenceError

torch = pytest.importorskip("torch")
pytest.importorskip("llvmlite")
nn, T = torch.nn, torch.nn.functional
CALLS = [0]


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Linear(3, 2)
        self.start()

    def start(self):
        """Attributes of one's own."""


class Counts(Net):
    def start(self):
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        return self.layer(x) * self.calls


class Carries(Net):
    def start(self):
        self.last = torch.zeros(2)

    def forward(self, x):
        y = self.layer(x) + self.last
        self.last = y.detach().mean(0)
        return y


class Lists(Net):
    def start(self):
        self.seen = []

    def forward(self, x):
        y = self.layer(x) + sum(self.seen)
        self.seen.append(y.detach().mean())
        return y


class Table(Net):
    def start(self):
        self.seen = {"inner": {"mean": 0.0}}

    def forward(self, x):
        y = self.layer(x) + self.seen["inner"]["mean"]
        self.seen["inner"]["mean"] = y.detach().mean()
        return y


class Keeps(Net):
    def start(self):
        self.features, self.sizes = None, []

    def forward(self, x):
        self.features = self.layer(x)
        self.sizes = [len(x)]
        return self.features * 2


class Global(Net):
    def forward(self, x):
        CALLS[0] += 1
        return self.layer(x) * CALLS[0]


X, Y = torch.ones(4, 3), torch.zeros(4, 2)


def step_of(module, loss=T.mse_loss, batch=(X, Y)):
    sgd = torch.optim.SGD(module.parameters(), lr=0.1)
    return bp.torch.train_step(module, loss, batch, optimizer=sgd)


def eager_losses(module, loss, batch, count):
    sgd = torch.optim.SGD(module.parameters(), lr=0.1)
    found = []
    for _ in range(count):
        sgd.zero_grad()
        value = loss(module(*batch[:-1]), batch[-1])
        value.backward()
        sgd.step()
        found.append(value.item())
    return found


@pytest.mark.parametrize(
    ("kind", "name"), [(Counts, "calls"), (Carries, "last"), (Lists, "seen"), (Table, "seen")]
)
def test_state_in_attributes_is_refused_with_its_line_and_left_alone(kind, name):
    module = kind()
    before = repr(getattr(module, name))
    with pytest.raises(ArgumentError, match=f"{kind.__name__} reads {name} and writes") as caught:
        step_of(module)
    assert "in forward" in str(caught.value)
    assert "register_buffer" in str(caught.value)
    assert repr(getattr(module, name)) == before
    with pytest.raises(ArgumentError, match=f"reads {name} and writes it"):
        bp.torch.from_module(module, X)


class Replaces(Net):
    def start(self):
        self.register_buffer("mean", torch.zeros(2))

    def forward(self, x):
        y = self.layer(x)
        self.mean = 0.9 * self.mean + 0.1 * y.detach().mean(0)
        return y - self.mean


class WritesInto(Replaces):
    def forward(self, x):
        y = self.layer(x)
        self.mean.mul_(0.9).add_(0.1 * y.detach().mean(0))
        return y - self.mean


def test_a_buffer_that_is_replaced_is_refused_and_one_that_is_written_into_is_carried():
    module = Replaces()
    with pytest.raises(ArgumentError, match="in the place of the buffer mean") as caught:
        step_of(module)
    assert "self.mean = 0.9" in str(caught.value)
    step, other = step_of(WritesInto()), Replaces()
    found = [step(X, Y).item() for _ in range(4)]
    assert found == pytest.approx(eager_losses(other, T.mse_loss, (X, Y), 4), rel=1e-5)
    torch.testing.assert_close(step.module.mean, other.mean)


def test_state_that_nothing_sees_is_found_by_a_second_call():
    with pytest.raises(DifferenceError, match="Global gives another loss when it is called again"):
        step_of(Global())


def test_what_is_written_first_is_put_back_and_compiles_nothing_again():
    module = Keeps()
    step = step_of(module)
    assert module.features is None
    first = step(X, Y)
    module(X)  # somebody evaluates: the activation is another tensor now
    step(X, Y)
    assert first.item() == pytest.approx(T.mse_loss(Keeps()(X), Y).item())


def test_a_weight_that_a_hook_works_out_compiles_nothing_again():
    def make():
        torch.manual_seed(0)
        with pytest.warns(FutureWarning):
            return nn.Sequential(nn.utils.weight_norm(nn.Linear(3, 2)))

    module = make()
    step = step_of(module)
    found = [step(X, Y).item(), (module(X), step(X, Y).item())[1], step(X, Y).item()]
    assert found == pytest.approx(eager_losses(make(), T.mse_loss, (X, Y), 3), rel=1e-5)


class Looks(Net):
    """Puts a hook on its layer in its first call, as models do that collect what is inside."""

    def forward(self, x):
        if not getattr(self, "ready", False):
            self.layer.register_forward_hook(lambda module, args, y: y + 1)
            self.ready = True
        return self.layer(x)


def test_hooks_of_a_first_call_are_put_back_and_not_doubled():
    module, x = Looks(), torch.ones(4, 3)
    sgd = torch.optim.SGD(module.parameters(), 0.1)
    step = bp.torch.train_step(module, T.mse_loss, (x, torch.zeros(4, 2)), optimizer=sgd)
    assert not module.layer._forward_hooks
    expected = T.mse_loss(module(x), torch.zeros(4, 2))  # this puts the hook there, once
    assert step(x, torch.zeros(4, 2)).item() == pytest.approx(expected.item(), rel=1e-6)
    assert len(module.layer._forward_hooks) == 1
    step(x, torch.zeros(4, 2))


class Twice(nn.Module):
    """A layer under two names, as temporal convolutions are often written."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.inner = nn.utils.parametrizations.weight_norm(nn.Linear(3, 2))
        self.net = nn.Sequential(self.inner, nn.Tanh())

    def forward(self, x):
        return self.net(x)


def test_a_layer_under_two_names_is_one_layer_and_stays_the_modules_own():
    module = Twice()
    own = [id(p) for p in module.parameters()]
    step = step_of(module)
    found = [step(X, Y).item() for _ in range(3)]
    assert found == pytest.approx(eager_losses(Twice(), T.mse_loss, (X, Y), 3), rel=1e-5)
    assert bp.check(module, X)
    assert [id(p) for p in module.parameters()] == own


def test_a_shape_that_follows_from_values_is_refused_with_its_line():
    with pytest.raises(ArgumentError, match=r"Linear\.forward decides by the values") as caught:
        step_of(nn.Linear(3, 2), lambda y, t: y[t > 0].std() + t.sum(), (X, Y + 1))
    assert "weights of 0 and 1" in str(caught.value)
    assert "in <lambda>" in str(caught.value)


def test_distributions_are_read_without_looking_at_their_numbers():
    class Flow(Net):
        def forward(self, x, y):
            normal = torch.distributions.Normal(self.layer(x), 2.0)
            return -normal.log_prob(y).mean()

    validates = torch.distributions.Distribution._validate_args
    step = step_of(Flow(), lambda module, x, y: module(x, y))
    assert step(X, Y).item() == pytest.approx(Flow()(X, Y).item(), rel=1e-5)
    assert torch.distributions.Distribution._validate_args == validates
