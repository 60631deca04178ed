"""Files are written whole or not at all."""

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
