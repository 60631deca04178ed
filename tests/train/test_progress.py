"""Progress is for people at a terminal."""

import io
import re
import sys

import pytest

from allbps.train import run
from allbps.train.progress import watching


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    """Puts a terminal in the place of stderr; in the test itself, since pytest does so before."""

    def install():
        monkeypatch.setattr(sys, "stderr", Terminal())
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setenv("COLUMNS", "80")
        return sys.stderr

    monkeypatch.delenv("NO_COLOR", raising=False)
    return install


COLOUR = re.compile(r"\x1b\[[0-9;]*3[0-9]")
LINE = re.compile(
    r"epoch 3/3 ━+ loss \d\.\d{3} accuracy \d+\.\d% held out \d+\.\d% [\d,]+/s \d\d:\d\d left"
)


def test_a_terminal_sees_rate_loss_accuracy_and_the_time_left(options, terminal):
    seen = terminal()
    run(options(), quiet=False)
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", seen.getvalue())
    assert LINE.search(plain)
    assert COLOUR.search(seen.getvalue())


def test_no_color_is_honoured(options, terminal, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    seen = terminal()
    run(options(epochs=1), quiet=False)
    assert "epoch 1/1" in seen.getvalue()
    assert not COLOUR.search(seen.getvalue())


def test_quiet_is_quiet(options, terminal):
    seen = terminal()
    run(options(epochs=1), quiet=True)
    assert seen.getvalue() == ""


def test_what_is_not_a_terminal_sees_nothing(options, capsys):
    run(options(epochs=1), quiet=False)
    assert capsys.readouterr() == ("", "")


def test_without_steps_there_is_no_rate():
    with watching(10, 1, quiet=True) as watch:
        assert watch.rate == 0
