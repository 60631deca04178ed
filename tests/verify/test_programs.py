"""Random right functions: norms, saturations, casts, kinks, cancellations, reductions, deep chains.

``python tests/verify/test_programs.py 2000`` runs as many and prints those that a report does not
call verified.
"""

import sys

import numpy as np
import pytest

import allbps as bp
import allbps.functional as F

NARROW = np.float32


def single(x):
    """A stretch in float32 inside a float64 program."""
    return np.tanh(x.astype(NARROW)).astype(np.float64)


def standardised(x):
    centred = x - np.mean(x, axis=0)
    return centred / np.sqrt(np.mean(centred**2, axis=0) + 1e-5)


def decayed(x):
    for _ in range(12):
        x = 0.9 * x + 0.1 * np.tanh(x)
    return x


def whitened(x):
    L = np.linalg.cholesky(x.T @ x + 0.1 * np.eye(x.shape[1]))
    return np.linalg.solve(L, x.T).T


STEPS = {
    "layer_norm": lambda x: F.layer_norm(x, x.shape[-1]),
    "batch_norm": lambda x: F.batch_norm(x, training=True),
    "by hand": standardised,
    "softmax": lambda x: F.softmax(x, -1),
    "log_softmax": lambda x: F.log_softmax(x, -1),
    "far softmax": lambda x: F.softmax(40.0 * x, -1),
    "sigmoid": F.sigmoid,
    "far sigmoid": lambda x: F.sigmoid(25.0 * x),
    "far tanh": lambda x: np.tanh(20.0 * x),
    "softplus": lambda x: F.softplus(10.0 * x),
    "gelu": F.gelu,
    "relu": F.relu,
    "abs": np.abs,
    "clip": lambda x: np.clip(x, -0.5, 0.5),
    "where": lambda x: np.where(x > 0.3, x**2, np.sin(x)),
    "maximum": lambda x: np.maximum(x, x[::-1]),
    "rectified twice": lambda x: F.relu(np.maximum(x, 0)) + np.maximum(x, 0.0),
    "float32": single,
    "offset": lambda x: (x + 1e8) - 1e8,
    "small offset": lambda x: (x + 1e4) - 1e4,
    "rounded": lambda x: x + bp.stop_gradient(np.round(x) - x),
    "difference of squares": lambda x: (x + 1.0) ** 2 - x**2 - 2.0 * x,
    "log exp": lambda x: np.log(np.exp(x)),
    "tiny": lambda x: 1e-12 * x,
    "huge": lambda x: 1e9 * x,
    "cubed": lambda x: x**3,
    "square root": lambda x: np.sqrt(np.abs(x) + 1e-9),
    "unit rows": lambda x: x / np.linalg.norm(x, axis=-1, keepdims=True),
    "product": lambda x: x @ np.ones((x.shape[1], x.shape[1])) / 3.0,
    "gram": lambda x: x @ (x.T @ x),
    "cumsum": lambda x: np.cumsum(x, axis=0),
    "sorted": lambda x: np.sort(x, axis=-1),
    "centred": lambda x: x - np.max(x, axis=-1, keepdims=True),
    "deep": decayed,
    "whitened": whitened,
    "attended": lambda x: F.softmax(x @ x.T / 2.0, -1) @ x,
}  # fmt: skip

ENDS = {
    "sum": np.sum,
    "squares": lambda x: np.sum(x**2),
    "mean": np.mean,
    "largest": np.max,
    "logsumexp": lambda x: np.sum(F.logsumexp(x, -1)),
    "variance": np.var,
    "norm": lambda x: np.linalg.norm(x) ** 2,
    "cross entropy": lambda x: F.cross_entropy(x, np.arange(len(x)) % x.shape[-1]),
    "fit": lambda x: np.mean((x - bp.stop_gradient(x)) ** 2),
    "to target": lambda x: F.huber_loss(x, np.zeros(x.shape)),
    "rows": lambda x: np.sum(np.prod(np.tanh(x), axis=-1)),
    "itself": lambda x: x,
}  # fmt: skip


def program(seed):
    """(its name, the function, its argument): one to four steps and an end, a random argument."""
    rng = np.random.default_rng([9, seed])
    names = list(rng.choice(list(STEPS), size=rng.integers(1, 5)))
    end = str(rng.choice(list(ENDS)))

    def f(x):
        for name in names:
            x = STEPS[name](x)
        return ENDS[end](x)

    x = rng.normal(size=rng.integers(2, 5, size=2)) * rng.choice([0.1, 1.0, 1.0, 3.0])
    if rng.random() < 0.2:
        x = np.round(x)  # zeros and ties
    if rng.random() < 0.15:
        x = x.astype(NARROW)
    return f"{seed}: {' → '.join([*names, end])}", f, x


def judged(seed):
    """(name, argument, report) of one program."""
    name, f, x = program(seed)
    with np.errstate(all="ignore"):
        return name, x, bp.check(f, x, seed=seed)


FORMERLY = (394, 1242, 1326, 1340, 1407, 1712)
"""Right functions that were called wrong, or neither right nor wrong: ties that rounding hides,
steps beyond a saturation, a gradient of nothing but rounding."""


@pytest.mark.parametrize("seed", FORMERLY)
def test_a_right_function_is_confirmed(seed):
    name, _, report = judged(seed)
    assert report, f"{name}\n{report}"


@pytest.mark.parametrize("seed", range(100))
def test_a_right_function_is_never_called_wrong(seed):
    name, _, report = judged(seed)
    assert not report.disagreements, f"{name}\n{report}"


def main(count):
    """Run so many programs; print what is not verified."""
    tally = {}
    for seed in range(count):
        try:
            name, x, report = judged(seed)
        except np.linalg.LinAlgError:
            continue  # no function of this argument
        wrong = bool(report.disagreements)
        state = "wrong" if wrong else "origin" if report.origin else str(bool(report))
        tally[state] = tally.get(state, 0) + 1
        if wrong:
            print(f"{name} {x.dtype} {x.shape}\n  {report.disagreements[0]}")
        elif not report:
            last = str(report).splitlines()[-2:]
            print(f"{name} {x.dtype} {x.shape}: not verified: {' | '.join(last)[:200]}")
    print(tally)
    return 1 if tally.get("wrong") else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
