"""How a derivation is shown, from the command line and from the user's file."""

import pytest

NET = """
import numpy as np

params = {"W_in": np.array([[1.0], [2.0]])}
x = np.array([[1.0, 3.0]])
net_symbols = {"x": "ξ"}

def net(params, x):
    y_hat = (x @ params["W_in"]) / 3
    return np.sum(y_hat)
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "net.py"
    path.write_text(NET)
    return f"{path}:net"


def test_symbols_stand_in_the_file_and_keys_are_names(allbps, file):
    code, out, _ = allbps("explain", file, "--wrt", "W_in", "--by", "line")
    assert code == 0
    assert "ŷ = ξ W_in / 3" in out
    assert "δξ" not in out


@pytest.mark.parametrize(
    ("options", "text"),
    [(["--digits", 6], "2.33333 "), (["--decimals", 1], " 2.3 "), (["--exact"], " 7/3 ")],
)
def test_numbers_are_shown_as_asked(allbps, file, options, text):
    code, out, _ = allbps("explain", file, *options)
    assert code == 0
    assert text in out


def test_a_symbol_on_the_command_line_wins(allbps, file):
    assert "χ" in allbps("explain", file, "--symbol", "x=χ")[1]
    code, _, err = allbps("explain", file, "--symbol", "x")
    assert code == 2
    assert "--symbol takes NAME=SYMBOL" in err


def test_an_unknown_granularity_is_a_message(allbps, file):
    code, _, err = allbps("explain", file, "--by", "page")
    assert code == 2
    assert "unknown granularity 'page'" in err
