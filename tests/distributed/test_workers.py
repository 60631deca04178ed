"""Several workers on this machine: the same bits, one message when one is lost, going on."""

import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from torch.distributed import run as torch_run
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure

from allbps.data import load
from allbps.distributed import Workers, joined
from allbps.distributed.launching import launch, leave_word
from allbps.errors import ArgumentError, UserFileError, WorkerError
from allbps.train import TrainOptions, run

from ..machine._threads import together

FILES = ("weights.safetensors", "checkpoint.safetensors", "log.jsonl")
LIMIT = 120
"""Seconds after which a test ends, however loaded the machine is."""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def environment(rank, size, port):
    return {
        "RANK": str(rank), "WORLD_SIZE": str(size), "LOCAL_WORLD_SIZE": str(size),
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1",
    }  # fmt: skip


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """A file with 120 digits of four classes."""
    images = load("digits").train
    index = np.flatnonzero(images.labels < 4)[:120]
    path = tmp_path_factory.mktemp("data") / "few.npz"
    np.savez(path, images=images.x[index, 0], labels=images.labels[index])
    return path


@pytest.fixture
def workers(digits):
    """Starts workers of ``allbps train``; none outlives its test."""
    started = []

    def start(out, size, *more, of_one=lambda rank: (), program=lambda rank: ["-m", "allbps"]):
        port = free_port()
        command = ["train", "--data", str(digits), "--quiet"]
        command += ["--batch-size", "20", "--timeout", "60", "--out", str(out), *more]
        for rank in range(size):
            started.append(
                subprocess.Popen(
                    [sys.executable, *program(rank), *command, *of_one(rank)],
                    env={**os.environ, **environment(rank, size, port)},
                    stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                )
            )  # fmt: skip
        return started[-size:]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def ended(processes):
    """(exit code, output, messages) of each."""
    found = []
    for process in processes:
        out, err = process.communicate(timeout=LIMIT)
        found.append((process.returncode, out, err))
    return found


def written(folder):
    return [(Path(folder) / name).read_bytes() for name in FILES]


@pytest.fixture(scope="module")
def alone(digits, tmp_path_factory):
    """What one process makes of three epochs in eight parts."""
    out = tmp_path_factory.mktemp("alone")
    run(TrainOptions(data=str(digits), epochs=3, batch_size=20, parts=8, out=str(out)))
    return written(out)


def test_torchrun_with_two_workers_makes_the_bits_of_one(tmp_path, digits, alone):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command += ["-m", "allbps", "train", "--data", str(digits), "--epochs", "3"]
    command += ["--batch-size", "20", "--out", str(tmp_path / "two")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("held-out accuracy") == 1
    assert written(tmp_path / "two") == alone


def test_four_workers_make_the_bits_of_one(tmp_path, workers, alone):
    for code, _, err in ended(workers(tmp_path / "four", 4, "--epochs", "3")):
        assert code == 0, err
    assert written(tmp_path / "four") == alone


@pytest.mark.parametrize("killed", [0, 1])
def test_a_killed_worker_ends_the_run_and_others_go_on(tmp_path, workers, digits, killed):
    out = tmp_path / "run"
    started = workers(out, 2, "--epochs", "1000", "--schedule", "constant")
    log, until = out / "log.jsonl", time.monotonic() + LIMIT
    while not (log.exists() and log.read_text()):
        assert time.monotonic() < until
        time.sleep(0.02)
    started[killed].send_signal(signal.SIGKILL)
    code, _, err = ended(started)[1 - killed]
    assert code == 1
    assert err.count("another worker is gone") == 1
    assert f"no word from worker {killed} since" in err or killed == 0  # who keeps the store
    assert "Traceback" not in err
    assert "--resume" in err
    epochs = len(log.read_text().splitlines()) + 2
    options = TrainOptions(
        data=str(digits), epochs=epochs, batch_size=20, schedule="constant", parts=8, out=str(out)
    )
    run(replace(options, resume=True))
    whole = replace(options, out=str(tmp_path / "whole"))
    run(whole)
    assert written(out) == written(whole.folder)


def test_several_go_on_where_one_stopped(tmp_path, workers, digits, alone):
    options = TrainOptions(
        data=str(digits), epochs=3, batch_size=20, parts=8, out=str(tmp_path / "run")
    )
    whole = replace(options, schedule="constant", out=str(tmp_path / "whole"))
    run(whole)
    run(replace(options, epochs=2, schedule="constant"))
    more = ("--epochs", "3", "--schedule", "constant", "--resume")
    for code, _, err in ended(workers(options.folder, 2, *more)):
        assert code == 0, err
    assert written(options.folder) == written(whole.folder)


def test_a_loss_that_is_no_number_is_one_message_on_every_worker(tmp_path, workers):
    started = workers(tmp_path / "run", 2, "--lr", "1e30", "--epochs", "3")
    found = ended(started)
    assert [code for code, *_ in found] == [1, 1]
    assert found[0][2] == found[1][2]
    assert "the loss became" in found[0][2] or "no longer finite" in found[0][2]
    assert "Traceback" not in found[0][2]


def test_a_stop_that_one_worker_hears_stops_all_at_the_same_step(tmp_path, workers):
    out = tmp_path / "run"
    started = workers(out, 2, "--epochs", "1000")
    until = time.monotonic() + LIMIT
    while not ((out / "log.jsonl").exists() and (out / "log.jsonl").read_text()):
        assert time.monotonic() < until
        time.sleep(0.02)
    started[1].send_signal(signal.SIGTERM)
    (code, text, err), (other, nothing, also) = ended(started)
    assert (code, other, nothing) == (130, 130, ""), err + also
    assert "nothing is lost" in text
    assert also.startswith("worker 1: interrupted in epoch")
    assert len(also.splitlines()) == 1


def test_a_worker_that_is_ended_before_it_trains_says_so(tmp_path, workers):
    """Its launcher ends it by SIGTERM where another one has failed."""
    (worker,) = workers(tmp_path / "run", 2)[1:]
    until = time.monotonic() + LIMIT
    while "libtorch" not in Path(f"/proc/{worker.pid}/maps").read_text():
        assert time.monotonic() < until
        time.sleep(0.02)
    worker.send_signal(signal.SIGTERM)
    assert ended([worker]) == [(130, "", "worker 1: stopped\n")]


def test_other_options_are_named(tmp_path, workers):
    started = workers(
        tmp_path / "run", 2, "--epochs", "3", of_one=lambda rank: ("--lr", f"0.{rank + 1}")
    )
    for code, _, err in ended(started):
        assert code == 2
        assert "worker 1 differs from worker 0 in the option lr" in err
        assert "0.1, as worker 0 has it" in err


OTHER_VERSION = """
import allbps.train.together as together
from allbps.cli import main
real = together.version
together.version = lambda name: "0.1" if name == "numpy" else real(name)
main()
"""


def test_another_version_in_one_worker_is_named_by_all(tmp_path, workers):
    started = workers(
        tmp_path / "run", 2, "--epochs", "3",
        program=lambda rank: ["-c", OTHER_VERSION] if rank else ["-m", "allbps"],
    )  # fmt: skip
    for code, _, err in ended(started):
        assert code == 2
        assert "worker 1 differs from worker 0 in the version of numpy" in err
        assert "0.1" in err
        assert "Traceback" not in err
    assert not (tmp_path / "run" / "checkpoint.safetensors").exists()


def test_data_that_one_worker_lacks_ends_all_with_its_message(tmp_path, workers):
    started = workers(
        tmp_path / "run", 2, "--epochs", "3",
        of_one=lambda rank: ("--data", str(tmp_path / "nowhere")) if rank else (),
    )  # fmt: skip
    (code, _, err), (other, _, own) = ended(started)
    assert (code, other) == (1, 2)
    assert "worker 1 cannot go on" in err
    assert "nowhere" in err
    assert "nowhere" in own
    assert "--resume" not in err + own


def test_data_that_change_end_all_workers_with_what_changed(tmp_path, workers):
    data = tmp_path / "data"
    data.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (400, 8, 8), np.uint8)
    np.save(data / "x.npy", pixels)
    np.save(data / "y.npy", np.arange(400) % 2)
    out = tmp_path / "run"
    started = workers(out, 2, "--data", str(data), "--stream", "--epochs", "100000")
    until = time.monotonic() + LIMIT
    while not ((out / "log.jsonl").exists() and (out / "log.jsonl").read_text()):
        assert time.monotonic() < until
        time.sleep(0.02)
    before = os.stat(data / "x.npy")
    np.save(data / "x.npy", 255 - pixels)
    os.utime(data / "x.npy", ns=(before.st_atime_ns, before.st_mtime_ns))
    for code, _, err in ended(started):
        assert code in (1, 2)
        assert err.count("the data changed during training") == 1
        assert err.count("error:") == 1
        assert "--resume" in err
        assert "Traceback" not in err


@pytest.mark.parametrize(
    ("of_one", "said"),
    [
        (lambda rank: ("--parts", "1"), "there are more workers than parts"),
        (lambda rank: ("--out", "/dev/null/run"), "/dev/null/run"),
    ],
)
def test_what_cannot_begin_is_said_by_all(tmp_path, workers, of_one, said):
    for code, _, err in ended(workers(tmp_path / "run", 2, of_one=of_one)):
        assert code in (1, 2)
        assert said in err
        assert "is gone" not in err
        assert "Traceback" not in err


# -- the launcher ----------------------------------------------------------------------------------
def launched(*arguments):
    command = [sys.executable, "-m", "allbps", "torchrun", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False)


def test_the_launcher_adds_nothing_to_what_workers_say():
    at = ("--standalone", "--nproc-per-node", "2", "-m", "allbps")
    done = launched(*at, "explain", "nowhere.py:f")  # which loads no PyTorch
    assert done.returncode == 2
    assert "error: there is no file nowhere.py" in done.stderr
    theirs = ("error:", "  expected:", "  fix:", "worker ")  # the slower one may be stopped
    assert all(line.startswith(theirs) for line in done.stderr.splitlines())


def test_the_launcher_names_a_port_in_use():
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        port = taken.getsockname()[1]
        at = ("--nproc-per-node", "2", "--master-port", str(port))
        done = launched(*at, "-m", "allbps", "train")
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: port {port} is in use\n")
    assert len(done.stderr.splitlines()) == 3


def test_the_launcher_names_a_worker_that_was_killed(monkeypatch):
    def run_and_lose_one(parsed):
        raise ChildFailedError("allbps", {1: ProcessFailure(1, 4711, -signal.SIGKILL, "none")})

    monkeypatch.setattr(torch_run, "run", run_and_lose_one)
    with pytest.raises(WorkerError, match=r"worker 1 was killed \(SIGKILL\)"):
        launch(["-m", "allbps"])


def test_the_launcher_takes_the_killed_worker_for_the_cause(monkeypatch):
    """Those who miss it have ended in the same second, and the last by the launcher itself."""
    ends = {0: 1, 1: -signal.SIGTERM, 2: -signal.SIGKILL}

    def run_and_lose_one(parsed):
        raise ChildFailedError("allbps", {k: ProcessFailure(k, k, e, "") for k, e in ends.items()})

    monkeypatch.setattr(torch_run, "run", run_and_lose_one)
    with pytest.raises(WorkerError, match=r"worker 2 was killed \(SIGKILL\)"):
        launch(["-m", "allbps"])


def test_torchrun_repeats_why_a_worker_ended(tmp_path, monkeypatch):
    place = tmp_path / "error.json"
    monkeypatch.setenv("TORCHELASTIC_ERROR_FILE", str(place))
    leave_word(WorkerError("another worker is gone"))  # not the cause
    assert not place.exists()
    leave_word(UserFileError("there is no file x.npz"))
    failures = {1: ProcessFailure(1, 4711, 2, str(place))}
    assert "there is no file x.npz" in str(ChildFailedError("allbps", failures))


# -- meeting, in this process ----------------------------------------------------------------------
@pytest.mark.parametrize(
    ("facts", "said"),
    [
        (lambda rank: {"data set": f"{rank}"}, "worker 1 differs from worker 0 in the data set"),
        (
            lambda rank: {"version of": {"numpy": "2.1", "torch": f"2.{rank}"}},
            "worker 1 differs from worker 0 in the version of torch",
        ),
        (
            lambda rank: {"option": {"parts": 8 + rank}},
            "worker 1 differs from worker 0 in the option parts",
        ),
    ],
)
def test_workers_that_differ_are_told_in_what(facts, said):
    _, errors = together(3, lambda exchange: Workers(exchange).agree(**facts(exchange.rank)))
    assert len(errors) == 3
    assert all(said in str(error) for error in errors)


def test_what_the_first_reads_all_have():
    def work(exchange):
        return Workers(exchange).from_first(lambda: b"checkpoint" * 3)

    assert together(3, work)[0] == [b"checkpoint" * 3] * 3


def test_what_the_first_cannot_read_all_hear_of():
    def work(exchange):
        def read():
            raise UserFileError("there is no checkpoint")

        Workers(exchange).from_first(read)

    _, (first, *others) = together(3, work)
    assert isinstance(first, UserFileError)
    assert all(isinstance(e, WorkerError) and "no checkpoint" in str(e) for e in others)


def test_without_torchrun_there_is_nobody_to_join(monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    assert joined(1.0) is None


def test_a_worker_that_does_not_come_is_named(monkeypatch):
    for name, value in environment(0, 3, free_port()).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(WorkerError, match="workers 1, 2 of 3 did not come within 1 s"):
        joined(1.0)


def test_a_port_in_use_is_named(monkeypatch):
    with socket.socket(socket.AF_INET6) as taken:
        taken.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        taken.bind(("::", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for name, value in environment(0, 2, port).items():
            monkeypatch.setenv(name, value)
        with pytest.raises(ArgumentError, match=f"port {port} is in use"):
            joined(1.0)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("RANK", "one", "RANK in the environment"), ("RANK", "2", "there is no worker 2 of 2"),
        ("WORLD_SIZE", "0", "WORLD_SIZE"), ("MASTER_PORT", "99999", "from 1 to 65535"),
    ],
)  # fmt: skip
def test_numbers_in_the_environment_that_make_no_sense_are_named(monkeypatch, name, text, said):
    for key, value in {**environment(0, 2, 29500), name: text}.items():
        monkeypatch.setenv(key, value)
    with pytest.raises(ArgumentError) as caught:
        joined(1.0)
    assert said in str(caught.value)


def test_an_environment_in_halves_is_refused(monkeypatch):
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    with pytest.raises(ArgumentError, match="names a worker but not where the others are"):
        joined(1.0)


def test_nothing_of_torch_is_loaded_for_one_worker():
    code = (
        "import sys, allbps.train.command, allbps.distributed as d; d.joined(1);"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
