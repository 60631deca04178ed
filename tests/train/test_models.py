"""The larger nets train from the command's options: text for a GPT, running statistics kept."""

import json

import numpy as np
import pytest

from allbps.errors import ArgumentError
from allbps.train.options import TrainOptions
from allbps.train.run import run
from allbps.train.weights import load_weights

POEM = "the woods are lovely, dark and deep, but I have promises to keep\n" * 4


@pytest.fixture
def poem(tmp_path):
    path = tmp_path / "poem.txt"
    path.write_text(POEM)
    return path


def gpt(poem, tmp_path, **more):
    options = {"epochs": 2, "context": 16, "batch_size": 4} | more
    return TrainOptions(model="gpt", data=str(poem), out=str(tmp_path / "out"), **options)


def test_a_gpt_learns_a_text(poem, tmp_path):
    report = run(gpt(poem, tmp_path, epochs=4))
    assert report.examples == {
        "training windows of text": 13,
        "for validation": 0,
        "held out": 3,
    }
    assert report.held_out.loss < np.log(len(set(POEM)))  # better than guessing
    assert 0 < report.held_out.accuracy <= 1
    model, params, classes = load_weights(tmp_path / "out" / "weights.safetensors")
    assert model.name == "gpt"
    assert classes == tuple(sorted(set(POEM)))
    assert params["wpe"].shape == (16, 128)
    assert not (tmp_path / "out" / "kernels.png").exists()


def test_a_gpt_goes_on_where_it_stopped(poem, tmp_path):
    whole = gpt(poem, tmp_path / "whole", schedule="constant")
    run(whole)
    part = gpt(poem, tmp_path / "part", schedule="constant", epochs=1)
    run(part)
    run(gpt(poem, tmp_path / "part", schedule="constant", resume=True))
    files = [options.folder / "weights.safetensors" for options in (whole, part)]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_a_gpt_needs_a_text():
    with pytest.raises(ArgumentError) as caught:
        run(TrainOptions(model="gpt"))
    assert str(caught.value) == (
        "the net gpt reads text\n"
        "  expected: --data FILE.txt, UTF-8 text\n"
        "  got:      --data digits, which are images"
    )


def test_weights_of_a_resnet_hold_its_running_statistics(tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / "stripes.npz"
    labels = np.arange(24) % 2
    images = np.where(labels[:, None, None] == 0, 1.0, np.arange(4) % 2) * rng.uniform(
        size=(24, 4, 4)
    )
    np.savez(path, x=images, y=labels)
    out = tmp_path / "out"
    run(TrainOptions(model="resnet20", data=str(path), epochs=1, batch_size=8, out=str(out)))
    _, params, _ = load_weights(out / "weights.safetensors")
    assert not np.array_equal(params["bn1_running_var"], np.ones(16))
    rows = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert all(np.isfinite(row["held_loss"]) for row in rows)
