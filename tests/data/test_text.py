"""Text becomes windows of characters, each with the one after it; what is not text is refused."""

import numpy as np
import pytest

from allbps.data import load_text, split
from allbps.errors import ArgumentError, UserFileError


@pytest.fixture
def text(tmp_path):
    def write(content, encoding="utf-8"):
        path = tmp_path / "text.txt"
        path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
        return path

    return write


def spelled(windows, numbers):
    return "".join(windows.classes[k] for k in numbers)


def test_each_character_is_labelled_by_the_next(text):
    windows = load_text(text("to δ or not\nto δ"), 5).train
    assert [spelled(windows, row) for row in windows.x] == ["to δ ", "or no", "t\nto "]
    assert [spelled(windows, row) for row in windows.labels] == ["o δ o", "r not", "\nto δ"]
    assert windows.classes == ("\n", " ", "n", "o", "r", "t", "δ")
    assert windows.shape == (5,)


def test_the_last_character_is_a_label_only(text):
    assert len(load_text(text("abababab"), 2).train) == 3
    assert len(load_text(text("ababababa"), 2).train) == 4


def test_a_byte_order_mark_is_no_character(text):
    assert load_text(text("abab", "utf-8-sig"), 1).train.classes == ("a", "b")


def test_the_end_of_a_text_is_held_out(text):
    windows = load_text(text("abcdefghijk"), 1).train
    kept, held = split(windows, 0.2, np.random.default_rng(0))
    assert spelled(windows, kept.x[:, 0]) == "abcdefgh"
    assert spelled(windows, held.x[:, 0]) == "ij"
    assert held.classes == windows.classes


def test_one_window_cannot_be_split(text):
    windows = load_text(text("abcde"), 2).train.take(np.array([0]))
    with pytest.raises(ArgumentError) as caught:
        split(windows, 0.5, np.random.default_rng(0))
    assert str(caught.value) == (
        "too few windows of text for a held-out set\n"
        "  expected: at least two\n"
        "  got:      1\n"
        "  fix:      give a longer text, or a smaller --context"
    )


def test_text_of_another_encoding_is_refused(text):
    path = text("naïve", "latin1")
    with pytest.raises(UserFileError) as caught:
        load_text(path, 2)
    assert str(caught.value) == (
        f"{path} is not UTF-8 text\n"
        "  expected: UTF-8\n"
        "  got:      byte 0xef at position 2\n"
        "  fix:      convert it, as with: iconv -f LATIN1 -t UTF-8 text.txt"
    )


def test_a_text_too_short_is_refused(text):
    path = text("short")
    with pytest.raises(UserFileError) as caught:
        load_text(path, 4)
    assert str(caught.value) == (
        f"{path} is too short\n"
        "  expected: at least 9 characters: two windows of 4, one to learn from and one held out\n"
        "  got:      5 characters\n"
        "  fix:      give a longer text, or a smaller --context"
    )


@pytest.mark.parametrize(("content", "count"), [("", 0), ("aaaa", 4)])
def test_a_text_with_nothing_to_predict_is_refused(text, content, count):
    path = text(content)
    with pytest.raises(UserFileError) as caught:
        load_text(path, 1)
    assert str(caught.value) == (
        f"{path} has fewer than two different characters\n"
        "  expected: a text, so that there is something to predict\n"
        f"  got:      {count} characters"
    )


def test_a_missing_text_and_a_folder_are_refused(tmp_path):
    for path, got in ((tmp_path / "no.txt", "nothing there"), (tmp_path, "a folder")):
        with pytest.raises(UserFileError) as caught:
            load_text(path, 4)
        assert str(caught.value) == (
            f"there is no text file {path}\n"
            "  expected: the path of a UTF-8 text file\n"
            f"  got:      {got}\n"
            "  fix:      check the path given to --data"
        )


def test_a_context_of_nothing_is_refused(text):
    with pytest.raises(ArgumentError) as caught:
        load_text(text("abc"), 0)
    assert str(caught.value) == (
        "--context is out of range\n  expected: a number of at least 1\n  got:      0"
    )
