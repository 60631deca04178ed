"""One derivation as a part of a page: picture, steps and both sources, tied together by names."""

from __future__ import annotations

import base64
import gc
import json
import re
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import escape
from typing import Any

from allbps.backward import Backward
from allbps.page.heat import detail, heat
from allbps.page.large import in_pieces, is_large
from allbps.page.listing import listing
from allbps.readings.derivation import Derivation, Step
from allbps.readings.element import inside
from allbps.readings.levels import Level
from allbps.readings.mathml import to_mathml
from allbps.readings.overview import overview
from allbps.readings.source import Program
from allbps.verify import Finding, Report, Verdict

WHOLE = 270_000
"""Bytes of a derivation that lies in its page as it is; a larger one lies there packed."""
FLAT, LOW, BESIDE = 2.5, 420, 640
"""A picture of so much more width than height, or so low and too wide to stand beside steps."""
PLAIN = 50_000
"""The same of what the script alone reads."""


@dataclass(frozen=True)
class Parts:
    """What a walk is made of; every reading of one backward pass.

    Attributes:
        picture: draws the graph.
        program: the emitted source.
        texts: ending of a file -> writes the reading that the page can save under it.
        levels: draws the insides of the picture's boxes.
        report: what the judges say, if they were asked.
    """

    backward: Backward
    derivation: Derivation
    picture: Callable[[], str]
    program: Program
    texts: Mapping[str, Callable[[], str]] = field(default_factory=dict)
    levels: Callable[[], Iterable[Level]] = tuple
    report: Report | None = None


@contextmanager
def without_collection() -> Iterator[None]:
    """No garbage collection inside, where hundreds of thousands of objects are made that stay."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def walk(parts: Parts) -> str:
    """The HTML of one derivation, with what the script needs to step through it."""
    if is_large(parts.backward):
        return _walk_in_pieces(parts)
    seen, tables = _shared(inside(parts.derivation))
    primals = _primals(parts.backward)
    data = {
        "steps": [_told(step, primals) for step in parts.derivation if step.kind != "given"],
        "inside": seen,
        "tables": tables,
        "within": _within(parts),
        "title": parts.derivation.title,
    }
    texts = {ending: write() for ending, write in parts.texts.items()}
    body = _body(parts)
    saved = {"saved": {ending: _packed(text) for ending, text in texts.items()}}
    told = _json(data | saved)
    whole = _section(body, told if len(told.encode()) <= PLAIN else _packed(told))
    if len(whole.encode()) <= WHOLE:
        return whole
    packed = _packed(_section(body, _json(data | {"texts": texts})))
    return (
        f'<section class="packed">\n{_in_plain_text(parts)}'
        f'<script type="application/octet-stream">{packed}</script></section>'
    )


def _section(body: str, data: str) -> str:
    return (
        f'<section class="walk">\n{body}<script type="application/json">{data}</script>\n</section>'
    )


def _body(parts: Parts) -> str:
    """Picture, steps and sources."""
    tall = [step for step in parts.derivation if step.summary]
    fine = detail(len(tall))
    pictures = {step.name: heat(step.value, step.symbol, fine) for step in tall}
    svg = _undescribed(parts.picture())
    return (
        f'<div class="both{" flat" if _is_flat(svg) else ""}"><div class="aside">'
        f"<figure>{svg}</figure>{''.join(map(_template, parts.levels()))}"
        f"</div>\n{to_mathml(parts.derivation, _verdicts(parts), pictures)}</div>\n"
        f'<div class="sources">{"".join(_sources(parts))}</div>\n'
    )


def _template(level: Level) -> str:
    """The inside of a box, which nothing draws before it is opened."""
    label = escape(level.label, quote=True)
    return (
        f'<template data-level="{level.path}" data-label="{label}">'
        f"{_undescribed(level.svg)}</template>"
    )


def _is_flat(svg: str) -> bool:
    """Is the picture so wide that the steps stand below it, not beside it?"""
    found = re.search(r' width="([\d.]+)" height="([\d.]+)"', svg)
    if found is None:
        return False
    width, height = float(found[1]), float(found[2])
    return width > FLAT * height or (height < LOW and width > BESIDE)


def _undescribed(svg: str) -> str:
    """A picture without its own account of every value: the steps stand beside it."""
    return re.sub(r"<desc>.*?</desc>\n?", "", svg, count=1, flags=re.DOTALL)


def _shared(seen: Mapping[str, list[dict[str, Any]]]) -> tuple[dict[str, Any], list[Any]]:
    """The elements with numbers for their tables, and each table once."""
    tables: list[Any] = []

    def numbered(element: dict[str, Any]) -> dict[str, Any]:
        if "table" not in element:
            return element
        if element["table"] not in tables[-1:]:  # a row of elements has one after another
            tables.append(element["table"])
        return element | {"table": len(tables) - 1}

    return {name: [numbered(x) for x in elements] for name, elements in seen.items()}, tables


def _packed(text: str) -> str:
    """A text small enough to lie in the page in several forms; browsers unpack it themselves."""
    return base64.b64encode(zlib.compress(text.encode(), 9)).decode()


def _walk_in_pieces(parts: Parts) -> str:
    """The same of a net that is too large to be shown at once."""
    count = len(parts.backward.traced.graph.nodes)
    return (
        '<section class="pieces">\n'
        f"<p>{count} values, in pieces that open: what the function computes in order, and in each"
        f" piece first the values, then their δ back.</p>\n{_pieces(parts)}</section>"
    )


def _in_plain_text(parts: Parts) -> str:
    """What stands in place of a packed derivation where no script runs."""
    return f'<div class="pieces">\n{_pieces(parts, plain=True)}</div>\n'


def _pieces(parts: Parts, plain: bool = False) -> str:
    """An overview, the steps as lines of text, both sources."""
    lines = listing([step.site for step in parts.derivation if step.site])
    own = "\n".join(text for _, text in lines)
    steps = in_pieces(parts.backward, parts.derivation, _verdicts(parts), plain=plain)
    return (
        f"<figure>{overview(parts.backward, anchor='part')}</figure>\n{steps}\n"
        f"{_folded('Your function', own) if own else ''}"
        f"{_folded('Forward and backward in NumPy', parts.program.text)}"
    )


def _folded(heading: str, text: str) -> str:
    return (
        f'<details class="piece"><summary>{heading}</summary>'
        f'<pre tabindex="0"><code>{escape(text)}</code></pre></details>\n'
    )


def _json(data: Any) -> str:
    """JSON that may stand in a script element."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")


def _told(step: Step, primals: Mapping[str, str]) -> dict[str, Any]:
    """One step for the script: its name, whose it is, its line, and the sentence to speak."""
    value = step.numbers()[-1:]
    said = step.formula or step.symbol
    said += f" = {value[0].inline}" if value else f": {step.summary}" if step.summary else ""
    said += f", because {step.because}" if step.because and step.kind != "seed" else ""
    return {
        "name": step.name,
        "of": primals.get(step.name, step.name),
        "back": step.kind != "forward",
        "line": step.site.line if step.site else None,
        "said": said,
    }


def _primals(backward: Backward) -> Mapping[str, str]:
    """Name of a δ or of a contribution -> the name of its primal."""
    found = {}
    for delta in backward.steps:
        found[delta.node.name] = delta.primal.name
        if len(delta.terms) > 1:  # a single one is the δ itself, or that of the value after it
            found |= {term.node.name: delta.primal.name for term in delta.terms}
    return found


def _within(parts: Parts) -> Mapping[str, str]:
    """Name of a value without a step -> the value with one in whose formula it stands."""
    shown = {step.name for step in parts.derivation}
    graph = parts.backward.traced.graph
    found: dict[str, str] = {}
    for node in reversed(graph.nodes):
        if node.inputs and node.name not in shown and (users := graph.users[node]):
            user = users[0][0].name
            found[node.name] = found.get(user, user)
    return found


# -- sources ---------------------------------------------------------------------------------------
def _sources(parts: Parts) -> Iterator[str]:
    sites = [step.site for step in parts.derivation if step.site]
    lines = listing(sites)
    if lines:
        own = [_line(text, f' data-line="{k}"') for k, text in lines]
        yield f"<div><h3>Your function</h3>{_pre(own)}</div>"
    texts = parts.program.text.rstrip("\n").split("\n")
    emitted = list(map(_line, texts, _names(parts.program, texts)))
    yield f"<div><h3>Forward and backward in NumPy</h3>{_emitted(texts, emitted)}</div>"


def _emitted(texts: Sequence[str], lines: Sequence[str]) -> str:
    """The program, with the functions that it calls folded above it."""
    begins = [k for k, text in enumerate(texts) if text.startswith("def ")]
    own = begins[-1]
    if len(begins) == 1:
        return _pre(lines)
    first = max(k for k in range(begins[0]) if texts[k]) + 1
    names = [re.split(r"[ (]", texts[k])[1] for k in begins[:-1]]
    folded = f"<summary>{escape(', '.join(names))}</summary>{_pre(lines[first:own])}"
    return f'{_pre(lines[:first])}<details class="helpers">{folded}</details>{_pre(lines[own:])}'


def _line(text: str, mark: str) -> str:
    return f'<span class="line"{mark}>{escape(text)}</span>'


def _pre(lines: Iterable[str]) -> str:
    return f'<pre tabindex="0"><code>{"".join(lines)}</code></pre>'


def _names(program: Program, texts: list[str]) -> Iterator[str]:
    """For each line of the emitted file the step that it computes, as an attribute."""
    waiting = deque([*program.forward, *program.backward])
    for text in texts:
        if waiting and text.strip().startswith(waiting[0].code.split("\n")[0]):
            name = waiting.popleft().node.name
            yield f' data-step="{escape(name)}"' if name else ""
        else:
            yield ""


# -- verdicts --------------------------------------------------------------------------------------
def _verdicts(parts: Parts) -> Mapping[str, str]:
    """Name of a δ -> what the judges said of it."""
    of, called = parts.report.of if parts.report else {}, parts.backward.traced.deltas
    return {called[name]: _said(list(found.values())) for name, found in of.items()}


def _said(findings: list[Finding]) -> str:
    """Who agrees and to within what, who does not, and what else is said; nothing is left out."""
    by_verdict: dict[Verdict, list[str]] = {}
    for finding in findings:
        error = f" {finding.error:.0e}" if finding.error else ""
        shown = error if finding.verdict in (Verdict.AGREE, Verdict.DISAGREE) else ""
        by_verdict.setdefault(finding.verdict, []).append(f"{finding.judge}{shown}")
    parts = []
    for verdict, judges in sorted(by_verdict.items(), key=lambda item: ORDER.index(item[0])):
        parts.append(f"{SIGNS.get(verdict, f'{verdict}:')} {', '.join(judges)}")
    return "; ".join(parts) or "not checked by any judge"


ORDER = (
    Verdict.DISAGREE,
    Verdict.AGREE,
    Verdict.CONVENTION,
    Verdict.NOISY,
    Verdict.NOT_DIFFERENTIABLE,
    Verdict.NOT_CHECKED,
)
SIGNS = {Verdict.DISAGREE: "✗ disagrees:", Verdict.AGREE: "✓"}
