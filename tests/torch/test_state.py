"""State dicts and PyTorch's own files into parameters and back."""

import numpy as np
import pytest

import allbps as bp
import allbps.functional as F
from allbps.errors import ArgumentError, DtypeError, UserFileError

torch = pytest.importorskip("torch")
nn = torch.nn
from safetensors.torch import load_model, save_file, save_model  # noqa: E402


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(3, 4)
        self.bn = nn.BatchNorm1d(4)
        self.layers = nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 2)])
        self.scale = nn.Parameter(torch.tensor(1.5))

    def forward(self, x):
        return self.layers[1](self.layers[0](self.bn(self.fc1(x)).relu())) * self.scale


def net(p, x):
    h = F.linear(x, p["fc1"]["weight"], p["fc1"]["bias"])
    bn = p["bn"]
    h = F.relu(F.batch_norm(h, bn["running_mean"], bn["running_var"], bn["weight"], bn["bias"]))
    for layer in p["layers"]:
        h = F.linear(h, layer["weight"], layer["bias"])
    return h * p["scale"]


def fresh(kind=np.float32):
    def linear(out, width):
        return {"weight": np.zeros((out, width), kind), "bias": np.zeros(out, kind)}

    names = ("weight", "bias", "running_mean", "running_var")
    return {
        "fc1": linear(4, 3), "layers": [linear(4, 4), linear(2, 4)],
        "bn": {name: np.zeros(4, kind) for name in names}, "scale": np.zeros((), kind),
    }  # fmt: skip


@pytest.fixture
def module():
    torch.manual_seed(0)
    made = Net()
    made(torch.randn(8, 3))
    return made.eval()


@pytest.fixture
def x():
    return np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)


def test_a_module_and_its_parameters_compute_the_same_there_and_back(module, x):
    params = bp.torch.from_state(module, like=fresh())
    expected = module(torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(net(params, x), expected, rtol=1e-5, atol=1e-6)
    other = Net().eval()
    other.load_state_dict(bp.torch.to_state(params, like=other))
    assert torch.equal(other(torch.from_numpy(x)), module(torch.from_numpy(x)))
    assert other.bn.num_batches_tracked == 0
    params["scale"][...] = 0
    assert module.scale == 1.5 == other.scale


@pytest.mark.parametrize("kind", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_pytorchs_files_of_every_precision(module, tmp_path, kind):
    path, back = str(tmp_path / "net.safetensors"), str(tmp_path / "back.safetensors")
    module.to(kind)
    save_model(module, path)
    params = bp.weights.load(path, like=fresh(np.float64))
    direct = bp.torch.from_state(module.state_dict(), like=fresh(np.float64))
    for one, two in zip(bp.tree.leaves(params), bp.tree.leaves(direct), strict=True):
        np.testing.assert_array_equal(one, two)
    bp.weights.save(back, params, like=path)
    other = Net().to(kind)
    load_model(other, back)
    given = bp.torch.to_state(params, like=module)
    for name, tensor in module.state_dict().items():
        assert torch.equal(other.state_dict()[name], tensor), name
        assert torch.equal(given[name], tensor), name
        assert given[name].dtype == tensor.dtype


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.wte, self.head = nn.Embedding(5, 3), nn.Linear(3, 5, bias=False)
        self.head.weight = self.wte.weight


def test_tied_weights_come_and_go(tmp_path):
    module = Tied()
    path = str(tmp_path / "net.safetensors")
    save_model(module, path)
    table = np.zeros((5, 3), np.float32)
    one = {"wte": {"weight": table}}
    two = {"wte": {"weight": table}, "head": {"weight": table}}
    apart = {"wte": {"weight": table}, "head": {"weight": table.copy()}}
    for like in (two, apart):
        found = bp.weights.load(path, like=like)
        assert found["wte"]["weight"] is found["head"]["weight"]
        bp.weights.save(path, found)
        load_model(Tied(), path)
    for like in (one, two, apart):
        params = bp.torch.from_state(module, like=like)
        params["wte"]["weight"] += 1
        if like is apart:
            with pytest.raises(ArgumentError, match=r"wte.weight and head.weight, which are one"):
                bp.torch.to_state(params, like=module)
            continue
        state = bp.torch.to_state(params, like=module)
        assert state["wte.weight"] is state["head.weight"]
        Tied().load_state_dict(state)
    state = bp.torch.to_state(bp.torch.from_state(module, like=two))
    assert state["wte.weight"] is state["head.weight"]


def test_layouts_and_names_of_ones_own(module):
    params = {"W": np.zeros((3, 4)), "b": np.zeros(4)}
    names, linear = {"W": "weight", "b": "bias"}, module.fc1
    found = bp.torch.from_state(linear, params, names=names, transposed=["W"])
    np.testing.assert_array_equal(found["W"].T, linear.weight.detach().numpy())
    state = bp.torch.to_state(found, linear, names=names, transposed=["W"])
    assert torch.equal(state["weight"], linear.weight)
    alone = bp.torch.to_state(found, names=names, transposed=["W"])
    assert alone["weight"].dtype == torch.float64
    assert torch.equal(alone["weight"].float(), linear.weight)


def test_all_that_does_not_fit_is_named_at_once(module):
    like = {"fc1": {"weight": np.zeros((3, 4)), "bias": np.zeros(4), "gain": np.zeros(1)}}
    with pytest.raises(ArgumentError) as caught:
        bp.torch.from_state(module.fc1.state_dict(prefix="fc1.") | {"x": torch.ones(2)}, like)
    assert str(caught.value) == (
        "the state dict does not fit the parameters\n"
        "  expected: an entry for each of the 3 parameters, and no other\n"
        "  got:      missing: fc1.gain (1,)\n"
        "            unexpected: x (2,)\n"
        "            misshaped: fc1.weight (4, 3), not (3, 4)\n"
        "  fix:      transposed=['fc1.weight'], since PyTorch's linear weights are (out, in)"
    )


def test_what_is_no_state_dict(module):
    with pytest.raises(ArgumentError, match="Tensor is not a state dict"):
        bp.torch.from_state(torch.ones(2), {})
    with pytest.raises(ArgumentError, match=r'checkpoint\["model"\]'):
        bp.torch.from_state({"model": module.state_dict(), "epoch": 3}, {})
    with pytest.raises(DtypeError, match="W has no plain numbers"):
        bp.torch.from_state({"W": torch.eye(2).to_sparse()}, {"W": np.eye(2)})


def test_strides_conjugates_and_views_are_read_as_numbers():
    base = torch.arange(6.0).reshape(2, 3)
    state = {"T": base.t(), "c": torch.tensor([1 + 2j]).conj(), "n": torch.tensor([1j]).conj().imag}
    like = {"T": np.zeros((3, 2)), "c": np.zeros(1, np.complex64), "n": np.zeros(1)}
    found = bp.torch.from_state(state, like)
    np.testing.assert_array_equal(found["T"], base.numpy().T)
    assert found["c"].tolist() == [1 - 2j]
    assert found["n"].tolist() == [-1]


def test_a_file_of_torch_save_is_told_from_a_broken_one(module, tmp_path):
    path = tmp_path / "net.pt"
    torch.save(module.state_dict(), path)
    with pytest.raises(UserFileError, match=r"a file of torch\.save"):
        bp.weights.load(path, like=fresh())
    found = bp.torch.from_state(torch.load(path, weights_only=True), like=fresh())
    assert found["scale"] == 1.5


def test_a_truncated_file_of_pytorch(module, tmp_path):
    path = tmp_path / "net.safetensors"
    save_file(module.state_dict(), path)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UserFileError, match="is truncated"):
        bp.weights.load(path, like=fresh())
