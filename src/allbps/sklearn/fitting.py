"""Steps and scores in native code, for the estimators."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from allbps.errors import DivergedError
from allbps.machine.compile import compile as compile_function
from allbps.optim import Optimizer
from allbps.sklearn.layers import Net, Params

AT_ONCE = 256
"""Rows that are scored at once: always so many, so that a row's scores depend on no other row."""
Loss = Callable[[Any, Any], Any]
"""(scores (N, K), targets (N, …)) -> the loss of each row (N,)."""


class Machine:
    """What was compiled for an estimator; it is not part of its state, and copied by none."""

    def __init__(self) -> None:
        self._made: dict[Any, Any] = {}

    def __reduce__(self) -> tuple[type[Machine], tuple[()]]:
        return Machine, ()

    def made(self, key: Any, make: Callable[[], Any]) -> Any:
        """What was made under this key, now or before."""
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]


class Fitting:
    """One call of ``fit`` or ``partial_fit``: rows with targets and weights, learnt by epochs.

    A row more, of weight 0, fills up the last mini-batch: one compiled step does for all.

    Args:
        net: what is fitted.
        loss: of each row.
        x: rows (N, …).
        targets: (N, …).
        weights: (N,), not all 0.
        penalty: of the squares of all weights, by the whole weight of a mini-batch.
        batch: rows a step.

    """

    def __init__(
        self, net: Net, loss: Loss, x: NDArray[Any], targets: NDArray[Any], weights: NDArray[Any],
        penalty: float, batch: int,
    ) -> None:  # fmt: skip
        self.net, self.loss, self.penalty, self.batch = net, loss, penalty, batch
        self.count, self.weights = len(x), weights
        self.x = np.concatenate([x, np.zeros_like(x[:1])]).reshape(-1, *net.shape)
        if targets.dtype.kind == "f":
            targets = targets.astype(x.dtype)
        self.targets = np.concatenate([targets, np.zeros_like(targets[:1])])

    def step(self, machine: Machine, params: Params, optimiser: Optimizer, threads: Any) -> Any:
        """The compiled step, which starts from these parameters."""
        rows = np.arange(self.batch) % len(self.x)
        x, targets = self.x[rows], self.targets[rows]
        ones = np.ones(self.batch, x.dtype)

        def objective(params: Any, x: Any, targets: Any, share: Any, decay: Any) -> Any:
            loss = np.sum(share * self.loss(self.net(params, x), targets))
            if self.penalty:
                squares = sum(np.sum(params[name] ** 2) for name in params if name[0] == "W")
                loss = loss + 0.5 * np.sum(decay) * squares
            return loss

        key = (self.net, self.loss, optimiser, bool(self.penalty), x.shape, x.dtype, threads)
        step = machine.made(
            key,
            lambda: compile_function(
                objective, params, x, targets, ones, ones,
                params="params", optimizer=optimiser, threads=threads,
            ),
        )  # fmt: skip
        step.params = {"params": params}
        return step

    def epoch(self, step: Any, order: NDArray[np.int64]) -> float:
        """Take the steps of an epoch; the mean loss before each of them, by weight.

        Raises:
            DivergedError: a loss is not a finite number.

        """
        batches = list(self._batches(order))
        share = np.zeros(self.count + 1, self.x.dtype)
        decay = np.zeros_like(share)
        total = np.zeros(len(batches))
        for k, rows in enumerate(batches):
            own = rows[rows < self.count]
            total[k] = np.sum(self.weights[own])
            if total[k] > 0:
                share[own] = self.weights[own] / total[k]
                decay[own[0]] = self.penalty / total[k]
        numbers = np.stack(batches)
        losses = step.run_epoch(
            self.x, self.targets, share, decay, order=numbers, allow_nonfinite=True
        )
        if not np.isfinite(losses[-1]):
            raise DivergedError(
                f"the loss became {losses[-1]}",
                expected="finite numbers",
                todo="scale X, as StandardScaler does, or give a smaller learning_rate_init",
            )
        return float(np.sum(total * losses) / np.sum(total))

    def _batches(self, order: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
        for start in range(0, self.count, self.batch):
            rows = order[start : start + self.batch]
            yield np.concatenate([rows, np.full(self.batch - len(rows), self.count)])


def scores(
    machine: Machine, net: Net, params: Params, x: NDArray[Any], threads: Any
) -> NDArray[Any]:
    """The scores (N, K) of rows (N, …)."""
    dtype = next(iter(params.values())).dtype
    piece = np.zeros((AT_ONCE, *net.shape), dtype)
    forward = machine.made(
        (net, "forward", dtype, threads),
        lambda: compile_function(net, params, piece, threads=threads),
    )
    found = []
    for start in range(0, len(x), AT_ONCE):
        part = x[start : start + AT_ONCE]
        piece[: len(part)] = part.reshape(-1, *net.shape)
        found.append(np.array(forward(params, piece))[: len(part)])
    return np.concatenate(found)
