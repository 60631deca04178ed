"""The pages in a real browser: Debian's chromium, driven by playwright-core."""

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import allbps as bp
from allbps.lecture import NAMES, commands

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def tools(tmp_path_factory):
    """The folder with playwright-core and axe-core; installed once, kept for later runs."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("no node here")
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "allbps-tests"
    done = subprocess.run(
        ["sh", str(HERE / "install.sh"), str(cache)], capture_output=True, text=True, check=False
    )
    if done.returncode and not os.environ.get("CI"):
        pytest.skip(f"no browser can be installed here: {done.stderr[-300:]}")
    assert done.returncode == 0, done.stderr
    return cache


def hostile(x, y):
    """</script><script>alert(1)</script><img src=x onerror=alert(2)>."""
    z = x * y  # </code><img src=x onerror=alert(3)>
    return np.sum(z)


def test_pages_in_a_browser(tools, tmp_path):
    commands.write(NAMES, tmp_path, "html", None)
    commands.write(NAMES, tmp_path, "json", None)
    evil = {"z": "</script><script>alert(4)</script>", "x": "<img src=x onerror=alert(5)>"}
    w = bp.explain(hostile, np.array([1.0, 2.0]), np.array([3.0, 4.0]), symbols=evil)
    w.to_html(tmp_path / "hostile.html", verify=True)
    sizes = {page.stem: page.stat().st_size for page in tmp_path.glob("*.html")}
    assert max(sizes.values()) <= 400_000, sizes
    done = subprocess.run(
        ["node", "--test", "--test-reporter=spec", str(HERE / "page.test.mjs")],
        env={**os.environ, "TOOLS": str(tools), "PAGES": str(tmp_path)},
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:]
    assert "# fail 0" in done.stdout or "fail 0" in done.stdout
