"""Two workers of one thread each beside one process of two threads, and what a step sends.

    python benchmarks/scaling.py [--rounds 7] [--steps 5]

Every set-up is a group of processes that wait for a word; they take their turns, so that whatever
else the machine does meets all of them. The median of a step counts: by the clock, and of the CPU
in all processes together, which other programs disturb less. The efficiency of two processes of one
thread is the median of the quotients of neighbouring turns. The last line holds the constants of
the model in docs/scaling.md.
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import time

import numpy as np

NETS = {"mlp": ((1, 28, 28), 512), "lenet": ((1, 28, 28), 128)}
"""Net -> shape of an image, examples in a batch."""
ONE, TWO = "2 threads, 8 parts", "2 × 1 thread, 8 parts"
FAR = f"{TWO}, by messages"
SETUPS = {
    "2 threads, whole": (1, 2, None),
    ONE: (1, 2, 8),
    TWO: (2, 1, 8),
    FAR: (2, 1, 8),
    "1 thread, whole": (1, 1, None),
    "1 thread, 8 parts": (1, 1, 8),
}
"""Name -> processes, threads of each, parts."""


def serve(model, threads, parts):
    """Be one process of a set-up: time so many steps whenever told."""
    from torch import distributed

    from allbps import nn
    from allbps.data import Images
    from allbps.distributed import TorchExchange, Workers, joined
    from allbps.optim import SGD
    from allbps.train.engine import State, Task
    from allbps.train.engines import make_engine

    workers = joined(120) or Workers.alone()
    if "ALLBPS_BY_MESSAGES" in os.environ:  # as between machines, which see no common memory
        TorchExchange.room = lambda *_: None
    shape, size = NETS[model]
    rng = np.random.default_rng(0)
    x = rng.random((4 * size, *shape), np.float32)
    images = Images(x, rng.integers(0, 10, len(x)), tuple("abcdefghij"))
    net = nn.named(model)
    params = net.init(rng, shape, 10)
    optimiser = SGD(0.01, momentum=0.9)
    task = Task(net, images, optimiser, None, threads, 0, workers)
    engine = make_engine("machine", task, parts, size)
    state = State(params, optimiser.init(net.learnt(params)))
    batches = [np.arange(size) + k * size for k in range(4)]
    state, _ = engine.run(state, batches)
    step = getattr(engine, "_parted", None)
    sent = 0 if step is None else step._sum.sent
    count = sum(p.size for p in net.learnt(params).values())
    print(json.dumps({"sent": sent, "parameters": count}), flush=True)
    for line in sys.stdin:
        if line.strip() == "exchange":
            print(json.dumps(exchanged(workers)), flush=True)
            continue
        order = [batches[k % 4] for k in range(int(line))]
        started, used = time.perf_counter(), time.process_time()
        state, _ = engine.run(state, order)
        found = time.perf_counter() - started, time.process_time() - used
        print(json.dumps([seconds / len(order) for seconds in found]), flush=True)
    if workers.exchange is not None:
        distributed.destroy_process_group()


def exchanged(workers):
    """(seconds of a small exchange, bytes a second of a large one)."""
    found = []
    for size in (1 << 8, 1 << 22):
        own, out = np.zeros(size, np.float32), np.zeros(2 * size, np.float32)
        times = []
        for _ in range(20):
            started = time.perf_counter()
            workers.exchange.gather(out, own)()
            times.append(time.perf_counter() - started)
        found.append(min(times))
    return found[0], 4 * (1 << 22) / (found[1] - found[0])


def start(model, processes, threads, parts, *, far=False):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    group = []
    for rank in range(processes):
        env = {**os.environ, "OMP_NUM_THREADS": "1"} | ({"ALLBPS_BY_MESSAGES": "1"} if far else {})
        if processes > 1:
            env |= {"RANK": str(rank), "WORLD_SIZE": str(processes), "MASTER_PORT": str(port),
                    "LOCAL_WORLD_SIZE": str(processes), "MASTER_ADDR": "127.0.0.1"}  # fmt: skip
        command = [sys.executable, __file__, "--serve", model, str(threads), str(parts or 0)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        group.append(subprocess.Popen(command, env=env, **pipes))
    return group


def told(group, word):
    for process in group:
        process.stdin.write(f"{word}\n")
        process.stdin.flush()
    return [json.loads(process.stdout.readline()) for process in group]


def measure(model, rounds, steps):
    groups = {name: start(model, *how, far=name == FAR) for name, how in SETUPS.items()}
    facts = {name: json.loads(group[0].stdout.readline()) for name, group in groups.items()}
    for group in groups.values():
        for other in group[1:]:
            other.stdout.readline()
    times = {name: [] for name in groups}
    for _ in range(rounds):
        for name, group in groups.items():
            clock, cpu = zip(*told(group, steps), strict=True)
            times[name].append((max(clock), sum(cpu)))
    links = [told(groups[TWO], "exchange")[0] for _ in range(rounds)]
    for group in groups.values():
        for process in group:
            process.stdin.close()
            process.wait()
    return times, facts[FAR], links


def medians(times):
    """Name -> (ms by the clock, ms of CPU)."""
    return {
        name: [1e3 * statistics.median(t) for t in zip(*found, strict=True)]
        for name, found in times.items()
    }


def efficiency(times, two):
    """One process with two threads beside two processes with one, by the clock and by CPU."""
    pairs = zip(times[ONE], times[two], strict=True)
    quotients = [(one[0] / two[0], one[1] / two[1]) for one, two in pairs]
    return [statistics.median(column) for column in zip(*quotients, strict=True)]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=5)
    options = parser.parse_args()
    heads = ["net, batch", "parameters", *SETUPS, "efficiency", "by messages", "sent by each"]
    print(f"| {' | '.join(heads)} |\n|---|" + "--:|" * (len(heads) - 1))
    links = []
    for model, (_, size) in NETS.items():
        times, facts, more = measure(model, options.rounds, options.steps)
        links += more
        shown = [f"{facts['parameters']:,}"]
        shown += [f"{clock:.1f} ({cpu:.1f})" for clock, cpu in medians(times).values()]
        shown += ["{:.0%} ({:.0%})".format(*efficiency(times, two)) for two in (TWO, FAR)]
        shown += [f"{facts['sent']:,}"]
        print(f"| {model}, {size} | {' | '.join(shown)} |", flush=True)
    small, large = min(link[0] for link in links), max(link[1] for link in links)
    print(f"\na small exchange: {small * 1e6:.0f} µs; a large one: {large / 1e9:.2f} GB/s")


if __name__ == "__main__":
    if "--serve" in sys.argv:
        name, threads, parts = sys.argv[-3:]
        serve(name, int(threads), int(parts) or None)
    else:
        main()
