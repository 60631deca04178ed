"""Files are written whole or not at all."""

import os
import signal
import subprocess
import sys

import pytest

from allbps.errors import UserFileError
from allbps.files import write_bytes, write_text


def test_folders_are_made_and_nothing_else_is_left(tmp_path):
    write_text(tmp_path / "a" / "b.txt", "δ")
    assert (tmp_path / "a" / "b.txt").read_text("utf-8") == "δ"
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["b.txt"]


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    target = tmp_path / "weights"
    write_bytes(target, b"old")

    def full(fd):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(UserFileError) as caught:
        write_bytes(target, b"new")
    assert "No space left on device" in str(caught.value)
    assert target.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["weights"]


def test_a_place_that_is_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserFileError) as caught:
        write_text(tmp_path / "file" / "x.txt", "x")
    assert str(caught.value) == (
        f"{tmp_path}/file/x.txt cannot be written: {tmp_path}/file is not a folder\n"
        "  fix:      choose another place with --out"
    )


KILLED = """
import os, signal, sys
from allbps.files import write_bytes

os.fsync = lambda handle: os.kill(os.getpid(), getattr(signal, sys.argv[2]))
write_bytes(sys.argv[1], b"new")
"""


def writer(path, ended_by):
    """A process that is stopped or killed while it writes a file."""
    return subprocess.Popen([sys.executable, "-c", KILLED, str(path), ended_by])


def test_what_a_killed_writer_left_is_gone_with_the_next_write(tmp_path):
    target = tmp_path / "weights[1]"
    kept = [
        ".weights[1].abcdefgh",
        ".weights[1].bak.unfinished.txt",
        ".weights1.abcdefgh.unfinished",
    ]
    for name in kept:
        (tmp_path / name).write_bytes(b"somebody's own")
    write_bytes(target, b"old")
    assert writer(target, "SIGKILL").wait() == -signal.SIGKILL
    assert target.read_bytes() == b"old"
    (left,) = set(os.listdir(tmp_path)) - {target.name, *kept}
    write_bytes(target.with_name("log"), b"another file, which says nothing of this one")
    assert (tmp_path / left).exists()
    write_bytes(target, b"newer")
    assert set(os.listdir(tmp_path)) == {target.name, "log", *kept}


def test_what_another_process_writes_is_left_to_it(tmp_path):
    target = tmp_path / "weights"
    other = writer(target, "SIGSTOP")
    try:
        os.waitid(os.P_PID, other.pid, os.WSTOPPED)
        write_bytes(target, b"mine")
        assert len(os.listdir(tmp_path)) == 2
        other.send_signal(signal.SIGCONT)
        assert other.wait() == 0
        assert target.read_bytes() == b"new"
        assert os.listdir(tmp_path) == ["weights"]
    finally:
        other.kill()
        other.wait()
