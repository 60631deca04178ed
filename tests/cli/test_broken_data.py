"""``allbps train`` on damaged data: the message, word for word, and nothing written."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ONE_OF = (
    "digits; an .npz archive; a Parquet or Arrow file, or a folder of such; a folder of class"
    " folders; a folder with"
    " train-images-idx3-ubyte and"
    " train-labels-idx1-ubyte, each also with .gz; or IMAGES,LABELS in IDX format or as two"
    " .npy files"
)


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Two classes of three images each in the folder ``data``, where the command runs."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for name in ("cat", "dog"):
        folder = Path("data", name)
        folder.mkdir(parents=True)
        for k in range(3):
            Image.fromarray(rng.integers(0, 256, (6, 6), np.uint8)).save(folder / f"{k}.png")
    return Path("data")


def cut_off(data):
    image = data / "dog" / "1.png"
    image.write_bytes(image.read_bytes()[:40])
    return "data"


def no_image(data):
    (data / "dog" / "1.png").write_text("a dog")
    return "data"


def nothing_in_it(data):
    (data / "dog" / "1.png").write_bytes(b"")
    return "data"


def another_size(data):
    Image.fromarray(np.zeros((7, 6), np.uint8)).save(data / "dog" / "1.png")
    return "data"


def one_class(data):
    shutil.rmtree(data / "dog")
    return "data"


def no_classes(data):
    shutil.rmtree(data)
    data.mkdir()
    return "data"


def no_archive(_):
    Path("x.npz").write_text("hi")
    return "x.npz"


def too_few_labels(_):
    np.savez("x.npz", x=np.ones((5, 8, 8)), y=np.ones(4, int))
    return "x.npz"


def not_finite(_):
    np.savez("x.npz", x=np.full((6, 8, 8), np.nan), y=np.arange(6) % 2)
    return "x.npz"


def empty(_):
    np.savez("x.npz", x=np.ones((0, 8, 8)), y=np.ones(0, int))
    return "x.npz"


def idx(data, images):
    (data / "train-images-idx3-ubyte").write_bytes(images)
    (data / "train-labels-idx1-ubyte").write_bytes(b"\0\0\x08\x01\0\0\0\x02\0\1")
    return "data"


def truncated_idx(data):
    return idx(no_classes(data) and data, b"\0\0\x08\x03\0\0\0\x02\0\0\0\x06\0\0\0\x06abc")


def no_idx(data):
    return idx(no_classes(data) and data, b"GIF89a, or so")


def nowhere(_):
    return "nowhere"


UNREADABLE = "  fix:      replace it, or remove it\n"
MESSAGES = {
    cut_off: "the image file data/dog/1.png cannot be read: not an image\n" + UNREADABLE,
    no_image: "the image file data/dog/1.png cannot be read: not an image\n" + UNREADABLE,
    nothing_in_it: "the image file data/dog/1.png cannot be read: empty\n" + UNREADABLE,
    another_size: "the images differ in size\n"
    "  expected: 6×6 everywhere, as in data/cat/0.png\n"
    "  got:      7×6 in data/dog/1.png\n"
    "  fix:      --resize 6x6\n",
    one_class: "data has fewer than two classes\n"
    "  expected: at least two folders of images, one for each class\n"
    "  got:      cat\n",
    no_classes: "the folder data holds no data that allbps knows\n"
    "  expected: folders of images, one for each class; or train-images-idx3-ubyte and"
    " train-labels-idx1-ubyte, each also with .gz\n"
    "  got:      an empty folder\n",
    no_archive: "x.npz is not an .npz archive\n"
    "  expected: an archive of arrays, written by np.savez\n"
    "  got:      the bytes 68 69\n"
    "  fix:      np.savez(path, images=…, labels=…)\n",
    too_few_labels: "x.npz has more images than labels\n"
    "  expected: one label for each image\n"
    "  got:      5 images and 4 labels\n",
    not_finite: "x.npz has pixels that are not finite numbers\n"
    "  expected: numbers 0 … 1 or 0 … 255\n"
    "  got:      nan in image 0\n",
    empty: "x.npz holds no images\n  expected: at least two classes of images\n",
    truncated_idx: "data/train-images-idx3-ubyte is truncated\n"
    "  expected: 88 bytes, as its header says 2×6×6\n"
    "  got:      19 bytes\n"
    "  fix:      copy or download it again\n",
    no_idx: "data/train-images-idx3-ubyte is not an IDX file\n"
    "  expected: a file that starts with 00 00, a kind of number (08 for bytes), and the number of"
    " axes\n"
    "  got:      the bytes 47 49 46 38\n",
    nowhere: f"there is no nowhere\n  expected: {ONE_OF}\n  fix:      check the path given to"
    " --data\n",
}


@pytest.mark.parametrize("broken", MESSAGES, ids=lambda make: make.__name__)
def test_broken_data_are_named(broken, data, allbps):
    code, out, err = allbps("train", "--data", broken(data), "--epochs", 1, "--out", "results")
    assert (code, out, err) == (2, "", "error: " + MESSAGES[broken])
    assert not Path("results").exists()
