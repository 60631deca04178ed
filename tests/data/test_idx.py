"""IDX files as MNIST and Fashion-MNIST come."""

import gzip
import struct

import numpy as np
import pytest

from allbps.data import load
from allbps.data.idx import read_idx
from allbps.errors import UserFileError

PIXELS = 10 * np.arange(4 * 3 * 2, dtype=np.uint8).reshape(4, 3, 2)
LABELS = np.array([0, 1, 1, 0], np.uint8)


def idx(array, code=0x08):
    big = array.astype(array.dtype.newbyteorder(">"))
    return (
        bytes([0, 0, code, array.ndim])
        + struct.pack(f">{array.ndim}I", *array.shape)
        + big.tobytes()
    )


def write_four(folder, ending="", pack=lambda data: data, separator="-"):
    for part, n in (("train", 4), ("t10k", 2)):
        images = folder / f"{part}-images{separator}idx3-ubyte{ending}"
        labels = folder / f"{part}-labels{separator}idx1-ubyte{ending}"
        images.write_bytes(pack(idx(PIXELS[:n])))
        labels.write_bytes(pack(idx(LABELS[:n])))


@pytest.mark.parametrize(
    ("dtype", "code"),
    [("u1", 0x08), ("i1", 0x09), ("i2", 0x0B), ("i4", 0x0C), ("f4", 0x0D), ("f8", 0x0E)],
)
def test_every_kind_of_number_is_read(tmp_path, dtype, code):
    array = np.array([[1, 2, 3], [4, 5, 6]], dtype)
    (tmp_path / "a").write_bytes(idx(array, code))
    read = read_idx(tmp_path / "a")
    np.testing.assert_array_equal(read, array)
    assert read.dtype.newbyteorder("=") == array.dtype


@pytest.mark.parametrize(("ending", "pack"), [("", bytes), (".gz", gzip.compress)])
@pytest.mark.parametrize("separator", ["-", "."])
def test_a_folder_with_the_four_files(tmp_path, ending, pack, separator):
    write_four(tmp_path, ending, pack, separator)
    dataset = load(tmp_path)
    np.testing.assert_array_equal(dataset.train.x[:, 0] * 255, PIXELS)
    assert dataset.train.labels.tolist() == [0, 1, 1, 0]
    assert dataset.test is not None
    assert dataset.test.x.shape == (2, 1, 3, 2)


def test_images_find_their_labels_beside_them(tmp_path):
    write_four(tmp_path)
    dataset = load(tmp_path / "train-images-idx3-ubyte")
    assert len(dataset.train) == 4
    assert dataset.test is None


def test_a_pair_may_have_any_names(tmp_path):
    (tmp_path / "a").write_bytes(idx(PIXELS))
    (tmp_path / "b").write_bytes(gzip.compress(idx(LABELS)))
    assert len(load(f"{tmp_path}/a,{tmp_path}/b").train) == 4


def message(call):
    with pytest.raises(UserFileError) as caught:
        call()
    return str(caught.value)


def test_a_truncated_file(tmp_path):
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(idx(PIXELS)[:-5])
    assert message(lambda: read_idx(path)) == (
        f"{path} is truncated\n"
        "  expected: 40 bytes, as its header says 4×3×2\n"
        "  got:      35 bytes\n"
        "  fix:      copy or download it again"
    )


def test_a_file_cut_in_its_header(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(idx(PIXELS)[:7])
    assert message(lambda: read_idx(path)) == (
        f"{path} is truncated\n"
        "  expected: 16 bytes\n"
        "  got:      7 bytes\n"
        "  fix:      copy or download it again"
    )


def test_a_header_that_promises_more_than_memory_holds(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"\0\0\x08\x03" + b"\xff" * 12)
    assert message(lambda: read_idx(path)).startswith(f"{path} is truncated\n")


def test_a_file_with_bytes_left_over(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(idx(LABELS) + b"xy")
    assert message(lambda: read_idx(path)).startswith(f"{path} is longer than its header says\n")


def test_a_wrong_magic_number(tmp_path):
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(b"\x89PNG\r\n")
    assert message(lambda: read_idx(path)) == (
        f"{path} is not an IDX file\n"
        "  expected: a file that starts with 00 00, a kind of number (08 for bytes), and the number"
        " of axes\n"
        "  got:      the bytes 89 50 4e 47"
    )


def test_an_empty_file(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"")
    assert message(lambda: read_idx(path)).endswith("  got:      the bytes (none)")


def test_a_truncated_gzip_file(tmp_path):
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(idx(PIXELS))[:-12])
    assert message(lambda: read_idx(path)).startswith(f"{path} cannot be read: ")


def test_counts_that_differ(tmp_path):
    write_four(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(LABELS[:3]))
    assert message(lambda: load(tmp_path)) == (
        f"{tmp_path}/train-images-idx3-ubyte has more images than labels\n"
        "  expected: one label for each image\n"
        "  got:      4 images and 3 labels"
    )


def test_labels_missing_from_the_folder(tmp_path):
    write_four(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    assert message(lambda: load(tmp_path)) == (
        f"{tmp_path} has t10k-images-idx3-ubyte but no t10k labels\n"
        "  expected: t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte, each also with .gz"
    )


def test_labels_missing_beside_the_images(tmp_path):
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(idx(PIXELS))
    assert message(lambda: load(path)) == (
        f"there are no labels for {path}\n"
        f"  expected: {tmp_path}/train-labels-idx1-ubyte beside it\n"
        "  fix:      name both files: --data IMAGES,LABELS"
    )


def test_labels_given_as_images(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(idx(LABELS))
    assert message(lambda: load(f"{path},{path}")) == (
        f"{path} holds no images\n"
        "  expected: an array of images: count, height, width\n"
        "  got:      an array of 1 axis"
    )
    images = tmp_path / "i"
    images.write_bytes(idx(PIXELS))
    assert message(lambda: load(f"{images},{images}")) == (
        f"{images} holds no labels\n  expected: an array of 1 axis: count\n"
        "  got:      an array of 3 axes"
    )


COLOUR = np.arange(4 * 6 * 5 * 3, dtype=np.uint8).reshape(4, 6, 5, 3)


@pytest.mark.parametrize("last", [True, False])
@pytest.mark.parametrize("name", ["train-images-idx3-ubyte", "train-images-idx4-ubyte"])
def test_colour_images_have_their_channels_first_or_last(tmp_path, name, last):
    raw = COLOUR if last else COLOUR.transpose(0, 3, 1, 2)
    (tmp_path / name).write_bytes(idx(np.ascontiguousarray(raw)))
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(LABELS))
    x = load(tmp_path).train.x
    np.testing.assert_allclose(x * 255, COLOUR.transpose(0, 3, 1, 2), rtol=1e-6)


def emnist(folder, name, count=4):
    for what, data in (("images-idx3", PIXELS[:count]), ("labels-idx1", LABELS[:count])):
        (folder / f"{name}-{what}-ubyte").write_bytes(idx(data))


def test_a_prefix_is_understood(tmp_path):
    emnist(tmp_path, "emnist-letters-train")
    emnist(tmp_path, "emnist-letters-test", 2)
    data = load(tmp_path)
    assert (len(data.train), len(data.test)) == (4, 2)


def test_one_of_several_data_sets_must_be_named(tmp_path):
    emnist(tmp_path, "emnist-letters-train")
    emnist(tmp_path, "emnist-digits-train")
    assert message(lambda: load(tmp_path)) == (
        f"{tmp_path} holds several data sets\n"
        "  expected: one file of training images\n"
        "  got:      emnist-digits-train-images-idx3-ubyte,"
        " emnist-letters-train-images-idx3-ubyte\n"
        "  fix:      name the files of one of them: --data IMAGES,LABELS"
    )


def test_files_of_other_names_are_hinted_at(tmp_path):
    (tmp_path / "mine-idx3").write_bytes(idx(PIXELS))
    assert message(lambda: load(tmp_path)).endswith(
        "  fix:      for IDX files with other names give both: --data IMAGES,LABELS"
    )


def test_one_scale_for_all_files_of_a_folder(tmp_path):
    for part, top in (("train", 1.0), ("t10k", 0.5)):
        images = np.linspace(0, top, 24, dtype="f4").reshape(4, 3, 2)
        (tmp_path / f"{part}-images-idx3-ubyte").write_bytes(idx(images, 0x0D))
        (tmp_path / f"{part}-labels-idx1-ubyte").write_bytes(idx(LABELS))
    data = load(tmp_path)
    assert (data.train.x.max(), data.test.x.max()) == (1, 0.5)
