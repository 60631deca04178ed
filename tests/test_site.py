"""The documentation: its programs run, it builds without a warning, its links lead somewhere."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted((*DOCS.glob("tutorials/*.md"), *DOCS.glob("howto/*.md")))
pytestmark = pytest.mark.skipif(not DOCS.exists(), reason="the wheel has no docs beside it")


def blocks(page, language):
    return re.findall(rf"```{language}\n(.*?)```", page.read_text("utf-8"), re.S)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_programs_of_a_page_run_and_print_what_is_shown(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    programs = blocks(page, "python")
    shown = blocks(page, "text")
    scope = {}
    for k, program in enumerate(programs):
        exec(program, scope)
        printed = capsys.readouterr().out
        if k < len(shown):
            assert printed == shown[k]


class Links(HTMLParser):
    """Where a page leads, what it loads, and the places in it that others lead to."""

    def __init__(self):
        super().__init__()
        self.targets, self.loaded, self.anchors = [], [], set()

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.anchors |= {given[key] for key in ("id", "name") if given.get(key)}
        if tag == "a" and given.get("href"):
            self.targets.append(given["href"])
        loads = {"link": "href", "script": "src", "img": "src", "iframe": "src"}
        if given.get(loads.get(tag, "")):
            self.loaded.append(given[loads[tag]])


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    pytest.importorskip("sphinx")
    pytest.importorskip("furo")
    pytest.importorskip("myst_parser")
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html"]
    done = subprocess.run(
        [*command, "-d", str(out / ".doctrees"), str(DOCS), str(out)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    pages = {}
    for page in out.rglob("*.html"):
        pages[page] = Links()
        pages[page].feed(page.read_text("utf-8"))
    return out, pages


def test_every_link_of_the_site_leads_to_a_page_and_a_place_on_it(site):
    out, pages = site
    assert len(pages) > 30
    broken = []
    for page, links in pages.items():
        for target in links.targets:
            parts = urlsplit(target)
            if parts.scheme or target == "#":
                continue
            there = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            if not there.exists():
                broken.append(f"{page.relative_to(out)}: {target}")
            elif parts.fragment and there in pages:
                known = pages[there].anchors
                if unquote(parts.fragment) not in known:
                    broken.append(f"{page.relative_to(out)}: {target}")
    assert not broken, "\n".join(broken)


def test_no_page_of_the_site_asks_another_host(site):
    for page, links in site[1].items():
        assert not [x for x in links.loaded if urlsplit(x).netloc], page


def test_the_site_has_all_systems_of_the_lecture_and_every_operation(site):
    from allbps.ir import CONST, INPUT, OPS
    from allbps.lecture import NAMES

    out, _ = site
    assert {page.stem for page in (out / "lecture").glob("*.html")} == {"index", *NAMES}
    table = (out / "generated" / "operations.html").read_text("utf-8")
    missing = [op.name for op in OPS.values() if f"<h3>{op.name}<" not in table]
    assert missing == [INPUT.name, CONST.name]
