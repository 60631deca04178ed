"""What every source of images is checked for."""

import numpy as np
import pytest

from allbps.data.images import Raw, assemble
from allbps.errors import UserFileError

LABELS = np.array([0, 1, 0])


def labelled(source, pixels, labels, classes=None, **options):
    return assemble(source, Raw(source, pixels, labels), classes=classes, **options).train


def labelled_like(source, pixels, labels, train):
    return assemble("f", Raw("f", *train), Raw(source, pixels, labels)).test


def pixels(dtype=np.uint8):
    return np.arange(12).reshape(3, 1, 2, 2).astype(dtype)


def test_bytes_become_float32_between_0_and_1():
    images = labelled("f", pixels() * 20, LABELS)
    assert images.x.dtype == np.float32
    np.testing.assert_array_equal(images.x, (pixels() * 20).astype(np.float32) / 255)
    assert images.shape == (1, 2, 2)


@pytest.mark.parametrize(
    ("raw", "top"),
    [
        (np.array([0, 1], bool), 1),
        (np.array([0.0, 0.5]), 1),
        (np.array([0.0, 128.0]), 255),
        (np.array([0, 255], np.int64), 255),
        (np.array([0, 65535], np.uint16), 65535),
        (np.array([0, 9000], np.uint16), 65535),
        (np.array([0, 200], ">u2"), 65535),
        (np.array([0, 200], np.int16), 255),
    ],
)
def test_the_scale_follows_the_kind_of_number(raw, top):
    images = labelled("f", np.stack([raw, raw]).reshape(2, 1, 1, 2), np.array([0, 1]))
    np.testing.assert_array_equal(images.x[0].ravel(), raw.astype(np.float32) / np.float32(top))


def test_classes_are_the_distinct_labels_by_name():
    images = labelled("f", pixels(), np.array([7, 3, 7]))
    assert images.classes == ("3", "7")
    assert images.labels.tolist() == [1, 0, 1]
    named = labelled("f", pixels(), np.array(["dog", "cat", "dog"]))
    assert named.classes == ("cat", "dog")
    assert named.labels.tolist() == [1, 0, 1]


def test_held_out_labels_are_read_with_the_training_classes():
    train = (pixels(float) / 12, np.array([7, 3, 5]))
    test = labelled_like("t", pixels(float) / 12, np.array([5.0, 5.0, 7.0]), train)
    assert test.classes == ("3", "5", "7")
    assert test.labels.tolist() == [1, 1, 2]


NOT_FINITE = np.array([[0.0, 1.0], [np.nan, 0.0]]).reshape(2, 1, 1, 2)
WRONG = [
    (
        (pixels(), LABELS[:2]),
        "f has more images than labels\n"
        "  expected: one label for each image\n"
        "  got:      3 images and 2 labels",
    ),
    (
        (pixels()[:1], LABELS),
        "f has more labels than images\n"
        "  expected: one label for each image\n"
        "  got:      1 images and 3 labels",
    ),
    (
        (pixels()[:0], LABELS[:0]),
        "f holds no images\n  expected: at least two classes of images",
    ),
    (
        (pixels(), np.array([4, 4, 4])),
        "f has fewer than two classes\n"
        "  expected: images of at least two classes, so that there is something to tell apart\n"
        "  got:      only 4",
    ),
    (
        (NOT_FINITE, np.array([0, 1])),
        "f has pixels that are not finite numbers\n"
        "  expected: numbers 0 … 1 or 0 … 255\n"
        "  got:      nan in image 1",
    ),
    (
        (-pixels(float), LABELS),
        "f has pixels out of range\n"
        "  expected: numbers 0 … 1\n"
        "  got:      numbers -11 … 0\n"
        "  fix:      scale them to 0 … 1 before saving",
    ),
    (
        (pixels(float) * 100, LABELS),
        "f has pixels out of range\n"
        "  expected: numbers 0 … 255\n"
        "  got:      numbers 0 … 1100\n"
        "  fix:      scale them to 0 … 1 before saving, or say what is white, as with --white 1100",
    ),
    (
        (pixels(complex), LABELS),
        "the pixels of f are not numbers\n"
        "  expected: integers 0 … 255 or floats 0 … 1\n"
        "  got:      dtype complex128",
    ),
    (
        (pixels()[:, :, :0], LABELS),
        "the images of f are empty\n  got:      shape (3, 1, 0, 2)",
    ),
    (
        (pixels(), np.array([0, -1, 1])),
        "f has labels out of range\n  expected: labels 0, 1, 2, …\n  got:      -1 for image 1",
    ),
    (
        (pixels(), np.array([0, 1, 2]), ["cat", "dog"]),
        "f has labels out of range\n  expected: labels 0 … 1\n  got:      2 for image 2",
    ),
    (
        (pixels(), np.array([0, 0.5, 1])),
        "the labels of f are not classes\n"
        "  expected: one integer, or one name, for each image\n"
        "  got:      dtype float64",
    ),
]


@pytest.mark.parametrize(("raw", "message"), WRONG)
def test_what_cannot_be_learnt_from_is_refused(raw, message):
    with pytest.raises(UserFileError) as caught:
        labelled("f", *raw)
    assert str(caught.value) == message


def test_held_out_images_of_an_unknown_class_are_refused():
    train = (pixels(), LABELS)
    with pytest.raises(UserFileError) as caught:
        labelled_like("t", pixels(), np.array([0, 1, 9]), train)
    assert str(caught.value) == (
        "t has labels out of range\n"
        "  expected: the classes of the training images: 0, 1\n"
        "  got:      9 for image 2"
    )


def test_held_out_images_of_another_size_are_refused():
    train = (pixels(), LABELS)
    with pytest.raises(UserFileError) as caught:
        labelled_like("t", np.zeros((3, 3, 4, 5), np.uint8), LABELS, train)
    assert str(caught.value) == (
        "the images of t differ in size from the training images\n"
        "  expected: 2×2, 1 channel\n"
        "  got:      4×5, 3 channels"
    )


KINDS = {
    "bool": [0, 1],
    "uint8": [0, 255],
    "uint16": [0, 65535],
    "int64": [0, 255],
    "float32": [0, 1],
}


def two(dtype, high):
    return np.array([[0, high], [high, 0]], dtype).reshape(2, 1, 1, 2)


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("share", [1, 0.5])
def test_one_scale_for_training_and_held_out_images(dtype, share):
    """However bright the brightest in either is."""
    high = KINDS[dtype][1]
    part = np.dtype(dtype).type(high * share)
    for train, test in ((high, part), (part, high)):
        data = assemble(
            "f",
            Raw("f", two(dtype, train), np.arange(2)),
            Raw("t", two(dtype, test), np.arange(2)),
            Raw("v", two(dtype, train), np.arange(2)),
        )
        assert data.train.x.max() == pytest.approx(float(train) / high, rel=1e-6)
        assert data.test.x.max() == pytest.approx(float(test) / high, rel=1e-6)
        assert data.validation.x.max() == data.train.x.max()


def test_floats_just_above_one_are_not_taken_for_bytes():
    parts = Raw("f", two(float, 0.99), np.arange(2)), Raw("t", two(float, 1.02), np.arange(2))
    with pytest.raises(UserFileError) as caught:
        assemble("f", *parts)
    assert str(caught.value) == (
        "f has pixels out of range\n"
        "  expected: numbers 0 … 1, or whole numbers 0 … 255\n"
        "  got:      numbers 0 … 1.02\n"
        "  fix:      scale them to 0 … 1 before saving, or say what is white, as with --white 1.02"
    )
    data = assemble("f", *parts, white=1)
    assert data.test.x.max() == np.float32(1.02)


def test_parts_of_different_kinds_are_refused():
    with pytest.raises(UserFileError) as caught:
        assemble(
            "f",
            Raw("f", two("uint8", 255), np.arange(2)),
            Raw("t", two("float32", 1), np.arange(2)),
        )
    assert str(caught.value) == (
        "the images of f are of different kinds\n"
        "  expected: the same dtype in training and held-out images\n"
        "  got:      8 bits (white is 255), floats (white is 1)\n"
        "  fix:      save them in the same way"
    )


@pytest.mark.parametrize(("dtype", "high"), [("uint8", 1), ("uint16", 4095), ("float64", 16)])
def test_dark_images_are_remarked_on(dtype, high):
    data = assemble("f", Raw("f", two(dtype, high), np.arange(2)))
    assert any(note.heed and f"--white {high}" in note.text for note in data.notes)
    bright = assemble("f", Raw("f", two(dtype, high), np.arange(2)), white=high)
    assert bright.train.x.max() == 1
    assert not any(note.heed for note in bright.notes)
