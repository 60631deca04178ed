"""A whole training step in native code does what PyTorch's loop does, in PyTorch's own tensors."""

import copy
import importlib.util
import random
from pathlib import Path

import numpy as np
import pytest

import allbps as bp
from allbps.errors import (
    AllBPsError,
    ArgumentError,
    DtypeError,
    NonFiniteError,
    NoRuleError,
    NotScalarError,
)

torch = pytest.importorskip("torch")
pytest.importorskip("llvmlite")
checkpoint = pytest.importorskip("torch.utils.checkpoint").checkpoint
T, nn = torch.nn.functional, torch.nn
SPEC = importlib.util.spec_from_file_location("modules", Path(__file__).with_name("_modules.py"))
modules = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(modules)
FAMILIES = list(modules.families())
STEPS = 4


def in_double(family):
    module, loss, batch = modules.families()[family]
    batch = tuple(x.double() if x.is_floating_point() else x for x in batch)
    return module.double(), loss, batch


def eager_step(module, loss, optimizer, batch):
    optimizer.zero_grad()
    own = loss is modules.vae_loss
    value = loss(module, *batch) if own else loss(module(*batch[:-1]), batch[-1])
    value.backward()
    optimizer.step()
    return value.item()


def assert_same_state(one, other, atol=1e-12):
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        torch.testing.assert_close(tensor, other[name], rtol=max(1e-9, atol), atol=atol, msg=name)


def drawn_like(step, number):
    """PyTorch drawing what the step draws in its call of that number."""
    from allbps.ir.draws import Draws, drawing
    from allbps.torch.checked import Drawing

    mode = Drawing(step._current.found.rng.seed)
    return mode, drawing(Draws(number))


@pytest.mark.parametrize("family", FAMILIES)
def test_each_family_trains_as_in_pytorch(family):
    module, loss, batch = in_double(family)
    other = copy.deepcopy(module)
    sgd = torch.optim.SGD(module.parameters(), lr=0.05, momentum=0.9)
    theirs = torch.optim.SGD(other.parameters(), lr=0.05, momentum=0.9)
    step = bp.torch.train_step(module, loss, batch, optimizer=sgd, seed=1)
    # PyTorch's own hardsigmoid multiplies by 1/6 in single precision
    atol = 1e-7 if family == "mobilenet_v3" else 1e-12
    for k in range(STEPS):
        mode, draws = drawn_like(step, k)
        with draws, mode:
            expected = eager_step(other, loss, theirs, batch)
        assert step(*batch).item() == pytest.approx(expected, rel=1e-7 if atol > 1e-9 else 1e-10)
    assert_same_state(module.state_dict(), other.state_dict(), atol)


def work_of(module, batch):
    sgd = torch.optim.SGD(module.parameters(), lr=0.01, momentum=0.9)
    step = bp.torch.train_step(module, T.cross_entropy, batch, optimizer=sgd)
    return [row["work"] for row in step.stages().rows]


def test_weights_of_linear_layers_are_read_and_moved_where_they_lie():
    """PyTorch keeps them as (out, in): nothing of that shape is copied or turned in memory."""
    layers = [nn.Linear(48, 64), nn.ReLU(), nn.Linear(64, 40), nn.Tanh(), nn.Linear(40, 10)]
    found = work_of(nn.Sequential(*layers), (torch.randn(24, 48), torch.randint(10, (24,))))
    assert not any("transposed" in work or "identity" in work for work in found)
    assert sum("Groups" in work for work in found if "@" in work) == 3


def test_behind_images_the_features_are_put_in_order_and_not_their_weights():
    """Channels lie innermost in a step; a weight of their flattened image is the larger array."""
    body = [nn.Conv2d(1, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()]
    module = nn.Sequential(*body, nn.Linear(8 * 9, 32), nn.ReLU(), nn.Linear(32, 10))
    found = work_of(module, (torch.randn(4, 1, 8, 8), torch.randint(10, (4,))))
    assert not any("4_weight: identity" in work or "t5: identity" in work for work in found)


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        # no bias before the norm: its gradient is nothing but rounding, which Adam makes large
        self.fc1 = nn.Linear(3, 4, bias=False)
        self.bn, self.fc2 = nn.BatchNorm1d(4), nn.Linear(4, 2)

    def forward(self, x):
        return self.fc2(torch.tanh(self.bn(self.fc1(x))))


def small():
    torch.manual_seed(3)
    module = Small().double()
    return module, copy.deepcopy(module)


def batches(count, size=5, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return [
        (torch.randn(size, 3, generator=rng, dtype=torch.float64),
         torch.randint(0, 2, (size,), generator=rng))
        for _ in range(count)
    ]  # fmt: skip


OPTIMIZERS = {
    "SGD": lambda p: torch.optim.SGD(p, 0.1),
    "SGD, decay": lambda p: torch.optim.SGD(p, 0.1, weight_decay=0.1, maximize=True),
    "SGD, momentum": lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, dampening=0.2),
    "SGD, Nesterov": lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, nesterov=True),
    "Adam": lambda p: torch.optim.Adam(p, 0.01, weight_decay=0.1),
    "Adam, decoupled": lambda p: torch.optim.Adam(p, 0.01, weight_decay=0.1,
                                                  decoupled_weight_decay=True),
    "AdamW": lambda p: torch.optim.AdamW(p, 0.01),
    "Adam, amsgrad": lambda p: torch.optim.Adam(p, 0.01, weight_decay=0.1, amsgrad=True),
    "AdamW, amsgrad": lambda p: torch.optim.AdamW(p, 0.01, amsgrad=True),
    "NAdam, decoupled": lambda p: torch.optim.NAdam(p, 0.01, weight_decay=0.1,
                                                    decoupled_weight_decay=True),
    "RAdam, decoupled": lambda p: torch.optim.RAdam(p, 0.01, weight_decay=0.1,
                                                    decoupled_weight_decay=True),
    "NAdam": lambda p: torch.optim.NAdam(p, 0.01),
    "RAdam": lambda p: torch.optim.RAdam(p, 0.01),
    "Adamax": lambda p: torch.optim.Adamax(p, 0.01),
    "Adadelta": lambda p: torch.optim.Adadelta(p, 1.0),
    "Adagrad": lambda p: torch.optim.Adagrad(p, 0.1, lr_decay=0.1, initial_accumulator_value=0.1),
    "Rprop": lambda p: torch.optim.Rprop(p, 0.01, etas=(0.4, 1.3)),
    "ASGD": lambda p: torch.optim.ASGD(p, 0.1, lambd=0.01, t0=3, weight_decay=0.1),
    "Adafactor": lambda p: torch.optim.Adafactor(p, 0.05, weight_decay=0.1),
    "Adafactor, maximize": lambda p: torch.optim.Adafactor(p, 0.05, eps=(1e-6, 0.1), maximize=True),
    "RMSprop": lambda p: torch.optim.RMSprop(p, 0.01),
    "RMSprop, all": lambda p: torch.optim.RMSprop(p, 0.01, momentum=0.5, centered=True),
}  # fmt: skip


@pytest.fixture
def double_by_default():
    """PyTorch keeps NAdam's product of momenta in the default type."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.usefixtures("double_by_default")
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_is_pytorchs_and_goes_on_in_pytorch(name):
    module, other = small()
    ours, theirs = OPTIMIZERS[name](module.parameters()), OPTIMIZERS[name](other.parameters())
    data = batches(9)
    step = bp.torch.train_step(module, T.cross_entropy, data[0], optimizer=ours)
    for k, batch in enumerate(data):
        expected = eager_step(other, T.cross_entropy, theirs, batch)
        if k in (4, 5):  # PyTorch in between, with the same objects
            assert eager_step(module, T.cross_entropy, ours, batch) == pytest.approx(expected)
        else:
            assert step(*batch).item() == pytest.approx(expected, rel=1e-7)
        assert_same_state(module.state_dict(), other.state_dict(), 1e-12)
    mine, them = ours.state_dict()["state"], theirs.state_dict()["state"]
    assert mine.keys() == them.keys()
    for k, own in them.items():
        for slot, value in own.items():
            torch.testing.assert_close(
                torch.as_tensor(mine[k][slot]).double(), torch.as_tensor(value).double()
            )


def test_muon_is_pytorchs_without_its_rounding_and_says_so(monkeypatch):
    torch.manual_seed(3)
    layers = [nn.Linear(3, 5, bias=False), nn.Tanh(), nn.Linear(5, 2, bias=False)]
    module = nn.Sequential(*layers).double()
    other = copy.deepcopy(module)
    ours, theirs = (torch.optim.Muon(m.parameters(), 0.02) for m in (module, other))
    data = batches(4)
    with pytest.warns(bp.torch.RoundingWarning, match="PyTorch rounds Muon's products to bfloat16"):
        step = bp.torch.train_step(module, T.cross_entropy, data[0], optimizer=ours)
    monkeypatch.setattr(torch.Tensor, "bfloat16", torch.Tensor.clone)
    go_on(step, other, theirs, data)
    assert ours.state_dict()["state"].keys() == theirs.state_dict()["state"].keys()


def both(make):
    """A step of a small module and the same module in PyTorch, with optimizers by ``make``."""
    module, other = small()
    ours, theirs = make(module), make(other)
    data = batches(8)
    step = bp.torch.train_step(module, T.cross_entropy, data[0], optimizer=ours)
    return step, (module, ours), (other, theirs), data


def go_on(step, other, theirs, data):
    for batch in data:
        expected = eager_step(other, T.cross_entropy, theirs, batch)
        assert step(*batch).item() == pytest.approx(expected, rel=1e-10)
    assert_same_state(step.module.state_dict(), other.state_dict())


def groups(module):
    decay = [p for p in module.parameters() if p.ndim > 1]
    rest = [p for p in module.parameters() if p.ndim == 1]
    options = [{"params": decay, "weight_decay": 0.1}, {"params": rest, "lr": 0.003}]
    return torch.optim.AdamW(options, lr=0.01, weight_decay=0.0)


def test_groups_have_numbers_of_their_own():
    step, _, (other, theirs), data = both(groups)
    go_on(step, other, theirs, data)


def test_schedules_of_rate_and_momentum_are_followed():
    step, (_, ours), (other, theirs), data = both(
        lambda m: torch.optim.SGD(m.parameters(), 0.1, momentum=0.9)
    )
    one = torch.optim.lr_scheduler.OneCycleLR(ours, 0.5, total_steps=8)
    two = torch.optim.lr_scheduler.OneCycleLR(theirs, 0.5, total_steps=8)
    for batch in data[:7]:
        go_on(step, other, theirs, [batch])
        one.step(), two.step()
    assert ours.param_groups[0]["momentum"] == theirs.param_groups[0]["momentum"] != 0.9


CHANGES = {
    "in place": lambda m: [p.mul_(0.5) for p in m.parameters()],
    "through data": lambda m: [p.data.clamp_(-0.1, 0.1) for p in m.parameters()],
    "another memory": lambda m: [setattr(p, "data", p.data * 0.5) for p in m.parameters()],
    "a state": lambda m: m.load_state_dict({k: v * 2 for k, v in m.state_dict().items()}),
    "a buffer": lambda m: m.bn.running_mean.fill_(7.0),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_others_write_between_steps_is_seen(change):
    step, (module, _), (other, theirs), data = both(
        lambda m: torch.optim.SGD(m.parameters(), 0.1, momentum=0.9)
    )
    go_on(step, other, theirs, data[:2])
    with torch.no_grad():
        CHANGES[change](module), CHANGES[change](other)
    go_on(step, other, theirs, data[2:])


def test_a_saved_optimizer_can_be_loaded():
    step, (module, ours), (other, theirs), data = both(groups)
    saved, weights = copy.deepcopy(ours.state_dict()), copy.deepcopy(module.state_dict())
    go_on(step, other, theirs, data[:4])
    ours.load_state_dict(saved), module.load_state_dict(weights)
    theirs.load_state_dict(saved), other.load_state_dict(weights)
    go_on(step, other, theirs, data[4:])
    middle = copy.deepcopy(theirs.state_dict())
    ours.load_state_dict(middle), theirs.load_state_dict(copy.deepcopy(middle))
    go_on(step, other, theirs, data)


def test_another_size_of_batch_is_compiled_once_and_said():
    step, _, (other, theirs), data = both(lambda m: torch.optim.Adam(m.parameters(), 0.01))
    go_on(step, other, theirs, data[:2])
    few = batches(3, size=3, seed=5)
    with pytest.warns(bp.torch.CompiledAgainWarning, match=r"a different shape: \(3, 3\), \(3,\)"):
        go_on(step, other, theirs, few[:1])
    go_on(step, other, theirs, [*data[2:4], *few])


def test_evaluation_mode_and_frozen_layers_are_seen():
    step, (module, _), (other, theirs), data = both(lambda m: torch.optim.SGD(m.parameters(), 0.1))
    go_on(step, other, theirs, data[:2])
    for one in (module, other):
        one.bn.eval()
        one.fc1.requires_grad_(False)
        one.fc1.zero_grad()
    with pytest.warns(bp.torch.CompiledAgainWarning, match="eval"):
        go_on(step, other, theirs, data[2:])


class Masked(Small):
    """With a mask in a buffer, a plain tensor and an option, all of which the step reads."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mask", torch.tensor([1.0, 2.0]).double())
        self.shift, self.temperature = torch.tensor([0.5, 1.0]).double(), 1.5

    def forward(self, x):
        return super().forward(x) * self.mask / self.temperature + self.shift


STALE = {
    "in place": lambda m: m.mask.mul_(3),
    "through data": lambda m: m.mask.data.mul_(3),
    "through NumPy": lambda m: np.multiply(m.mask.numpy(), 3, out=m.mask.numpy()),
    "other data": lambda m: setattr(m.mask, "data", m.mask * 3),
    "another buffer": lambda m: setattr(m, "mask", m.mask * 3),
    "another plain tensor": lambda m: setattr(m, "shift", m.shift * 3),
    "a plain tensor in place": lambda m: m.shift.mul_(3),
    "an option": lambda m: setattr(m, "temperature", 0.5),
    "an option of a part": lambda m: setattr(m.bn, "momentum", 0.5),
    "running statistics": lambda m: setattr(m.bn, "running_mean", m.bn.running_mean + 1),
}


@pytest.mark.parametrize("change", STALE)
def test_what_the_step_takes_as_a_constant_is_looked_at_in_every_step(change):
    torch.manual_seed(3)
    module = Masked().double()
    other = copy.deepcopy(module)
    ours, theirs = (torch.optim.SGD(m.parameters(), 0.1) for m in (module, other))
    data = batches(4)
    step = bp.torch.train_step(module, T.cross_entropy, data[0], optimizer=ours)
    go_on(step, other, theirs, data[:2])
    with torch.no_grad():
        STALE[change](module), STALE[change](other)
    with pytest.warns(bp.torch.CompiledAgainWarning, match="has changed"):
        go_on(step, other, theirs, data[2:3])
    go_on(step, other, theirs, data[3:])


class PartlyUsed(Small):
    def __init__(self):
        super().__init__()
        self.idle, self.stopped = nn.Linear(3, 2), nn.Linear(2, 2)
        self.register_parameter("head", None)

    def forward(self, x):
        out = super().forward(x)
        with torch.no_grad():
            shift = self.stopped(out)
        return out + shift


def test_what_has_no_gradient_is_left_alone_as_in_pytorch():
    torch.manual_seed(0)
    module = PartlyUsed().double()
    other = copy.deepcopy(module)

    def make(m):
        return torch.optim.AdamW(m.parameters(), 0.01, weight_decay=0.5)

    ours, theirs = make(module), make(other)
    data = batches(4)
    step = bp.torch.train_step(module, T.cross_entropy, data[0], optimizer=ours)
    go_on(step, other, theirs, data)
    assert ours.state_dict()["state"].keys() == theirs.state_dict()["state"].keys()


def test_channels_last_weights_are_kept_in_their_layout():
    torch.manual_seed(0)
    layers = [nn.Conv2d(2, 3, 3), nn.Tanh(), nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(16, 3)]
    module = nn.Sequential(*layers).double().to(memory_format=torch.channels_last)
    loss, batch = T.cross_entropy, (torch.randn(3, 2, 6, 6).double(), torch.tensor([0, 2, 1]))
    other = copy.deepcopy(module)
    sgd = torch.optim.SGD(module.parameters(), 0.05)
    theirs = torch.optim.SGD(other.parameters(), 0.05)
    step = bp.torch.train_step(module, loss, batch, optimizer=sgd)
    go_on(step, other, theirs, [batch] * 3)
    assert module[2].weight.is_contiguous(memory_format=torch.channels_last)


def test_gradients_are_shortened_together():
    module, other = small()
    ours, theirs = (torch.optim.SGD(m.parameters(), 0.1) for m in (module, other))
    (batch,) = batches(1)
    step = bp.torch.train_step(module, T.cross_entropy, batch, optimizer=ours, max_norm=0.1)
    T.cross_entropy(other(batch[0]), batch[1]).backward()
    nn.utils.clip_grad_norm_(other.parameters(), 0.1)
    theirs.step()
    step(*batch)
    assert_same_state(module.state_dict(), other.state_dict())


def test_the_example_itself_changes_nothing():
    module, other = small()
    sgd = torch.optim.SGD(module.parameters(), 0.1, momentum=0.9)
    bp.torch.train_step(module, T.cross_entropy, batches(1)[0], optimizer=sgd)
    assert_same_state(module.state_dict(), other.state_dict(), atol=0.0)
    assert sgd.state_dict()["state"] == {}


def test_a_loss_that_is_no_number_moves_nothing():
    module, other = small()
    sgd = torch.optim.SGD(module.parameters(), 0.1, momentum=0.9)
    x, y = batches(1)[0]
    step = bp.torch.train_step(module, T.cross_entropy, (x, y), optimizer=sgd)
    with pytest.raises(NonFiniteError, match="the loss is nan"):
        step(x * np.nan, y)
    named = dict(module.named_parameters())
    assert_same_state(named, dict(other.named_parameters()), atol=0.0)
    step(x, y)


# -- differences that export would hide ----------------------------------------------------------
def step_of(module, loss=T.cross_entropy, batch=None, **options):
    sgd = torch.optim.SGD(module.parameters(), 0.1)
    batch = batches(1)[0] if batch is None else batch
    return bp.torch.train_step(module, loss, batch, optimizer=sgd, **options)


def test_check_finds_a_difference_in_gradients_and_in_values(monkeypatch):
    from allbps.torch import table

    monkeypatch.setitem(table.TABLE, "aten.tanh.default", "np.tanh(0.99 * {self})")
    with pytest.raises(bp.torch.DifferenceError, match="the loss is not what PyTorch makes"):
        step_of(small()[0])
    text = "np.tanh({self}) + 0.01 * ({self} - bp.stop_gradient({self}))"
    monkeypatch.setitem(table.TABLE, "aten.tanh.default", text)
    with pytest.raises(bp.torch.DifferenceError, match="after a step is not what PyTorch makes"):
        step_of(small()[0])


REFUSED = {
    "half": (lambda: Small().half(), DtypeError, "fc1.weight is torch.float16 on cpu"),
    "a class": (lambda: Small, ArgumentError, "type is not a torch.nn.Module"),
    "a function": (lambda: T.relu, ArgumentError, "function is not a torch.nn.Module"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_module_of_real_numbers_is_refused(case):
    make, kind, words = REFUSED[case]
    with pytest.raises(kind, match=words):
        bp.torch.from_module(make(), torch.ones(2, 3))


class Decides(Small):
    def forward(self, x):
        return super().forward(x if x.sum() > 0 else -x)


class Writes(Small):
    def forward(self, x):
        x.mul_(2)
        return super().forward(x)


class Unknown(Small):
    def forward(self, x):
        y = torch.linalg.eigvals(x @ x.T).abs()
        return super().forward(x) + y.sum() + torch.histc(x).sum() + torch.geqrf(x)[0].sum()


def test_what_a_forward_pass_may_not_do_is_said_with_its_line():
    with pytest.raises(ArgumentError, match="decides by the values of tensors") as found:
        step_of(Decides().double())
    assert "x if x.sum() > 0" in str(found.value)
    with pytest.raises(ArgumentError, match="forward writes into its argument"):
        step_of(Writes().double())
    with pytest.raises(bp.errors.NoRuleError) as found:
        step_of(Unknown().double())
    for word in ("linalg_eig", "histc", "geqrf", "test_train_step.py", "docs/pytorch.md"):
        assert word in str(found.value)


def test_a_loss_function_and_what_it_calls_are_named_by_their_lines():
    def distance(scores, labels):
        far = scores[labels > 0][:1]  # here
        return far.mean()

    with pytest.raises(ArgumentError, match="decides by the values") as caught:
        step_of(Small().double(), lambda scores, labels: distance(scores, labels) + 1)
    assert "in distance: far = scores[labels > 0][:1]  # here" in str(caught.value)


def test_numbers_of_half_precision_inside_are_refused_with_what_to_do():
    def halved(scores, labels):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return T.cross_entropy(scores @ scores.T, labels)

    with pytest.raises(NoRuleError, match=r"numbers of torch\.bfloat16") as caught:
        step_of(Small().float(), halved, (torch.ones(2, 3), torch.tensor([0, 1])))
    assert "leave out autocast" in str(caught.value)


class OwnSGD(torch.optim.SGD):
    """Somebody's own, whose step may be another."""


def test_hooks_losses_and_optimizers_that_do_not_fit_are_refused():
    hooked = Small().double()
    hooked.fc1.register_full_backward_hook(lambda *_: None)
    with pytest.raises(ArgumentError, match="fc1 has a backward hook"):
        step_of(hooked)
    with pytest.raises(NotScalarError, match="does not return a loss"):
        step_of(Small().double(), lambda out, y: T.cross_entropy(out, y, reduction="none"))
    with pytest.raises(ArgumentError, match="another number of arguments"):
        step_of(Small().double(), lambda a, b, c, d: a)
    module = small()[0]
    for kind, why in ((torch.optim.LBFGS, "as often as its line search"), (OwnSGD, "is not known")):
        with pytest.raises(ArgumentError, match=why):
            bp.torch.train_step(
                module, T.cross_entropy, batches(1)[0], optimizer=kind(module.parameters(), lr=0.1)
            )


def test_labels_that_are_ignored_only_later_are_ignored():
    step, _, (other, theirs), data = both(
        lambda m: torch.optim.SGD(m.parameters(), 0.1, momentum=0.9)
    )
    go_on(step, other, theirs, data[:1])
    ignoring = [(x, torch.where(torch.arange(5) == 2, -100, y)) for x, y in data[1:4]]
    go_on(step, other, theirs, [ignoring[0], data[4], *ignoring[1:], data[5]])


def test_what_is_drawn_is_fresh_in_each_step_and_the_same_from_the_same_seed():
    def losses():
        torch.manual_seed(5)
        module = nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.5), nn.Linear(8, 2)).double()
        still = torch.optim.SGD(module.parameters(), 0.0)
        (batch,) = batches(1)
        step = bp.torch.train_step(module, T.cross_entropy, batch, optimizer=still)
        return [step(*batch).item() for _ in range(4)]

    first = losses()
    assert len(set(first)) == 4
    assert losses() == first


def test_a_loss_of_the_module_and_all_of_a_batch():
    module, other = small()
    (batch,) = batches(1)
    ours, theirs = (torch.optim.SGD(m.parameters(), 0.1) for m in (module, other))

    def whole(which, *parts):
        return T.cross_entropy(which(parts[0]), parts[1])

    step = bp.torch.train_step(module, whole, batch, optimizer=ours)
    expected = eager_step(other, T.cross_entropy, theirs, batch)
    assert step(*batch).item() == pytest.approx(expected, rel=1e-12)


class Turning(torch.nn.Module):
    """Sixteen units whose ReLU stands at 0 but for rounding: which way it turns is chance."""

    def __init__(self, seed):
        super().__init__()
        rng = torch.Generator().manual_seed(seed)
        self.x = torch.randn(1, 65, generator=rng)
        weight = torch.randn(16, 65, generator=rng, dtype=torch.float64)
        exact = self.x.double()
        weight[:, -1] = -(weight[:, :-1] @ exact[0, :-1]) / exact[0, -1]
        self.fc = torch.nn.Linear(65, 16, bias=False)
        self.fc.weight = torch.nn.Parameter(weight.float())
        self.out = torch.nn.Parameter(torch.ones(16))

    def forward(self, x):
        return (T.relu(self.fc(x)) * self.out + 0.1 * torch.tanh(self.fc(x) + 1)).sum()


@pytest.mark.parametrize("seed", range(6))
def test_rounding_that_turns_a_relu_is_no_difference(seed):
    module = Turning(seed)
    optimizer = torch.optim.SGD(module.parameters(), 0.1)
    step = bp.torch.train_step(module, None, (module.x,), optimizer=optimizer)
    assert step(module.x).isfinite()


def test_a_fault_in_single_precision_is_found_beside_relus_that_turn(monkeypatch):
    from allbps.torch import table

    monkeypatch.setitem(table.TABLE, "aten.tanh.default", "np.tanh(0.99 * {self}) / 0.9937")
    module = Turning(0)
    optimizer = torch.optim.SGD(module.parameters(), 0.1)
    with pytest.raises(bp.torch.DifferenceError):
        bp.torch.train_step(module, None, (module.x,), optimizer=optimizer)


class Reads(nn.Module):
    """Constants at places that differ from batch to batch: tables of noise, one-hot rows."""

    def __init__(self, how):
        super().__init__()
        self.layer, self.how = nn.Linear(3, 2), how
        self.register_buffer("five", torch.arange(5))
        self.register_buffer("table", torch.linspace(0, 1, 8, dtype=torch.double).reshape(4, 2))

    def forward(self, x, places):
        made = self.layer(x)
        return (made * self.how(self, made, places)).square().sum()


READS = {
    "rows of a buffer": lambda net, y, p: net.table[p],
    "rows of a constant": lambda net, y, p: torch.eye(4, 2, dtype=torch.double)[p],
    "index_select": lambda net, y, p: net.table.index_select(0, p),
    "gather": lambda net, y, p: net.table.gather(0, p[:, None].expand(-1, 2)),
    "take_along_dim": lambda net, y, p: torch.take_along_dim(net.table, p[:, None], 0),
    "one-hot by scatter": lambda net, y, p: torch.zeros_like(y).scatter(1, p[:, None] % 2, 1.0),
    "numbers by scatter": lambda net, y, p: torch.zeros_like(y).scatter(
        1, p[:, None] % 2, y[:, :1]
    ),
    "best of topk": lambda net, y, p: torch.zeros_like(y).scatter(
        1, y.topk(1).indices, y.topk(1).values
    ),
    "index_put": lambda net, y, p: torch.zeros_like(y).index_put((net.five, p % 2), y[:, 0]),
    "index_add": lambda net, y, p: torch.zeros_like(y).index_add(0, p, y),
    "largest of a group": lambda net, y, p: torch.zeros_like(y).scatter_reduce(
        0, p[:, None].expand(-1, 2), y.relu(), "amax"
    ),
    "masked_scatter": lambda net, y, p: y.masked_scatter(p[:, None] > 1, net.table),
    "counted in a mask": lambda net, y, p: net.table[torch.cumsum(p > 1, 0).clamp(max=3)],
    "a loss": lambda net, y, p: T.nll_loss(T.log_softmax(y, -1), p % 2, reduction="none")[:, None],
    "bucketize": lambda net, y, p: torch.bucketize(y.detach(), net.table[0]),
}


@pytest.mark.parametrize("name", READS)
def test_what_is_read_or_written_at_given_places_is_one_path(name):
    torch.manual_seed(3)
    module = Reads(READS[name]).double()
    other = copy.deepcopy(module)
    rng = torch.Generator().manual_seed(5)
    data = [(x, torch.randint(0, 4, (len(x),), generator=rng)) for x, _ in batches(4)]
    mine, theirs = (torch.optim.SGD(m.parameters(), 0.01) for m in (module, other))
    step = bp.torch.train_step(module, None, data[0], optimizer=mine)
    for batch in data:
        loss = other(*batch)
        theirs.zero_grad()
        loss.backward()
        theirs.step()
        np.testing.assert_allclose(step(*batch), loss.detach(), rtol=1e-9)
    assert_same_state(module.state_dict(), other.state_dict())
    assert len(step._current.step.paths()) == 1


def test_a_mean_that_is_all_rounding_is_no_difference():
    torch.manual_seed(0)
    conv, norm = nn.Conv2d(4, 4, 1, bias=False), nn.BatchNorm2d(4)
    module = nn.Sequential(nn.BatchNorm2d(4), conv, norm, nn.ReLU(), nn.Flatten()).double()
    x, y = torch.randn(3, 4, 4, 4, dtype=torch.double), torch.zeros(3, dtype=torch.long)
    bp.torch.train_step(module, T.cross_entropy, (x, y), torch.optim.SGD(module.parameters(), 0.1))
    assert norm.running_mean.abs().max() == 0


class Told(Small):
    """A layer whose forward pass is given as a function of the module and its argument."""

    def __init__(self, forward):
        super().__init__()
        self.forward = forward.__get__(self)
        self.register_buffer("mask", torch.tensor([[1.0, 0.0, 1.0, 0.0], [0.0, 1.0, 1.0, 1.0]]))
        self.register_buffer("count", torch.tensor(0))


def sets_data(net, x):
    net.fc2.weight.data = net.fc2.weight.data * net.mask
    return net.fc2(net.fc1(x))


def writes_data(net, x):
    net.fc2.weight.data.mul_(net.mask)
    return net.fc2(net.fc1(x))


def writes_a_value(net, x):
    y = net.fc2(net.fc1(x))
    y.data.mul_(2)
    return y


def hooks(net, x):
    y = net.fc2(net.fc1(x))
    y.register_hook(lambda g: g * 2)
    return y


def leaves_out(net, x):
    return net.fc2(net.fc1(x)) if random.random() < 2 else x[:, :2]


def draws_by_numpy(net, x):
    return net.fc2(net.fc1(x)) * float(np.random.rand())  # noqa: NPY002


@pytest.mark.parametrize(
    ("forward", "message"),
    [
        (sets_data, r"^forward puts other numbers in a tensor's place.*\n.*in sets_data: net.fc2"),
        (writes_data, "^forward writes into the parameter fc2.weight"),
        (hooks, r"^forward puts a hook on a tensor.*\n.*in hooks: y.register_hook"),
        (writes_a_value, r"^forward puts other numbers.*\n.*in writes_a_value: y.data.mul_"),
        (leaves_out, r"^forward draws from random: a graph would keep.*\n.*in leaves_out: return"),
        (draws_by_numpy, r"^forward draws from numpy.random: .*\n.*in draws_by_numpy: return net"),
    ],
    ids=lambda x: getattr(x, "__name__", ""),
)
def test_what_export_would_lose_is_refused_with_its_line(forward, message):
    with pytest.raises(AllBPsError, match=message):
        step_of(Told(forward).float(), check=False)


def reads_data(net, x):
    y = net.fc1(x)
    return net.fc2(y * y.data.sigmoid()) / net.fc2.weight.data.norm()


def is_computed_again(net, x):
    y = checkpoint(net.fc1, x + 0 * net.fc1.weight.sum(), use_reentrant=True)
    return net.fc2(checkpoint(torch.tanh, y, use_reentrant=False))


def counts_itself(net, x):
    net.count += 1
    return net.fc2(net.fc1(x)) / (1 - 0.9 ** net.count.double())


def is_partly_single(net, x):
    y = net.fc1(x)
    return net.fc2(y * torch.rsqrt(y.float().square().mean(-1, keepdim=True) + 1e-6)).float()


@pytest.mark.filterwarnings("ignore:no kernel for")  # for single precision in double
@pytest.mark.parametrize(
    "forward", [reads_data, is_computed_again, counts_itself, is_partly_single]
)
def test_what_export_loses_nothing_of_trains_as_in_pytorch(forward):
    near = 1e-6 if forward is is_partly_single else 1e-12
    torch.manual_seed(3)
    module, other = Told(forward).double(), Told(forward).double()
    other.load_state_dict(module.state_dict())
    data = batches(3)
    mine, theirs = (torch.optim.SGD(m.parameters(), 0.1) for m in (module, other))
    step = bp.torch.train_step(module, T.cross_entropy, data[0], optimizer=mine)
    for batch in data:
        expected = eager_step(other, T.cross_entropy, theirs, batch)
        assert step(*batch).item() == pytest.approx(expected, rel=near)
    assert_same_state(module.state_dict(), other.state_dict(), near)


def test_a_parameter_may_be_empty():
    class Padded(Small):
        def __init__(self):
            super().__init__()
            self.more = nn.Parameter(torch.zeros(0, 4))

        def forward(self, x):
            weight = torch.cat([self.fc2.weight, self.more])
            return T.linear(self.fc1(x), weight, self.fc2.bias)

    module = Padded().double()
    other = copy.deepcopy(module)
    data = batches(2)
    mine, theirs = (torch.optim.Adam(m.parameters(), 0.1) for m in (module, other))
    step = bp.torch.train_step(module, T.cross_entropy, data[0], optimizer=mine)
    for batch in data:
        expected = eager_step(other, T.cross_entropy, theirs, batch)
        assert step(*batch).item() == pytest.approx(expected, rel=1e-12)
    assert_same_state(module.state_dict(), other.state_dict())


class Squeezed(nn.Module):
    """Hard functions of MobileNet v3, and a choice between two numbers."""

    def forward(self, x, y):
        weight = torch.where(y == 1, 2.0, 0.5).unsqueeze(1)
        return (T.hardsigmoid(4 * x) * T.hardswish(4 * x) * weight).square().mean()


class MeanOfSeen(nn.Module):
    """The mean over the words of a text, and a quotient of whole numbers."""

    def forward(self, x, seen):
        mean = (x * seen.unsqueeze(1)).sum(1) / seen.sum()
        return mean.square().sum() + (x * (seen / 3)[0]).sum()


@pytest.mark.parametrize("kind", [Squeezed, MeanOfSeen])
def test_single_precision_stays_single(kind):
    torch.manual_seed(0)
    x, seen = nn.Parameter(torch.randn(5, 7)), torch.tensor([1, 0, 2, 1, 1])
    module = nn.Module()
    module.x, module.inner = x, kind()
    expected = module.inner(x, seen)
    expected.backward()
    sgd = torch.optim.SGD(module.parameters(), lr=1.0)
    before = x.detach().clone()

    def loss(module, seen):
        return module.inner(module.x, seen)

    step = bp.torch.train_step(module, loss, (seen,), optimizer=sgd)
    assert "in NumPy" not in str(step.stages())
    torch.testing.assert_close(step(seen), expected.detach())
    torch.testing.assert_close(before - x.detach(), x.grad)
