"""The worked example: I * W = J, K = ReLU(J), O = maxpool(K); every δ beside PyTorch's."""

from collections.abc import Mapping
from typing import Any

import numpy as np

import allbps.functional as F
from allbps.lecture.system import Code, Example, Numbers, Prose, System
from allbps.readings.numbers import number
from allbps.worked import Worked


def pytorch_example(I: Any, W: Any, IO: Any) -> Any:
    J = F.conv2d(I, W)
    K = F.relu(J)
    O = F.max_pool2d(K, 2)
    loss = F.euclidean_loss(O, IO)
    return loss


NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight")


def winners(worked: Worked) -> list[int]:
    """The place of each winner in its 2×2 window, row by row from 0."""
    k = worked["K"].value
    windows = [k[:, 2 * j : 2 * j + 2] for j in range(k.shape[1] // 2)]
    return [int(np.argmax(window)) for window in windows]


def about(worked: Worked) -> str:
    """What there is to see in the numbers."""
    dead = NUMBERS[int(np.sum(worked["J"].value < 0))]
    cells = "cell of $J$ is" if dead == "one" else "cells of $J$ are"
    late = sum(place > 0 for place in winners(worked))
    stand = {0: "both winners stand first", 1: "one winner does not stand first"}
    where = stand.get(late, "both winners stand elsewhere than first")
    ideal = ", ".join(number(x) for x in worked["IO"].value[0])
    return (
        "$I * W = J$ without padding and with stride 1, $K = ReLU(J)$, $O$ the 2×2 max pooling "
        f"of $K$ with stride 2. The ideal output is $IO = [{ideal}]$ and the loss $½ ‖O − IO‖²$. "
        f"The numbers are small integers; {dead} {cells} dead, and {where} in "
        f"{'their windows' if late != 1 else 'its window'}."
    )


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


def in_pytorch(worked: Worked) -> str:
    """The lines that do the same with PyTorch's autograd."""

    def tensor(name: str, more: str = "") -> str:
        numbers = str(worked[name].value.tolist()).replace(".0,", ".,").replace(".0]", ".]")
        return f"{name} = torch.tensor({numbers}{more})"

    return "\n".join(
        [
            "import torch, torch.nn.functional as F",
            tensor("I"),
            tensor("W", ", requires_grad=True"),
            tensor("IO"),
            "J = F.conv2d(I[None, None], W[None, None])",
            "K = F.relu(J)",
            "O = F.max_pool2d(K, 2)",
            "for x in (J, K, O): x.retain_grad()",
            "(0.5 * (O[0, 0] - IO).square().sum()).backward()",
            "print(O.grad, K.grad, J.grad, W.grad)",
        ]
    )


def beside_pytorch(worked: Worked) -> Mapping[str, Any]:
    """Every δ twice: derived here, and by PyTorch's autograd from the same forward pass."""
    from allbps.verify.evidence import Case
    from allbps.verify.torch_judge import autograd

    gradients = autograd(Case(worked.backward, worked.values))
    theirs = {node.name: gradient for node, gradient in gradients.items()}
    shown: dict[str, Any] = {}
    for name in ("O", "K", "J", "W"):
        shown[f"δ{name}"] = worked[name].delta
        shown[f'δ{name} "by PyTorch"'] = theirs[name]
    return shown


SYSTEM = System(
    name="pytorch-example",
    title="A worked example, verified with PyTorch",
    slides="Example w/PyTorch",
    sections=(
        Prose(about),
        EXAMPLE,
        Code("The same in PyTorch", in_pytorch),
        Numbers("Verified with PyTorch autograd", beside_pytorch),
    ),
)
