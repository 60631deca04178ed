"""Ctrl-C ends the command with one line and exit code 130, whenever it comes."""

import signal
import subprocess
import sys
import time

import pytest

READY = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
import allbps.cli
print("ready", flush=True)
sys.argv[0] = "allbps"
allbps.cli.main()
"""


@pytest.mark.parametrize("delay", [0.0, 0.05, 0.15, 0.4, 1.0])
def test_one_line_and_130(delay):
    process = subprocess.Popen(
        [sys.executable, "-c", READY, "lecture", "--check"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout.readline() == "ready\n"
    time.sleep(delay)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err.strip()) == (130, "stopped")


def test_the_door_is_small():
    code = "import sys, allbps.cli; print(sorted({'numpy', 'typer', 'rich'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
