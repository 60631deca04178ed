"""Archives written by np.savez."""

import zipfile

import numpy as np
import pytest

from allbps.data import DataWarning, Decoding, load
from allbps.errors import UserFileError

GRAY = 10 * np.arange(24, dtype=np.uint8).reshape(4, 3, 2)
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
        "  fix:      np.savez(path, images=…, labels=…)"
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
        "  expected: shape (N, H, W), (N, C, H, W) or (N, H, W, C) with 1 or 3 channels"
        " (2 or 4 with alpha), or (N, H·H)\n"
        "  got:      shape (4, 5)"
    )


def test_one_hot_labels(tmp_path):
    path = save(tmp_path, images=GRAY, labels=np.eye(4))
    assert message(path) == (
        f"labels in {path} is not a list of labels\n"
        "  expected: one label for each image, shape (N,)\n"
        "  got:      shape (4, 4)"
    )


NO_ARCHIVE = (
    "  expected: an archive of arrays, written by np.savez\n"
    "  got:      {0}\n"
    "  fix:      np.savez(path, images=…, labels=…)"
)


def test_a_file_that_is_no_archive(tmp_path):
    path = tmp_path / "images.npz"
    path.write_text("hello, world")
    assert message(path) == f"{path} is not an .npz archive\n" + NO_ARCHIVE.format(
        "the bytes 68 65 6c 6c 6f 2c"
    )
    path.write_bytes(b"")
    assert message(path) == f"{path} is empty\n" + NO_ARCHIVE.format("0 bytes")
    with path.open("wb") as file:
        np.save(file, GRAY)
    assert message(path) == f"{path} is not an .npz archive\n" + NO_ARCHIVE.format(
        "one array, written by np.save"
    )


def test_an_archive_without_arrays(tmp_path):
    path = tmp_path / "images.npz"
    with zipfile.ZipFile(path, "w"):
        pass
    assert "  got:      an empty archive\n" in message(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("notes.txt", "no array")
    assert "  got:      an empty archive\n" in message(path)


def test_a_truncated_archive(tmp_path):
    path = save(tmp_path, images=GRAY, labels=LABELS)
    path.write_bytes(path.read_bytes()[:-40])
    assert message(path) == (
        f"{path} is a damaged .npz archive: File is not a zip file\n"
        "  expected: an archive as written by np.savez\n"
        f"  got:      {path.stat().st_size} bytes\n"
        "  fix:      copy or download it again"
    )


def test_an_archive_with_a_wrong_byte(tmp_path):
    path = save(tmp_path, images=GRAY, labels=LABELS)
    data = bytearray(path.read_bytes())
    data[data.index(GRAY.tobytes()) + 3] ^= 1
    path.write_bytes(data)
    assert message(path) == (
        f"{path} is a damaged .npz archive: Bad CRC-32 for file 'images.npy'\n"
        "  expected: an archive as written by np.savez\n"
        f"  got:      {len(data)} bytes\n"
        "  fix:      copy or download it again"
    )


def test_an_array_with_a_wrong_header(tmp_path):
    path = tmp_path / "images.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("images.npy", b"\x93NUMPY\x01\x00\x10\x00{'descr': 'oops'")
    assert message(path).startswith(f"images in {path} is damaged: ")
    assert message(path).endswith("\n  fix:      copy or download the archive again")


def test_pickled_objects(tmp_path):
    path = save(tmp_path, images=np.array([GRAY, None], dtype=object), labels=LABELS)
    assert message(path) == (
        f"images in {path} holds Python objects\n"
        "  expected: an array of numbers\n"
        "  got:      an array of dtype object\n"
        "  fix:      np.stack(images) before np.savez: images of one size, labels of one kind"
    )


WRONG = {
    "text in the place of images": (
        {"images": np.array([[["a", "b"]]] * 4), "labels": LABELS},
        "the pixels of {path} are not numbers\n"
        "  expected: integers 0 … 255 or floats 0 … 1\n"
        "  got:      dtype <U1",
    ),
    "no images": (
        {"images": GRAY[:0], "labels": LABELS[:0]},
        "{path} holds no images\n  expected: at least two classes of images",
    ),
    "fewer labels": (
        {"images": GRAY, "labels": LABELS[:3]},
        "{path} has more images than labels\n"
        "  expected: one label for each image\n"
        "  got:      4 images and 3 labels",
    ),
    "NaN": (
        {"images": np.where(GRAY == 70, np.nan, GRAY), "labels": LABELS},
        "{path} has pixels that are not finite numbers\n"
        "  expected: numbers 0 … 1 or 0 … 255\n"
        "  got:      nan in image 1",
    ),
    "labels that are not classes": (
        {"images": GRAY, "labels": LABELS + 0.5},
        "the labels of {path} are not classes\n"
        "  expected: one integer, or one name, for each image\n"
        "  got:      dtype float64",
    ),
    "one name for all classes": (
        {"images": GRAY, "labels": LABELS, "classes": np.array("cat")},
        "classes in {path} is not a list of names\n"
        "  expected: one name for each class, shape (K,)\n"
        "  got:      shape ()",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_the_archive_holds_is_wrong(tmp_path, name):
    arrays, expected = WRONG[name]
    path = save(tmp_path, **arrays)
    assert message(path) == expected.format(path=path)


def test_validation_images_of_an_archive_are_kept_apart(tmp_path):
    path = save(
        tmp_path, x_train=GRAY, y_train=LABELS, x_val=GRAY[:3], y_val=LABELS[:3], x_test=GRAY[:2],
        y_test=LABELS[:2],
    )  # fmt: skip
    data = load(path)
    assert [len(part) for part in (data.train, data.validation, data.test)] == [4, 3, 2]


def test_arrays_that_are_not_used_are_said(tmp_path):
    path = save(tmp_path, images=GRAY, labels=LABELS, x_extra=GRAY)
    with pytest.warns(DataWarning, match=r"left out: 1 .*x_extra"):
        load(path)


def transparent(dtype, white, channels):
    """Black, covered by a half."""
    images = np.zeros((4, 5, 6, channels), dtype)
    images[:, 1:3, 1:3, -1] = white // 2 if white > 1 else 0.5
    images[0, 0, 0] = white
    return images


@pytest.mark.parametrize("channels", [2, 4])
@pytest.mark.parametrize(("dtype", "white"), [("u1", 255), ("u2", 65535), ("f4", 1), ("f8", 255)])
def test_what_becomes_of_alpha_in_arrays_is_asked(tmp_path, dtype, white, channels):
    path = save(tmp_path, images=transparent(dtype, white, channels), labels=LABELS)
    assert "--alpha white lays the images on white" in message(path)
    kept = load(path, Decoding(alpha="channel")).train
    assert kept.shape == (channels, 5, 6)
    laid = load(path, Decoding(alpha="white")).train
    assert laid.shape == (channels - 1, 5, 6)
    np.testing.assert_allclose(laid.x[1, :, 1, 1], 0.5, atol=0.003)
    assert (laid.x[1, :, 0, 0] == 1).all()


@pytest.mark.parametrize("shape", [(4, 3, 8, 3), (4, 1, 8, 3), (4, 4, 8, 2)])
def test_axes_that_cannot_be_told_apart_are_refused(tmp_path, shape):
    raw = np.arange(np.prod(shape)).reshape(shape) % 255
    assert "whether" in message(save(tmp_path, images=raw, labels=LABELS))
