"""What ``allbps lecture`` does: list, show, write into a folder, check."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from allbps.errors import ArgumentError
from allbps.files import write_text
from allbps.lecture import NAMES, system
from allbps.lecture.pages import FORMATS, OpenSystem, documents, open_system
from allbps.page import Block, page


def listing(as_json: bool) -> str:
    """The names and titles of all systems."""
    systems = [system(name) for name in NAMES]
    if as_json:
        return json.dumps([{"name": s.name, "title": s.title} for s in systems], indent=2)
    width = max(len(name) for name in NAMES)
    return "\n".join(f"{s.name.ljust(width)}  {s.title}" for s in systems)


def show(names: Sequence[str], form: str, seed: int | None, width: int, **numerals: Any) -> str:
    """The systems one after another; JSON of several is a list."""
    _check_form(form)
    texts = [
        text
        for opened in _opened(names, seed, width, numerals)
        for text in documents(opened, form).values()
    ]
    if form == "json" and len(texts) != 1:
        return json.dumps([json.loads(text) for text in texts], indent=2, ensure_ascii=False)
    return "\n\n".join(text.rstrip("\n") for text in texts)


def write(
    names: Sequence[str], out: Path, form: str | None, seed: int | None, **numerals: Any
) -> str:
    """Write the systems into a folder, in one format or in all, with an index page."""
    if form is not None:
        _check_form(form)
    forms = [form] if form else list(FORMATS)
    written = 0
    systems = _opened(names, seed, 100, numerals)
    for opened in systems:
        for one in forms:
            for name, text in documents(opened, one).items():
                write_text(out / name, text)
                written += 1
    if "html" in forms:
        write_text(out / "index.html", _index(systems))
        written += 1
    return f"{written} files written into {out}"


def check(names: Sequence[str], seed: int | None, as_json: bool) -> tuple[str, bool]:
    """Verify every δ of the systems; the report, and whether all agree."""
    rows = [_verdict(opened) for opened in _opened(names, seed, 100, {})]
    failed = sum(not row["passed"] for row in rows)
    if as_json:
        summary = {"systems": rows, "passed": len(rows) - failed, "failed": failed}
        return json.dumps(summary, indent=2, ensure_ascii=False), not failed
    return _table(rows, failed), not failed


def _opened(
    names: Sequence[str], seed: int | None, width: int, numerals: Mapping[str, Any]
) -> list[OpenSystem]:
    return [open_system(system(name), seed, width, **numerals) for name in names or NAMES]


def _check_form(form: str) -> None:
    if form not in FORMATS:
        raise ArgumentError(f"unknown format {form!r}", expected=", ".join(FORMATS), got=repr(form))


def _verdict(opened: OpenSystem) -> dict[str, Any]:
    reports = [worked.verify() for worked in opened.worked.values()]
    judges: dict[str, dict[str, Any]] = {}
    for report in reports:
        for judge, said in report.judges.items():
            total = judges.setdefault(judge, {"max_error": 0.0, "checked": 0})
            total["max_error"] = max(total["max_error"], said["max_error"])
            total["checked"] += said["checked"]
    return {
        "name": opened.system.name,
        "passed": all(reports),
        "nodes": sum(len(report.subjects) for report in reports),
        "judges": judges,
        "disagreements": [str(finding) for r in reports for finding in r.disagreements],
    }


JUDGE = 13
"""A judge's column: with four of them a line fits 80 characters."""


def _table(rows: list[dict[str, Any]], failed: int) -> str:
    judges = list(dict.fromkeys(judge for row in rows for judge in row["judges"]))
    lines = [f"{'':23}{'δ':>3}" + "".join(judge.rjust(JUDGE) for judge in judges)]
    for row in rows:
        cells = [_cell(row["judges"].get(judge)) for judge in judges]
        mark = "✓" if row["passed"] else "✗"
        lines.append(f"{mark} {row['name']:21}{row['nodes']:>3}" + "".join(cells))
        lines += [f"    {text}" for text in row["disagreements"]]
    lines.append("")
    lines.append("each cell: how many δ were compared (largest error); — means no verdict")
    lines.append(f"{len(rows) - failed} passed, {failed} failed")
    return "\n".join(lines)


def _cell(judged: dict[str, Any] | None) -> str:
    if not judged or not judged["checked"]:
        return "—".rjust(JUDGE)
    return f"{judged['checked']} ({judged['max_error']:.0e})".rjust(JUDGE)


def _index(systems: Sequence[OpenSystem]) -> str:
    cards = "".join(_card(opened) for opened in systems)
    return page(
        "All The BPs",
        "Backpropagation by hand, system by system: every δ with its formula, its value and"
        " its reason.",
        [Block("", f'<nav aria-label="Systems"><ol class="cards">{cards}</ol></nav>', "html")],
    )


def _card(opened: OpenSystem) -> str:
    """A picture, the title, and the slides that the system follows."""
    system = opened.system
    slides = f"<small>{escape(system.slides)}</small>" if system.slides else ""
    # the picture is named by the link around it
    picture = re.sub(r"<title>.*?</title>|<desc>.*?</desc>", "", opened.first.to_svg(), flags=re.S)
    shown = picture.replace('role="img"', 'aria-hidden="true"', 1)
    return (
        f'<li><a href="{system.name}.html"><span class="thumb">{shown}</span>'
        f"{escape(system.title)}</a>{slides}</li>"
    )
