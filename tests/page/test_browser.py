"""The pages in a real browser: Debian's chromium, driven by playwright-core."""

from pathlib import Path

import numpy as np

import allbps as bp
from allbps.lecture import NAMES, commands

HERE = Path(__file__).parent


def hostile(x, y):
    """</script><script>alert(1)</script><img src=x onerror=alert(2)>."""
    z = x * y  # </code><img src=x onerror=alert(3)>
    return np.sum(z)


EVIL = [f'"><img src=x onerror=alert({k})></template><script>alert(9)</script>' for k in range(2)]


def evil_turns(x, W):
    for name in EVIL:  # noqa: B007 - a turn is called by it
        y = np.tanh(x @ W)
        x = x + y
    return np.sum(x)


def half(x, W):
    h = np.tanh(x @ W)
    return h * h


def layer(x, W):
    a = half(x, W)
    b = half(a, W)
    return a + b


def nested(x, W):
    for _ in range(12):
        x = layer(x, W)
    return np.sum(x)


def hundreds(x, M):
    for _ in range(150):
        y = np.sin(x)
        x = x + y
    return np.sum(x) * np.sum(M)


def thousands(x):
    for _ in range(5000):
        y = x * x
        x = np.cos(y)
    return x


def test_a_net_of_ten_thousand_values_opens_in_less_than_two_seconds(in_browser, tmp_path):
    w = bp.explain(thousands, 0.5)
    assert len(w.names) > 10_000
    w.to_html(tmp_path / "thousands.html")
    in_browser(HERE / "large.test.mjs", PAGE=str(tmp_path / "thousands.html"))


def test_pages_in_a_browser(in_browser, tmp_path):
    commands.write(NAMES, tmp_path, "html", None)
    commands.write(NAMES, tmp_path, "json", None)
    evil = {"z": "</script><script>alert(4)</script>", "x": "<img src=x onerror=alert(5)>"}
    w = bp.explain(hostile, np.array([1.0, 2.0]), np.array([3.0, 4.0]), symbols=evil)
    w.to_html(tmp_path / "hostile.html", verify=True)
    w = bp.explain(hundreds, np.array([0.5, -1.0]), np.ones((20, 20)))
    w.to_html(tmp_path / "hundreds.html", verify=True)
    w = bp.explain(evil_turns, np.ones((2, 3)), np.eye(3)).shown(by="block")
    w.to_html(tmp_path / "turns.html")
    w = bp.explain(nested, np.ones((2, 3)), np.eye(3)).shown(by="block")
    w.to_html(tmp_path / "nested.html")
    assert 'class="packed"' in (tmp_path / "nested.html").read_text()
    sizes = {page.stem: page.stat().st_size for page in tmp_path.glob("*.html")}
    assert max(sizes.values()) <= 400_000, sizes
    in_browser(HERE / "page.test.mjs", PAGES=str(tmp_path))
