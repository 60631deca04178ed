"""FILE.py:FUNCTION finds the function and its inputs, or says what is missing."""

import pytest

from allbps.errors import ArgumentError, NameUnknownError, UserFileError
from allbps.userfile import load


def write(folder, text):
    path = folder / "mine.py"
    path.write_text(text)
    return path


def test_inputs_may_be_a_dict_a_function_or_variables(tmp_path):
    path = write(
        tmp_path,
        "x = 3.0\n"
        "def f(x): return x\n"
        "def g(x): return x\n"
        "g_inputs = {'x': 4.0}\n"
        "def h(x, y=1.0): return x\n"
        "def h_inputs(): return {'x': 5.0}\n",
    )
    assert load(f"{path}:f").inputs == {"x": 3.0}
    assert load(f"{path}:g").inputs == {"x": 4.0}
    assert load(f"{path}:h").inputs == {"x": 5.0}


def test_cotangents_are_found(tmp_path):
    path = write(tmp_path, "def f(x): return x\nx = 1.0\ncotangents = {'y': 2.0}\n")
    assert load(f"{path}:f").cotangents == {"y": 2.0}


@pytest.mark.parametrize("said", ["wrt = ['w', 'b']", "f_wrt = ('w', 'b')", "wrt = 'w, b'"])
def test_a_file_may_say_whose_deltas_are_wanted(tmp_path, said):
    path = write(tmp_path, f"def f(w, b, x): return w * x + b\nw = b = x = 1.0\n{said}\n")
    assert load(f"{path}:f").wrt == ("w", "b")


def test_what_is_wanted_must_be_names(tmp_path):
    path = write(tmp_path, "def f(x): return x\nx = 1.0\nwrt = 3\n")
    with pytest.raises(UserFileError, match="wrt must be a list of names of arguments"):
        load(f"{path}:f")


def test_a_missing_file(tmp_path):
    with pytest.raises(UserFileError) as caught:
        load(f"{tmp_path}/none.py:f")
    assert str(caught.value) == (
        f"there is no file {tmp_path}/none.py\n"
        "  expected: a Python file\n"
        "  fix:      check the path"
    )


def test_no_function_named():
    with pytest.raises(UserFileError) as caught:
        load("net.py")
    assert str(caught.value) == (
        "no function is named\n"
        "  expected: FILE.py:FUNCTION\n"
        "  got:      net.py\n"
        "  fix:      write net.py:net if your function is called net"
    )


def test_a_file_without_the_function(tmp_path):
    path = write(tmp_path, "def net(x): return x\n")
    with pytest.raises(NameUnknownError) as caught:
        load(f"{path}:ned")
    assert str(caught.value) == (
        f"there is no function 'ned'\n  at:       {path}\n"
        "  expected: one of net\n  fix:      did you mean 'net'?"
    )


def test_a_missing_input(tmp_path):
    path = write(tmp_path, "def net(x, w): return x\nx = 1.0\n")
    with pytest.raises(ArgumentError) as caught:
        load(f"{path}:net")
    assert str(caught.value) == (
        f"{path} defines no value for w\n"
        "  expected: inputs for net(x, w)\n"
        "  got:      values for x\n"
        "  fix:      add  inputs = {'w': …}  to the file"
    )


def test_an_input_of_no_parameter(tmp_path):
    path = write(tmp_path, "def net(x): return x\ninputs = {'x': 1.0, 'ww': 1.0}\n")
    with pytest.raises(NameUnknownError) as caught:
        load(f"{path}:net")
    assert str(caught.value) == (
        f"there is no parameter 'ww'\n  at:       the inputs for net in {path}\n"
        "  expected: one of x"
    )


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(UserFileError) as caught:
        load(f"{tmp_path}:net")
    assert str(caught.value) == (
        f"{tmp_path} is a folder\n  expected: a Python file\n  fix:      check the path"
    )


def test_a_file_of_bytes_is_not_python(tmp_path):
    (tmp_path / "mine.py").write_bytes(b"\x00\xff")
    with pytest.raises(UserFileError) as caught:
        load(f"{tmp_path}/mine.py:net")
    assert str(caught.value) == f"{tmp_path}/mine.py is not valid Python: it contains null bytes"


def test_a_file_that_fails_shows_its_own_line(tmp_path):
    path = write(tmp_path, "a = 1\nb = a / 0\ndef net(x): return x\n")
    with pytest.raises(UserFileError) as caught:
        load(f"{path}:net")
    assert str(caught.value) == (
        f"{path} raised ZeroDivisionError: division by zero\n"
        "  at:       mine.py:2 in <module>: b = a / 0"
    )


def test_a_file_that_is_not_python(tmp_path):
    path = write(tmp_path, "def net(x:\n")
    with pytest.raises(UserFileError) as caught:
        load(f"{path}:net")
    assert "is not valid Python" in str(caught.value)


BUILDERS = (
    "import numpy as np\n"
    "def f(x, w): return np.sum(x * w)\n"
    "def positional(): return f, (1.0, 2.0)\n"
    "def named(): return f, {'w': 2.0, 'x': 1.0}\n"
    "def alone(): return f, 1.0\n"
    "def few(): return f, (1.0,)\n"
    "def nameless(): return (lambda *a: a[0]), (1.0,)\n"
)


@pytest.mark.parametrize("name", ["positional", "named"])
def test_a_function_without_arguments_may_return_a_function_and_its_inputs(tmp_path, name):
    found = load(f"{write(tmp_path, BUILDERS)}:{name}")
    assert found.inputs == {"x": 1.0, "w": 2.0}
    assert found.function(**found.inputs) == 2.0


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("alone", "returns a function without its inputs"),
        ("few", "do not fit its function: missing a required argument: 'w'"),
        ("nameless", "returns a function whose inputs have no names"),
    ],
)
def test_what_a_function_without_arguments_returns_and_is_no_net_is_said(tmp_path, name, words):
    with pytest.raises(UserFileError, match=words):
        load(f"{write(tmp_path, BUILDERS)}:{name}")
