"""Parquet and Arrow files: every way to store images, in memory and streamed, at little memory."""

import json
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import ipc, parquet

from allbps.data import Decoding, Streamed, read
from allbps.errors import UserFileError

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (50, 6, 6), np.uint8)
KINDS = np.arange(50) % 3


def encoded(pixels):
    file = BytesIO()
    Image.fromarray(pixels).save(file, "png")
    return file.getvalue()


COLUMNS = {
    "rows of pixels": lambda p: pa.array(p.reshape(len(p), -1).tolist(), pa.list_(pa.uint8())),
    "fixed rows": lambda p: pa.FixedSizeListArray.from_arrays(pa.array(p.ravel()), 36),
    "nested lists": lambda p: pa.array(p.tolist(), pa.list_(pa.list_(pa.uint8()))),
    "image files": lambda p: pa.array([encoded(one) for one in p], pa.binary()),
    "the hub's structs": lambda p: pa.array(
        [{"bytes": encoded(one), "path": None} for one in p],
        pa.struct([("bytes", pa.binary()), ("path", pa.string())]),
    ),
}


def table(column, pixels=PIXELS, labels=KINDS, names=("image", "label")):
    return pa.table({names[0]: column(pixels), names[1]: labels})


def as_parquet(found, path):
    parquet.write_table(found, path.with_suffix(".parquet"), row_group_size=7)
    return path.with_suffix(".parquet")


def as_arrow(found, path):
    with ipc.new_file(str(path.with_suffix(".arrow")), found.schema) as file:
        file.write_table(found, max_chunksize=9)
    return path.with_suffix(".arrow")


def as_stream(found, path):
    with ipc.new_stream(str(path.with_suffix(".arrow")), found.schema) as file:
        file.write_table(found, max_chunksize=9)
    return path.with_suffix(".arrow")


@pytest.mark.parametrize("column", COLUMNS.values(), ids=COLUMNS)
@pytest.mark.parametrize("write", [as_parquet, as_arrow, as_stream])
def test_pixels_and_labels_are_what_was_stored(tmp_path, column, write):
    path = write(table(column), tmp_path / "x")
    for stream in (False, True):
        found = read(path, Decoding(stream=stream)).train
        assert isinstance(found, Streamed) is stream
        x, labels = found.fetch(np.array([49, 0, 7]))
        np.testing.assert_array_equal(x, PIXELS[[49, 0, 7], None] / np.float32(255))
        np.testing.assert_array_equal(labels, KINDS[[49, 0, 7]])


def test_a_folder_holds_parts_and_names(tmp_path):
    column = COLUMNS["the hub's structs"]
    features = {"label": {"names": ["cat", "dog", "eel"], "_type": "ClassLabel"}}
    metadata = {b"huggingface": json.dumps({"info": {"features": features}}).encode()}
    for name, rows in (
        ("train-00000-of-00002", slice(0, 20)), ("train-00001-of-00002", slice(20, 40)),
        ("test-00000-of-00001", slice(40, 50)),
    ):  # fmt: skip
        part = table(column, PIXELS[rows], KINDS[rows]).replace_schema_metadata(metadata)
        parquet.write_table(part, tmp_path / f"{name}.parquet")
    found = read(tmp_path)
    assert (len(found.train), len(found.test)) == (40, 10)
    assert found.train.classes == ("cat", "dog", "eel")
    np.testing.assert_array_equal(found.test.fetch(np.arange(10))[1], KINDS[40:])


def put(folder, name, rows):
    """Rows as ``datasets`` writes them."""
    folder.mkdir(parents=True, exist_ok=True)
    part = table(COLUMNS["the hub's structs"], PIXELS[rows], KINDS[rows])
    write = as_parquet if name.endswith(".parquet") else as_stream
    write(part, folder / name)


def listed(folder, *names):
    """What ``save_to_disk`` says of its files."""
    state = {"_data_files": [{"filename": name} for name in names], "_split": None}
    (folder / "state.json").write_text(json.dumps(state))
    (folder / "dataset_info.json").write_text("{}")


FIRST, MIDDLE, LAST = slice(0, 20), slice(20, 40), slice(40, 50)
LAYOUTS = {
    "the library's cache": {"mnist-train.arrow": FIRST, "mnist-test.arrow": LAST},
    "folders of the hub": {"train/0000.parquet": FIRST, "test/0000.parquet": LAST},
    "other words": {"x_training-1.parquet": FIRST, "Testing.parquet": LAST},
}


@pytest.mark.parametrize("files", LAYOUTS.values(), ids=LAYOUTS)
def test_a_folder_is_divided_as_its_names_say(tmp_path, files):
    for name, rows in files.items():
        put((tmp_path / name).parent, name.rpartition("/")[2], rows)
    found = read(tmp_path)
    np.testing.assert_array_equal(found.train.fetch(np.arange(20))[1], KINDS[FIRST])
    np.testing.assert_array_equal(found.test.fetch(np.arange(10))[1], KINDS[LAST])
    assert (len(found.train), len(found.test), found.validation) == (20, 10, None)


def test_a_saved_data_set_is_what_its_list_says(tmp_path):
    """The library leaves what ``map`` computed beside it."""
    put(tmp_path, "data-b.arrow", FIRST)
    put(tmp_path, "data-a.arrow", LAST)
    put(tmp_path, "cache-0123.arrow", MIDDLE)
    listed(tmp_path, "data-b.arrow", "data-a.arrow")
    found = read(tmp_path)
    labels = np.concatenate([KINDS[FIRST], KINDS[LAST]])
    np.testing.assert_array_equal(found.train.fetch(np.arange(30))[1], labels)
    assert len(found.train) == 30
    assert any("cache-0123.arrow" in note.text for note in found.notes)
    (tmp_path / "data-a.arrow").unlink()
    with pytest.raises(UserFileError, match=r"data-a\.arrow is missing"):
        read(tmp_path)


def test_a_saved_data_set_may_have_parts(tmp_path):
    for part, rows in (("train", FIRST), ("test", LAST), ("unsupervised", MIDDLE)):
        put(tmp_path / part, "data-00000-of-00001.arrow", rows)
        listed(tmp_path / part, "data-00000-of-00001.arrow")
    (tmp_path / "dataset_dict.json").write_text('{"splits": ["train", "test", "unsupervised"]}')
    found = read(tmp_path)
    assert (len(found.train), len(found.test)) == (20, 10)
    assert any("unsupervised" in note.text for note in found.notes)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["train.parquet", "more.parquet"], "cannot be told whether.*\n.*\n.*more.parquet"),
        (["train.parquet", "train_test.parquet"], "cannot be told whether"),
        (["test.parquet"], "nothing to learn from"),
        (["val/0.parquet", "test/0.parquet"], "nothing to learn from"),
        (["val/0.parquet", "dev/0.parquet", "train/0.parquet"], "two folders of validation"),
    ],
)
def test_a_folder_that_does_not_say_what_to_learn_from_is_refused(tmp_path, names, said):
    for name in names:
        put((tmp_path / name).parent, name.rpartition("/")[2], FIRST)
    with pytest.raises(UserFileError, match=said):
        read(tmp_path)


@pytest.mark.parametrize("inside", ["data", "parquet/default-86c9f830e26f6bb3/0.0.0/a8595846"])
def test_a_data_set_is_found_in_a_folder_that_holds_nothing_else(tmp_path, inside):
    folder = tmp_path / inside
    folder.mkdir(parents=True)
    (tmp_path / "README.md").write_text("a card")
    (tmp_path / ".git").mkdir()
    as_parquet(table(COLUMNS["image files"]), folder / "train-00000-of-00001")
    assert len(read(tmp_path).train) == 50
    aside = folder.with_name("b")
    aside.mkdir()
    as_parquet(table(COLUMNS["image files"]), aside / "train")
    with pytest.raises(UserFileError, match="holds several data sets"):
        read(tmp_path)


def test_names_are_labels_and_colours_are_channels(tmp_path):
    colours = RNG.integers(0, 256, (12, 5, 4, 3), np.uint8)
    labels = pa.array(["a", "b", "c"] * 4).dictionary_encode()
    found = read(as_parquet(table(COLUMNS["image files"], colours, labels), tmp_path / "x")).train
    assert found.classes == ("a", "b", "c")
    np.testing.assert_array_equal(
        found.fetch(np.arange(12))[0], colours.transpose(0, 3, 1, 2) / np.float32(255)
    )


def sized(pixels):
    return pa.array([encoded(one[: 5 + k % 2]) for k, one in enumerate(pixels)], pa.binary())


def deep(pixels):
    return pa.array([encoded(one.astype(np.uint16) * 257) for one in pixels], pa.binary())


def test_sixteen_bits_stay_sixteen_bits(tmp_path):
    found = read(as_parquet(table(deep), tmp_path / "x")).train
    np.testing.assert_allclose(found.fetch(np.arange(50))[0][:, 0], PIXELS / 255, rtol=1e-6)


FAULTS = {
    "no images": (
        lambda: pa.table({"words": ["a"] * 3, "label": [0, 1, 2]}),
        "no column that allbps knows for its images",
    ),
    "no labels": (
        lambda: pa.table({"image": COLUMNS["rows of pixels"](PIXELS)}),
        "no column that allbps knows for its labels",
    ),
    "sizes": (lambda: table(sized), "differ in size"),
    "lengths": (
        lambda: pa.table({"image": [[1, 2], [1]], "label": [0, 1]}),
        "differ in size",
    ),
    "a gap": (
        lambda: table(COLUMNS["rows of pixels"], labels=pa.array([None, *KINDS[1:]])),
        "rows without a value",
    ),
    "no pictures": (
        lambda: pa.table({"image": [b"abc"] * 3, "label": [0, 1, 2]}),
        "row 0 of .* is not an image",
    ),
    "one class": (
        lambda: table(COLUMNS["rows of pixels"], labels=np.zeros(50, int)),
        "fewer than two classes",
    ),
    "only numbers": (
        lambda: pa.table({"image": [1.0, 2.0], "label": [0, 1]}),
        "neither image files nor lists",
    ),
}


@pytest.mark.parametrize(("made", "said"), FAULTS.values(), ids=FAULTS)
def test_what_is_wrong_is_said(tmp_path, made, said):
    with pytest.raises(UserFileError, match=said):
        read(as_parquet(made(), tmp_path / "x"))


@pytest.mark.parametrize("ending", ["parquet", "arrow"])
def test_what_is_no_table_is_refused(tmp_path, ending):
    path = tmp_path / f"x.{ending}"
    path.write_bytes(b"not a table at all")
    with pytest.raises(UserFileError, match="cannot be read as a table"):
        read(path)


def test_files_that_change_are_noticed(tmp_path):
    path = as_parquet(table(COLUMNS["rows of pixels"]), tmp_path / "x")
    found = read(path, Decoding(stream=True)).train
    found.check_unchanged()
    as_parquet(table(COLUMNS["fixed rows"]), tmp_path / "x")
    with pytest.raises(UserFileError, match="the data changed"):
        found.check_unchanged()


LARGE = """
import re, sys
from allbps.train import TrainOptions, run
run(TrainOptions(data=sys.argv[1], model="mlp", epochs=1, batch_size=256, out=sys.argv[2]))
print(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1])
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc to ask")
def test_memory_does_not_grow_with_the_table(tmp_path):
    """100 MB of pixels, 400 MB as float32: in memory the run would need more than 850 MB."""
    few, many = peak_of(tmp_path / "few", 1), peak_of(tmp_path / "many", 10)
    assert many < 400, f"{many} MB; {few} MB for a tenth of it, which compiled the step"


def peak_of(folder, parts):
    """The most memory, in MB, of a run on parts of 10,000 rows each."""
    folder.mkdir()
    schema = pa.schema([("image", pa.list_(pa.uint8(), 1024)), ("label", pa.int64())])
    with parquet.ParquetWriter(folder / "train.parquet", schema) as writer:
        for _ in range(parts):
            flat = pa.array(RNG.integers(0, 256, 10_000 * 1024, np.uint8))
            rows = pa.FixedSizeListArray.from_arrays(flat, 1024)
            writer.write_table(pa.table([rows, np.arange(10_000) % 2], schema=schema))
    command = [sys.executable, "-c", LARGE, str(folder), str(folder / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    return int(done.stdout) // 1024


def test_a_page_with_a_flipped_bit_is_refused_where_the_file_has_check_sums(tmp_path):
    path = tmp_path / "x.parquet"
    pixels = table(COLUMNS["fixed rows"])
    parquet.write_table(
        pixels, path, compression="none", use_dictionary=False, write_page_checksum=True
    )
    assert len(read(path).train) == 50
    data = bytearray(path.read_bytes())
    data[data.index(PIXELS[30].astype("<i4").tobytes())] ^= 4  # Parquet has no bytes
    path.write_bytes(data)
    with pytest.raises(UserFileError, match="cannot be read as a table"):
        read(path)
