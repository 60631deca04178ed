"""A folder of class folders."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from allbps.data import DataWarning, Decoding, load, read
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
    with pytest.warns(
        DataWarning, match=r"left out: 1 that is not an image in .* \(dog/notes.txt\)"
    ):
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
    assert load(tmp_path).train.x[3, 0, 1, 1] == np.float32(0x8000) / np.float32(65535)


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
        "  fix:      --resize 3x4"
    )


@pytest.mark.parametrize(("contents", "reason"), [(b"hello", "not an image"), (b"", "empty")])
def test_a_file_that_is_no_image(tmp_path, contents, reason):
    cats_and_dogs(tmp_path)
    (tmp_path / "dog" / "2.jpg").write_bytes(contents)
    assert message(tmp_path) == (
        f"the image file {tmp_path}/dog/2.jpg cannot be read: {reason}\n"
        "  fix:      replace it, or remove it"
    )


def test_a_truncated_image(tmp_path):
    cats_and_dogs(tmp_path, size=(64, 64))
    path = tmp_path / "dog" / "1.png"
    path.write_bytes(path.read_bytes()[:60])
    assert message(tmp_path) == (
        f"the image file {path} cannot be read: image file is truncated\n"
        "  fix:      replace it, or remove it"
    )


def test_an_empty_class_folder(tmp_path):
    cats_and_dogs(tmp_path)
    (tmp_path / "eel").mkdir()
    assert message(tmp_path) == (
        f"the class folder {tmp_path}/eel holds no images\n"
        "  expected: files of a kind that Pillow can open, such as .png, .jpg or .tif\n"
        "  fix:      put images there, or remove the folder"
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
        "digits; an .npz archive; a Parquet or Arrow file, or a folder of such; a folder of class"
        " folders; a folder with"
        " train-images-idx3-ubyte"
        " and train-labels-idx1-ubyte, each also with .gz; or IMAGES,LABELS in IDX format"
        " or as two .npy files"
    )
    assert message(tmp_path / "missing") == (
        f"there is no {tmp_path}/missing\n"
        f"  expected: {known}\n"
        "  fix:      check the path given to --data"
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
        "  got:      digits, which is not such a folder\n"
        "  fix:      leave them out"
    )


RAMP = np.arange(64).reshape(8, 8)
FORMATS = ["png", "tif", "bmp", "gif", "pgm", "tga", "webp", "jp2", "pcx", "ico", "sgi"]


def both(folder, save, count=1):
    """The same images in two classes."""
    for name in ("cat", "dog"):
        (folder / name).mkdir(parents=True)
        for k in range(count):
            save(folder / name / str(k))
    return folder


@pytest.mark.parametrize("ending", [*FORMATS, "jfif", "jpe", "JPG", "Png"])
def test_every_format_that_pillow_opens_is_read(tmp_path, ending):
    ramp = np.kron(RAMP, np.ones((4, 4))).astype(np.uint8) * 4  # icons have at least 16×16
    lossless = {"lossless": True} if ending == "webp" else {}
    both(tmp_path, lambda path: Image.fromarray(ramp).save(f"{path}.{ending}", **lossless))
    x = load(tmp_path).train.x
    np.testing.assert_allclose(x.mean(1), np.stack([ramp, ramp]) / 255, atol=0.02)


def test_an_image_without_an_ending_is_recognised(tmp_path):
    both(tmp_path, lambda path: Image.fromarray(RAMP.astype(np.uint8)).save(path, "PNG"))
    assert len(load(tmp_path).train) == 2


MODES = {
    "1": (RAMP % 2).astype(bool),
    "L": RAMP * 4,
    "LA": RAMP * 4,
    "P": RAMP * 4,
    "PA": RAMP * 4,
    "RGB": RAMP * 4,
    "RGBA": RAMP * 4,
    "RGBX": RAMP * 4,
    "CMYK": RAMP * 4,
    "YCbCr": RAMP * 4,
    "I": RAMP * 4,
    "F": RAMP * 4,
    "I;16": RAMP * 1000,
    "I;16B": RAMP * 1000,
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", [None, (4, 4)])
def test_every_mode_means_what_it_says(tmp_path, mode, size):
    """A ramp of brightness, whatever kind of pixel it is stored in."""
    values = MODES[mode]
    if mode.startswith("I;16"):
        image = Image.fromarray(values.astype(">u2" if mode == "I;16B" else "<u2"))
    elif mode == "1":
        image = Image.fromarray(values)
    else:
        image = Image.fromarray(values.astype(np.uint8)).convert(mode)
    white = {"1": 1}.get(mode, 65535 if mode.startswith("I;16") else 255)
    both(tmp_path, lambda path: image.save(f"{path}.{'png' if mode in ('P', '1') else 'tif'}"))
    x = load(tmp_path, Decoding(size=size)).train.x.mean(1)
    want = values / white
    if size:
        want = np.asarray(Image.fromarray(want.astype(np.float32)).resize(size, 2))
    np.testing.assert_allclose(x, np.stack([want, want]), atol=0.012)


def drawing(mode, ink):
    """A square of ink on clear ground."""
    image = Image.new(mode, (8, 8))
    image.paste((*(ink,) * (len(mode) - 1), 255), (2, 2, 6, 6))
    return image


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
@pytest.mark.parametrize("size", [None, (16, 16)])
def test_transparent_images_are_laid_on_white(tmp_path, mode, size):
    both(tmp_path, lambda path: drawing(mode, 0).save(f"{path}.png"))
    x = load(tmp_path, Decoding(size=size)).train.x
    assert x[:, :, 0, 0].tolist() == [[1] * (len(mode) - 1)] * 2
    middle = x.shape[-1] // 2
    assert not x[:, :, middle, middle].any()


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
@pytest.mark.parametrize("size", [None, (16, 16)])
def test_alpha_is_kept_as_a_channel_if_asked(tmp_path, mode, size):
    both(tmp_path, lambda path: drawing(mode, 200).save(f"{path}.png"))
    x = load(tmp_path, Decoding(size=size, alpha="channel")).train.x
    assert x.shape[1] == len(mode)
    middle = x.shape[-1] // 2
    np.testing.assert_allclose(x[0, :, middle, middle], [*[200 / 255] * (len(mode) - 1), 1])
    assert x[0, -1, 0, 0] == 0


def test_a_palette_with_a_transparent_colour(tmp_path):
    image = Image.fromarray((RAMP % 2).astype(np.uint8), "P")
    image.putpalette([0, 0, 0, 10, 20, 30])
    both(tmp_path, lambda path: image.save(f"{path}.png", transparency=0))
    x = load(tmp_path).train.x
    np.testing.assert_allclose(x[0, :, 0, :2], [[1, 10 / 255], [1, 20 / 255], [1, 30 / 255]])


def test_a_white_drawing_that_vanishes_on_white_is_remarked_on(tmp_path):
    both(tmp_path, lambda path: drawing("LA", 255).save(f"{path}.png"))
    with pytest.warns(DataWarning, match=r"cannot be seen on white .*--alpha channel"):
        load(tmp_path)


def test_the_first_of_several_pictures_is_read_and_said(tmp_path):
    frames = [Image.fromarray((RAMP * k).astype(np.uint8)) for k in (1, 2, 3)]
    both(tmp_path, lambda path: frames[0].save(f"{path}.tif", save_all=True, append_images=frames))
    with pytest.warns(DataWarning, match="several pictures: only the first is read"):
        x = load(tmp_path).train.x
    np.testing.assert_allclose(x[0, 0] * 255, RAMP, atol=1e-4)


@pytest.mark.parametrize(("dtype", "high", "white"), [("f4", 1, 1), ("f4", 255, 255)])
def test_floats_have_one_scale_in_all_files(tmp_path, dtype, high, white):
    for part, top in (("train", high), ("test", high / 5)):
        ramp = np.rint(RAMP / 63 * top) if high > 1 else RAMP / 63 * top
        both(
            tmp_path / part,
            lambda path, a=ramp: Image.fromarray(a.astype(dtype)).save(f"{path}.tif"),
        )
    data = load(tmp_path)
    assert data.train.x.max() == high / white
    assert data.test.x.max() == np.float32(high / 5 / white)


def test_what_is_white_in_wide_numbers_is_asked(tmp_path):
    both(tmp_path, lambda path: Image.fromarray((RAMP * 1000).astype(np.int32)).save(f"{path}.tif"))
    assert "--white 63000" in message(tmp_path)
    x = load(tmp_path, Decoding(white=63000)).train.x
    np.testing.assert_allclose(x[0, 0], RAMP / 63, rtol=1e-6)


def test_what_programs_leave_behind_is_skipped_and_said(tmp_path):
    cats_and_dogs(tmp_path)
    for name in ("cat/._1.png", "cat/.DS_Store", "dog/Thumbs.db", "dog/desktop.ini", ".hidden"):
        (tmp_path / name).write_bytes(b"\0\5\x16\7")
    picture(tmp_path / "__MACOSX" / "cat" / "._1.png")
    picture(tmp_path / "cat" / ".thumbs" / "1.png")
    data = load(tmp_path)
    assert (len(data.train), data.train.classes) == (3, ("cat", "dog"))
    said = [note.text for note in data.notes if note.text.startswith("skipped")]
    assert said == ["skipped: 7 hidden or left behind by programs (.DS_Store, ._1.png, .hidden)"]


def test_folders_inside_a_class_are_read_too(tmp_path):
    cats_and_dogs(tmp_path)
    picture(tmp_path / "cat" / "2024" / "may" / "3.png")
    assert load(tmp_path).train.labels.tolist() == [0, 0, 0, 1]


def test_validation_images_are_kept_apart(tmp_path):
    for part in ("train", "val", "test"):
        cats_and_dogs(tmp_path / part)
    picture(tmp_path / "val" / "cat" / "3.png")
    data = load(tmp_path)
    assert [len(part) for part in (data.train, data.validation, data.test)] == [3, 4, 3]


@pytest.mark.parametrize("held", ["val", "Valid", "validation", "dev", "Test", "testing"])
def test_a_single_held_out_folder_judges(tmp_path, held):
    cats_and_dogs(tmp_path / "train")
    cats_and_dogs(tmp_path / held)
    data = load(tmp_path)
    assert data.test is not None
    assert data.validation is None


def test_a_train_folder_alone_is_read(tmp_path):
    cats_and_dogs(tmp_path / "train")
    assert load(tmp_path).train.classes == ("cat", "dog")


def test_a_class_may_be_called_train(tmp_path):
    picture(tmp_path / "train" / "1.png")
    picture(tmp_path / "plane" / "1.png")
    assert load(tmp_path).train.classes == ("plane", "train")


def test_a_folder_beside_the_parts_is_said_to_be_left_out(tmp_path):
    for part in ("train", "test", "extra"):
        cats_and_dogs(tmp_path / part)
    with pytest.warns(DataWarning, match=r"left out: 1 .*extra/"):
        assert len(load(tmp_path).train) == 3


def test_white_for_images_that_say_it_themselves_is_refused(tmp_path):
    cats_and_dogs(tmp_path)
    assert message(tmp_path, Decoding(white=100)).startswith(
        f"the images of {tmp_path} already say what is white"
    )


@pytest.mark.parametrize("wrong", [{"alpha": "black"}, {"white": 0}, {"white": float("inf")}])
def test_decodings_out_of_range_are_refused(wrong):
    with pytest.raises(ArgumentError):
        Decoding(**wrong)


def test_reading_warns_of_nothing_and_notes_everything(tmp_path):
    cats_and_dogs(tmp_path)
    (tmp_path / "cat" / "a.txt").write_text("x")
    assert [note.text for note in read(tmp_path).notes] == [
        "pixels: 8 bits (255 is white)",
        "left out: 1 that is not an image in a class folder (cat/a.txt)",
    ]


def png_of_16_bits(pixels):
    """Colour of 16 bits, which Pillow does not write."""
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    head = struct.pack(">IIBBBBB", *pixels.shape[1::-1], 16, 2, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    chunks = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def test_colour_of_16_bits_of_which_8_are_read_is_said(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 65536, (4, 5, 3))
    for kind in ("cat", "dog"):
        (tmp_path / kind).mkdir()
        (tmp_path / kind / "a.png").write_bytes(png_of_16_bits(pixels))
    found = read(tmp_path)
    np.testing.assert_allclose(
        found.train.x[0], pixels.transpose(2, 0, 1) / np.float32(65535), atol=1 / 255
    )
    assert any(n.heed and n.text.startswith("2 in colour have 16 bits") for n in found.notes)


def test_an_image_beside_the_class_folders_is_named(tmp_path):
    for place in ("cat/a.png", "dog/b.png", "c.png"):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        Image.new("L", (3, 3)).save(tmp_path / place)
    (note,) = [n.text for n in read(tmp_path).notes if n.heed]
    assert note == "left out: 1 that is not an image in a class folder (c.png)"


def test_parts_without_one_to_learn_from_are_not_classes(tmp_path):
    for part in ("test", "val"):
        for kind in ("cat", "dog"):
            picture(tmp_path / part / kind / "1.png")
    assert message(tmp_path) == (
        f"{tmp_path} has no folder of training images\n"
        "  expected: train/ beside test/ and val/\n"
        "  got:      test/, val/\n"
        "  fix:      name the folder to learn from train, or give it alone"
    )


def test_two_classes_may_be_called_as_parts_are(tmp_path):
    for part in ("test", "val"):
        for k in range(4):
            picture(tmp_path / part / f"{k}.png")
    assert load(tmp_path).train.classes == ("test", "val")
