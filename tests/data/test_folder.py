"""A folder of class folders."""

import numpy as np
import pytest
from PIL import Image

from allbps.data import load
from allbps.data.folder import Decoding
from allbps.errors import ArgumentError, UserFileError


def picture(path, size=(4, 3), mode="L", value=100):
    path.parent.mkdir(parents=True, exist_ok=True)
    width, height = size
    pixels = np.full((height, width), value, np.uint8)
    pixels[0, 0] = 0
    Image.fromarray(pixels).convert(mode).save(path)


def cats_and_dogs(folder, **options):
    picture(folder / "cat" / "1.png", value=50, **options)
    picture(folder / "cat" / "2.png", value=60, **options)
    picture(folder / "dog" / "1.png", value=70, **options)


def test_folders_are_classes_in_order_of_name(tmp_path):
    cats_and_dogs(tmp_path)
    (tmp_path / "dog" / "notes.txt").write_text("not a picture")
    (tmp_path / ".cache").mkdir()
    train = load(tmp_path).train
    assert train.classes == ("cat", "dog")
    assert train.labels.tolist() == [0, 0, 1]
    assert train.shape == (1, 3, 4)
    assert (train.x[:, 0, 1, 1] * 255).tolist() == [50, 60, 70]


def test_one_colour_image_makes_all_of_them_colour(tmp_path):
    cats_and_dogs(tmp_path)
    picture(tmp_path / "dog" / "2.png", mode="RGB")
    assert load(tmp_path).train.shape == (3, 3, 4)
    assert load(tmp_path, Decoding(grayscale=True)).train.shape == (1, 3, 4)


def test_sixteen_bit_images_are_scaled(tmp_path):
    cats_and_dogs(tmp_path)
    deep = np.full((3, 4), 0x8000, np.uint16)
    Image.fromarray(deep).save(tmp_path / "dog" / "2.png")
    assert load(tmp_path).train.x[3, 0, 1, 1] * 255 == 0x80


def test_train_and_test_folders(tmp_path):
    cats_and_dogs(tmp_path / "train")
    cats_and_dogs(tmp_path / "test")
    dataset = load(tmp_path)
    assert len(dataset.train) == 3
    assert dataset.test is not None
    assert dataset.test.labels.tolist() == [0, 0, 1]


def test_images_are_resized_if_told(tmp_path):
    cats_and_dogs(tmp_path)
    picture(tmp_path / "dog" / "2.png", size=(9, 9))
    assert load(tmp_path, Decoding(size=(5, 6))).train.shape == (1, 5, 6)


def message(path, decoding=None):
    with pytest.raises(UserFileError) as caught:
        load(path, decoding)
    return str(caught.value)


def test_images_of_different_sizes(tmp_path):
    cats_and_dogs(tmp_path)
    picture(tmp_path / "dog" / "2.png", size=(9, 8))
    assert message(tmp_path) == (
        "the images differ in size\n"
        f"  expected: 3×4 everywhere, as in {tmp_path}/cat/1.png\n"
        f"  got:      8×9 in {tmp_path}/dog/2.png\n"
        "  to do:    --resize 3x4"
    )


@pytest.mark.parametrize(("contents", "reason"), [(b"hello", "not an image"), (b"", "empty")])
def test_a_file_that_is_no_image(tmp_path, contents, reason):
    cats_and_dogs(tmp_path)
    (tmp_path / "dog" / "2.jpg").write_bytes(contents)
    assert message(tmp_path) == (
        f"the image file {tmp_path}/dog/2.jpg cannot be read: {reason}\n"
        "  to do:    replace it, or remove it"
    )


def test_a_truncated_image(tmp_path):
    cats_and_dogs(tmp_path, size=(64, 64))
    path = tmp_path / "dog" / "1.png"
    path.write_bytes(path.read_bytes()[:60])
    assert message(tmp_path) == (
        f"the image file {path} cannot be read: image file is truncated\n"
        "  to do:    replace it, or remove it"
    )


def test_an_empty_class_folder(tmp_path):
    cats_and_dogs(tmp_path)
    (tmp_path / "eel").mkdir()
    assert message(tmp_path) == (
        f"the class folder {tmp_path}/eel holds no images\n"
        "  expected: files that end in .bmp, .gif, .jpeg, .jpg, .pgm, .png, .ppm, .tif, .tiff,"
        " .webp\n"
        "  to do:    put images there, or remove the folder"
    )


def test_a_single_class(tmp_path):
    picture(tmp_path / "cat" / "1.png")
    assert message(tmp_path) == (
        f"{tmp_path} has fewer than two classes\n"
        "  expected: at least two folders of images, one for each class\n"
        "  got:      cat"
    )


def test_nothing_there(tmp_path):
    known = (
        "digits; an .npz archive; a folder of class folders; a folder with train-images-idx3-ubyte"
        " and train-labels-idx1-ubyte, each also with .gz; or IMAGES,LABELS in IDX format"
    )
    assert message(tmp_path / "missing") == (
        f"there is no {tmp_path}/missing\n"
        f"  expected: {known}\n"
        "  to do:    check the path given to --data"
    )
    assert message(tmp_path) == (
        f"the folder {tmp_path} holds no data that allbps knows\n"
        "  expected: folders of images, one for each class; or train-images-idx3-ubyte and"
        " train-labels-idx1-ubyte, each also with .gz\n"
        "  got:      an empty folder"
    )
    (tmp_path / "a.csv").write_text("1,2")
    assert message(tmp_path / "a.csv") == (
        f"{tmp_path}/a.csv is not a kind of data that allbps knows\n"
        f"  expected: {known}\n"
        "  got:      a file a.csv"
    )


def test_resizing_what_has_no_image_files():
    with pytest.raises(ArgumentError) as caught:
        load("digits", Decoding(size=(8, 8)))
    assert str(caught.value) == (
        "--resize and --grayscale are for folders of image files\n"
        "  got:      digits, which is no such folder\n"
        "  to do:    leave them out"
    )
