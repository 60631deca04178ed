"""A whole run: what it writes, and that the same seed writes the same bits."""

import json
import os
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from allbps.commands import app
from allbps.data import load
from allbps.errors import ArgumentError, MissingExtraError, NameUnknownError, UserFileError
from allbps.train import TrainOptions, load_weights, run
from allbps.train.options import OPTIMISERS, flag
from allbps.weights.tensors import save_tensors

FILES = {
    "weights.safetensors", "checkpoint.safetensors", "log.jsonl", "step.py", "report.json",
    "curve.png", "curve.svg", "kernels.png", "kernels.svg",
}  # fmt: skip


def test_the_lectures_net_reads_held_out_digits(tmp_path):
    report = run(TrainOptions(out=str(tmp_path)))
    assert report.held_out.accuracy >= 0.97
    assert report.seconds < 60


def test_a_run_writes_its_results_and_nothing_else(options, pictures):
    chosen = options()
    report = run(chosen)
    assert {path.name for path in chosen.folder.iterdir()} == FILES
    named = {Path(part).stem for name in report.files for part in name.split(", ")}
    assert named >= {name.partition(".")[0] for name in FILES}
    assert json.loads((chosen.folder / "report.json").read_text()) == json.loads(
        json.dumps(report.to_json())
    )


def test_the_same_seed_writes_the_same_bits(options, tmp_path, pictures):
    first, again, other = (
        options(out=str(tmp_path / name), seed=seed)
        for name, seed in (("a", 0), ("b", 0), ("c", 1))
    )
    for chosen in (first, again, other):
        run(chosen)
    for name in FILES - {"report.json"}:
        bits = [(chosen.folder / name).read_bytes() for chosen in (first, again, other)]
        assert bits[0] == bits[1], name
        assert bits[0] != bits[2] or name == "step.py", name


def test_saved_weights_can_be_used(options, few_digits):
    chosen = options(epochs=10)
    report = run(chosen)
    model, params, classes = load_weights(chosen.folder / "weights.safetensors")
    assert classes == ("0", "1", "2", "3")
    images = load(few_digits).train
    right = np.argmax(model.forward(params, images.x), axis=1) == images.labels
    assert right.mean() > 0.95
    assert report.parameters == sum(p.size for p in params.values())


def test_the_saved_step_is_what_was_compiled(options):
    chosen = options()
    run(chosen)
    text = (chosen.folder / "step.py").read_text()
    assert "from allbps.machine" in text
    assert "@kernel\ndef step(" in text


def test_the_saved_step_of_the_numpy_engine_runs_on_its_own(options):
    chosen = options(engine="numpy")
    run(chosen)
    scope = {}
    exec((chosen.folder / "step.py").read_text(), scope)
    model, params, _ = load_weights(chosen.folder / "weights.safetensors")
    rng = np.random.default_rng(0)
    x, labels = rng.random((8, 1, 8, 8), np.float32), rng.integers(0, 4, 8)
    loss, logits, grads = scope["lecture"](**params, x=x, labels=labels, dloss=np.float32(1))
    np.testing.assert_allclose(logits, model.forward(params, x), rtol=1e-6, atol=1e-6)
    assert grads.keys() == params.keys()
    assert np.isfinite(loss)


def test_the_summary_says_what_was_written_and_how_well_it_went(options):
    chosen = options()
    report = run(chosen)
    lines = str(report).splitlines()
    assert lines[0] == (
        f"lecture on {chosen.data}: 96 training images, 24 held out; 4 classes; 2,884 parameters"
    )
    assert lines[1] == "pixels: floats, 1 becomes 1"
    assert lines[2].startswith("3 epochs, 36 steps in ")
    assert lines[3] == (
        f"held-out accuracy {report.held_out.accuracy:.1%}, loss {report.held_out.loss:.3f}"
    )
    assert lines[4] == "written:"
    assert lines[5].split() == [f"{chosen.out}/weights.safetensors", "the", "learned", "parameters"]


def test_data_with_their_own_test_images_are_judged_on_those(options, few_digits, tmp_path):
    raw = np.load(few_digits)
    path = tmp_path / "own.npz"
    np.savez(
        path, x_train=raw["images"][:100], y_train=raw["labels"][:100],
        x_test=raw["images"][100:], y_test=raw["labels"][100:],
    )  # fmt: skip
    report = run(options(data=str(path), validation=0.1))
    assert report.examples["held out"] == 20
    assert report.examples["training images"] + report.examples["for validation"] == 100


# -- the command -----------------------------------------------------------------------------------
def test_every_option_of_a_run_is_an_option_of_the_command():
    shown = CliRunner().invoke(app, ["train", "--help"], env={"COLUMNS": "200"}).output
    for field in fields(TrainOptions):
        assert f"--{flag(field.name)}" in shown


def test_the_command_prints_json(options):
    chosen = options()
    result = CliRunner().invoke(
        app, ["train", "--data", chosen.data, "--epochs", "1", "--out", chosen.out, "--json"]
    )
    assert result.exit_code == 0
    assert json.loads(result.stdout)["epochs"] == 1
    assert result.stderr == ""


# -- misuse ----------------------------------------------------------------------------------------
WRONG = [
    (
        {"model": "lecure"},
        NameUnknownError,
        "there is no net 'lecure'\n"
        "  expected: one of lecture, mlp, lenet, resnet20, gpt\n"
        "  fix:      did you mean 'lecture'?",
    ),
    (
        {"optimizer": "adan"},
        NameUnknownError,
        "there is no optimizer 'adan'\n"
        f"  expected: one of {', '.join(OPTIMISERS)}\n"
        "  fix:      did you mean 'adam'?",
    ),
    (
        {"schedule": "linear"},
        NameUnknownError,
        "there is no schedule 'linear'\n"
        "  expected: one of constant, step, cosine, onecycle, exponential",
    ),
    (
        {"epochs": 0},
        ArgumentError,
        "--epochs is out of range\n  expected: a number of at least 1\n  got:      0",
    ),
    (
        {"lr": -0.1},
        ArgumentError,
        "--lr is out of range\n  expected: a number of at least 0\n  got:      -0.1",
    ),
    (
        {"validation": 1.0},
        ArgumentError,
        "--validation is out of range\n"
        "  expected: a number of at least 0 and below 1\n  got:      1.0",
    ),
    (
        {"resize": "28"},
        ArgumentError,
        "--resize is not a size\n  expected: HEIGHTxWIDTH, as 28x28\n  got:      28",
    ),
    (
        {"optimizer": "adam", "momentum": 0.9},
        ArgumentError,
        "--momentum does not go with --optimizer adam",
    ),
    (
        {"held_out": 0.0},
        ArgumentError,
        "the held-out fraction is out of range\n"
        "  expected: a number between 0 and 1\n"
        "  got:      0.0",
    ),
]


@pytest.mark.parametrize(("changed", "kind", "text"), WRONG, ids=[str(w[0]) for w in WRONG])
def test_options_that_make_no_sense(options, changed, kind, text):
    with pytest.raises(kind) as caught:
        run(options(**changed))
    assert str(caught.value) == text


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written(options, tmp_path):
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    with pytest.raises(UserFileError, match="cannot be written"):
        run(options(out=str(locked / "out")))


def test_a_file_where_the_folder_should_be(options, tmp_path):
    place = tmp_path / "taken"
    place.write_text("")
    with pytest.raises(UserFileError) as caught:
        run(options(out=str(place)))
    assert str(caught.value).splitlines()[-1] == "  fix:      choose another place with --out"


@pytest.mark.parametrize(
    ("module", "library", "purpose", "extra"),
    [
        ("matplotlib", "matplotlib", "drawing curves and kernels", "train"),
        ("safetensors.numpy", "safetensors", "saving and loading weights", "safetensors"),
        ("threadpoolctl", "threadpoolctl", "the numpy engine", "train"),
        ("allbps.machine.compile", "llvmlite", "the machine engine", "train"),
    ],
)
def test_a_missing_library_is_named_before_the_training(
    options, monkeypatch, module, library, purpose, extra
):
    monkeypatch.setitem(sys.modules, module, None)
    chosen = options(engine="numpy" if "numpy engine" in purpose else "machine")
    with pytest.raises(MissingExtraError) as caught:
        run(chosen)
    assert str(caught.value) == (
        f"{library} is needed for {purpose}, and is not installed\n"
        f"  fix:      pip install 'allbps[{extra}]'"
    )
    assert not (chosen.folder / "log.jsonl").exists()


def test_a_file_that_holds_no_weights(tmp_path):
    path = tmp_path / "other.safetensors"
    save_tensors(path, {"a": np.zeros(2)}, {"made by": "someone"})
    with pytest.raises(UserFileError) as caught:
        load_weights(path)
    assert str(caught.value) == (
        f"{path} holds no weights of a net that allbps knows\n"
        "  expected: a weights.safetensors of lecture, mlp, lenet, resnet20, gpt\n"
        "  got:      metadata {'made by': 'someone'}"
    )
    with pytest.raises(UserFileError) as caught:
        load_weights(tmp_path / "missing")
    assert str(caught.value) == f"there is no file {tmp_path}/missing\n  fix:      check the path"
