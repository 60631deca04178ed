"""Archives written by np.savez."""

import numpy as np
import pytest

from allbps.data import load
from allbps.errors import UserFileError

GRAY = np.arange(24, dtype=np.uint8).reshape(4, 3, 2)
LABELS = np.array([0, 1, 1, 0])


def save(tmp_path, **arrays):
    path = tmp_path / "images.npz"
    np.savez(path, **arrays)
    return path


@pytest.mark.parametrize("keys", [("x_train", "y_train"), ("images", "labels"), ("data", "target")])
def test_the_usual_keys(tmp_path, keys):
    dataset = load(save(tmp_path, **dict(zip(keys, (GRAY, LABELS), strict=True))))
    np.testing.assert_array_equal(dataset.train.x[:, 0] * 255, GRAY)
    assert dataset.test is None


def test_its_own_test_images_and_names_of_classes(tmp_path):
    path = save(
        tmp_path, x_train=GRAY, y_train=LABELS[:, None], x_test=GRAY[:2], y_test=LABELS[:2],
        classes=np.array(["cat", "dog"]),
    )  # fmt: skip
    dataset = load(path)
    assert dataset.train.classes == ("cat", "dog")
    assert dataset.test is not None
    assert dataset.test.labels.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((4, 5, 6), (1, 5, 6)),
        ((4, 9), (1, 3, 3)),
        ((4, 3, 5, 6), (3, 5, 6)),
        ((4, 5, 6, 3), (3, 5, 6)),
        ((4, 5, 6, 1), (1, 5, 6)),
    ],
)
def test_layouts_become_channels_height_width(tmp_path, shape, expected):
    raw = np.arange(np.prod(shape)).reshape(shape) % 255
    dataset = load(save(tmp_path, images=raw, labels=LABELS))
    assert dataset.train.shape == expected
    if shape == (4, 5, 6, 3):
        np.testing.assert_allclose(dataset.train.x[1, 2, 3, 4] * 255, raw[1, 3, 4, 2], rtol=1e-6)


def message(path):
    with pytest.raises(UserFileError) as caught:
        load(path)
    return str(caught.value)


def test_unknown_keys(tmp_path):
    path = save(tmp_path, pictures=GRAY, kinds=LABELS)
    assert message(path) == (
        f"{path} has no images and labels under names that allbps knows\n"
        "  expected: one of x_train, y_train; train_images, train_labels; X_train, y_train;"
        " images, labels; X, y; x, y; data, target\n"
        "  got:      kinds, pictures\n"
        "  to do:    np.savez(path, images=…, labels=…)"
    )


def test_labels_outside_the_named_classes(tmp_path):
    path = save(tmp_path, images=GRAY, labels=LABELS * 2, classes=np.array(["cat", "dog"]))
    assert message(path) == (
        f"{path} has labels out of range\n  expected: labels 0 … 1\n  got:      2 for image 1"
    )


def test_pixels_that_are_no_images(tmp_path):
    path = save(tmp_path, images=np.zeros((4, 5)), labels=LABELS)
    assert message(path) == (
        f"images in {path} holds no images\n"
        "  expected: shape (N, H, W), (N, C, H, W) or (N, H, W, C) with 1 or 3 channels,"
        " or (N, H·H)\n"
        "  got:      shape (4, 5)"
    )


def test_one_hot_labels(tmp_path):
    path = save(tmp_path, images=GRAY, labels=np.eye(4))
    assert message(path) == (
        f"labels in {path} is no list of labels\n"
        "  expected: one label for each image, shape (N,)\n"
        "  got:      shape (4, 4)"
    )


def test_a_broken_archive_and_pickled_objects(tmp_path):
    path = save(tmp_path, images=GRAY, labels=LABELS)
    path.write_bytes(path.read_bytes()[:-40])
    assert message(path).startswith(f"{path} cannot be read as an .npz archive: ")
    path = save(tmp_path, images=np.array([GRAY, None], dtype=object), labels=LABELS)
    assert message(path).startswith(f"{path} cannot be read as an .npz archive: ")
