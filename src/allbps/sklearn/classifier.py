"""Classification."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_expit
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import (
    check_classification_targets,
    type_of_target,
    unique_labels,
)
from sklearn.utils.validation import column_or_1d

import allbps.functional as F
from allbps.errors import ArgumentError
from allbps.sklearn.base import BPEstimator
from allbps.sklearn.fitting import Loss


def cross_entropy(scores: Any, labels: Any) -> Any:
    """Of each row: scores (N, K), labels (N,)."""
    return F.cross_entropy(scores, labels, reduction="none")


def of_labels(scores: Any, labels: Any) -> Any:
    """Of each row: scores (N, K) of K labels, each of which is 0 or 1, (N, K)."""
    return np.sum(F.binary_cross_entropy_with_logits(scores, labels, reduction="none"), axis=-1)


class BPClassifier(ClassifierMixin, BPEstimator):  # type: ignore[misc]
    """A net that classifies, trained by compiled steps.

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
        class_weight: class -> weight, or "balanced".
        precision: "float32", "float64", or "auto": float64 where X is and one step takes all rows,
            since it costs nothing there, else float32.
        n_jobs: threads; -1 or None for as many as pay. No bit depends on it.

    Attributes:
        classes_: the classes, sorted.
        loss_curve_: mean loss of each epoch, of each row before the step that learns it.
        loss_: the last of them.
        n_iter_: epochs taken.
        validation_scores_: accuracy on what is held out, after each epoch of early stopping.
        best_validation_score_: the best of them.
        coefs_: weights by layer.
        intercepts_: biases by layer.

    >>> X, y = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], [0, 1, 1, 0]
    >>> net = BPClassifier((16,), "tanh", learning_rate_init=0.05, random_state=1).fit(X, y)
    >>> net.predict(X).tolist()
    [0, 1, 1, 0]

    """

    @property
    def _loss(self) -> Loss:
        return of_labels if self._several else cross_entropy

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: str = "relu",
        *,
        layers: Any = None,
        image_shape: Any = None,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: Any = "auto",
        learning_rate_init: float = 0.001,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: int = 10,
        class_weight: Any = None,
        precision: str = "auto",
        n_jobs: int | None = None,
    ) -> None:
        super().__init__(
            hidden_layer_sizes=hidden_layer_sizes,
            activation=activation,
            layers=layers,
            image_shape=image_shape,
            solver=solver,
            alpha=alpha,
            batch_size=batch_size,
            learning_rate_init=learning_rate_init,
            max_iter=max_iter,
            shuffle=shuffle,
            random_state=random_state,
            tol=tol,
            verbose=verbose,
            warm_start=warm_start,
            momentum=momentum,
            nesterovs_momentum=nesterovs_momentum,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            beta_1=beta_1,
            beta_2=beta_2,
            epsilon=epsilon,
            n_iter_no_change=n_iter_no_change,
            precision=precision,
            n_jobs=n_jobs,
        )
        self.class_weight = class_weight

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> BPClassifier:
        """Learn rows X (N, features) with classes y (N,), or with several labels y (N, labels).

        Args:
            X: numbers, finite; an array, a frame or a sparse matrix.
            y: classes, of any kind; or for each label whether a row has it, 0 or 1.
            sample_weight: (N,), not negative; a weight of 2 is a row given twice.

        Raises:
            ValueError: X or y cannot be learnt from (NaN, text, one class, counts that differ).
            ArgumentError: an option is out of range.
            DivergedError: the numbers are no longer finite.

        """
        fresh = not (self.warm_start and hasattr(self, "_params"))
        self._fit(X, y, sample_weight, epochs=self.max_iter, fresh=fresh)
        return self

    def partial_fit(
        self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None
    ) -> BPClassifier:
        """Learn the rows by one epoch more.

        Args:
            X: numbers, finite.
            y: classes.
            classes: every class there will be, or the number of every label; needed in the first
                call.
            sample_weight: (N,), not negative.

        Raises:
            ValueError: as ``fit``; no ``classes`` in the first call.

        """
        fresh = not hasattr(self, "_params")
        if classes is not None:
            given = unique_labels(classes)
            if not fresh and not np.array_equal(given, self.classes_):
                raise ArgumentError(
                    "classes differ from those of the first call",
                    expected=str(self.classes_),
                    got=str(given),
                )
            self._given = given
        elif fresh:
            raise ArgumentError(
                "classes must be passed on the first call to partial_fit",
                expected="every class there will be",
            )
        self._fit(X, y, sample_weight, epochs=1, fresh=fresh)
        return self

    def predict_proba(self, X: Any) -> NDArray[Any]:
        """Probabilities (N, classes), each row adding up to 1; of several labels each by itself."""
        scores = self._scores_of(X)
        if self._several:
            return np.asarray(expit(scores))
        scores = np.exp(scores - scores.max(axis=1, keepdims=True))
        return np.asarray(scores / scores.sum(axis=1, keepdims=True))

    def predict_log_proba(self, X: Any) -> NDArray[Any]:
        """Logarithms of the probabilities (N, classes), finite where a probability is not 0."""
        scores = self._scores_of(X)
        if self._several:
            return np.asarray(log_expit(scores))
        scores = scores - scores.max(axis=1, keepdims=True)
        return np.asarray(scores - np.log(np.exp(scores).sum(axis=1, keepdims=True)))

    def predict(self, X: Any) -> NDArray[Any]:
        """The most probable class of each row; of several labels those more probable than not."""
        return self._decided(self._scores_of(X))

    def _decided(self, scores: NDArray[Any]) -> NDArray[Any]:
        if self._several:
            return np.asarray(scores > 0, np.int64)
        return np.asarray(self.classes_[np.argmax(scores, axis=1)])

    def _checked(self, X: Any, y: Any, sample_weight: Any, fresh: bool) -> tuple[Any, Any, Any]:
        X, y, weights = super()._checked(X, y, sample_weight, fresh)
        check_classification_targets(y)
        several = type_of_target(y) == "multilabel-indicator"
        if not several:
            y = column_or_1d(y, warn=True)
        present = unique_labels(y) if not several else np.arange(y.shape[1])
        if fresh:
            self._several = several
            self.classes_ = getattr(self, "_given", present)
        elif several != self._several or (several and len(present) != len(self.classes_)):
            raise ArgumentError(
                "y is of another kind than in the last fit",
                expected=f"{len(self.classes_)} labels for each row"
                if self._several
                else "one class for each row",
                got=f"shape {y.shape}",
            )
        if len(self.classes_) < 2:
            raise ArgumentError(
                "y has only one class", expected="at least two classes", got=str(present[0])
            )
        strange = [label for label in present if label not in self.classes_]
        if strange:
            raise ArgumentError(
                f"y has the class {strange[0]}, which is not among those known",
                expected=str(self.classes_),
            )
        if self.class_weight is not None:
            weights = weights * compute_sample_weight(self.class_weight, y)
        return X, y, weights

    def _targets(self, y: Any) -> NDArray[Any]:
        if self._several:
            return np.asarray(y, np.float64)
        return np.asarray(np.searchsorted(self.classes_, y), np.int64)

    def _outputs(self) -> int:
        return len(self.classes_)

    def _score(self, X: Any, y: Any, weights: Any) -> float:
        found = self._decided(self._scores(X))
        return float(accuracy_score(y, found, sample_weight=weights))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
