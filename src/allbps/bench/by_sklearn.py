"""scikit-learn's MLPClassifier, one mini-batch a call of ``partial_fit``."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.neural_network import MLPClassifier

from allbps.bench.peer import as_losses
from allbps.bench.work import Work


class Classifier:
    """Two hidden layers, momentum without Nesterov, no decay."""

    def __init__(self, work: Work) -> None:
        p = work.params
        self.x, self.y = work.x.reshape(*work.x.shape[:2], -1), work.y
        hidden = (len(p["b1"]), len(p["b2"]))
        self.net = MLPClassifier(
            hidden, solver="sgd", alpha=0.0, batch_size=self.x.shape[1], shuffle=False,
            learning_rate_init=work.lr, momentum=work.momentum, nesterovs_momentum=False,
        )  # fmt: skip
        classes = np.arange(len(p["b3"]))
        self.net.partial_fit(self.x[0], self.y[0], classes=classes)  # makes the arrays
        for k, name in enumerate("123"):
            self.net.coefs_[k][:] = p[f"W{name}"].T
            self.net.intercepts_[k][:] = p[f"b{name}"]
        for velocity in self.net._optimizer.velocities:
            velocity[:] = 0
        self.taken = 0

    def run(self, steps: int) -> NDArray[Any]:
        """Step by step."""
        losses = []
        for _ in range(steps):
            k = self.taken % len(self.x)
            self.net.partial_fit(self.x[k], self.y[k])
            self.taken += 1
            losses.append(self.net.loss_)
        return as_losses(losses)
