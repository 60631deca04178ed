"""Ctrl-C and SIGTERM end the command with one line and exit code 130, whenever they come."""

import signal
import subprocess
import sys
import time

import pytest

LISTENING = """
import signal, sys
import allbps.cli as cli

signal.signal(signal.SIGINT, signal.default_int_handler)
answer = cli._answer

def told(*arguments):
    answer(*arguments)
    print("listening", flush=True)

cli._answer = told
cli.main()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("delay", [0.0, 0.05, 0.15, 0.4, 1.0])
def test_one_line_and_130(delay, number):
    process = subprocess.Popen(
        [sys.executable, "-c", LISTENING, "lecture", "--check"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout.readline() == "listening\n"
    time.sleep(delay)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err.strip()) == (130, "stopped")


LOST = """
import signal, time
import allbps.cli, allbps.commands

class Destroyed:
    def __del__(self):
        signal.raise_signal(signal.NUMBER)
        time.sleep(0.1)

def run():
    Destroyed()
    for _ in range(200):
        time.sleep(0.1)
    return 0

signal.signal(signal.SIGINT, signal.default_int_handler)
allbps.commands.run = run
allbps.cli.main()
"""


# a busy machine: the second interrupt comes before the thread that sends it has been seen to start
LATE = """
import threading, time

start, begun = threading.Thread.start, []

def slow(thread):
    start(thread)
    begun.append(thread)
    if len(begun) < 3:
        time.sleep(0.05)

threading.Thread.start = slow
"""


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("before", ["", LATE], ids=["at once", "late"])
def test_a_destructor_does_not_swallow_it(before, number):
    done = subprocess.run(
        [sys.executable, "-c", before + LOST.replace("NUMBER", number)],
        capture_output=True, text=True, timeout=50, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr.strip()) == (130, "stopped")


def test_the_door_is_small():
    code = "import sys, allbps.cli; print(sorted({'numpy', 'typer', 'rich'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
