"""What the README shows is what happens."""

import re
from pathlib import Path

import pytest

README = Path(__file__).parent.parent / "README.md"
pytestmark = pytest.mark.skipif(not README.exists(), reason="the wheel has no README beside it")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README.read_text("utf-8"), flags=re.DOTALL)


def test_the_examples_run_and_the_first_prints_what_is_shown(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    scope = {}
    programs = [block for block in blocks("python") if not block.startswith("    ")]
    exec(programs[0], scope)
    assert capsys.readouterr().out == blocks("text")[0]
    for program in programs[1:]:
        exec(program, scope)
    assert (tmp_path / "net.html").exists()


def test_the_emitted_lines_shown_are_the_emitted_lines():
    scope = {}
    exec(blocks("python")[0].split("print(")[0], scope)
    shown = next(block for block in blocks("python") if block.startswith("    "))
    emitted = [re.sub(r"\s+", " ", line) for line in scope["w"].to_source().splitlines()]
    for line in shown.splitlines():
        assert re.sub(r"\s+", " ", line) in emitted, line


def test_the_picture_is_that_of_the_first_example():
    scope = {}
    exec(blocks("python")[0].split("print(")[0], scope)
    shown = (README.parent / "docs" / "pictures" / "net.svg").read_text("utf-8")
    assert shown == scope["w"].to_svg() + "\n"


def test_every_link_leads_somewhere():
    for target in re.findall(r"\]\(([^)]+)\)", README.read_text("utf-8")):
        assert (README.parent / target).exists(), target
