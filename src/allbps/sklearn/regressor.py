"""Regression."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils.validation import column_or_1d

from allbps.sklearn.base import BPEstimator
from allbps.sklearn.fitting import Loss


def half_squares(found: Any, targets: Any) -> Any:
    """Of each row: half the mean square of what is missing, (N, K) and (N, K)."""
    return 0.5 * np.mean((found - targets) ** 2, axis=1)


class BPRegressor(RegressorMixin, BPEstimator):  # type: ignore[misc]
    """A net that predicts numbers, trained by compiled steps.

    Args:
        hidden_layer_sizes: units of each hidden layer, as in scikit-learn's own nets.
        activation: after each of them: relu, tanh, logistic, gelu, silu or identity.
        layers: instead of both, a list such as ``[Conv(32, 3), "relu", Pool(2), Dense(128)]``.
        image_shape: (channels, height, width) of the rows of X, for convolutions; without it rows
            of n·n numbers are gray squares.
        solver: "adam" or "sgd".
        alpha: strength of the pull of the weights to 0.
        batch_size: rows a step; "auto" is 200, or all if there are fewer.
        learning_rate_init: the learning rate.
        max_iter: epochs at most.
        shuffle: visit the rows of each epoch in random order.
        random_state: of initial weights, order and what is held out; the same gives the same bits.
        tol: by how much the loss, or the score, must get better within ``n_iter_no_change`` epochs.
        verbose: print the loss of every epoch.
        warm_start: go on from the last fit.
        momentum: for sgd.
        nesterovs_momentum: for sgd.
        early_stopping: hold out a part of the rows; stop when the score on it gets no better, and
            keep the weights with the best.
        validation_fraction: how much is held out then.
        beta_1: for adam.
        beta_2: for adam.
        epsilon: for adam.
        n_iter_no_change: see ``tol``.
        precision: "float32", "float64", or "auto": float64 where X is and one step takes all rows,
            since it costs nothing there, else float32.
        n_jobs: threads; -1 or None for as many as pay. No bit depends on it.

    Attributes:
        loss_curve_: mean loss of each epoch, of each row before the step that learns it.
        loss_: the last of them.
        n_iter_: epochs taken.
        validation_scores_: R² on what is held out, after each epoch of early stopping.
        best_validation_score_: the best of them.
        coefs_: weights by layer.
        intercepts_: biases by layer.

    >>> X = np.linspace(-1, 1, 50)[:, None]
    >>> net = BPRegressor((32,), learning_rate_init=0.02, random_state=0).fit(X, X[:, 0] ** 2)
    >>> bool(net.score(X, X[:, 0] ** 2) > 0.95)
    True

    """

    @property
    def _loss(self) -> Loss:
        return half_squares

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> BPRegressor:
        """Learn rows X (N, features) with numbers y (N,) or (N, outputs).

        Args:
            X: numbers, finite.
            y: numbers, finite.
            sample_weight: (N,), not negative; a weight of 2 is a row given twice.

        Raises:
            ValueError: X or y cannot be learnt from (NaN, text, counts that differ).
            ArgumentError: an option is out of range.
            DivergedError: the numbers are no longer finite.

        """
        fresh = not (self.warm_start and hasattr(self, "_params"))
        self._fit(X, y, sample_weight, epochs=self.max_iter, fresh=fresh)
        return self

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> BPRegressor:
        """Learn the rows by one epoch more.

        Args:
            X: numbers, finite.
            y: numbers, finite.
            sample_weight: (N,), not negative.

        Raises:
            ValueError: as ``fit``.

        """
        fresh = not hasattr(self, "_params")
        self._fit(X, y, sample_weight, epochs=1, fresh=fresh)
        return self

    def predict(self, X: Any) -> NDArray[Any]:
        """The numbers (N,), or (N, outputs) if y had that shape."""
        found = self._scores_of(X)
        return found[:, 0] if self._flat else found

    def _checked(self, X: Any, y: Any, sample_weight: Any, fresh: bool) -> tuple[Any, Any, Any]:
        X, y, weights = super()._checked(X, y, sample_weight, fresh)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if fresh:
            self._flat, self._width = y.ndim == 1, 1 if y.ndim == 1 else y.shape[1]
        return X, y, weights

    def _targets(self, y: Any) -> NDArray[Any]:
        return np.asarray(y, np.float64).reshape(len(y), -1)

    def _outputs(self) -> int:
        return self._width

    def _score(self, X: Any, y: Any, weights: Any) -> float:
        found = self._scores(X)
        return float(r2_score(y.reshape(len(y), -1), found, sample_weight=weights))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
