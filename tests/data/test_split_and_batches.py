"""Holding out, and the order of an epoch."""

import sys

import numpy as np
import pytest

from allbps.data import Images, batch_order, load, split
from allbps.errors import ArgumentError, MissingExtraError


def images(labels):
    labels = np.array(labels)
    x = np.arange(len(labels), dtype=np.float32).reshape(-1, 1, 1, 1)
    return Images(x, labels, tuple("abcdef"[: labels.max() + 1]))


def test_a_split_keeps_the_shares_of_the_classes_and_loses_nothing():
    whole = images([0] * 50 + [1] * 10 + [2] * 2)
    kept, held = split(whole, 0.2, np.random.default_rng(0))
    assert np.bincount(held.labels).tolist() == [10, 2, 1]
    together = np.sort(np.concatenate([kept.x.ravel(), held.x.ravel()]))
    np.testing.assert_array_equal(together, whole.x.ravel())


def test_the_same_seed_holds_out_the_same_images():
    whole = images([0] * 50 + [1] * 50)
    first, again, other = (split(whole, 0.2, np.random.default_rng(s))[1].x for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_class_of_one_image_is_kept_for_training():
    kept, held = split(images([0, 0, 1]), 0.5, np.random.default_rng(0))
    assert sorted(kept.labels.tolist()) == [0, 1]
    assert held.labels.tolist() == [0]


@pytest.mark.parametrize(
    ("labels", "share", "message"),
    [
        (
            [0, 0, 1, 1],
            1.5,
            "the held-out fraction is out of range\n"
            "  expected: a number between 0 and 1\n"
            "  got:      1.5",
        ),
        (
            [0, 1],
            0.5,
            "too few images for a held-out set\n"
            "  expected: a class with at least two images\n"
            "  got:      2 images of 2 classes",
        ),
    ],
)
def test_a_split_that_is_impossible(labels, share, message):
    with pytest.raises(ArgumentError) as caught:
        split(images(labels), share, np.random.default_rng(0))
    assert str(caught.value) == message


def test_an_epoch_visits_every_example_once():
    batches = batch_order(10, 3, seed=5, epoch=2)
    assert [len(batch) for batch in batches] == [3, 3, 3, 1]
    assert sorted(np.concatenate(batches)) == list(range(10))


def test_the_order_depends_on_seed_and_epoch_only():
    order = [np.concatenate(batch_order(50, 7, seed, epoch)) for seed, epoch in [(1, 0), (1, 1)]]
    assert not np.array_equal(*order)
    np.testing.assert_array_equal(order[1], np.concatenate(batch_order(50, 10, 1, 1)))


def test_the_digits():
    dataset = load("digits")
    assert dataset.train.x.shape == (1797, 1, 8, 8)
    assert dataset.train.x.max() == 1
    assert dataset.train.classes == tuple("0123456789")
    assert dataset.fingerprint == load("digits").fingerprint


def test_a_missing_library_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(MissingExtraError) as caught:
        load("digits")
    assert str(caught.value) == (
        "scikit-learn is needed for the digits data, and is not installed\n"
        "  fix:      pip install 'allbps[train]'"
    )
