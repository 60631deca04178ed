"""Norms in compiled functions against PyTorch's."""

from __future__ import annotations

import numpy as np
import pytest

import allbps as bp
import allbps.functional as F

torch = pytest.importorskip("torch")


@pytest.mark.parametrize("around", [(4, 6), (7,), ()], ids=["images", "sequences", "features"])
@pytest.mark.parametrize("activated", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_batch_norm_in_training_and_evaluation(training, activated, around, doubles):
    x, g = doubles(5, 3, *around), doubles(5, 3, *around)
    mean, gain, shift = doubles(3), doubles(3), doubles(3)
    var = doubles(3) ** 2 + 0.5

    def loss(x, gain, shift):
        running = (None, None) if training else (mean, var)
        y = F.batch_norm(x, *running, gain, shift, training=training)
        return np.sum((F.relu(y) if activated else y) * g)

    step = bp.compile(loss, x, gain, shift, params=["x", "gain", "shift"])
    value, deltas = step(x, gain, shift)

    given = [torch.tensor(a, requires_grad=True) for a in (x, gain, shift)]
    known = torch.tensor(mean), torch.tensor(var)
    y = torch.nn.functional.batch_norm(given[0], *known, *given[1:], training=training)
    total = ((torch.relu(y) if activated else y) * torch.tensor(g)).sum()
    total.backward()
    np.testing.assert_allclose(value, total.item(), rtol=1e-10)
    for name, leaf in zip(("x", "gain", "shift"), given, strict=True):
        np.testing.assert_allclose(deltas[name], leaf.grad.numpy(), rtol=1e-9, atol=1e-12)
    assert any("= norm(" in row["work"] for row in step.stages().rows) == training
