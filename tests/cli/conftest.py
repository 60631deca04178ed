"""The command line, run in this process."""

import signal
import sys

import pytest

from allbps.cli import main


@pytest.fixture
def allbps(monkeypatch, capsys):
    """Run the command line; gives (exit code, stdout, stderr)."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["allbps", *map(str, arguments)])
        usual = signal.getsignal(signal.SIGINT)
        with pytest.raises(SystemExit) as stop:
            main()
        signal.signal(signal.SIGINT, usual)
        out, err = capsys.readouterr()
        return stop.value.code, out, err

    return run
