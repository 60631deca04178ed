"""The net of the lecture's slide: one kernel, ReLU, max pooling, the Euclidean loss.

It learns one example a step, without a batch's axis. It is not a classifier, so ``allbps train``
does not offer it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

import allbps.functional as F
from allbps.nn.model import Model, Params, Shape


def slide(params: Mapping[str, Any], x: Any) -> Any:
    """(8, 8) -> (3, 3)."""
    y = F.conv2d(x, params["K"])
    z = F.relu(y)
    p = F.max_pool2d(z, 2)
    return p


def _initial_slide(rng: np.random.Generator, shape: Shape, classes: int) -> Params:
    return {"K": rng.uniform(-1 / 3, 1 / 3, (3, 3)).astype(np.float32)}


class Slide(Model):
    """A model with another loss."""

    def training_objective(
        self, params: Mapping[str, Any], x: Any, labels: Any
    ) -> tuple[Any, Any, dict[str, Any]]:
        """(loss, pooled image, nothing): x (8, 8), K (3, 3), ideal output (3, 3)."""
        p = self.forward(params, x)
        loss = F.euclidean_loss(p, labels)
        return loss, p, {}


SLIDE = Slide("slide", slide, _initial_slide, lr=0.01)
