"""Functions of symmetric matrices read the half that PyTorch reads, and δ is PyTorch's."""

import numpy as np
import pytest

import allbps as bp

torch = pytest.importorskip("torch")
WEIGHTS = torch.tensor(np.random.default_rng(3).standard_normal((3, 3)))

FUNCTIONS = {
    "cholesky": torch.linalg.cholesky,
    "cholesky, upper": lambda a: torch.linalg.cholesky(a, upper=True),
    "solved by Cholesky": lambda a: torch.cholesky_solve(WEIGHTS, torch.linalg.cholesky(a)),
    "eigh": lambda a: torch.linalg.eigh(a)[1].abs() * torch.linalg.eigh(a)[0],
    "eigh, upper": lambda a: torch.linalg.eigh(a, UPLO="U")[1].abs(),
    "eigvalsh": torch.linalg.eigvalsh,
    "eigvalsh, upper": lambda a: torch.linalg.eigvalsh(a, UPLO="U"),
    "pinv": lambda a: torch.linalg.pinv(a, hermitian=True),
}  # fmt: skip


class Of(torch.nn.Module):
    def __init__(self, matrix, function):
        super().__init__()
        self.a, self.function = torch.nn.Parameter(torch.tensor(matrix)), function

    def forward(self):
        return (self.function(self.a) * WEIGHTS).sum()


CASES = [(name, skew) for name in FUNCTIONS for skew in (0.0, 0.3)]
CASES.remove(("pinv", 0.3))  # PyTorch's own δ mixes both halves there


@pytest.mark.parametrize(("name", "skew"), CASES)
def test_values_and_delta_are_pytorchs(name, skew, rng):
    root = rng.standard_normal((3, 3))
    matrix = root @ root.T + 3 * np.eye(3) + skew * rng.standard_normal((3, 3))
    module = Of(matrix, FUNCTIONS[name])
    value = module()
    value.backward()
    net = bp.torch.from_module(module)
    found, delta = bp.value_and_grad(lambda a: net(params={"a": a}))(matrix)
    assert found == pytest.approx(value.item(), rel=1e-12)
    np.testing.assert_allclose(delta, module.a.grad.numpy(), rtol=1e-9, atol=1e-11)
