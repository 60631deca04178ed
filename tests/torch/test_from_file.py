"""PyTorch modules on the command line."""

import pytest

from allbps import userfile
from allbps.commands import run
from allbps.errors import ArgumentError

pytest.importorskip("torch")
FILE = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, width=2):
        super().__init__()
        self.fc = nn.Linear(3, width)

    def forward(self, x):
        return torch.tanh(self.fc(x))

class Wide(Net):
    def __init__(self, width):
        super().__init__(width)

torch.manual_seed(0)
net = Net().double()
net_inputs = (torch.ones(4, 3).double(),)
net_cotangents = {"tanh": [[1.0, -2.0]] * 4}
alone = Net()
Net_inputs = torch.ones(4, 3)

def build():
    return net, (torch.ones(4, 3).double(),)

build_cotangents = net_cotangents

def training():
    return net, nn.MSELoss(), (torch.ones(4, 3).double(), torch.zeros(4, 2).double())
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "model.py"
    path.write_text(FILE)
    return path


@pytest.mark.parametrize("name", ["net", "build", "training"])
def test_a_module_or_what_builds_one_is_explained_and_checked(file, name, monkeypatch, capsys):
    for command in ("explain", "check", "emit"):
        monkeypatch.setattr("sys.argv", ["allbps", command, f"{file}:{name}"])
        assert run() == 0
    shown = capsys.readouterr().out
    assert "fc_weight" in shown
    assert "all right" in shown or "agree" in shown or "δfc_weight" in shown


def test_a_class_without_arguments_is_made(file):
    user = userfile.load(f"{file}:Net")
    assert user.function.__name__ == "Net"
    assert set(user.inputs) == {"x"}


@pytest.mark.parametrize(
    ("name", "words"), [("alone", "gives no inputs for alone"), ("Wide", "needs arguments")]
)
def test_what_is_missing_is_said(file, name, words):
    with pytest.raises(ArgumentError, match=words):
        userfile.load(f"{file}:{name}")
