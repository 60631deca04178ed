"""The estimators, as scikit-learn and its users treat them."""

import pickle
import warnings
from threading import Thread

import numpy as np
import pytest
from scipy.sparse import csc_array, csr_matrix
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator

from allbps.errors import ArgumentError, DivergedError, NameUnknownError
from allbps.sklearn import BPClassifier, BPRegressor, Conv, Dense, Pool, fitting

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
DIGITS, LABELS = load_digits(return_X_y=True)
DIGITS = DIGITS / 16
FEW = slice(0, 300)


def checks():
    for estimator in (BPClassifier(), BPRegressor()):
        for own, check in estimator_checks_generator(estimator):
            name = getattr(check, "func", check).__name__
            yield pytest.param(own, check, id=f"{type(estimator).__name__}-{name}")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("estimator", "check"), list(checks()))
def test_scikit_learns_own_checks(estimator, check):
    try:
        check(estimator)
    except Exception as error:
        if type(error).__name__ == "SkipTest":
            pytest.skip(str(error))
        raise


def bits(estimator):
    return [array.tobytes() for array in (*estimator.coefs_, *estimator.intercepts_)]


@pytest.mark.parametrize("options", [{}, {"layers": [Conv(4, 3), "relu", Pool(2)]}])
@pytest.mark.parametrize("n_jobs", [1, 2, -1])
def test_the_same_random_state_gives_the_same_bits(options, n_jobs):
    first, second = (
        BPClassifier(max_iter=3, random_state=0, n_jobs=n, **options).fit(DIGITS[FEW], LABELS[FEW])
        for n in (None, n_jobs)
    )
    assert bits(first) == bits(second)


def test_digits_are_learnt():
    net = BPClassifier(max_iter=60, random_state=0).fit(DIGITS[:1400], LABELS[:1400])
    assert net.score(DIGITS[1400:], LABELS[1400:]) > 0.9
    assert net.loss_curve_[-1] < net.loss_curve_[0] / 5
    assert len(net.loss_curve_) == net.n_iter_ == 60
    np.testing.assert_allclose(net.predict_proba(DIGITS).sum(1), 1, rtol=1e-5)


def test_a_convnet_by_a_short_list_of_layers():
    layers = [Conv(8, 3), "relu", Pool(2), Dense(32), "relu"]
    net = BPClassifier(layers=layers, max_iter=40, learning_rate_init=0.01, random_state=0)
    assert net.fit(DIGITS[:1400], LABELS[:1400]).score(DIGITS[1400:], LABELS[1400:]) > 0.9
    assert [w.shape for w in net.coefs_] == [(8, 1, 3, 3), (72, 32), (32, 10)]


def test_numbers_are_predicted_one_or_several():
    X, y = load_diabetes(return_X_y=True)
    X = X * 20
    y = (y - y.mean()) / y.std()
    net = BPRegressor(max_iter=150, random_state=0).fit(X, y)
    assert net.score(X, y) > 0.5
    assert net.predict(X).shape == y.shape
    both = BPRegressor(max_iter=150, random_state=0).fit(X, np.stack([y, -y], 1))
    assert both.predict(X).shape == (len(y), 2)
    assert both.score(X, np.stack([y, -y], 1)) > 0.5


def test_a_row_of_weight_two_is_a_row_given_twice():
    weights = np.arange(40) % 3
    X, y = DIGITS[:40], LABELS[:40]
    weighted = BPClassifier(max_iter=20, random_state=0, precision="float64")
    repeated = clone(weighted)
    weighted.fit(X, y, sample_weight=weights)
    repeated.fit(np.repeat(X, weights, 0), np.repeat(y, weights))
    np.testing.assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), rtol=1e-6)


def test_weights_of_classes():
    y = (LABELS[FEW] == 3).astype(int)
    plain = BPClassifier(max_iter=8, random_state=0).fit(DIGITS[FEW], y)
    balanced = BPClassifier(max_iter=8, random_state=0, class_weight="balanced")
    balanced.fit(DIGITS[FEW], y)
    mean = [net.predict_proba(DIGITS[FEW])[:, 1].mean() for net in (plain, balanced)]
    assert mean[1] > mean[0] + 0.1


def test_a_warm_start_goes_on():
    halves = BPClassifier(max_iter=5, random_state=0, warm_start=True, tol=0)
    halves.fit(DIGITS[FEW], LABELS[FEW]).fit(DIGITS[FEW], LABELS[FEW])
    assert halves.n_iter_ == len(halves.loss_curve_) == 10
    whole = BPClassifier(max_iter=10, random_state=0, tol=0).fit(DIGITS[FEW], LABELS[FEW])
    assert bits(halves) == bits(whole)


def test_partial_fits_are_epochs():
    net = BPClassifier(random_state=0)
    for _ in range(10):
        net.partial_fit(DIGITS[FEW], LABELS[FEW], classes=range(10))
    whole = BPClassifier(max_iter=10, random_state=0, tol=0).fit(DIGITS[FEW], LABELS[FEW])
    assert bits(net) == bits(whole)


def test_estimators_that_share_compiled_code_share_nothing_else():
    alone = [
        BPClassifier(max_iter=4, random_state=seed).fit(DIGITS[FEW], LABELS[FEW]) for seed in (1, 2)
    ]
    beside = [BPClassifier(random_state=seed) for seed in (1, 2)]
    for _ in range(4):
        for net in beside:
            net.partial_fit(DIGITS[FEW], LABELS[FEW], classes=range(10))
    assert [bits(net) for net in beside] == [bits(net) for net in alone]
    again = [clone(net) for net in alone]
    threads = [
        Thread(target=BPClassifier.fit, args=(net, DIGITS[FEW], LABELS[FEW])) for net in again
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [bits(net) for net in again] == [bits(net) for net in alone]


def test_epochs_that_run_together_are_those_that_run_one_by_one(capsys):
    together = BPClassifier(tol=0.02, n_iter_no_change=3, random_state=0, learning_rate_init=0.01)
    one_by_one = clone(together).set_params(verbose=True)
    for net in (together, one_by_one):
        net.fit(DIGITS[FEW], LABELS[FEW])
    assert 3 < together.n_iter_ < 200
    assert together.loss_curve_ == one_by_one.loss_curve_
    assert bits(together) == bits(one_by_one)
    assert capsys.readouterr().out.count("Iteration") == together.n_iter_


def test_early_stopping_keeps_the_best():
    net = BPClassifier(max_iter=200, early_stopping=True, n_iter_no_change=3, random_state=0)
    net.set_params(learning_rate_init=0.02).fit(DIGITS[FEW], LABELS[FEW])
    assert net.n_iter_ < 200
    assert len(net.validation_scores_) == net.n_iter_
    assert net.best_validation_score_ == max(net.validation_scores_)


@pytest.mark.parametrize("options", [{}, {"layers": [Conv(4, 3), "relu"]}])
def test_a_pickle_holds_state_and_no_code(options):
    net = BPClassifier(max_iter=3, random_state=0, **options).fit(DIGITS[FEW], LABELS[FEW])
    packed = pickle.dumps(net)
    assert b"lambda" not in packed
    assert len(packed) < 30_000 + 3 * sum(w.nbytes for w in net.coefs_)
    again = pickle.loads(packed)
    np.testing.assert_array_equal(again.predict_proba(DIGITS), net.predict_proba(DIGITS))
    again.set_params(warm_start=True).fit(DIGITS[FEW], LABELS[FEW])
    net.set_params(warm_start=True).fit(DIGITS[FEW], LABELS[FEW])
    assert bits(again) == bits(net)


def test_pipelines_grids_and_cross_validation():
    pipeline = make_pipeline(
        StandardScaler(), BPClassifier(max_iter=40, learning_rate_init=0.02, random_state=0)
    )
    grid = {"bpclassifier__hidden_layer_sizes": [(8,), 32, (16, 16)]}
    search = GridSearchCV(pipeline, grid, cv=2).fit(DIGITS[FEW], LABELS[FEW])
    assert search.best_score_ > 0.7
    assert cross_val_score(search.best_estimator_, DIGITS[FEW], LABELS[FEW], cv=2).min() > 0.7


def test_classes_are_called_as_they_are_given():
    names = np.array(["even", "odd"])[LABELS[FEW] % 2]
    net = BPClassifier(max_iter=60, learning_rate_init=0.01, random_state=0).fit(DIGITS[FEW], names)
    assert net.predict(DIGITS[:3]).tolist() == ["even", "odd", "even"]


@pytest.mark.parametrize("kind", [csr_matrix, csc_array])
def test_a_sparse_matrix_is_the_same_as_an_array(kind, monkeypatch):
    monkeypatch.setattr(fitting, "DENSE", 64 * 4 * 64 * 2)  # two steps at once
    options = {"max_iter": 3, "random_state": 0, "batch_size": 64}
    for net, y in (
        (BPClassifier(**options), LABELS[FEW]),
        (BPRegressor(**options), DIGITS[FEW, 9]),
    ):
        whole = clone(net).fit(DIGITS[FEW].astype(np.float32), y)
        net.fit(kind(DIGITS[FEW].astype(np.float32)), y)
        assert bits(net) == bits(whole)
        assert net.loss_curve_ == whole.loss_curve_
        np.testing.assert_array_equal(net.predict(kind(DIGITS)), whole.predict(DIGITS))


def test_words_of_a_text_are_learnt_as_they_are_counted():
    said = ["good film", "fine film", "bad film", "awful film"] * 5
    net = BPClassifier(max_iter=40, learning_rate_init=0.02, random_state=0)
    pipeline = make_pipeline(TfidfVectorizer(), net).fit(said, ["+", "+", "-", "-"] * 5)
    assert pipeline.predict(["a fine one", "an awful one"]).tolist() == ["+", "-"]


def test_several_labels_for_one_row():
    has = np.stack([LABELS[FEW] % 2, LABELS[FEW] > 4, LABELS[FEW] == 3], 1).astype(int)
    net = BPClassifier(max_iter=60, learning_rate_init=0.01, random_state=0).fit(DIGITS[FEW], has)
    assert net.score(DIGITS[FEW], has) > 0.9
    sure = net.predict_proba(DIGITS[FEW])
    np.testing.assert_array_equal(net.predict(DIGITS[FEW]), sure > 0.5)
    np.testing.assert_allclose(np.exp(net.predict_log_proba(DIGITS[FEW])), sure, rtol=1e-5)
    streamed = BPClassifier(random_state=0, learning_rate_init=0.01)
    for _ in range(2):
        streamed.partial_fit(DIGITS[FEW], has, classes=range(3))
    with pytest.raises(ArgumentError, match="3 labels for each row"):
        streamed.partial_fit(DIGITS[FEW], has[:, :2])


def test_folds_that_differ_by_a_row_compile_nothing_again(monkeypatch):
    made = []
    usual = fitting.compile_function
    monkeypatch.setattr(
        fitting, "compile_function", lambda *a, **k: made.append(1) or usual(*a, **k)
    )
    for count in (50, 51, 64):
        BPClassifier((7,), max_iter=2, random_state=0).fit(DIGITS[:count], LABELS[:count])
    assert len(made) == 1


X, Y = DIGITS[:20], LABELS[:20]
WRONG = {
    "one class": (lambda: BPClassifier().fit(X, Y * 0), "only one class"),
    "NaN": (lambda: BPClassifier().fit(np.where(X == 0, np.nan, X), Y), "NaN"),
    "text": (lambda: BPClassifier().fit([["a"], ["b"]], [0, 1]), "could not convert"),
    "counts": (lambda: BPClassifier().fit(X, Y[:5]), "inconsistent numbers"),
    "numbers as classes": (lambda: BPClassifier().fit(X, Y + 0.5), "continuous"),
    "no classes": (lambda: BPClassifier().partial_fit(X, Y), "classes must be passed"),
    "a new class": (
        lambda: BPClassifier().partial_fit(X, Y, classes=range(5)), "not among those known",
    ),
    "solver": (lambda: BPClassifier(solver="lbfgs").fit(X, Y), "no solver 'lbfgs'"),
    "activation": (lambda: BPClassifier(activation="rellu").fit(X, Y), "mean 'relu'"),
    "layer": (lambda: BPClassifier(layers=[3]).fit(X, Y), "3 is not a layer"),
    "one layer": (lambda: BPClassifier(layers=Dense(3)).fit(X, Y), "layers is not a list"),
    "a name for layers": (lambda: BPClassifier(layers="relu").fit(X, Y), "layers is not a list"),
    "sizes": (lambda: BPClassifier((0,)).fit(X, Y), "hidden_layer_sizes is out of range"),
    "batch": (lambda: BPClassifier(batch_size=0).fit(X, Y), "batch_size is out of range"),
    "epochs": (lambda: BPClassifier(max_iter=0).fit(X, Y), "max_iter is out of range"),
    "image": (lambda: BPClassifier(layers=[Conv(2, 9)]).fit(X, Y), "Conv(2, 9) does not fit"),
    "image shape": (
        lambda: BPClassifier(layers=[Pool(2)], image_shape=(3, 8, 8)).fit(X, Y), "does not fit X",
    ),
    "weights": (
        lambda: BPClassifier().fit(X, Y, sample_weight=np.zeros(20)), "non-zero",
    ),
    "image number": (
        lambda: BPClassifier(layers=[Pool(2)], image_shape="8x8").fit(X, Y), "does not fit X",
    ),
    "threads": (lambda: BPClassifier(n_jobs=0).fit(X, Y), "n_jobs is out of range"),
    "threads in words": (lambda: BPClassifier(n_jobs="2").fit(X, Y), "n_jobs is out of range"),
    "targets": (lambda: BPRegressor().fit(X, np.full(20, np.inf)), "infinity"),
    "precision": (lambda: BPRegressor(precision="half").fit(X, Y), "no precision 'half'"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_learnt_is_refused_in_words(name):
    call, words = WRONG[name]
    with pytest.raises((ValueError, NameUnknownError)) as caught:
        call()
    assert words in str(caught.value)


@pytest.mark.parametrize(("solver", "rate"), [("adam", 1e200), ("sgd", 1e200)])
def test_a_fit_that_diverges_says_so(solver, rate):
    net = BPRegressor(solver=solver, learning_rate_init=rate, max_iter=3)
    with pytest.raises(DivergedError, match=r"StandardScaler"):
        net.fit(X, Y * 1e6)


def test_a_loss_that_still_falls_is_warned_of():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        BPClassifier(max_iter=2).fit(X, Y)
    assert [w.category for w in caught] == [ConvergenceWarning]
    assert caught[0].filename == __file__


def test_weights_may_be_of_any_size_but_not_all_nothing():
    few = clone(BPClassifier(max_iter=3, random_state=0, alpha=0))
    plain = clone(few).fit(DIGITS[FEW], LABELS[FEW])
    heavy = clone(few).fit(DIGITS[FEW], LABELS[FEW], sample_weight=np.full(300, 2.0**200))
    assert bits(plain) == bits(heavy)
    nothing = few.set_params(class_weight=dict.fromkeys(range(10), 0))
    with pytest.raises(ArgumentError, match="every row has weight 0"):
        nothing.fit(DIGITS[FEW], LABELS[FEW])


@pytest.mark.parametrize(
    ("change", "word"), [({"hidden_layer_sizes": (7,)}, "net"), ({"solver": "sgd"}, "solver")]
)
def test_a_warm_start_goes_on_with_the_net_it_has(change, word):
    net = BPClassifier(max_iter=2, warm_start=True, random_state=0)
    with warnings.catch_warnings(action="ignore"):
        net.fit(X, Y).set_params(**change)
        with pytest.raises(ArgumentError, match=f"the {word} is not that of the last fit"):
            net.fit(X, Y)
        assert net.set_params(warm_start=False).fit(X, Y).n_iter_ == 2


def test_logarithms_of_probabilities_are_finite():
    with warnings.catch_warnings(action="ignore"):
        net = BPClassifier(max_iter=5, random_state=0).fit(DIGITS[FEW], LABELS[FEW])
    few = 100 * DIGITS[FEW][:20]
    found, plain = net.predict_log_proba(few), net.predict_proba(few)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(np.exp(found), plain, rtol=1e-4, atol=1e-7)


def test_numbers_beyond_what_is_computed_in_are_refused():
    net = BPRegressor(max_iter=2, random_state=0)
    with pytest.raises(ArgumentError, match="too large for float32"):
        net.fit(np.full((300, 2), 1e300), np.zeros(300))
    net.fit(np.eye(300)[:, :2], np.zeros(300))
    with pytest.raises(ArgumentError, match="too large for float32"):
        net.predict(np.full((3, 2), -1e300))
