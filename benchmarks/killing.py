"""Runs whose workers are killed at random moments: do they end with the bits of one left alone?

    python benchmarks/killing.py [--kills 20] [--seed 0] [--torchrun]

A run is started with 1 to 4 workers and disturbed at a random moment, while it starts, trains, is
resumed or writes its checkpoint, and taken up again with another number of workers until it has
been disturbed often enough; then it is left to end. Its files must have the bits of one process
that nobody disturbed, and whoever was not killed must have ended with one message. With --torchrun
`allbps torchrun` starts the workers, which are killed beneath it. Exits with 1 if a run differs.
"""

import argparse
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import numpy as np

from allbps.data import load

NETS = {"lecture": 200, "mlp": 30, "lenet": 15}
"""Net -> epochs."""
FILES = ("weights.safetensors", "checkpoint.safetensors", "log.jsonl")
SILENT = 8
"""Seconds after which a worker counts as lost."""
LIMIT = 240
MESSAGE = re.compile(
    r"^(error: .*|worker \d+: (?:stopped|interrupted).*|interrupted in epoch.*)$", re.M
)


def kill_one(rng, pids, out):
    """One worker is killed."""
    chosen = [int(rng.choice(pids))]
    end(chosen, signal.SIGKILL)
    return chosen


def kill_two(rng, pids, out):
    """Two workers are killed, a moment apart."""
    chosen = [int(pid) for pid in rng.choice(pids, min(2, len(pids)), replace=False)]
    for pid in chosen:
        end([pid], signal.SIGKILL)
        time.sleep(float(rng.uniform(0, 0.05)))
    return chosen


def kill_while_it_writes(rng, pids, out):
    """The first worker is killed while it writes a file."""
    until = time.monotonic() + 10
    while time.monotonic() < until and not any(out.glob(".*safetensors*")):
        pass
    end(pids[:1], signal.SIGKILL)
    return pids[:1]


def stop_one(rng, pids, out):
    """One worker hangs until the others have noticed; one that is alone is killed."""
    chosen = [int(rng.choice(pids))]
    end(chosen, signal.SIGSTOP if len(pids) > 1 else signal.SIGKILL)
    return chosen


def ask_one(rng, pids, out):
    """One worker is asked to end."""
    end([int(rng.choice(pids))], signal.SIGTERM)
    return []


HOW = (kill_one, kill_one, kill_two, kill_while_it_writes, stop_one, ask_one)


def end(pids, number):
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def command(data, out, net):
    return ["-m", "allbps", "train", "--data", str(data), "--model", net, "--quiet",
            "--epochs", str(NETS[net]), "--batch-size", "50", "--parts", "8",
            "--timeout", str(SILENT), "--out", str(out)]  # fmt: skip


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start(arguments, size):
    """Workers that find each other without a launcher."""
    port, found = free_port(), []
    for rank in range(size):
        env = {**os.environ, "OMP_NUM_THREADS": "1"}
        env |= {"RANK": str(rank), "WORLD_SIZE": str(size), "LOCAL_WORLD_SIZE": str(size),
                "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}  # fmt: skip
        found.append(started([sys.executable, *arguments], env))
    return found, lambda: [process.pid for process in found]


def launch(arguments, size):
    """Workers of ``allbps torchrun``."""
    head = [sys.executable, "-m", "allbps", "torchrun", "--standalone", "--nproc-per-node"]
    launcher = started([*head, str(size), *arguments], {**os.environ, "OMP_NUM_THREADS": "1"})
    children = Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children")

    def workers():
        until = time.monotonic() + LIMIT
        while launcher.poll() is None and time.monotonic() < until:
            try:
                found = [int(pid) for pid in children.read_text().split()]
            except OSError:
                break
            if len(found) >= size:
                return found[:size]
            time.sleep(0.05)
        return []

    return [launcher], workers


def started(command, env):
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, env=env, start_new_session=True, **pipes)


def ended(processes, lost):
    """(number, exit code, all that was printed) of each; who hangs is killed after the others."""
    for process in processes:
        if process.pid not in lost:
            process.wait(LIMIT)
    end(lost, signal.SIGKILL)
    found = []
    for process in processes:
        out, err = process.communicate(timeout=LIMIT)
        found.append((process.pid, process.returncode, out + err))
    return found


def disturbed(rng, begin, arguments, size, out, usual):
    """Start, disturb once, and say what was amiss in how the workers ended."""
    processes, workers = begin(arguments, size)
    how = HOW[rng.integers(len(HOW))]
    time.sleep(float(rng.uniform(0, usual)))
    pids = workers()
    lost = how(rng, pids, out) if pids else []
    found = ended(processes, lost)
    amiss = []
    for pid, code, said in found:
        messages = MESSAGE.findall(said)
        early = code == -signal.SIGTERM  # asked before Python had begun to listen
        if pid in lost or code == 0 or early:
            continue
        if "Traceback" in said or not messages or (begin is start and len(messages) != 1):
            amiss.append(f"exit code {code}: {said.strip()[-2000:] or 'no word'}")
    codes = " ".join(str(code) for _, code, _ in found)
    print(f"  {size} workers, {how.__name__}: {codes}", flush=True)
    return bool(lost) or how is ask_one, amiss


def written(folder):
    return {name: (folder / name).read_bytes() for name in FILES}


def one_run(rng, begin, data, net, place, kills):
    """(disturbances, what was amiss) of a run."""
    whole, out = place / f"{net}-whole", place / f"{net}-{time.monotonic_ns()}"
    begun = time.monotonic()
    if not whole.exists():
        process = subprocess.run([sys.executable, *command(data, whole, net)], check=False)
        if process.returncode:
            sys.exit("the run that nobody disturbs has failed")
        begun = time.monotonic() - begun
    usual, count, amiss = 20.0, 0, []
    while count < kills:
        size = int(rng.integers(1, 5))
        arguments = [*command(data, out, net), *more_of(out)]
        done, wrong = disturbed(rng, begin, arguments, size, out, usual)
        count, amiss = count + done, amiss + wrong
        if (out / "weights.safetensors").exists():
            break
    size = int(rng.integers(1, 5))
    processes, _ = start([*command(data, out, net), *more_of(out)], size)
    for _, code, said in ended(processes, []):
        if code:
            amiss.append(f"exit code {code} of a run left alone: {said[-2000:]}")
    same = written(out) == written(whole)
    print(f"{net}: disturbed {count} times, ended with {size} workers:"
          f" {'the same bits' if same else 'OTHER BITS'}", flush=True)  # fmt: skip
    return count, amiss + ([] if same else [f"{out} differs from {whole}"])


def more_of(out):
    return ["--resume"] if (out / "checkpoint.safetensors").exists() else []


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--torchrun", action="store_true")
    options = parser.parse_args()
    rng, begin = np.random.default_rng(options.seed), launch if options.torchrun else start
    count, amiss = 0, []
    with tempfile.TemporaryDirectory() as folder:
        images = load("digits").train
        data = Path(folder) / "digits.npz"
        np.savez(data, images=images.x[:600, 0], labels=images.labels[:600])
        while count < options.kills:
            net = list(NETS)[rng.integers(len(NETS))]
            kills = min(int(rng.integers(2, 6)), options.kills - count)
            more, wrong = one_run(rng, begin, data, net, Path(folder), kills)
            count, amiss = count + more, amiss + wrong
    print("\n".join(amiss))
    print(f"disturbed {count} times; amiss: {len(amiss)}")
    sys.exit(bool(amiss))


if __name__ == "__main__":
    main()
