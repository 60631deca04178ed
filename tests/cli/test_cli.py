"""The command line: what it prints, what it returns, and no traceback for a user's mistake."""

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from allbps.commands import _warnings_for_people
from allbps.lecture import NAMES
from allbps.verify.plain import SideEffectWarning

EXAMPLES = Path(__file__).parent.parent.parent / "examples"


def test_listing_names_every_system(allbps):
    code, out, _ = allbps("lecture", "--list")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == list(NAMES)


def test_lecture_check_as_json_has_the_promised_shape(allbps):
    code, out, _ = allbps("lecture", "relu", "scalar-net", "--check", "--json")
    report = json.loads(out)
    assert code == 0
    assert (report["passed"], report["failed"]) == (2, 0)
    relu = report["systems"][0]
    assert relu["name"] == "relu"
    assert relu["passed"] is True
    assert relu["nodes"] == 2
    assert relu["judges"]["exact"] == {"max_error": 0.0, "checked": 2}


def test_a_wrong_rule_makes_the_check_fail(allbps, monkeypatch):
    import dataclasses

    from allbps.ir import OPS, Rule

    relu = OPS["relu"]
    wrong = dataclasses.replace(relu.rules[0], build=lambda g, y, x: g)
    monkeypatch.setitem(relu.__dict__, "rules", (wrong,))
    assert isinstance(wrong, Rule)
    code, out, _ = allbps("lecture", "relu", "--check")
    assert code == 1
    assert "0 passed, 1 failed" in out


def test_lecture_writes_into_a_folder(allbps, tmp_path):
    code, out, _ = allbps("lecture", "relu", "--out", tmp_path)
    assert code == 0
    assert "written into" in out
    endings = {path.name for path in tmp_path.iterdir()}
    assert endings == {
        *(f"relu.{e}" for e in ("txt", "md", "tex", "html", "json", "svg", "py")),
        "relu-fragment.tex",
        "relu-beamer.tex",
        "relu-picture.tex",
        "index.html",
    }


@pytest.mark.parametrize(
    ("asked", "ending"), [(("--format", "text"), "txt"), (("--json",), "json")]
)
def test_a_format_that_is_asked_for_is_the_only_one_written(allbps, tmp_path, asked, ending):
    assert allbps("lecture", "relu", *asked, "--out", tmp_path)[0] == 0
    assert [path.name for path in tmp_path.iterdir()] == [f"relu.{ending}"]


def test_another_seed_draws_other_numbers_of_the_same_shape(allbps):
    first = allbps("lecture", "convolution", "--seed", 1, "--json")[1]
    again = allbps("lecture", "convolution", "--seed", 1, "--json")[1]
    other = allbps("lecture", "convolution", "--seed", 2, "--json")[1]
    assert first == again != other


def test_explain_emit_and_check_the_examples(allbps, tmp_path):
    code, out, _ = allbps("explain", f"{EXAMPLES}/explain_mlp.py:net")
    assert code == 0
    assert "δW₂" in out
    code, out, _ = allbps(
        "emit", f"{EXAMPLES}/emit_attention.py:attention", "--target", "torch", "--wrt", "Q,K"
    )
    assert code == 0
    assert "return L, {'Q': dQ, 'K': dK}" in out
    code, out, err = allbps(
        "explain", f"{EXAMPLES}/explain_mlp.py:net", "--format", "svg", "--out", tmp_path / "n.svg"
    )
    assert (code, out) == (0, "")
    assert "written:" in err
    code, out, _ = allbps("check", f"{EXAMPLES}/check_kinks.py:loss", "--json")
    assert code == 0
    assert json.loads(out)["passed"] is True


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["lecture", "rellu"], "error: there is no system 'rellu'"),
        (["lecture", "--format", "pdf"], "error: unknown format 'pdf'"),
        (["explain", "nowhere.py:net"], "error: there is no file nowhere.py"),
        (["emit", "net.py"], "error: no function is named"),
        (["emit", f"{EXAMPLES}/explain_mlp.py:net", "--target", "c"], "error: unknown target"),
        (
            ["explain", f"{EXAMPLES}/explain_mlp.py:net", "--wrt", "W9"],
            "there is no argument 'W9'",
        ),
        (["train", "--data", "nowhere"], "error:"),
    ],
)
def test_a_mistake_is_a_message_and_exit_code_2(allbps, arguments, message):
    code, out, err = allbps(*arguments)
    assert code == 2
    assert message in err
    assert "Traceback" not in out + err


def test_the_version(allbps):
    import allbps as package

    assert allbps("--version") == (0, f"allbps {package.__version__}\n", "")


def test_a_full_disk_is_a_message(allbps, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("typer.echo", full)
    code, _, err = allbps("lecture", "--list")
    assert code == 2
    assert err == "error: the output cannot be written: No space left on device\n"


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_a_reader_that_stops_and_a_terminal_of_letters_only_are_no_crash(encoding):
    command = f"{sys.executable} -m allbps lecture | head -1"
    done = subprocess.run(
        ["sh", "-c", command],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": encoding},
        check=True,
    )
    assert done.stdout.decode() == "A scalar neural net\n"
    assert done.stderr == b""


def test_a_nan_is_reported_once_and_not_warned_about(allbps, tmp_path):
    (tmp_path / "mine.py").write_text(
        "import numpy as np\nx = np.array([-1.0, 2.0])\n"
        "def net(x):\n    z = np.log(x)\n    return np.sum(z)\n"
    )
    code, out, err = allbps("check", f"{tmp_path}/mine.py:net")
    assert (code, err) == (1, "")
    assert "z[0] = nan is the first value that is not finite, from z = np.log(x)" in out


def test_an_unknown_option_is_misuse(allbps):
    code, _, err = allbps("lecture", "--nope")
    assert code == 2
    assert "--nope" in err


def test_errors_inside_the_users_function_name_the_users_line(allbps, tmp_path):
    (tmp_path / "mine.py").write_text(
        "import numpy as np\n"
        "X = np.ones((4, 3))\n"
        "W = np.ones((5, 2))\n"
        "def net(X, W):\n"
        "    Z = X @ W\n"
        "    return np.sum(Z)\n"
        "def broken(X):\n"
        "    return X.nothing\n"
    )
    code, _, err = allbps("explain", f"{tmp_path}/mine.py:net")
    assert code == 2
    assert err == (
        "error: X @ W does not fit\n"
        "  at:       mine.py:5 in net: Z = X @ W\n"
        "  expected: W with 3 rows, as many as X has columns\n"
        "  got:      X is (4, 3) and W is (5, 2)\n"
    )
    code, _, err = allbps("explain", f"{tmp_path}/mine.py:broken")
    assert code == 2
    assert "raised AttributeError: a traced array has no attribute 'nothing'" in err
    assert "mine.py:8 in broken: return X.nothing" in err


def test_it_runs_as_a_module():
    done = subprocess.run(
        [sys.executable, "-m", "allbps", "--help"], capture_output=True, text=True, check=True
    )
    for command in ("lecture", "explain", "emit", "check", "train"):
        assert command in done.stdout


@pytest.mark.parametrize("as_json", [False, True])
def test_a_run_that_diverges_has_failed(allbps, tmp_path, as_json):
    """Its only step leads to numbers beyond all bounds: code 1, one message, JSON that is JSON."""
    words = ["--json"] if as_json else []
    out = tmp_path / "out"
    code, said, err = allbps(
        "train", "--epochs", 1, "--lr", "1e30", "--batch-size", 5000, "--out", out, *words
    )
    assert code == 1
    assert err.startswith("error: ")
    assert "  fix:      a smaller --lr than 1e+30" in err
    assert not (out / "weights.safetensors").exists()
    if as_json:
        assert "diverged" in json.loads(said, parse_constant=lambda name: pytest.fail(name))
    else:
        assert said == ""


def test_a_function_that_differs_from_run_to_run_fails_the_check(tmp_path, allbps):
    file = tmp_path / "net.py"
    file.write_text(
        "import numpy as np\n"
        "n = 0\n"
        "def net(x):\n"
        "    global n\n"
        "    n += 1\n"
        "    return np.sum(n * x)\n"
        "inputs = {'x': np.ones(3)}\n"
    )
    with pytest.warns(SideEffectWarning):
        code, out, _ = allbps("check", f"{file}:net")
    assert code == 1
    assert "from run to run (it changes n)" in out


def test_explain_says_how_to_leave_the_deltas_of_data_out(tmp_path, allbps):
    file = tmp_path / "net.py"
    file.write_text(
        "import numpy as np\n"
        "def net(params, x, y):\n"
        "    return np.sum((params['W'] @ x - y) ** 2)\n"
        "def plain(W, x):\n"
        "    return np.sum(W @ x)\n"
        "inputs = {'params': {'W': np.ones((1, 2))}, 'x': np.ones(2), 'y': np.ones(1)}\n"
        "plain_inputs = {'W': np.ones((1, 2)), 'x': np.ones(2)}\n"
    )
    _, out, err = allbps("explain", f"{file}:net")
    assert "δx" in out
    assert err == "note: x and y have δ too; --wrt params leaves them out\n"
    _, out, err = allbps("explain", f"{file}:net", "--wrt", "params")
    assert "δx" not in out
    assert err == ""
    assert allbps("explain", f"{file}:plain")[2] == ""


def test_explain_says_which_weights_have_no_delta_since_an_object_keeps_them(tmp_path, allbps):
    file = tmp_path / "net.py"
    file.write_text(
        "import numpy as np\n"
        "class Cell:\n"
        "    def __init__(self):\n"
        "        self.W, self.b = np.eye(2), np.zeros(2)\n"
        "    def __call__(self, x):\n"
        "        return np.tanh(self.W @ x + self.b)\n"
        "cell = Cell()\n"
        "def net(x):\n"
        "    return np.sum(cell(x))\n"
        "inputs = {'x': np.ones(2)}\n"
    )
    _, _, err = allbps("explain", f"{file}:net")
    assert err == (
        "note: W, b of cell are constants here: give net an argument for what is to have a δ\n"
    )


def test_our_warnings_are_one_line_and_those_of_others_keep_their_place():
    usual = warnings.formatwarning
    with _warnings_for_people():
        said = warnings.formatwarning("L changes", SideEffectWarning, "file.py", 3)
        other = warnings.formatwarning("old", DeprecationWarning, "file.py", 3)
    assert said == "warning: L changes\n"
    assert other.startswith("file.py:3: DeprecationWarning: old")
    assert warnings.formatwarning is usual


def test_emit_writes_an_onnx_model_into_a_file(allbps, tmp_path):
    onnx = pytest.importorskip("onnx")
    target = f"{EXAMPLES}/explain_mlp.py:net"
    code, _, err = allbps("emit", target, "--target", "onnx")
    assert code == 2
    assert "add --out net.onnx" in err
    out = tmp_path / "net.onnx"
    code, _, err = allbps("emit", target, "--target", "onnx", "--wrt", "W1", "--out", str(out))
    assert code == 0, err
    assert [y.name for y in onnx.load(out).graph.output][1:] == ["dW1", "guard"]
