"""The worked example: I * W = J, K = ReLU(J), O = maxpool(K); every δ beside PyTorch's."""

from collections.abc import Mapping
from typing import Any

import numpy as np

import allbps.functional as F
from allbps.lecture.system import Example, Numbers, Prose, System


def pytorch_example(I: Any, W: Any, IO: Any) -> Any:
    J = F.conv2d(I, W)
    K = F.relu(J)
    O = F.max_pool2d(K, 2)
    loss = F.euclidean_loss(O, IO)
    return loss


EXAMPLE = Example(
    pytorch_example,
    {
        "I": np.array(
            [[2.0, 1.0, 3.0, 4.0, 1.0], [0.0, 0.0, 2.0, 3.0, 1.0], [2.0, 0.0, 3.0, 4.0, -2.0]]
        ),
        "W": np.array([[0.0, -1.0], [1.0, 2.0]]),
        "IO": np.array([[7.0, 10.0]]),
    },
    wrt=("W",),
    fixed=("IO",),
)


def beside_pytorch() -> Mapping[str, Any]:
    """Every δ twice: derived here, and by PyTorch's autograd from the same forward pass."""
    from allbps.verify.evidence import Case
    from allbps.verify.torch_judge import autograd

    worked = EXAMPLE.work()
    gradients = autograd(Case(worked.backward, worked.values))
    theirs = {node.name: gradient for node, gradient in gradients.items()}
    shown: dict[str, Any] = {}
    for name in ("O", "K", "J", "W"):
        shown[f"δ{name}"] = worked[name].delta
        shown[f"δ{name} by PyTorch"] = theirs[name]
    return shown


SYSTEM = System(
    name="pytorch-example",
    title="A worked example, verified with PyTorch",
    sections=(
        Prose(
            "$I * W = J$ without padding and with stride 1, $K = ReLU(J)$, $O$ the 2×2 max "
            "pooling of $K$ with stride 2. The ideal output is $IO = [7, 10]$ and the loss $½ ‖O "
            "− IO‖²$. The numbers are small integers; two cells of $J$ are dead, and both "
            "winners stand elsewhere than first in their window."
        ),
        EXAMPLE,
        Numbers("Verified with PyTorch autograd", beside_pytorch),
    ),
)
