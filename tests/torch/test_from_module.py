"""A PyTorch module as a function: its result and every δ are PyTorch's, under its own names."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

import allbps as bp

torch = pytest.importorskip("torch")
SPEC = importlib.util.spec_from_file_location("modules", Path(__file__).with_name("_modules.py"))
modules = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(modules)
FAMILIES = list(modules.families())


class WithLoss(torch.nn.Module):
    def __init__(self, module, loss):
        super().__init__()
        self.net, self.loss = module, loss

    def forward(self, *batch):
        if self.loss is modules.vae_loss:
            return self.loss(self.net, *batch)
        return self.loss(self.net(*batch[:-1]), batch[-1])


def without_dropout(module):
    for part in module.modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = 0.0
        elif isinstance(getattr(part, "dropout", None), float):
            part.dropout = 0.0
    return module


@pytest.mark.parametrize("family", FAMILIES)
def test_value_and_every_gradient_are_autograds(family, monkeypatch):
    module, loss, batch = modules.families()[family]
    whole = WithLoss(without_dropout(module), loss).double()
    batch = tuple(x.double() if x.is_floating_point() else x for x in batch)
    generator = bp.random.Generator(3)
    net = bp.torch.from_module(whole, *batch, seed=3)
    net._found.rng._next = 0
    monkeypatch.setattr(
        torch, "randn_like", lambda x: torch.from_numpy(generator.standard_normal(tuple(x.shape)))
    )
    whole.zero_grad()
    value = whole(*batch)
    value.backward()
    found, gradients = bp.value_and_grad(lambda p: net(*batch, params=p))(net.params)
    own = dict(whole.named_parameters(remove_duplicate=False))
    assert gradients.keys() == {name for name, _ in whole.named_parameters()}
    np.testing.assert_allclose(found, value.item(), rtol=1e-12)
    largest = max(np.abs(own[name].grad.numpy()).max() for name in gradients)
    # PyTorch's own hardsigmoid multiplies by 1/6 in single precision
    tolerance = 1e-7 if family == "mobilenet_v3" else 1e-9
    for name, gradient in gradients.items():
        np.testing.assert_allclose(
            gradient, own[name].grad.numpy(), rtol=tolerance, atol=tolerance * largest,
            err_msg=name,
        )  # fmt: skip


def test_a_worked_module_has_its_own_names_and_lines():
    module, _, (x, _) = modules.families()["lenet"]
    net = bp.torch.from_module(module.float(), x)
    given = {"fc2": np.ones((3, 4), np.float32)}
    worked = bp.explain(net, x.numpy(), cotangents=given)
    assert {"conv1", "conv2", "fc1", "fc2", "conv1_weight"} <= set(worked.names)
    line = worked.backward.traced.find("conv2").site
    assert "self.conv2(x)" in line.text
    assert line.file.endswith("_modules.py")
    assert worked["fc2_bias"].delta.tolist() == [3.0] * 4
    assert "conv1_weight" in worked.to_source()


def test_parameters_are_the_modules_own_memory_and_tied_ones_come_once():
    module, _, (ids, _) = modules.families()["mingpt"]
    net = bp.torch.from_module(module, ids)
    assert "wte.weight" in net.params
    assert "head.weight" not in net.params
    before = net(ids)
    with torch.no_grad():
        module.wte.weight.mul_(2.0)
    assert net.params["wte.weight"].ctypes.data == module.wte.weight.data_ptr()
    assert not np.allclose(before, net(ids))
    np.testing.assert_allclose(net(ids), module(ids).detach().numpy(), rtol=1e-5, atol=1e-6)
