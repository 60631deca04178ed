"""Every function of the vocabulary against PyTorch's of the same name."""

import inspect
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import numpy as np
import pytest

import allbps as bp
import allbps.functional as F
from allbps.errors import AllBPsError, ArgumentError
from allbps.trace import trace

torch = pytest.importorskip("torch")
T = torch.nn.functional


def shaped(*shapes, low=-2.0, high=2.0):
    return lambda rng: [rng.uniform(low, high, shape) for shape in shapes]


def with_labels(shape, classes, *, ignored=None):
    """Logits or log-probabilities (N, C, …) and class numbers (N, …)."""

    def draw(rng):
        labels = rng.integers(0, classes, (shape[0], *shape[2:]))
        if ignored is not None:
            labels.flat[0] = ignored
        return [rng.normal(size=shape), labels]

    return draw


def with_probabilities(rng):
    return [rng.normal(size=(3, 4)), rng.dirichlet(np.ones(4), 3)]


WEIGHT = np.array([0.5, 2.0, 1.25, 0.75])  # of four classes; PyTorch has no derivative for it


# name, operands, the other arguments
PARITY = [
    ("relu", shaped((2, 3)), {}),
    ("leaky_relu", shaped((2, 3)), {}),
    ("leaky_relu", shaped((2, 3)), {"negative_slope": 0.3}),
    ("elu", shaped((2, 3)), {}),
    ("elu", shaped((2, 3)), {"alpha": 0.5}),
    ("sigmoid", shaped((2, 3)), {}),
    ("tanh", shaped((2, 3)), {}),
    ("softplus", shaped((2, 3)), {}),
    ("softplus", shaped((2, 3)), {"beta": 3.0}),
    ("silu", shaped((2, 3)), {}),
    ("gelu", shaped((2, 3)), {}),
    ("gelu", shaped((2, 3)), {"approximate": "tanh"}),
    ("softmax", shaped((2, 3)), {"dim": 0}),
    ("softmax", shaped((2, 3, 4)), {"dim": -1}),
    ("log_softmax", shaped((2, 3)), {"dim": 1}),
    ("linear", shaped((2, 3), (4, 3)), {}),
    ("linear", shaped((5, 2, 3), (4, 3), (4,)), {}),
    ("linear", shaped((3,), (4, 3), (4,)), {}),
    ("conv1d", shaped((2, 4, 9), (6, 2, 3), (6,)), {"stride": 2, "padding": 1, "groups": 2}),
    ("conv1d", shaped((4, 9), (6, 4, 2)), {"dilation": 3, "padding": "same"}),
    ("conv2d", shaped((2, 3, 5, 6), (4, 3, 2, 3), (4,)), {}),
    ("conv2d", shaped((3, 5, 6), (4, 3, 2, 3), (4,)), {"stride": (1, 2), "padding": (0, 1)}),
    ("conv2d", shaped((2, 4, 7, 6), (4, 1, 3, 2)), {"groups": 4, "dilation": 2}),
    ("conv2d", shaped((2, 3, 5, 6), (4, 3, 3, 5)), {"padding": "same"}),
    ("conv2d", shaped((2, 3, 5, 6), (4, 3, 2, 4)), {"padding": "same", "dilation": (1, 3)}),
    ("conv2d", shaped((2, 3, 5, 6), (4, 3, 2, 4)), {"padding": "valid", "stride": 2}),
    ("max_pool1d", shaped((2, 3, 8)), {"kernel_size": 3}),
    ("max_pool1d", shaped((3, 8)), {"kernel_size": 3, "stride": 1, "padding": 1, "dilation": 2}),
    ("max_pool2d", shaped((2, 3, 6, 7)), {"kernel_size": 2}),
    ("max_pool2d", shaped((3, 6, 7)), {"kernel_size": (3, 2), "stride": 2, "padding": 1}),
    ("avg_pool2d", shaped((2, 3, 6, 7)), {"kernel_size": 2}),
    ("avg_pool2d", shaped((3, 6, 7)), {"kernel_size": 3, "stride": (2, 1), "padding": 1}),
    (
        "avg_pool2d",
        shaped((2, 3, 6, 7)),
        {"kernel_size": (2, 3), "padding": (1, 1), "count_include_pad": False},
    ),
    ("adaptive_avg_pool2d", shaped((2, 3, 6, 7)), {"output_size": 1}),
    ("adaptive_avg_pool2d", shaped((2, 3, 6, 8)), {"output_size": (3, 2)}),
    ("adaptive_avg_pool2d", shaped((3, 5, 7)), {"output_size": (3, 4)}),
    ("adaptive_avg_pool2d", shaped((3, 2, 3)), {"output_size": 4}),
    ("lp_pool1d", shaped((2, 3, 8), low=0.1), {"norm_type": 2, "kernel_size": 3, "stride": 2}),
    ("lp_pool2d", shaped((2, 3, 6, 7), low=0.1), {"norm_type": 1.5, "kernel_size": (2, 3)}),
    ("lp_pool2d", shaped((3, 5, 7)), {"norm_type": 2, "kernel_size": 2, "ceil_mode": True}),
    ("lp_pool3d", shaped((2, 3, 4, 5, 4), low=0.1), {"norm_type": 3, "kernel_size": 2}),
    ("fold", shaped((2, 12, 12)), {"output_size": (4, 5), "kernel_size": 2}),
    (
        "fold",
        shaped((2, 18, 6)),
        {"output_size": (4, 6), "kernel_size": 3, "stride": 2, "padding": 1},
    ),
    ("upsample", shaped((2, 3, 4)), {"scale_factor": 2.5, "mode": "linear"}),
    ("upsample", shaped((2, 3, 4, 5)), {"size": (3, 7), "mode": "bicubic", "align_corners": True}),
    (
        "interpolate",
        shaped((2, 3, 9, 10)),
        {"size": (4, 13), "mode": "bilinear", "antialias": True},
    ),
    (
        "interpolate",
        shaped((2, 3, 9, 10)),
        {"scale_factor": 0.4, "mode": "bicubic", "antialias": True},
    ),
    ("interpolate", shaped((2, 3, 7)), {"scale_factor": 1.7, "recompute_scale_factor": True}),
    ("layer_norm", shaped((2, 3, 4)), {"normalized_shape": (4,)}),
    ("layer_norm", shaped((2, 3, 4)), {"normalized_shape": (3, 4), "eps": 1e-3}),
    ("rms_norm", shaped((2, 3, 4)), {"normalized_shape": (4,)}),
    ("rms_norm", shaped((2, 3, 4)), {"normalized_shape": (3, 4), "eps": 1e-3}),
    ("group_norm", shaped((2, 6, 3)), {"num_groups": 3}),
    ("normalize", shaped((2, 3)), {}),
    ("normalize", shaped((2, 3)), {"p": 1.0, "dim": 0}),
    ("normalize", shaped((2, 3, 4)), {"p": 3.0, "dim": -1}),
    ("normalize", shaped((2, 3)), {"p": float("inf")}),
    ("cosine_similarity", shaped((2, 3), (2, 3)), {}),
    ("cosine_similarity", shaped((2, 3), (1, 3)), {"dim": 1}),
    ("cosine_similarity", shaped((2, 3, 4), (2, 3, 4)), {"dim": -1}),
    ("pad", shaped((2, 3)), {"pad": (1, 2)}),
    ("pad", shaped((2, 3)), {"pad": (1, -1, 2, 0), "value": 7.5}),
    ("mse_loss", shaped((2, 3), (2, 3)), {}),
    ("mse_loss", shaped((2, 3), (2, 3)), {"reduction": "sum"}),
    ("mse_loss", shaped((2, 3), (2, 3)), {"reduction": "none"}),
    ("l1_loss", shaped((2, 3), (2, 3)), {}),
    ("huber_loss", shaped((4, 5), (4, 5)), {}),
    ("huber_loss", shaped((4, 5), (4, 5)), {"delta": 0.5, "reduction": "sum"}),
    ("smooth_l1_loss", shaped((4, 5), (4, 5)), {}),
    ("smooth_l1_loss", shaped((4, 5), (4, 5)), {"beta": 0.4}),
    ("smooth_l1_loss", shaped((4, 5), (4, 5)), {"beta": 0.0}),
    ("cross_entropy", with_labels((3, 4), 4), {}),
    ("cross_entropy", lambda rng: [rng.normal(size=4), np.array(2)], {}),
    ("cross_entropy", with_labels((2, 4, 3, 2), 4), {}),
    ("cross_entropy", with_labels((3, 4), 4), {"reduction": "none"}),
    ("cross_entropy", with_labels((3, 4), 4), {"reduction": "sum", "label_smoothing": 0.1}),
    ("cross_entropy", with_labels((3, 4), 4, ignored=-100), {}),
    ("cross_entropy", with_labels((3, 4), 4, ignored=1), {"ignore_index": 1}),
    ("cross_entropy", with_labels((2, 4, 3), 4, ignored=-100), {"label_smoothing": 0.2}),
    ("cross_entropy", with_labels((3, 4), 4, ignored=-100), {"reduction": "none"}),
    ("cross_entropy", with_labels((3, 4), 4), {"weight": WEIGHT}),
    ("cross_entropy", with_labels((3, 4), 4, ignored=-100), {"weight": WEIGHT}),
    ("cross_entropy", with_labels((2, 4, 3), 4), {"weight": WEIGHT, "label_smoothing": 0.1}),
    ("cross_entropy", with_probabilities, {}),
    ("cross_entropy", with_probabilities, {"reduction": "sum", "label_smoothing": 0.1}),
    ("cross_entropy", with_probabilities, {"weight": WEIGHT}),
    ("cross_entropy", shaped((2, 3, 4), (2, 3, 4)), {}),
    ("nll_loss", with_labels((3, 4), 4), {}),
    ("nll_loss", with_labels((2, 4, 3), 4), {"reduction": "none"}),
    ("nll_loss", with_labels((3, 4), 4, ignored=-100), {}),
    ("nll_loss", with_labels((3, 4), 4, ignored=2), {"weight": WEIGHT, "ignore_index": 2}),
    ("binary_cross_entropy_with_logits", shaped((2, 3), (2, 3)), {}),
    ("binary_cross_entropy_with_logits", shaped((2, 3), (2, 3)), {"reduction": "sum"}),
    ("binary_cross_entropy", shaped((2, 3), (2, 3), low=0.1, high=0.9), {}),
    ("kl_div", shaped((2, 3), (2, 3), low=0.1, high=0.9), {"reduction": "sum"}),
    ("kl_div", shaped((2, 3), (2, 3), low=0.1, high=0.9), {"reduction": "batchmean"}),
    ("kl_div", shaped((2, 3), (2, 3)), {"reduction": "none", "log_target": True}),
]
ONCE = {"binary_cross_entropy_with_logits"}  # PyTorch has no second derivative for its target


@pytest.mark.parametrize(
    ("name", "operands", "options"),
    [pytest.param(*row, id="-".join([row[0], *row[2], str(k)])) for k, row in enumerate(PARITY)],
)
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@pytest.mark.filterwarnings("ignore:`nn.functional.upsample` is deprecated")
def test_value_and_derivatives_are_pytorchs(name, operands, options, rng, same_as_torch):
    def ours(*xs):
        kind = xs[0].dtype
        fitting = {k: v.astype(kind) if v is WEIGHT else v for k, v in options.items()}
        return getattr(F, name)(*xs, **fitting)

    def theirs(*xs):
        tensors = {k: torch.tensor(v) if v is WEIGHT else v for k, v in options.items()}
        return getattr(T, name)(*xs, **tensors)

    same_as_torch(ours, theirs, *operands(rng), second=name not in ONCE)


def test_parameters_have_pytorchs_names_and_places():
    for name, function in vocabulary().items():
        known = parameters_in_pytorch(name)
        if known is None:
            continue  # PyTorch does not say
        for place, parameter in enumerate(inspect.signature(function).parameters.values()):
            if parameter.kind is parameter.KEYWORD_ONLY:
                assert parameter.name in known or parameter.name == "rng", name
            else:
                assert known[place] == parameter.name, name


def parameters_in_pytorch(name):
    """Their names in order; None where PyTorch does not say."""
    if name in ("median", "nanmedian", "scatter"):  # it tells one of several ways to call it
        return None
    rooms = (T, torch.linalg, torch, torch.Tensor)  # torch.lu and lu_solve are older ones
    function = getattr(T, f"_{name}", None) or next(
        getattr(room, name) for room in rooms if hasattr(room, name)
    )
    try:
        return list(inspect.signature(function).parameters)
    except ValueError:  # written in C: the documentation begins with the signature
        if not function.__doc__ or "(" not in function.__doc__.split("->")[0]:
            return None
        head = function.__doc__.split("->")[0]
        inner = head[head.index("(") + 1 : head.rindex(")")]
        names = [re.split("[=:]", part)[0].strip() for part in inner.split(",")]
        found = [name.removeprefix("bool ") for name in names]  # lu_factor's says its type
        method = function is getattr(torch.Tensor, name, None)
        return ["input"] * method + [part for part in found if part != "*"]


def vocabulary():
    """The functions that PyTorch has too: the public ones but the lecture's loss."""
    return {
        name: function
        for name, function in vars(F).items()
        if inspect.isfunction(function)
        and hasattr(function, "__wrapped__")
        and name != "euclidean_loss"
    }


def test_every_function_is_compared_with_pytorch():
    """Here, or on PyTorch's own samples (tests/test_opinfo.py)."""
    document = (Path(__file__).parents[1] / "docs" / "operations.md").read_text("utf-8")
    entries = re.findall(r"^\| `([^`]+)` \| (?:right|partly) \|", document, re.M)
    judged = [part for entry in entries for part in entry.split(".")]
    elsewhere = {
        "logsumexp", "embedding", "one_hot", "flatten", "dropout", "batch_norm",
        "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout",
        "scaled_dot_product_attention", "as_strided_scatter",
        "fractional_max_pool3d",
        "affine_grid", "multi_head_attention_forward",  # tests/test_functional_attention.py
        "gumbel_softmax",  # tests/test_functional_random.py
        "view_as_real",  # tests/ops/test_complex.py
    }  # fmt: skip
    assert set(vocabulary()) <= {row[0] for row in PARITY} | elsewhere | set(judged)


def test_what_as_strided_scatter_overwrites_gets_no_delta():
    """PyTorch gives it one; a difference is 0."""
    x, src = np.arange(5.0), np.array([7.0, 8.0])
    value, pullback = bp.vjp(lambda x, s: F.as_strided_scatter(x, s, (2,), (2,), 1), x, src)
    np.testing.assert_array_equal(value, [0.0, 7.0, 2.0, 8.0, 4.0])
    dx, dsrc = pullback(np.arange(1.0, 6.0))
    np.testing.assert_array_equal(dx, [1.0, 0.0, 3.0, 0.0, 5.0])
    np.testing.assert_array_equal(dsrc, [2.0, 4.0])


@pytest.mark.parametrize(
    ("part", "offset", "said"),
    [
        (lambda x: x[5:15], 0, "storage_offset counts from the start of the memory"),
        (lambda x: x.reshape(4, 5).T, None, "does not lie row by row"),
        (lambda x: x[::2], 1, "does not lie row by row"),
    ],
)
@pytest.mark.parametrize("traced", [False, True])
def test_as_strided_refuses_what_pytorch_would_read_behind_a_view(part, offset, said, traced):
    def f(x):
        return F.as_strided(part(x), (2, 2), (1, 2), offset)

    with pytest.raises(ArgumentError, match=said):
        bp.vjp(f, np.arange(20.0)) if traced else f(np.arange(20.0))


def test_as_strided_reads_a_part_that_lies_row_by_row():
    found = F.as_strided(np.arange(20.0)[5:15], (2, 2), (1, 2))
    np.testing.assert_array_equal(found, [[5.0, 7.0], [6.0, 8.0]])


# -- functions whose operands are not PyTorch's first arguments ------------------------------------
def test_logsumexp(same_as_torch, rng):
    x = rng.normal(size=(2, 3, 4))
    same_as_torch(lambda x: F.logsumexp(x, 1), lambda x: torch.logsumexp(x, 1), x)
    same_as_torch(
        lambda x: F.logsumexp(x, (0, 2), keepdim=True),
        lambda x: torch.logsumexp(x, (0, 2), keepdim=True),
        x,
    )


@pytest.mark.parametrize(("name", "shape"), [("layer_norm", (3, 4)), ("rms_norm", (4,))])
def test_norms_with_parameters(same_as_torch, rng, name, shape):
    more = [rng.normal(size=shape) for _ in range(2 if name == "layer_norm" else 1)]
    same_as_torch(
        lambda x, *more: getattr(F, name)(x, shape, *more),
        lambda x, *more: getattr(T, name)(x, shape, *more),
        rng.normal(size=(2, 3, 4)),
        *more,
    )


def test_group_norm_with_parameters(same_as_torch, rng):
    same_as_torch(
        lambda x, w, b: F.group_norm(x, 2, w, b),
        lambda x, w, b: T.group_norm(x, 2, w, b),
        rng.normal(size=(2, 4, 3, 2)),
        *rng.normal(size=(2, 4)),
    )


@pytest.mark.parametrize("shape", [(4, 3), (4, 3, 2), (2, 3, 2, 2)])
def test_batch_norm_in_training(same_as_torch, rng, shape):
    same_as_torch(
        lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True),
        lambda x, w, b: T.batch_norm(x, None, None, w, b, training=True),
        rng.normal(size=shape),
        *rng.normal(size=(2, 3)),
    )


def test_batch_norm_in_evaluation(same_as_torch, rng):
    mean, var = rng.normal(size=3), rng.uniform(0.5, 2, 3)
    same_as_torch(
        lambda x, w, b: F.batch_norm(x, mean.astype(x.dtype), var.astype(x.dtype), w, b),
        lambda x, w, b: T.batch_norm(x, torch.tensor(mean), torch.tensor(var), w, b),
        rng.normal(size=(2, 3, 2, 2)),
        *rng.normal(size=(2, 3)),
    )


def test_embedding_adds_the_deltas_of_a_row_taken_twice(same_as_torch, rng):
    rows = np.array([[0, 2], [2, 2]])
    same_as_torch(
        lambda w: F.embedding(rows, w),
        lambda w: T.embedding(torch.tensor(rows), w),
        rng.normal(size=(4, 3)),
        second=False,
    )


def test_one_hot_and_flatten_are_pytorchs():
    labels = np.array([[2, 0], [1, 1]])
    for classes in (-1, 5):
        want = T.one_hot(torch.tensor(labels), classes).numpy()
        np.testing.assert_array_equal(F.one_hot(labels, classes), want)
        assert F.one_hot(labels, classes).dtype == want.dtype
    x = np.zeros((2, 3, 4, 5))
    for ends in [(), (1,), (1, 2), (-2, -1), (0, 1)]:
        assert F.flatten(x, *ends).shape == torch.flatten(torch.tensor(x), *ends).shape
    assert F.flatten(np.array(3.0)).shape == (1,)


def test_a_zero_vector_is_normalised_to_zero_with_a_finite_slope(same_as_torch):
    same_as_torch(F.normalize, T.normalize, np.zeros((2, 3)), second=False)
    same_as_torch(F.cosine_similarity, T.cosine_similarity, *np.zeros((2, 2, 3)), second=False)


def test_matrices_may_stand_for_images(rng):
    x, w = rng.normal(size=(5, 6)), rng.normal(size=(2, 3))
    images, kernels = torch.tensor(x)[None, None], torch.tensor(w)[None, None]
    close = np.testing.assert_allclose
    close(F.conv2d(x, w, 0.5, 2), T.conv2d(images, kernels, stride=2)[0, 0].numpy() + 0.5)
    close(F.max_pool2d(x, 2), T.max_pool2d(images, 2)[0, 0].numpy())
    close(F.avg_pool2d(x, 2), T.avg_pool2d(images, 2)[0, 0].numpy())
    close(F.adaptive_avg_pool2d(x, (2, 4)), T.adaptive_avg_pool2d(images, (2, 4))[0, 0].numpy())


# -- attention -------------------------------------------------------------------------------------
def test_attention_with_a_mask_of_truth_values(same_as_torch, rng):
    mask = np.array([[True, False, True], [True, True, True], [False, False, True]])
    same_as_torch(
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, mask),
        lambda q, k, v: T.scaled_dot_product_attention(q, k, v, torch.tensor(mask)),
        *rng.normal(size=(3, 2, 3, 4)),
    )


def test_a_query_that_may_look_nowhere_gets_zeros(same_as_torch, rng):
    mask = np.array([[True, False], [False, False]])
    same_as_torch(
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, mask),
        lambda q, k, v: T.scaled_dot_product_attention(q, k, v, torch.tensor(mask)),
        *rng.normal(size=(3, 2, 4)),
    )


def test_attention_with_numbers_added_to_the_scores(same_as_torch, rng):
    same_as_torch(
        F.scaled_dot_product_attention,
        T.scaled_dot_product_attention,
        *rng.normal(size=(3, 2, 3, 4)),
        rng.normal(size=(3, 3)),
    )


# -- dropout ---------------------------------------------------------------------------------------
def test_dropout_keeps_the_mean_and_gives_delta_to_what_it_keeps():
    x = np.ones((100, 100))
    y, pullback = bp.vjp(lambda x: F.dropout(x, 0.25, rng=np.random.default_rng(1)), x)
    (dx,) = pullback(x)
    assert set(np.unique(y)) == {0.0, 1 / 0.75}
    np.testing.assert_array_equal(dx, y)
    assert abs(np.mean(y) - 1) < 5 * np.sqrt(0.25 / 0.75) / 100


def test_dropout_does_nothing_outside_training_and_everything_for_p_1():
    x, rng = np.arange(4.0), np.random.default_rng(0)
    np.testing.assert_array_equal(F.dropout(x, training=False), x)
    np.testing.assert_array_equal(F.dropout(x, 0.0), x)
    np.testing.assert_array_equal(F.dropout(x, 1.0, rng=rng), np.zeros(4))
    assert F.dropout(x.astype(np.float32), rng=rng).dtype == np.float32


# -- edges -----------------------------------------------------------------------------------------
def test_a_number_is_an_array_without_axes():
    assert F.relu(-2.0) == 0
    assert F.sigmoid(0) == 0.5
    assert F.mse_loss(3.0, 1.0) == 4
    assert F.euclidean_loss(3.0, 1.0) == 2
    assert F.cross_entropy(np.zeros(2), 1) == np.log(2)


def test_traced_in_traced_out_even_beside_plain_arrays():
    traced = trace(lambda x: F.linear(np.ones((2, 3)), x), np.ones((4, 3)))
    assert [node.op.name for node in traced.graph.nodes][-1] == "matmul"


def test_log_probabilities_of_minus_infinity_elsewhere_do_no_harm():
    log_p = np.array([[0.0, -np.inf], [-np.inf, 0.0]])
    value, d = bp.value_and_grad(F.nll_loss)(log_p, np.array([0, 1]))
    assert value == 0
    np.testing.assert_array_equal(d, [[-0.5, 0], [0, -0.5]])


def test_kl_div_of_a_target_with_zeros():
    q, t = np.log([0.25, 0.75]), np.array([0.0, 1.0])
    value, d = bp.value_and_grad(lambda q: F.kl_div(q, t, reduction="sum"))(q)
    assert value == -np.log(0.75)
    np.testing.assert_array_equal(d, [0, -1])


def test_integer_one_hot_rows_are_probabilities():
    logits, labels = np.array([[0.5, 1.0, -1.0], [2.0, 0.0, 1.0]]), np.array([2, 0])
    for kind in (np.float64, np.float32):
        rows = F.one_hot(labels, 3)
        got = F.cross_entropy(logits.astype(kind), rows)
        assert got.dtype == kind
        np.testing.assert_allclose(got, F.cross_entropy(logits.astype(kind), labels), rtol=1e-6)


def test_losses_that_broadcast_warn():
    with pytest.warns(UserWarning, match="broadcasts them, which is seldom meant") as caught:
        F.mse_loss(np.zeros((3, 1)), np.zeros(3))
    assert caught[0].filename == __file__


def test_import_is_light():
    code = (
        "import sys, allbps.functional\n"
        "print([m for m in ('torch', 'matplotlib', 'scipy') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


# -- misuse ----------------------------------------------------------------------------------------
X = np.zeros((2, 3, 4, 4))
MISUSE = [
    (
        lambda: F.mse_loss(X, X, reduction="avg"),
        "unknown reduction\n  expected: 'mean', 'sum' or 'none'\n  got:      'avg'",
    ),
    (
        lambda: F.gelu(X, approximate="fast"),
        "unknown approximation\n  expected: 'none' or 'tanh'\n  got:      'fast'",
    ),
    (
        lambda: F.max_pool2d(X, (2, 2, 2)),
        "kernel_size must be an integer, or one for the rows and one for the columns\n"
        "  got:      kernel_size=(2, 2, 2)",
    ),
    (
        lambda: F.conv2d(X, np.zeros((1, 3, 2, 2)), stride=1.5),
        "stride must be an integer, or one for the rows and one for the columns\n"
        "  got:      stride=1.5",
    ),
    (
        lambda: F.conv2d(X, np.zeros((1, 3, 2, 2)), stride=2, padding="same"),
        "padding is a number, one for each axis, 'valid', or with stride 1 'same'\n"
        "  got:      padding='same', stride=(2, 2)",
    ),
    (
        lambda: F.adaptive_avg_pool2d(X, 0),
        "output_size starts at 1\n  got:      output_size=0",
    ),
    (
        lambda: F.embedding(np.array([1, -1]), np.zeros((3, 2))),
        "embedding takes row numbers from 0\n  got:      -1",
    ),
    (
        lambda: F.pad(X[0, 0], (1, 1, 1)),
        "pad needs a pair for each of the last axes\n"
        "  expected: at most 2 pairs\n"
        "  got:      (1, 1, 1)",
    ),
    (
        lambda: F.pad(X, (1, 1), mode="mirror"),
        "unknown mode of padding\n"
        "  expected: 'constant', 'reflect', 'replicate' or 'circular'\n"
        "  got:      'mirror'",
    ),
    (
        lambda: F.dropout(X, 1.5),
        "p must be a probability\n  expected: 0 ≤ p ≤ 1\n  got:      p=1.5",
    ),
    (
        lambda: F.dropout(X),
        "dropout needs a random generator\n  fix:      pass rng=np.random.default_rng(seed)",
    ),
    (
        lambda: F.layer_norm(X, (3,)),
        "layer_norm: the input does not end in normalized_shape\n"
        "  expected: (…, 3)\n"
        "  got:      (2, 3, 4, 4)",
    ),
    (
        lambda: F.group_norm(X, 2),
        "group_norm: the channels do not divide into groups\n"
        "  expected: (N, C, …) with C a multiple of 2\n"
        "  got:      (2, 3, 4, 4)",
    ),
    (
        lambda: F.batch_norm(X),
        "batch_norm needs running_mean and running_var in evaluation\n"
        "  fix:      pass them, or training=True",
    ),
    (
        lambda: F.batch_norm(np.zeros((1, 3)), training=True),
        "batch_norm: one number per channel has no variance\n"
        "  expected: several examples or pixels\n"
        "  got:      (1, 3)",
    ),
    (
        lambda: F.batch_norm(np.zeros(3), training=True),
        "batch_norm needs channels\n  expected: (N, C, …)\n  got:      (3,)",
    ),
    (
        lambda: F.huber_loss(X, X, delta=0.0),
        "delta must be positive\n  got:      0.0",
    ),
    (
        lambda: F.scaled_dot_product_attention(X, X, X, np.ones((4, 4)), is_causal=True),
        "attn_mask and is_causal exclude each other\n  fix:      build one mask of both",
    ),
    (
        lambda: F.nll_loss(np.zeros((2, 3)), np.array([1])),
        "nll_loss: input and target do not fit\n"
        "  expected: one class number for each row: (2,)\n"
        "  got:      a target of shape (1,)",
    ),
]


@pytest.mark.parametrize(("call", "message"), MISUSE)
def test_misuse_gets_its_message_and_the_line(call, message):
    with pytest.raises(AllBPsError) as caught:
        call()
    assert caught.value.where.startswith("test_functional.py:")
    caught.value.where = ""
    assert str(caught.value) == message


def test_the_vocabulary_is_every_function_of_the_room():
    modules = [
        import_module(f"allbps.functional.{found.name}")
        for found in iter_modules(F.__path__)
        if found.name != "common"
    ]
    defined = {
        (name, id(function))
        for module in modules
        for name, function in vars(module).items()
        if callable(getattr(function, "__wrapped__", None))
        and function.__module__ == module.__name__
    }
    assert {(name, id(getattr(F, name))) for name in dir(F)} == defined
    assert {name for name, _ in defined} > {"relu", "conv2d", "dropout", "cross_entropy"}


def test_places_of_nearest_numbers_are_pytorchs_for_many_lengths():
    for old in range(1, 24):
        x = np.arange(float(old))[None, None]
        for new in range(1, 60, 1 + old % 3):
            for mode in ("nearest", "nearest-exact"):
                want = T.interpolate(torch.tensor(x), size=new, mode=mode).numpy()
                np.testing.assert_array_equal(F.interpolate(x, size=new, mode=mode), want)


@pytest.mark.parametrize(
    ("n", "shape"), [(2, (2, 3, 7, 9)), (3, (2, 2, 6, 5, 7)), (3, (2, 5, 5, 5))]
)
def test_windows_at_given_random_places(n, shape, rng):
    x, size = rng.normal(size=shape), (3, 2, 3)[:n]
    share = rng.uniform(size=(*shape[:-n][-2:], n) if len(shape) > n + 1 else (1, shape[0], n))
    name, options = f"fractional_max_pool{n}d", {"output_size": size, "return_indices": True}
    wanted = torch.tensor(x, requires_grad=True)
    want, places = getattr(T, name)(wanted, 2, _random_samples=torch.tensor(share), **options)
    got, ours = getattr(F, name)(x, 2, _random_samples=share, **options)
    np.testing.assert_array_equal(got, want.detach().numpy())
    np.testing.assert_array_equal(ours, places.numpy())
    g = rng.normal(size=got.shape)
    want.backward(torch.tensor(g))
    f = lambda x: getattr(F, name)(x, 2, size, _random_samples=share)  # noqa: E731
    np.testing.assert_allclose(bp.vjp(f, x)[1](g)[0], wanted.grad.numpy())


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", ["batch_norm", "instance_norm"])
def test_running_statistics_are_left_where_pytorch_leaves_them(name, training, rng):
    x, mean, var = rng.normal(size=(3, 4, 5)), rng.normal(size=4), rng.uniform(1, 2, 4)
    theirs = [torch.tensor(a.copy()) for a in (mean, var)]
    getattr(T, name)(torch.tensor(x), *theirs, None, None, training, 0.3)

    def same(*ours):
        for got, want in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(got, want.numpy(), rtol=1e-12)

    def norm(x, mean, var):
        y = getattr(F, name)(x, mean, var, None, None, training, 0.3)
        return np.sum(y), (mean, var)

    plain = mean.copy(), var.copy()
    getattr(F, name)(x, *plain, None, None, training, 0.3)
    same(*plain)
    outside = mean.copy(), var.copy()
    bp.grad(lambda x: norm(x, *outside)[0])(x)
    same(*outside)
    (_, after), _ = bp.value_and_grad(lambda xs: norm(*xs), has_aux=True)((x, mean, var))
    same(*after)


def test_no_module_hides_a_function_of_another():
    for module in iter_modules(F.__path__):
        names = vars(import_module(f"allbps.functional.{module.name}"))
        for name, function in names.items():
            own = getattr(function, "__module__", "") == f"allbps.functional.{module.name}"
            if own and hasattr(function, "__wrapped__"):
                assert getattr(F, name) is function, name
