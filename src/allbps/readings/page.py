"""A page: one self-contained HTML file, no script, no request, readable offline and on paper."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal


@dataclass(frozen=True)
class Block:
    """A part of a page.

    Attributes:
        heading: shown above it; none where empty.
        content: source code, which is escaped; or SVG or HTML made by another reading.
        kind: which of these.
    """

    heading: str
    content: str
    kind: Literal["code", "figure", "html"]


def page(title: str, lead: str, blocks: Sequence[Block]) -> str:
    """The whole file.

    >>> "<title>A &amp; B</title>" in page("A & B", "", [])
    True
    """
    html: str = _template().render(title=title, lead=lead, blocks=blocks)
    return html


@cache
def _template() -> Any:
    import jinja2

    text = files("allbps.readings").joinpath("page.html.jinja").read_text("utf-8")
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(text)
