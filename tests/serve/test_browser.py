"""The living page in a real browser, as ``allbps serve`` gives it."""

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
NET = """
def net(x):
    y = x ** 2
    return y

x = 3.0
"""


def test_the_living_page_in_a_browser(in_browser, tmp_path):
    for library in ("lark", "waitress", "werkzeug"):
        pytest.importorskip(library)
    file = tmp_path / "net.py"
    file.write_text(NET)
    server = subprocess.Popen(
        [sys.executable, "-m", "allbps", "serve", f"{file}:net"], stdout=subprocess.PIPE, text=True
    )
    try:
        address = server.stdout.readline().strip()
        assert address.startswith("http://127.0.0.1:")
        in_browser(HERE / "live.test.mjs", URL=address, FILE=str(file))
    finally:
        server.terminate()
        server.communicate(timeout=20)
