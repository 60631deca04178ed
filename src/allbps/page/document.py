"""One self-contained HTML file: no request, and it reads and prints without its script."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Any, Literal


@dataclass(frozen=True)
class Block:
    """A part of a page.

    Attributes:
        heading: shown above it; none where empty.
        content: source code, which is escaped; or HTML made by another reading.
        kind: which of these; a "walk" is stepped through.
    """

    heading: str
    content: str
    kind: Literal["code", "html", "walk"]


def page(title: str, lead: str, blocks: Sequence[Block], nav: str = "") -> str:
    """The whole file.

    Args:
        title: its heading.
        lead: a paragraph below the title; none where empty.
        blocks: what it shows, in order.
        nav: links to other pages, as HTML.

    >>> "<title>A &amp; B</title>" in page("A & B", "", [])
    True
    """
    script = lean(walking()) if any(block.kind == "walk" for block in blocks) else ""
    html: str = _template("page.html.jinja").render(
        title=title, lead=lead, blocks=_all_kept(blocks), nav=nav, css=style(),
        script=script, script_hash=script_hash(script),
    )  # fmt: skip
    return html


@cache
def style() -> str:
    """The style sheet, with the font of the formulas: so brackets stretch on every machine."""
    font = base64.b64encode(files("allbps.page").joinpath("math.woff2").read_bytes()).decode()
    source = f"url(data:font/woff2;base64,{font}) format('woff2')"
    return f"@font-face {{ font-family: 'allbps math'; src: {source}; }}\n{part('page.css')}"


def walking() -> str:
    """The script that steps through a derivation."""
    return "\n".join(map(part, ("page.js", "fit.js")))


def fragment(blocks: Sequence[Block]) -> str:
    """The parts of a page alone, for one that is there already."""
    html: str = _template("blocks.html.jinja").render(blocks=_all_kept(blocks))
    return html


def _all_kept(blocks: Sequence[Block]) -> list[Block]:
    return [replace(b, content=_kept(b.content)) if b.kind != "code" else b for b in blocks]


_BEFORE_A_STOP = re.compile(r"(<math>(?:(?!</math>).)*</math>)([.,;:?)]+)", re.S)


def _kept(html: str) -> str:
    """Punctuation stays on the line of the formula before it."""
    return _BEFORE_A_STOP.sub(r'<span class="kept">\1\2</span>', html)


def script_hash(script: str) -> str:
    """What a page's policy allows to run: this very script."""
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


@cache
def lean(script: str) -> str:
    r"""The same without indentation and lines of comment, which every page would carry.

    >>> lean("// why\nif (a) {\n  b();\n}")
    'if (a) {\nb();\n}'
    """
    lines = (line.strip() for line in script.split("\n"))
    return "\n".join(line for line in lines if line and not line.startswith("//"))


@cache
def part(name: str) -> str:
    """The text of a file of this room."""
    return files("allbps.page").joinpath(name).read_text("utf-8")


@cache
def _template(name: str) -> Any:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(part), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template(name)
