"""``allbps.functional`` has PyTorch's values where numbers are not finite, huge, tiny or 0."""

import inspect
import warnings
from itertools import product

import numpy as np
import pytest

import allbps.functional as F
from allbps.errors import AllBPsError

torch = pytest.importorskip("torch")

ROOMS = ("activations", "curves", "regression", "classification", "margins", "pooling",
         "convolution", "normalisation", "lengths")  # fmt: skip
NUMBERS = np.array(
    [0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 3.0, 1e-300, 1e17, 1e308, -1e308, np.inf, -np.inf, np.nan,
     0.1, 7.5, 709.0, -745.0, 1e-9, 30.0]
)  # fmt: skip
SHARES = np.array([0.0, 1.0, 0.5, 1e-300, 1 - 1e-16])
TABLES = [
    np.array([[1.0, 2.0, -0.5], [0.3, -1.0, 2.0]]),
    np.array([[np.inf, 2.0, -0.5], [np.nan, -1.0, 2.0]]),
    np.array([[-np.inf, -np.inf, -np.inf], [-np.inf, 1.0, -np.inf]]),
    np.array([[1e308, -1e308, 1e308], [0.0, -0.0, 0.0]]),
    np.array([[1e-300, 1e-300, 2e-300], [5.0, 5.0, 5.0]]),
]
ROW = np.array([[0.5, -1.0, 2.0, np.nan, 3.0, -np.inf, 0.0, np.inf]])
IMAGES = {
    1: [ROW[None], -ROW[None], np.full((1, 1, 8), -np.inf), np.arange(8.0).reshape(1, 1, 8)],
    2: [
        np.stack([*ROW, *-ROW, np.zeros(8), *ROW[:, ::-1]])[None, None],
        np.full((1, 1, 4, 4), -np.inf),
    ],
    3: [np.broadcast_to(ROW[0, :4], (1, 1, 3, 4, 4)).copy(), np.ones((1, 1, 3, 3, 3))],
}
WEIGHTS = (0.5, 0.0, np.inf, np.nan)
KERNELS = {n: [np.full((1, 1, *(2,) * n), x) for x in WEIGHTS] for n in (1, 2, 3)}
GRID = [np.ravel(x) for x in np.meshgrid(NUMBERS, NUMBERS)]
SIGNS = np.where(np.arange(GRID[0].size) % 2, 1.0, -1.0)
LABELS = np.array([2, 0])
#: Drawn at random, or of other lengths for each example: compared elsewhere.
ELSEWHERE = {
    "batch_norm",
    "local_response_norm",
    "glu",
    "gumbel_softmax",
    "linear_cross_entropy",
    "triplet_margin_with_distance_loss",
}
#: One last digit of the logits: softplus(x) − t x cancels where the target is right.
ROUNDING = {"binary_cross_entropy_with_logits": 4e-15}
#: PyTorch's sums overflow, or drop NaN, where the value is known; and (the last three) its sums
#: leave out products of 0 with an infinite weight, which ours take: 0 · ∞ is NaN.
BETTER = {
    "soft_margin_loss": "log(1 + eˣ) for large x", "group_norm": "1e308", "layer_norm": "1e308",
    "binary_cross_entropy_with_logits": "1e308 and ∞", "cdist": "p=∞ of NaN", "kl_div": "3 · 1e308",
    "conv_transpose1d": "∞", "conv_transpose2d": "∞", "conv_transpose3d": "∞",
}  # fmt: skip
RESTS = {
    "prelu": [(np.array([0.25]),)], "threshold": [(0.1, 20.0)], "lp_pool": [(2.0, 2), (1.0, 2)],
    "pool": [(2,)], "group_norm": [(1,), (3,)], "layer_norm": [((3,),)], "rms_norm": [((3,),)],
    "local_response_norm": [(2,)], "softmax": [(-1,), (0,)], "softmin": [(-1,)],
    "logsumexp": [(-1,)], "glu": [(0,)],
}  # fmt: skip
OPTIONS = {
    "reduction": ("none", "mean", "sum"), "log_target": (True,), "beta": (0.5,), "delta": (2.0,),
    "log_input": (False,), "full": (True,), "p": (1, np.inf), "margin": (0.5,), "padding": (1,),
    "ceil_mode": (True,), "count_include_pad": (False,), "stride": (1,), "training": (True,),
    "label_smoothing": (0.1,), "approximate": ("tanh",), "keepdim": (True,), "dilation": (2,),
    "swap": (True,), "alpha": (0.5,), "negative_slope": (0.2,),
}  # fmt: skip


def functions():
    for name in dir(F):
        f, room = getattr(F, name), getattr(inspect.unwrap(getattr(F, name)), "__module__", "")
        public = not name.startswith("_") and callable(f) and not inspect.isclass(f)
        if public and room.rpartition(".")[2] in ROOMS and name not in ELSEWHERE and theirs(name):
            yield name


def theirs(name):
    return getattr(torch.nn.functional, name, None) or getattr(torch, name, None)


def rank(name):
    return next((n for n in (1, 2, 3) if name.endswith(f"{n}d")), None)


SHARED = [np.ravel(x) for x in np.meshgrid(SHARES, SHARES)]
LABELLED = [(x, LABELS) for x in TABLES]
TILTED = np.abs(np.sin(np.arange(GRID[0].size)))
BY_NAME = {
    "binary_cross_entropy_with_logits": [(GRID[0], SIGNS), (GRID[0], TILTED)],
    "cross_entropy": LABELLED, "nll_loss": LABELLED, "multi_margin_loss": LABELLED,
    "multilabel_margin_loss": [(x, np.array([[2, 0, -1], [1, -1, -1]])) for x in TABLES],
    "gaussian_nll_loss": [(*GRID, np.full(SIGNS.shape, 0.5))],
    "cosine_embedding_loss": [(x, y, SIGNS[:2]) for x, y in product(TABLES, TABLES)],
    "instance_norm": [(np.stack([x, x[::-1]], -1),) for x in TABLES],
}  # fmt: skip
BY_ARGUMENT = {
    "input2": [(*GRID, SIGNS)],
    "anchor": list(product(TABLES[:3], TABLES[:3], TABLES[:2])),
    "x2": list(product(TABLES, TABLES)),
    "target": [GRID, (GRID[0], SIGNS), SHARED, (GRID[0], TILTED)],
    "dim": [(x,) for x in TABLES],
    "normalized_shape": [(x,) for x in TABLES],
    "num_groups": [(x,) for x in TABLES],
}


def operands(name):
    """Arrays, one or several at a time, that the function may be called with."""
    n, may = rank(name), inspect.signature(getattr(F, name)).parameters
    if n:
        return list(product(IMAGES[n], KERNELS[n])) if "conv" in name else [(x,) for x in IMAGES[n]]
    named = next((key for key in BY_ARGUMENT if key in may), None)
    return BY_NAME.get(name) or BY_ARGUMENT.get(named, [(NUMBERS,), *((x,) for x in TABLES)])


def rest(name):
    """What else has to be given."""
    named = [key for key in RESTS if name.startswith(key) or key in name]
    return RESTS[named[0]] if named else [()]


def calls(name):
    may = [k for k, p in inspect.signature(getattr(F, name)).parameters.items()
           if p.default is not p.empty]  # fmt: skip
    options = [{}, *({key: x} for key in may for x in OPTIONS.get(key, ()))]
    if name in ("batch_norm", "instance_norm"):
        options = [{}]
    yield from product(operands(name), rest(name), options)


def as_torch(x):
    return torch.tensor(x) if isinstance(x, np.ndarray) else x


def both(name, arrays, more, option):
    """(ours, PyTorch's): an array, or the exception."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            want = theirs(name)(*map(as_torch, (*arrays, *more)), **option).numpy()
        except Exception as error:
            want = error
        try:
            got = np.asarray(getattr(F, name)(*arrays, *more, **option))
        except AllBPsError as error:
            got = error
    return got, want


def apart(name, arrays, more, option):
    """What sets our value apart from PyTorch's; empty for nothing, or where either is refused."""
    got, want = both(name, arrays, more, option)
    if isinstance(got, Exception) or isinstance(want, Exception):
        return ""
    if got.shape != want.shape:
        return f"shape {got.shape}, PyTorch has {want.shape}"
    with np.errstate(all="ignore"):
        near = np.isclose(got, want, rtol=1e-9, atol=ROUNDING.get(name, 1e-15), equal_nan=True)
    if name in BETTER:
        near |= ~np.isfinite(want) | np.isnan(got)
    if np.all(near):
        return ""
    at = tuple(np.argwhere(~near)[0])
    given = [x[at] for x in arrays if x.shape == got.shape]
    return f"{got[at]}, PyTorch has {want[at]} at {at}, of {given or arrays}"


@pytest.mark.parametrize("name", list(functions()))
def test_values_are_pytorchs_on_awkward_numbers(name):
    for arrays, more, option in calls(name):
        told = apart(name, arrays, more, option)
        assert not told, f"{name}{(*more, option)}: {told}"
