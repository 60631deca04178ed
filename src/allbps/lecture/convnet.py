"""Conv → ReLU → max pool → loss: one training iteration step by step, then the loop."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

import allbps.functional as F
from allbps.lecture.system import Example, Numbers, Prose, System, Table
from allbps.transforms import value_and_grad
from allbps.worked import Worked

LEARNING_RATE = 0.05
SHOWN = (1, 2, 4, 8, 16, 32, 64)


def convnet(x: Any, K: Any, q: Any) -> Any:
    y = F.conv2d(x, K)
    z = F.relu(y)
    p = F.max_pool2d(z, 2)
    loss = F.euclidean_loss(p, q)
    return loss


X = np.array(
    [
        [1.0, 0.0, 2.0, 1.0, 0.0],
        [0.0, 3.0, 1.0, 0.0, 2.0],
        [2.0, 1.0, 0.0, 1.0, 1.0],
        [1.0, 0.0, 1.0, 2.0, 0.0],
        [0.0, 2.0, 1.0, 0.0, 3.0],
    ]
)
K = np.array([[1.0, -1.0], [-0.5, 0.5]])
Q = np.array([[1.0, 0.0], [0.0, 1.0]])


# the ideal outputs are what this kernel makes of the examples
WANTED = np.array([[1.0, 0.0], [-1.0, 1.0]])


def ideal(x: Any) -> Any:
    return F.max_pool2d(F.relu(F.conv2d(x, WANTED)), 2)


def updated(worked: Worked) -> Mapping[str, Any]:
    kernel, delta = worked["K"].value, worked["K"].delta
    return {"K": kernel, "δK": delta, "K − 0.05 δK": kernel - LEARNING_RATE * delta}


def iterations(worked: Worked) -> Iterator[tuple[list[float], Any]]:
    """The four steps again and again: what there is to see in each, and the kernel after it."""
    rng = np.random.default_rng(2)
    kernel = worked["K"].value
    examples = [np.rot90(worked["x"].value, k).copy() for k in range(4)]
    for iteration in range(1, SHOWN[-1] + 1):
        chosen = int(rng.integers(len(examples)))
        x = examples[chosen]
        mean = np.mean([convnet(one, kernel, ideal(one)) for one in examples])
        loss, delta = value_and_grad(convnet, argnums=1)(x, kernel, ideal(x))
        kernel = kernel - LEARNING_RATE * delta
        yield (
            [iteration, chosen + 1, float(loss), float(mean), float(np.linalg.norm(delta))],
            kernel,
        )


def training_loop(worked: Worked) -> Sequence[Sequence[float]]:
    return [row for row, _ in iterations(worked) if row[0] in SHOWN]


def finds_the_kernel(worked: Worked) -> bool:
    """Does the loop reach the kernel that it is after? Most that will not begin by diverging."""
    first = np.inf
    for (iteration, _, _, mean, _), kernel in iterations(worked):  # noqa: B007 - the last counts
        first = 2 * mean if iteration == 1 else first
        if iteration <= 16 and mean > first:
            return False
    return bool(np.max(np.abs(kernel - WANTED)) < 0.05)


def learned(worked: Worked) -> Mapping[str, Any]:
    *_, (_, kernel) = iterations(worked)
    return {"K": kernel, '"the kernel that made the ideal outputs"': WANTED}


SYSTEM = System(
    name="convnet",
    title="Putting it all together: a convnet and its training",
    slides="Putting it all together; Convnet training algorithm",
    sections=(
        Prose("Initialize the parameter $K$. Iterate:"),
        Prose("Step 1 (forward pass)."),
        Prose("Step 1a: randomly choose a training example $x$ and its ideal output $q$."),
        Prose(
            "Step 1b: pass $x$ through Conv to get $y$; pass $y$ through ReLU to get $z$; pass $z$ "
            "through Max pool to get $p$."
        ),
        Prose("Step 2: compute the loss, the deviation of $p$ from $q$, to see how training goes."),
        Prose("Step 3 (backward pass)."),
        Prose("Step 3a: $δp$, the gradient of the loss with respect to $p$."),
        Prose("Step 3b: $δz$ given $δp$ (max pooling)."),
        Prose("Step 3c: $δy$ given $δz$ (ReLU)."),
        Prose(
            "Step 4c: $δK$ given $δy$ (convolution). The slide calls it 4c, although it is the "
            "last part of the backward pass."
        ),
        Prose("Step 4: update $K$ by gradient descent, $K ← K − η δK$ with the learning rate $η$."),
        Example(
            convnet,
            {"x": X, "K": K, "q": Q},
            wrt=("K",),
            fixed=("x",),  # on most other images this learning rate is too large for the loop
            caption="Steps 1b to 4c on numbers",
            labels={
                "y": "Step 1b",
                "loss": "Step 2",
                "dp": "Step 3a",
                "dz": "Step 3b",
                "dy": "Step 3c",
                "dK": "Step 4c",
            },
            holds=finds_the_kernel,
        ),
        Prose(
            "We don't need $δx$: no layer precedes the convolution, so nothing would use it. "
            "It is not computed here, since only $δK$ was requested."
        ),
        Numbers("Step 4 with learning rate 0.05", updated),
        Prose(
            "Now the loop. There are four examples, the image $x$ in its four orientations; their "
            "ideal outputs were made with another kernel, which training has to find. One example "
            "is chosen at random each time, so its own loss jumps, while the mean over all four "
            "falls in the long run. This is stochastic gradient descent."
        ),
        Table(
            "The loop, at some of its iterations",
            ("iteration", "example", "its loss", "mean loss", "‖δK‖"),
            training_loop,
        ),
        Numbers("What was learned", learned),
    ),
)
