"""BPClassifier and BPRegressor beside scikit-learn's own nets, at equal steps.

    python benchmarks/estimators.py [--data FOLDER]

Each estimator is fitted several times in turn, after one fit that compiles; the best time counts.
"""

import argparse
import time
import warnings

import numpy as np
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import StandardScaler

from allbps.data import load
from allbps.sklearn import BPClassifier, BPRegressor

ROUNDS = 5


def fitted(kind, X, y, epochs, seed=0):
    net = kind(max_iter=epochs, n_iter_no_change=10 * epochs, random_state=seed)
    started = time.perf_counter()
    net.fit(X, y)
    return net, time.perf_counter() - started


def row(name, X, y, epochs, theirs, ours):
    X, held, y, held_y = train_test_split(X, y, random_state=0, test_size=0.2)
    fitted(ours, X, y, epochs)
    times = {theirs: [], ours: []}
    for seed in range(ROUNDS):
        for kind, found in times.items():
            found.append((*fitted(kind, X, y, epochs, seed)[::-1],))
    shown = []
    for found in times.values():
        score = np.mean([net.score(held, held_y) for _, net in found])
        shown += [f"{min(seconds for seconds, _ in found):.3f}", f"{score:.3f}"]
    ratio = float(shown[0]) / float(shown[2])
    print(f"| {name} | {epochs} | {' | '.join(shown)} | {ratio:.1f} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", help="a folder of IDX files, such as Fashion-MNIST")
    data = parser.parse_args().data
    warnings.simplefilter("ignore")
    print("| data | epochs | scikit-learn s | score | allbps s | score | times as fast |")
    print("|---|---|---|---|---|---|---|")
    X, y = load_digits(return_X_y=True)
    row("digits", X / 16, y, 200, MLPClassifier, BPClassifier)
    X, y = load_breast_cancer(return_X_y=True)
    row("breast cancer", StandardScaler().fit_transform(X), y, 200, MLPClassifier, BPClassifier)
    X, y = load_diabetes(return_X_y=True)
    y = (y - y.mean()) / y.std()
    row("diabetes", StandardScaler().fit_transform(X), y, 200, MLPRegressor, BPRegressor)
    if data:
        images = load(data).train
        X = images.x.reshape(len(images), -1).astype(float)
        row(data, X, images.labels, 5, MLPClassifier, BPClassifier)


if __name__ == "__main__":
    main()
