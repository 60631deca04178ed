"""A run that was stopped goes on as if nothing had happened."""

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from allbps.errors import ArgumentError, UserFileError
from allbps.train import TrainOptions, run
from allbps.weights.tensors import load_tensors, save_tensors


@pytest.mark.parametrize("looks", [0, 3, 9])
@pytest.mark.parametrize(
    "chosen",
    [
        {"momentum": 0.9, "warmup": 0.5},
        {"optimizer": "adamw", "patience": 5, "clip": 0.5},
        {"optimizer": "rmsprop", "engine": "numpy"},
    ],
    ids=["momentum", "adamw", "rmsprop, numpy"],
)
def test_a_resumed_run_ends_with_the_same_bits(
    options, tmp_path, monkeypatch, looks, chosen, stop_after, bits
):
    whole = options(out=str(tmp_path / "whole"), **chosen)
    run(whole)
    part = options(out=str(tmp_path / "part"), **chosen)
    with monkeypatch.context() as patch:
        stop_after(patch, looks)
        stopped = run(part)
    assert stopped.interrupted
    assert not run(replace(part, resume=True)).interrupted
    assert bits(part.out) == bits(whole.out)


def test_a_stopped_run_says_how_to_go_on(options, monkeypatch, stop_after):
    chosen = options(lr=0.3)
    with monkeypatch.context() as patch:
        stop_after(patch, 3)
        report = run(chosen)
    assert report.held_out is None
    assert str(report).splitlines()[-2:] == [
        "to go on:",
        f"  allbps train --data {chosen.data} --epochs 3 --batch-size 8 --lr 0.3"
        f" --out {chosen.out} --resume",
    ]
    assert report.note == "interrupted in epoch 1 of 3; nothing is lost"


def test_a_finished_run_goes_on_to_more_epochs(options, tmp_path, bits):
    short, long = (options(out=str(tmp_path / str(n)), epochs=n, schedule="step") for n in (2, 4))
    run(short)
    run(replace(short, epochs=4, resume=True))
    run(long)
    assert bits(short.out) == bits(long.out)


COMMAND = [sys.executable, "-m", "allbps", "train", "--json", "--batch-size", "2"]


def start_and_hit(options, number, epochs):
    """Start the command, send a signal once some epochs are in the log."""
    command = [*COMMAND, "--data", options.data, "--out", options.out]
    command += ["--epochs", str(options.epochs), "--engine", options.engine]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    log = options.folder / "log.jsonl"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if log.exists() and log.read_text().count("\n") >= epochs:
            break
        time.sleep(0.01)
    os.kill(process.pid, number)
    stdout, stderr = process.communicate(timeout=60)
    return process.returncode, stdout, stderr


@pytest.mark.parametrize(
    ("number", "code", "engine", "epochs"),
    [
        (signal.SIGINT, 130, "numpy", 2),
        (signal.SIGINT, 130, "machine", 3),
        (signal.SIGTERM, 130, "machine", 1),
        (signal.SIGKILL, -9, "numpy", 2),
        (signal.SIGKILL, -9, "machine", 1),
        (signal.SIGKILL, -9, "machine", 9),
    ],
)
def test_a_run_survives_being_interrupted_and_killed(
    options, tmp_path, number, code, engine, epochs, bits
):
    chosen = options(epochs={"numpy": 20, "machine": 200}[engine], batch_size=2, engine=engine)
    returned, stdout, stderr = start_and_hit(chosen, number, epochs)
    assert returned == code
    assert stderr == ""
    if number != signal.SIGKILL:
        assert '"interrupted": true' in stdout
    run(replace(chosen, resume=True))
    whole = replace(chosen, out=str(tmp_path / "whole"))
    run(whole)
    assert bits(chosen.out) == bits(whole.out)


# -- what cannot be resumed ------------------------------------------------------------------------
@pytest.fixture
def trained(options):
    chosen = options(epochs=1)
    run(chosen)
    return replace(chosen, resume=True)


def message(kind, options):
    with pytest.raises(kind) as caught:
        run(options)
    return str(caught.value)


def test_nothing_to_resume(options):
    chosen = options(resume=True)
    assert message(UserFileError, chosen) == (
        f"there is no checkpoint to resume from: {chosen.out}/checkpoint.safetensors\n"
        "  fix:      leave --resume out to start, or give the --out of the run to go on with"
    )


def test_other_options(trained):
    assert message(ArgumentError, replace(trained, lr=0.3, batch_size=16)) == (
        f"the options differ from those of {trained.out}/checkpoint.safetensors\n"
        "  expected: --batch-size 8, --lr None\n"
        "  got:      --batch-size 16, --lr 0.3\n"
        "  fix:      give the same options, or start over with another --out"
    )


def test_other_data(trained):
    assert message(ArgumentError, replace(trained, data="digits")) == (
        f"the data differ from those of {trained.out}/checkpoint.safetensors\n"
        "  expected: the same images and labels\n"
        "  got:      digits\n"
        "  fix:      give the same --data, or start over with another --out"
    )


def test_the_same_data_elsewhere_are_the_same(trained, tmp_path, bits):
    moved = tmp_path / "moved.npz"
    moved.write_bytes(Path(trained.data).read_bytes())
    copied = shutil.copytree(trained.out, tmp_path / "copied")
    run(replace(trained, data=str(moved), epochs=2))
    run(replace(trained, out=str(copied), epochs=2))
    assert bits(trained.out) == bits(copied)


def test_a_truncated_checkpoint(trained):
    path = trained.folder / "checkpoint.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    lines = message(UserFileError, trained).splitlines()
    assert lines[0] == f"{path} is truncated, or is not a safetensors file"
    assert lines[1] == "  expected: a .safetensors file"


def test_weights_instead_of_a_checkpoint(trained):
    path = trained.folder / "checkpoint.safetensors"
    path.write_bytes((trained.folder / "weights.safetensors").read_bytes())
    assert message(UserFileError, trained) == (
        f"{path} is not a checkpoint\n  expected: allbps checkpoint 1\n  got:      another file"
    )


def test_the_checkpoint_of_another_net(trained):
    path = trained.folder / "checkpoint.safetensors"
    arrays, metadata = load_tensors(path)
    arrays[".params.K"] = np.zeros((2, 1, 3, 3), np.float32)
    save_tensors(path, arrays, metadata)
    assert message(UserFileError, trained) == (
        f"{path} holds the checkpoint of another net\n"
        "  expected: params.K (32, 1, 5, 5)\n"
        "  got:      params.K (2, 1, 3, 3)"
    )


def test_the_defaults_can_be_resumed_by_the_shortest_command():
    assert TrainOptions().command(resume=True) == "allbps train --resume"
