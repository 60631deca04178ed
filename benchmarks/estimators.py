"""BPClassifier and BPRegressor beside scikit-learn's own nets, at equal steps.

    python benchmarks/estimators.py [--data FOLDER]

Each estimator is fitted several times in turn, after one fit that compiles. CPU time is quoted, of
one thread each, since it depends less than the clock on what else the machine does.
"""

import argparse
import time
import warnings

import numpy as np
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from allbps.data import load
from allbps.sklearn import BPClassifier, BPRegressor

ROUNDS = 9


def fitted(kind, X, y, epochs, seed):
    alone = {"n_jobs": 1} if kind in (BPClassifier, BPRegressor) else {}
    net = kind(max_iter=epochs, n_iter_no_change=10 * epochs, random_state=seed, **alone)
    started = time.process_time()
    net.fit(X, y)
    return net, time.process_time() - started


def row(name, X, y, epochs, theirs, ours, rounds=ROUNDS):
    X, held, y, held_y = train_test_split(X, y, random_state=0, test_size=0.2)
    first = fitted(ours, X, y, epochs, 0)[1]
    found = {theirs: [], ours: []}
    for seed in range(rounds):
        for kind, results in found.items():
            results.append(fitted(kind, X, y, epochs, seed))
    seconds = [np.array([s for _, s in results]) for results in found.values()]
    scores = [np.mean([net.score(held, held_y) for net, _ in r]) for r in found.values()]
    shown = " | ".join(
        f"{np.median(s):.3f} | {score:.3f}" for s, score in zip(seconds, scores, strict=True)
    )
    ratio = np.median(seconds[0] / seconds[1])
    print(f"| {name} | {epochs} | {shown} | {ratio:.1f} | {first:.2f} |", flush=True)


def made_up():
    """Rows in the number and size of Fashion-MNIST's, of classes that are easy to tell."""
    rng = np.random.default_rng(0)
    y, middles = rng.integers(0, 10, 60_000), rng.random((10, 784))
    return np.clip(middles[y] + 0.5 * rng.standard_normal((60_000, 784)), 0, 1), y


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", help="a folder of IDX files, such as Fashion-MNIST")
    data = parser.parse_args().data
    warnings.simplefilter("ignore")
    print("| data | epochs | scikit-learn s | score | allbps s | score | times as fast | first s |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|")
    X, y = load_digits(return_X_y=True)
    row("digits", X / 16, y, 200, MLPClassifier, BPClassifier)
    for name, source in (("breast cancer", load_breast_cancer), ("wine", load_wine)):
        X, y = source(return_X_y=True)
        row(name, StandardScaler().fit_transform(X), y, 200, MLPClassifier, BPClassifier)
    X, y = load_diabetes(return_X_y=True)
    y = (y - y.mean()) / y.std()
    row("diabetes", StandardScaler().fit_transform(X), y, 200, MLPRegressor, BPRegressor)
    X, y = made_up()
    for epochs in (10, 5):
        row("made up", X, y, epochs, MLPClassifier, BPClassifier, rounds=7)
    if data:
        images = load(data).train
        X = images.x.reshape(len(images), -1).astype(float)
        row(data, X, images.labels, 10, MLPClassifier, BPClassifier, rounds=3)


if __name__ == "__main__":
    with threadpool_limits(1):
        main()
