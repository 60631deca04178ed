"""Optimisers follow PyTorch's to the last bits, as NumPy and compiled."""

import math

import numpy as np
import pytest
import torch

import allbps as bp
from allbps.errors import AllBPsError, ArgumentError
from allbps.optim import (
    ASGD,
    LAMB,
    SGD,
    SGDW,
    Adadelta,
    Adafactor,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    AMSGrad,
    AMSGradW,
    Lion,
    Muon,
    NAdam,
    NAdamW,
    Optimizer,
    RAdam,
    RAdamW,
    RMSprop,
    Rprop,
    clip_grad_norm,
)

STEPS = 20
OPTIMISERS = [
    (SGD, {"lr": 0.1}),
    (SGD, {"lr": 0.1, "weight_decay": 0.05}),
    (SGD, {"lr": 0.1, "momentum": 0.9}),
    (SGD, {"lr": 0.1, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.05}),
    (SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.05}),
    (Adam, {}),
    (Adam, {"lr": 0.02, "betas": (0.8, 0.95), "eps": 1e-4, "weight_decay": 0.1}),
    (AdamW, {}),
    (AdamW, {"lr": 0.02, "betas": (0.8, 0.95), "weight_decay": 0.2}),
    (RMSprop, {}),
    (RMSprop, {"lr": 0.02, "alpha": 0.9, "momentum": 0.8, "weight_decay": 0.1}),
    (RMSprop, {"lr": 0.02, "centered": True, "momentum": 0.5, "eps": 1e-3}),
    (NAdam, {}),
    (NAdam, {"lr": 0.02, "betas": (0.8, 0.95), "momentum_decay": 0.1, "weight_decay": 0.1}),
    (Adamax, {}),
    (Adamax, {"lr": 0.02, "betas": (0.8, 0.95), "weight_decay": 0.1}),
    (Adadelta, {}),
    (Adadelta, {"lr": 0.5, "rho": 0.8, "eps": 1e-4, "weight_decay": 0.1}),
    (RAdam, {}),
    (RAdam, {"lr": 0.02, "betas": (0.8, 0.95), "eps": 1e-4, "weight_decay": 0.1}),
    (AMSGrad, {}),
    (AMSGrad, {"lr": 0.02, "betas": (0.8, 0.95), "eps": 1e-4, "weight_decay": 0.1}),
    (AMSGradW, {"lr": 0.02, "betas": (0.8, 0.95), "weight_decay": 0.2}),
    (NAdamW, {"lr": 0.02, "betas": (0.8, 0.95), "weight_decay": 0.2}),
    (RAdamW, {"lr": 0.02, "betas": (0.8, 0.95), "weight_decay": 0.2}),
    (Adagrad, {}),
    (Adagrad, {"lr": 0.1, "lr_decay": 0.05, "weight_decay": 0.1}),
    (Rprop, {}),
    (Rprop, {"lr": 0.3, "etas": (0.3, 1.5), "step_sizes": (1e-2, 0.5)}),
    (ASGD, {}),
    (ASGD, {"lr": 0.1, "lambd": 0.1, "alpha": 0.5, "t0": 5.0, "weight_decay": 0.1}),
    (Adafactor, {}),
    (Adafactor, {"lr": 0.2, "beta2_decay": -0.5, "eps": (1e-6, 1e-2), "weight_decay": 0.1}),
    (Adafactor, {"lr": 0.5, "d": 2.0}),
]
MATRICES = [
    (Muon, {}),
    (Muon, {"lr": 0.1, "momentum": 0.5, "nesterov": False, "weight_decay": 0.0, "ns_steps": 2}),
    (Muon, {"lr": 0.1, "adjust_lr_fn": "match_rms_adamw", "ns_coefficients": (2.0, -1.5, 0.5)}),
]
"""Those for matrices alone; their judge is PyTorch's in double precision."""
BY_HAND = [
    (SGDW, {"lr": 0.1, "weight_decay": 0.2}),
    (SGDW, {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.2}),
    (Lion, {"lr": 0.02, "weight_decay": 0.2}),
    (LAMB, {"lr": 0.02}),
    (LAMB, {"lr": 0.02, "weight_decay": 0.2}),
]
"""Those that torch.optim does not have; their judges are written out below."""


SWITCHED = {
    "AMSGrad": ("Adam", {"amsgrad": True}),
    "AMSGradW": ("AdamW", {"amsgrad": True}),
    "NAdamW": ("NAdam", {"decoupled_weight_decay": True}),
    "RAdamW": ("RAdam", {"decoupled_weight_decay": True}),
}
"""Ours -> PyTorch's, and the option that makes it so."""


def start():
    rng = np.random.default_rng(3)
    return {"K": rng.normal(size=(2, 3)), "head": [rng.normal(size=4), rng.normal(size=())]}


def gradients(t):
    rng = np.random.default_rng([4, t])
    return {"K": rng.normal(size=(2, 3)), "head": [rng.normal(size=4), rng.normal(size=())]}


def flat(tree):
    return [tree["K"], *tree["head"]]


def torch_run(name, arguments, steps=STEPS):
    parameters = [torch.tensor(p, requires_grad=True) for p in flat(start())]
    name, switched = SWITCHED.get(name, (name, {}))
    optimiser = getattr(torch.optim, name)(parameters, **arguments, **switched)
    for t in range(steps):
        for p, g in zip(parameters, flat(gradients(t)), strict=True):
            p.grad = torch.tensor(g)
        optimiser.step()
    return [p.detach().numpy() for p in parameters]


@pytest.fixture(autouse=True)
def _doubles_all_through():
    """PyTorch keeps the product of NAdam's momenta in its default dtype."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


# -- judges that PyTorch does not have -------------------------------------------------------------
def sgdw_run(lr, weight_decay, steps=STEPS, **arguments):
    """``torch.optim.SGD`` without decay, after p ← (1 - lr·λ) p: the decoupled decay of AdamW."""
    parameters = [torch.tensor(p, requires_grad=True) for p in flat(start())]
    optimiser = torch.optim.SGD(parameters, lr, **arguments)
    for t in range(steps):
        for p, g in zip(parameters, flat(gradients(t)), strict=True):
            p.data.mul_(1 - lr * weight_decay)
            p.grad = torch.tensor(g)
        optimiser.step()
    return [p.detach().numpy() for p in parameters]


def lion_run(lr, weight_decay, steps=STEPS):
    """Algorithm 2 of arXiv:2302.06675, on one vector of all numbers."""
    theta = np.concatenate([p.ravel() for p in flat(start())])
    m = np.zeros_like(theta)
    for t in range(steps):
        g = np.concatenate([x.ravel() for x in flat(gradients(t))])
        c = 0.9 * m + 0.1 * g
        theta = theta - lr * (np.sign(c) + weight_decay * theta)
        m = 0.99 * m + 0.01 * g
    return np.split(theta, np.cumsum([p.size for p in flat(start())])[:-1])


def lamb_run(lr, weight_decay=0.0, steps=STEPS):
    """Algorithm 2 of arXiv:1904.00962 with φ(z) = z, layer by layer."""
    layers = []
    for k, p in enumerate(flat(start())):
        x, m, v = p, 0.0, 0.0
        for t in range(steps):
            g = flat(gradients(t))[k]
            m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
            r = (m / (1 - 0.9 ** (t + 1))) / (np.sqrt(v / (1 - 0.999 ** (t + 1))) + 1e-6)
            u = r + weight_decay * x
            x = x - lr * np.linalg.norm(x) / np.linalg.norm(u) * u
        layers.append(x)
    return layers


JUDGES = {SGDW: sgdw_run, Lion: lion_run, LAMB: lamb_run}


def judged(kind, arguments):
    """Where the parameters end, by a judge that is not allbps."""
    return JUDGES[kind](**arguments) if kind in JUDGES else torch_run(kind.__name__, arguments)


def compiled_run(optimiser, steps=STEPS):
    """The same steps in native code: the δ of Σ p·g are the gradients."""

    def loss(p, g):
        return sum(np.sum(a * b) for a, b in zip(flat(p), flat(g), strict=True))

    step = bp.compile(loss, start(), gradients(0), params="p", optimizer=optimiser)
    for t in range(steps):
        step(gradients(t))
    return flat(step.params["p"])


def our_run(optimiser, steps=STEPS):
    params = start()
    state = optimiser.init(params)
    for t in range(steps):
        params, state = optimiser.update(params, gradients(t), state)
    return flat(params)


@pytest.mark.parametrize("run", [our_run, compiled_run])
@pytest.mark.parametrize(("kind", "arguments"), OPTIMISERS + BY_HAND)
def test_twenty_steps_agree_with_the_judge(kind, arguments, run):
    for ours, theirs in zip(run(kind(**arguments)), judged(kind, arguments), strict=True):
        np.testing.assert_allclose(ours.ravel(), theirs.ravel(), rtol=1e-12, atol=1e-14)


def test_every_optimiser_has_a_judge():
    def below(kind):
        return {kind, *(deeper for child in kind.__subclasses__() for deeper in below(child))}

    ours = {kind for kind in below(Optimizer) if kind.__module__.startswith("allbps.optim.")}
    assert ours - {Optimizer} == {kind for kind, _ in OPTIMISERS + MATRICES + BY_HAND}


@pytest.mark.parametrize("shape", [(2, 3), (5, 3)])
@pytest.mark.parametrize(("kind", "arguments"), MATRICES)
def test_of_matrices_ten_steps_agree_with_pytorchs_in_double_precision(
    kind, arguments, shape, monkeypatch
):
    monkeypatch.setattr(torch.Tensor, "bfloat16", torch.Tensor.clone)
    rng = np.random.default_rng(5)
    p, gradients = rng.normal(size=shape), rng.normal(size=(10, *shape))
    theirs = torch.tensor(p, requires_grad=True)
    optimiser = getattr(torch.optim, kind.__name__)([theirs], **arguments)
    step = bp.compile(lambda p, g: np.sum(p * g), p, p, params="p", optimizer=kind(**arguments))
    ours, state = p, kind(**arguments).init(p)
    for g in gradients:
        theirs.grad = torch.tensor(g)
        optimiser.step()
        step(g)
        ours, state = kind(**arguments).update(ours, g, state)
    for found in (ours, step.params["p"]):
        np.testing.assert_allclose(found, theirs.detach().numpy(), rtol=1e-11, atol=1e-13)


def test_what_is_remembered_of_a_matrix_may_have_a_shape_of_its_own():
    params = {"W": np.ones((4, 3)), "b": np.ones(3)}
    adafactor = Adafactor(0.1)
    step = bp.compile(lambda p, x: np.sum((x @ p["W"] + p["b"]) ** 2), params, np.ones((2, 4)),
                      params="p", optimizer=adafactor)  # fmt: skip
    step(np.ones((2, 4)))
    shapes = {k: {n: x.shape for n, x in v["p"].items()}
              for k, v in step.optimizer_state.items() if k != "step"}  # fmt: skip
    assert (shapes["row_var"]["W"], shapes["col_var"]["W"]) == ((4, 1), (1, 3))
    assert shapes["variance"]["b"] == (3,)
    begun = adafactor.init({"p": params})
    assert shapes == {
        name: {n: x.shape for n, x in begun[name]["p"].items()} for name in adafactor.slots
    }
    before = step.optimizer_state
    after = step(np.ones((2, 4)))
    step.optimizer_state = before
    assert (
        step.optimizer_state["row_var"]["p"]["W"].tolist() == before["row_var"]["p"]["W"].tolist()
    )
    assert np.isfinite(after)


@pytest.mark.parametrize("max_norm", [0.5, 1000.0])
def test_clipping_agrees_with_torch(max_norm):
    grads = gradients(0)
    tensors = [torch.zeros(np.shape(g), dtype=torch.float64) for g in flat(grads)]
    for tensor, g in zip(tensors, flat(grads), strict=True):
        tensor.grad = torch.tensor(g)
    norm = torch.nn.utils.clip_grad_norm_(tensors, max_norm)
    ours, our_norm = clip_grad_norm(grads, max_norm)
    np.testing.assert_allclose(our_norm, norm.item(), rtol=1e-12)
    for g, tensor in zip(flat(ours), tensors, strict=True):
        np.testing.assert_allclose(g, tensor.grad.numpy(), rtol=1e-12)


@pytest.mark.parametrize(("kind", "arguments"), OPTIMISERS + BY_HAND)
def test_float32_stays_float32_and_nothing_changes_in_place(kind, arguments):
    params = {"K": np.ones((2, 2), np.float32), "b": np.float32(1)}
    grads = {"K": np.full((2, 2), 0.5, np.float32), "b": np.float32(2)}
    optimiser = kind(**arguments)
    state = optimiser.init(params)
    new, after = optimiser.update(params, grads, state)
    assert {np.asarray(p).dtype for p in new.values()} == {np.dtype(np.float32)}
    assert np.asarray(new["b"]).shape == ()
    assert all(a.dtype == np.float32 for name in kind.slots for a in after[name].values())
    np.testing.assert_array_equal(params["K"], np.ones((2, 2)))
    assert state["step"] == 0
    assert after["step"] == 1


def test_gradients_of_another_shape_are_refused():
    sgd = SGD(lr=0.1)
    params = {"K": np.ones(2)}
    with pytest.raises(ArgumentError) as caught:
        sgd.update(params, {"W": np.ones(2)}, sgd.init(params))
    assert str(caught.value) == (
        "the gradients are not arranged like the parameters\n"
        "  expected: {'K': '…'}\n"
        "  got:      {'W': '…'}"
    )


WRONG = [
    (
        lambda: SGD(lr=-1.0),
        "lr is out of range\n  expected: a number of at least 0\n  got:      -1.0",
    ),
    (
        lambda: SGD(lr=math.nan),
        "lr is out of range\n  expected: a number of at least 0\n  got:      nan",
    ),
    (
        lambda: Adam(betas=(0.9, 1.0)),
        "betas[1] is out of range\n  expected: a number of at least 0 and below 1\n  got:      1.0",
    ),
    (
        lambda: Muon(adjust_lr_fn="none"),
        "adjust_lr_fn is not known\n"
        "  expected: None or 'original' or 'match_rms_adamw'\n  got:      'none'",
    ),
    (
        lambda: Muon().update(np.ones(3), np.ones(3), Muon().init(np.ones(3))),
        "Muon moves matrices\n  expected: parameters of 2 axes\n  got:      one of 1\n"
        "  fix:      AdamW for biases, norms and embeddings",
    ),
    (
        lambda: SGD(lr=0.1, nesterov=True),
        "Nesterov's method needs momentum and no dampening\n"
        "  expected: momentum > 0 and dampening = 0\n"
        "  got:      momentum = 0 and dampening = 0",
    ),
]


@pytest.mark.parametrize(("make", "message"), WRONG)
def test_arguments_out_of_range_are_refused(make, message):
    with pytest.raises(AllBPsError) as caught:
        make()
    assert str(caught.value) == message
