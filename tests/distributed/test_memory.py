"""Memory that workers of one machine share: all of them see it, or none uses it."""

import os
import sys

import pytest

from allbps.distributed import memory
from allbps.distributed.memory import common_memory

from ..machine._threads import together

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="files without a name are Linux's")
SIZE = 4096


def shared(size=3):
    found, errors = together(size, lambda exchange: common_memory(exchange, SIZE))
    assert not errors
    return found


def test_what_one_writes_all_read():
    first, *others = shared()
    assert len({id(first), *map(id, others)}) == 3
    first[100:103] = b"sum"
    assert all(other[100:103] == b"sum" for other in others)


def test_no_file_is_left_open():
    before = len(os.listdir("/proc/self/fd"))
    found = shared()
    assert len(os.listdir("/proc/self/fd")) <= before + len(found)  # each mapping keeps its own
    del found
    assert len(os.listdir("/proc/self/fd")) == before


def test_where_the_system_grants_none_nobody_has_any(monkeypatch):
    def refuse(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    assert shared() == [None, None, None]


def test_what_is_another_workers_elsewhere_is_not_taken_for_it(monkeypatch, tmp_path):
    """In another container the same number is another process, which may have such a file too."""
    strange = tmp_path / "other"
    strange.write_bytes(bytes(SIZE))
    usual = memory._found
    monkeypatch.setattr(memory, "_found", lambda path, *rest: usual(str(strange), *rest))
    assert shared() == [None, None, None]


def test_one_who_sees_nothing_there_keeps_all_from_using_it(monkeypatch):
    usual, asked = memory._found, []

    def found(path, *rest):
        asked.append(path)
        return usual("/proc/0/fd/0" if len(asked) == 1 else path, *rest)

    monkeypatch.setattr(memory, "_found", found)
    assert shared() == [None, None, None]
