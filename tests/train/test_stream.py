"""Images that are read while they are learnt: the same bits, little memory, nothing waited for."""

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from allbps.data import Streamed, load, read
from allbps.data.augment import Augmentation, augmentation
from allbps.data.sources import Mapped, Stored
from allbps.data.stream import as_streamed
from allbps.errors import ArgumentError, UserFileError
from allbps.train import run
from allbps.train.feed import Feed

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (90, 12, 12), np.uint8)
KINDS = (np.arange(90) % 3).astype(np.uint8)


def as_npy(folder):
    np.save(folder / "x_train.npy", PIXELS)
    np.save(folder / "y_train.npy", KINDS)
    return folder


def as_pair(folder):
    np.save(folder / "a.npy", PIXELS[..., None])
    np.save(folder / "b.npy", KINDS)
    return f"{folder}/a.npy,{folder}/b.npy"


def as_idx(folder):
    for name, code, array in (("images-idx3", 3, PIXELS), ("labels-idx1", 1, KINDS)):
        head = bytes([0, 0, 8, code]) + np.array(array.shape, ">u4").tobytes()
        (folder / f"train-{name}-ubyte").write_bytes(head + array.tobytes())
    return folder


def as_floats(folder):
    np.save(folder / "x.npy", (PIXELS / 255).astype(">f8"))
    np.save(folder / "y.npy", KINDS)
    return folder


def as_files(folder):
    for k, (pixels, kind) in enumerate(zip(PIXELS, KINDS, strict=True)):
        place = folder / "abc"[kind]
        place.mkdir(exist_ok=True)
        Image.fromarray(pixels).save(place / f"{k:03d}.png")
    return folder


def as_archive(folder):
    np.savez(folder / "x.npz", images=PIXELS, labels=KINDS)
    return folder / "x.npz"


SOURCES = [as_npy, as_pair, as_idx, as_floats, as_files, as_archive]


def bits(chosen):
    run(chosen)
    return (chosen.folder / "weights.safetensors").read_bytes()


@pytest.fixture
def small(options):
    return lambda **changed: options(epochs=2, batch_size=7, lr=0.05, **changed)


@pytest.mark.parametrize("make", SOURCES)
@pytest.mark.parametrize("engine", ["machine", "numpy"])
def test_streamed_images_are_learnt_with_the_same_bits(tmp_path, small, make, engine):
    (tmp_path / "data").mkdir()
    source = str(make(tmp_path / "data"))
    out = [
        bits(small(data=source, stream=stream, engine=engine, out=str(tmp_path / f"out{stream}")))
        for stream in (True, False)
    ]
    assert out[0] == out[1]


@pytest.mark.parametrize("make", SOURCES)
def test_a_streamed_set_is_the_one_in_memory(tmp_path, make):
    source = make(tmp_path)
    held, streamed = (read(source, _decoding(stream)) for stream in (False, True))
    assert isinstance(streamed.train, Streamed)
    assert held.fingerprint == streamed.fingerprint
    assert held.train.shape == streamed.train.shape
    index = np.array([3, 80, 3, 0])
    for ours, theirs in zip(streamed.train.fetch(index), held.train.fetch(index), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def _decoding(stream):
    from allbps.data import Decoding

    return Decoding(stream=stream)


def test_a_streamed_run_is_resumed_with_the_same_bits(tmp_path, small):
    source = str(as_npy(tmp_path))
    whole = bits(small(data=source, stream=True, out=str(tmp_path / "whole"), schedule="constant"))
    first = small(data=source, stream=True, out=str(tmp_path / "half"), schedule="constant")
    run(replace(first, epochs=1))
    assert bits(replace(first, resume=True, stream=False)) == whole


@pytest.mark.parametrize("make", [as_npy, as_idx, as_files])
def test_data_that_change_between_epochs_end_the_run(tmp_path, small, make):
    source = make(tmp_path)
    data = read(source, _decoding(True)).train
    feed = Feed(data, 0)
    feed.announce(0, [np.arange(4)])
    changed = next(p for p in sorted(Path(source).rglob("*")) if p.is_file() and "y_" not in p.name)
    os.utime(changed, ns=(1, 1))
    with pytest.raises(UserFileError, match="the data changed during training"):
        feed.announce(1, [np.arange(4)])
    feed.close()


def written_over(path):
    """One bit of a file is another one; its size and time are as before."""
    before, data = os.stat(path), bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def cut_short(path):
    os.truncate(path, 130)


@pytest.mark.parametrize("change", [written_over, cut_short, Path.unlink])
@pytest.mark.parametrize("make", [as_npy, as_idx, as_floats, as_files])
def test_an_image_that_is_not_what_it_was_is_never_learnt(tmp_path, make, change):
    source = make(tmp_path)
    data = read(source, _decoding(True)).train
    files = [p for p in sorted(Path(source).rglob("*")) if p.is_file() and p.name[0] not in "yt"]
    pixels = files or [Path(source) / "train-images-idx3-ubyte"]
    change(pixels[-1])
    with pytest.raises(UserFileError, match="the data changed during training") as caught:
        data.read(np.arange(len(data)))
    assert str(pixels[-1]) in str(caught.value)
    assert "--resume" in str(caught.value)


def test_rows_of_every_layout_are_read_from_the_file(tmp_path):
    x = RNG.integers(0, 256, (20, 3, 5, 6), np.uint8)
    np.save(tmp_path / "y.npy", np.arange(20) % 2)
    for stored, kind in ((x, Stored), (x.transpose(0, 2, 3, 1).copy(), Stored),
                         (np.asfortranarray(x), Mapped)):  # fmt: skip
        np.save(tmp_path / "x.npy", stored)
        data = read(tmp_path, _decoding(True)).train
        assert type(data.source) is kind
        found = data.read(np.array([7, 8, 9, 3, 19, 0]))
        np.testing.assert_array_equal(found, x[[7, 8, 9, 3, 19, 0]] / np.float32(255))


ALONE = """
import sys, time
import numpy as np
from allbps.data import Decoding, read
from allbps.train.feed import Feed
if __name__ == "__main__":
    feed = Feed(read(sys.argv[1], Decoding(stream=True)).train, 0)
    feed.announce(0, [np.arange(4), np.arange(4, 8)])
    batch = feed._ready[0][0]
    feed.fetch(batch)
    print("decoded", flush=True)
    time.sleep(60)
"""


def test_a_run_that_is_killed_leaves_no_process_behind(tmp_path):
    (tmp_path / "data").mkdir()
    script = tmp_path / "alone.py"
    script.write_text(ALONE)
    run_alone = subprocess.Popen(
        [sys.executable, str(script), str(as_files(tmp_path / "data"))],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert run_alone.stdout.readline() == "decoded\n"
    run_alone.kill()
    run_alone.communicate(timeout=30)  # ends when nobody holds the pipe any more


def test_what_was_announced_is_read_ahead(tmp_path):
    data = read(as_npy(tmp_path), _decoding(True)).train
    feed = Feed(data, 0)
    batches = [np.arange(k, k + 5) for k in range(0, 50, 5)]
    feed.announce(0, batches)
    for batch in batches:
        x, labels = feed.fetch(batch)
        np.testing.assert_array_equal(x, data.fetch(batch)[0])
        np.testing.assert_array_equal(labels, data.labels[batch])
    np.testing.assert_array_equal(feed.fetch(np.array([89]))[0], data.read(np.array([89])))
    feed.close()


# -- augmentation ----------------------------------------------------------------------------------
def shifted(image, down, right):
    """The image moved, its edges repeated."""
    height, width = image.shape[-2:]
    rows = np.clip(np.arange(height) + down, 0, height - 1)
    columns = np.clip(np.arange(width) + right, 0, width - 1)
    return image[..., rows[:, None], columns]


def test_shifts_crops_and_flips_are_what_they_are_called():
    x = RNG.random((40, 2, 9, 8), np.float32)
    for change in (Augmentation(shift=2), Augmentation(crop=3), Augmentation(flip=True),
                   Augmentation(shift=1, crop=2, flip=True)):  # fmt: skip
        draws = change.draws(len(x), seed=0, epoch=0)
        found = change(x, draws)
        height, width = change.shape(x.shape[1:])[1:]
        for image, got, (down, right, mirrored) in zip(x, found, draws, strict=True):
            moved = shifted(image, down - change.shift, right - change.shift)
            expected = moved[:, :height, :width]
            if change.crop and change.shift:
                wide = np.pad(image, ((0, 0), *(((change.shift,) * 2,) * 2)), mode="edge")
                expected = wide[:, down : down + height, right : right + width]
            np.testing.assert_array_equal(got, expected[..., ::-1] if mirrored else expected)
    assert Augmentation(shift=2).draws(500, 0, 0)[:, :2].min() == 0
    assert Augmentation(shift=2).draws(500, 0, 0)[:, :2].max() == 4


def test_what_is_drawn_depends_on_seed_and_epoch_only(tmp_path):
    data = as_streamed(load(as_archive(tmp_path)).train).changed(Augmentation(shift=2, flip=True))

    def seen(seed, epoch, size):
        feed = Feed(data, seed)
        batches = [np.arange(k, min(k + size, 90)) for k in range(0, 90, size)]
        feed.announce(epoch, batches)
        found = np.concatenate([feed.fetch(batch)[0] for batch in batches])
        feed.close()
        return found

    first = seen(0, 0, 7)
    np.testing.assert_array_equal(first, seen(0, 0, 30))
    assert not np.array_equal(first, seen(0, 1, 7))
    assert not np.array_equal(first, seen(1, 0, 7))


@pytest.mark.parametrize("engine", ["machine", "numpy"])
def test_augmented_runs_repeat_their_bits_and_resume(tmp_path, small, engine):
    source = str(as_archive(tmp_path))
    options = {
        "data": source, "augment": "shift=1,crop=2,flip", "normalise": True, "engine": engine,
        "schedule": "constant",
    }  # fmt: skip
    first = bits(small(**options, out=str(tmp_path / "a")))
    assert first == bits(small(**options, out=str(tmp_path / "b"), stream=True))
    half = small(**options, out=str(tmp_path / "c"))
    run(replace(half, epochs=1))
    assert bits(replace(half, resume=True)) == first
    assert first != bits(small(data=source, engine=engine, out=str(tmp_path / "d")))


def test_images_are_normalised_by_the_training_images(tmp_path, small):
    data = as_streamed(load(as_archive(tmp_path)).train)
    mean, spread = data.mean_and_spread()
    x = data.normalised(mean, spread).read(np.arange(90))
    assert abs(x.mean()) < 1e-6
    assert abs(x.std() - 1) < 1e-6
    report = run(small(data=str(as_archive(tmp_path)), normalise=True))
    assert any(text.startswith("normalised: mean 0.") for text in report.remarks)


@pytest.mark.parametrize("text", ["flop", "shift", "shift=0", "shift=x", "flip=1", "", "crop=-1"])
def test_augmentations_that_are_none_are_refused(text):
    with pytest.raises(ArgumentError, match="--augment is not understood"):
        augmentation(text)


def test_nothing_left_to_see_is_refused(tmp_path, small):
    with pytest.raises(ArgumentError, match="too small for --augment crop"):
        run(small(data=str(as_archive(tmp_path)), augment="crop=12"))


# -- memory and time -------------------------------------------------------------------------------
LARGE = """
import re, sys
from allbps.train import TrainOptions, run
report = run(TrainOptions(data=sys.argv[1], model="mlp", epochs=1, batch_size=64, out=sys.argv[2]))
peak = re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1]
print(int(peak) // 1024, report.remarks[-1])
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc to ask")
def test_memory_does_not_grow_with_the_data(tmp_path):
    """300 MB of bytes would be 1,200 MB as float32; the process keeps below 450 in all."""
    count = 300_000
    images = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", np.uint8, (count, 32, 32))
    for start in range(0, count, 10_000):
        images[start : start + 10_000] = RNG.integers(0, 256, (10_000, 32, 32), np.uint8)
    np.save(tmp_path / "y.npy", np.arange(count) % 2)
    del images
    command = [sys.executable, "-c", LARGE, str(tmp_path), str(tmp_path / "out")]
    started = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    peak, remark = done.stdout.split(maxsplit=1)
    assert int(peak) < 450, f"{peak} MB"
    assert "steps waited" in remark
    assert time.monotonic() - started < 300
