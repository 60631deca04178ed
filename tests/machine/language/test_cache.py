"""The disk cache: found again, rebuilt when damaged, harmless when it cannot be written."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from allbps.machine.language import cache
from allbps.machine.language.target import host, narrowed


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("ALLBPS_CACHE_DIR", str(tmp_path))
    return tmp_path


def counted(objects=(b"one", b"")):
    calls = []

    def make():
        calls.append(1)
        return list(objects)

    return make, calls


def test_an_entry_is_made_once(folder):
    make, calls = counted()
    assert cache.fetch("k", make) == cache.fetch("k", make) == [b"one", b""]
    assert len(calls) == 1
    assert [p.name for p in folder.iterdir()] == ["k.bin"]


@pytest.mark.parametrize(
    "damage", [lambda d: d[:-1], lambda d: d[:20], lambda d: b"", lambda d: d[:60] + b"x" + d[61:]]
)
def test_a_damaged_entry_is_made_again(damage, folder):
    make, calls = counted()
    cache.fetch("k", make)
    path = folder / "k.bin"
    path.write_bytes(damage(path.read_bytes()))
    assert cache.fetch("k", make) == [b"one", b""]
    assert len(calls) == 2
    cache.fetch("k", make)
    assert len(calls) == 2


def test_a_folder_that_cannot_be_written_costs_one_warning(tmp_path, monkeypatch, recwarn):
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    monkeypatch.setenv("ALLBPS_CACHE_DIR", str(blocked / "cache"))
    make, calls = counted()
    for _ in range(3):
        assert cache.fetch("k", make) == [b"one", b""]
    assert len(calls) == 3
    (warning,) = recwarn
    assert "Set ALLBPS_CACHE_DIR to a writable folder" in str(warning.message)


def test_the_key_follows_source_cpu_and_dtype():
    keys = {
        cache.key("a", host(), single=True),
        cache.key("b", host(), single=True),
        cache.key("a", host(), single=False),
        cache.key("a", narrowed(16), single=True),
    }
    assert len(keys) == 4
    assert cache.key("a", host(), single=True) in keys


def test_the_users_cache_folder_by_default(monkeypatch):
    monkeypatch.delenv("ALLBPS_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    if sys.platform == "linux":
        assert str(cache.directory()) == "/xdg/allbps"


def test_code_from_disk_runs_in_a_new_process(folder):
    program = (
        "import numpy as np; from allbps.machine.language import cache; "
        "from allbps.machine.kernels.reduce import sum_of_squares; "
        "from allbps.machine.language.target import host; "
        "_, (f,) = cache.load_kernels((sum_of_squares,), host(), single=False);"
        "s = np.zeros(1); f(s.ctypes.data, np.arange(5.0).ctypes.data, 0, 5); print(s[0])"
    )
    environment = {**os.environ, "ALLBPS_CACHE_DIR": str(folder)}
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True,
            check=True,
        )  # fmt: skip
        assert done.stdout == "30.0\n"
    assert len(list(folder.iterdir())) == 1
