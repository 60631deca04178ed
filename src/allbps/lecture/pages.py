"""A system as a document: its prose, numbers and worked examples in one of the formats."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from allbps.errors import MissingExtraError
from allbps.lecture import NAMES
from allbps.lecture.system import Code, Display, Example, Numbers, Prose, System, Table
from allbps.mathematics import Math, parse
from allbps.mathematics.tree import Relation
from allbps.page import Block, page
from allbps.readings import markdown
from allbps.readings.boxes import array_block, line, row, words
from allbps.readings.formula import as_math
from allbps.readings.numbers import cells, number
from allbps.worked import Worked


@dataclass(frozen=True)
class OpenSystem:
    """A system with its examples worked.

    Attributes:
        system: what to show.
        worked: example -> its derivation, on the numbers of the chosen seed.
        width: of the terminal.
    """

    system: System
    worked: Mapping[int, Worked]
    width: int

    def of(self, example: Example) -> Worked:
        """The derivation of one example."""
        return self.worked[id(example)]

    @property
    def first(self) -> Worked:
        """The first example, which the prose and the tables are about."""
        return next(iter(self.worked.values()))


def open_system(
    system: System, seed: int | None = None, width: int = 100, **numerals: Any
) -> OpenSystem:
    """Work all examples of a system, with numbers shown as ``Numerals`` says."""
    worked = {id(e): e.work(seed).shown(**numerals) for e in system.examples}
    return OpenSystem(system, worked, width)


def documents(opened: OpenSystem, form: str) -> dict[str, str]:
    """File name -> text: one document, or for pictures and source one for each example."""
    name = opened.system.name
    if form in WHOLE:
        ending, write = WHOLE[form]
        return {f"{name}.{ending}": write(opened)}
    ending = EACH[form]
    examples = list(opened.system.examples)
    return {
        f"{name}{f'-{k}' if len(examples) > 1 else ''}{ending}": opened.of(e).render(form)
        for k, e in enumerate(examples, 1)
    }


def computed(section: Numbers | Table, opened: OpenSystem) -> Any:
    """What a section computes from the example, or the sentence that says why it cannot."""
    try:
        return section.compute(opened.first)
    except MissingExtraError as error:
        return str(error)


def displayed(section: Numbers | Table, opened: OpenSystem) -> Any:
    """The same with each number as the numeral that is shown."""
    found, look = computed(section, opened), opened.first.look
    if isinstance(found, str):
        return found
    if isinstance(section, Table):
        return [[cells(x, look) for x in one] for one in found]
    return {symbol: cells(value, look) for symbol, value in found.items()}


# -- text ------------------------------------------------------------------------------------------
def as_text(opened: OpenSystem) -> str:
    """For a terminal."""
    title = opened.system.title
    parts = [f"{title}\n{'═' * len(title)}"]
    for section in opened.system.sections:
        if isinstance(section, Prose):
            parts.append(
                textwrap.fill(section.about(opened.first).replace("$", ""), min(opened.width, 88))
            )
        elif isinstance(section, Display):
            parts.append(_displayed(section))
        elif isinstance(section, Code):
            lines = section.write(opened.first)
            parts.append(f"{section.caption}\n{textwrap.indent(lines, '  ')}")
        elif isinstance(section, Example):
            heading = section.caption or "Worked on numbers"
            parts.append(f"{heading}\n{'─' * len(heading)}")
            parts.append(opened.of(section).to_text(opened.width).strip("\n"))
        else:
            shown = _shown_text(section, displayed(section, opened))
            parts.append(f"{section.caption}\n{textwrap.indent(shown, '  ')}")
    return "\n\n".join(parts) + "\n"


def _displayed(section: Display) -> str:
    """Equations, each broken before its operators where it is wide."""
    from allbps.readings.text import broken_to

    lines: list[str] = []
    for text in section.equations:
        blocks = broken_to(words(parse(text)), 84) or [row(words(parse(text)))]
        lines += [f"  {'    ' * bool(k)}{one}" for k, b in enumerate(blocks) for one in b.lines]
    return "\n".join(lines)


def _shown_text(section: Numbers | Table, found: Any) -> str:
    if isinstance(found, str):
        return found
    if isinstance(section, Table):
        return _table_text(section.headings, found)
    return _numbers_text(found)


def _numbers_text(values: Mapping[str, Any]) -> str:
    blocks = [
        row([line(f"{parse(symbol).inline} ="), array_block(value)])
        for symbol, value in values.items()
    ]
    return "\n\n".join("\n".join(text.rstrip() for text in block.lines) for block in blocks)


def _table_text(headings: Sequence[str], rows: Sequence[Sequence[float]]) -> str:
    lines = [list(headings), *([number(x) for x in one] for one in rows)]
    widths = [max(len(one[k]) for one in lines) for k in range(len(headings))]
    return "\n".join(
        "   ".join(text.rjust(width) for text, width in zip(one, widths, strict=True))
        for one in lines
    )


# -- Markdown --------------------------------------------------------------------------------------
def as_markdown(opened: OpenSystem) -> str:
    """With LaTeX formulas, as GitHub shows them."""
    parts = [f"# {opened.system.title}"]
    for section in opened.system.sections:
        if isinstance(section, Prose):
            parts.append(
                mathematics(section.about(opened.first), lambda m: markdown.inline(parse(m)))
            )
        elif isinstance(section, Display):
            parts += [markdown.display(parse(text).latex) for text in section.equations]
        elif isinstance(section, Code):
            parts.append(f"**{section.caption}**\n\n```python\n{section.write(opened.first)}\n```")
        elif isinstance(section, Example):
            parts += [f"## {section.caption}"] if section.caption else []
            parts.append(_demoted(opened.of(section).to_markdown()))
        else:
            parts.append(f"**{section.caption}**")
            shown = _shown_markdown(section, displayed(section, opened))
            parts.append(shown)
    return "\n\n".join(parts) + "\n"


def mathematics(text: str, write: Callable[[str], str]) -> str:
    """``text`` with what stands between dollar signs rewritten."""
    return re.sub(r"\$([^$]+)\$", lambda found: write(found[1]), text)


def named(symbol: str, value: Any) -> Math:
    """``K = [1 2]``, with the symbol in the compact notation."""
    return Relation((parse(symbol), as_math(value)), ("=",))


def _demoted(markdown: str) -> str:
    """Headings one level lower, to stand under a title."""
    return re.sub(r"^#", "##", markdown.strip(), flags=re.MULTILINE)


def _shown_markdown(section: Numbers | Table, found: Any) -> str:
    if isinstance(found, str):
        return found
    if isinstance(section, Table):
        return _table_markdown(section.headings, found)
    return _numbers_markdown(found)


def _numbers_markdown(values: Mapping[str, Any]) -> str:
    return "\n\n".join(
        markdown.display(named(symbol, value).latex) for symbol, value in values.items()
    )


def _table_markdown(headings: Sequence[str], rows: Sequence[Sequence[float]]) -> str:
    lines = [list(headings), ["---:"] * len(headings)]
    lines += [[number(x) for x in one] for one in rows]
    return "\n".join(f"| {' | '.join(one)} |" for one in lines)


# -- LaTeX -----------------------------------------------------------------------------------------
def as_latex(opened: OpenSystem) -> str:
    """A document that pdflatex compiles."""
    from allbps.readings import latex as tex

    parts = []
    for section in opened.system.sections:
        if isinstance(section, Prose):
            pieces = re.split(r"\$([^$]+)\$", section.about(opened.first))
            parts.append(
                "".join(
                    f"${parse(p).latex}$" if k % 2 else tex.escape(p) for k, p in enumerate(pieces)
                )
            )
        elif isinstance(section, Display):
            lines = " \\\\\n".join(f"&{parse(text).latex}" for text in section.equations)
            parts.append(f"\\begin{{align*}}\n{lines}\n\\end{{align*}}")
        elif isinstance(section, Code):
            code = "\n\n".join(
                rf"\code{{{tex.code(line)}}}" for line in section.write(opened.first).split("\n")
            )
            parts.append(rf"\paragraph{{{tex.escape(section.caption)}}}" + f"\n\n{code}")
        elif isinstance(section, Example):
            parts += [rf"\section*{{{tex.escape(section.caption)}}}"] if section.caption else []
            parts.append(tex.body(opened.of(section).derivation))
        else:
            parts.append(rf"\paragraph{{{tex.escape(section.caption)}}}")
            shown = _shown_latex(section, displayed(section, opened))
            parts.append(shown)
    return tex.document(opened.system.title, "\n\n".join(parts))


def _shown_latex(section: Numbers | Table, found: Any) -> str:
    from allbps.readings import latex as tex

    if isinstance(found, str):
        return tex.escape(found)
    if isinstance(section, Table):
        return _table_latex(section.headings, found)
    return _numbers_latex(found)


def _numbers_latex(values: Mapping[str, Any]) -> str:
    return "\n".join(rf"\[ {named(symbol, value).latex} \]" for symbol, value in values.items())


def _table_latex(headings: Sequence[str], rows: Sequence[Sequence[float]]) -> str:
    from allbps.readings import latex as tex

    lines = [" & ".join(f"${as_math(x).latex}$" for x in one) + r" \\" for one in rows]
    heads = " & ".join(tex.escape(head) for head in headings) + r" \\ \hline"
    columns = "r" * len(headings)
    table = [rf"\begin{{tabular}}{{{columns}}}", heads, *lines, r"\end{tabular}"]
    return "\n".join([r"\begin{center}", *table, r"\end{center}"])


# -- HTML ------------------------------------------------------------------------------------------
def as_html(opened: OpenSystem) -> str:
    """A self-contained page."""
    blocks = html_blocks(opened)
    return page(opened.system.title, lead(opened.system), blocks, _links(opened.system.name))


def lead(system: System) -> str:
    """The line below the title."""
    return f"Slides: {system.slides}." if system.slides else ""


def html_blocks(opened: OpenSystem) -> list[Block]:
    """The parts of its page."""
    from allbps.readings.mathml import displayed as equation
    from allbps.readings.mathml import inline

    blocks = []
    for section in opened.system.sections:
        if isinstance(section, Prose):
            pieces = re.split(r"\$([^$]+)\$", section.about(opened.first))
            text = "".join(inline(parse(p)) if k % 2 else escape(p) for k, p in enumerate(pieces))
            blocks.append(Block("", f"<p>{text}</p>", "html"))
        elif isinstance(section, Display):
            shown = "".join(equation(parse(text)) for text in section.equations)
            blocks.append(Block("", shown, "html"))
        elif isinstance(section, Code):
            blocks.append(Block(section.caption, section.write(opened.first), "code"))
        elif isinstance(section, Example):
            worked = opened.of(section)
            heading = section.caption or "Worked on numbers"
            blocks.append(Block(heading, worked.to_walk(verify=True), "walk"))
        else:
            found = displayed(section, opened)
            if isinstance(found, str):
                text = f"<p>{escape(found)}</p>"
            elif isinstance(section, Numbers):
                text = "".join(equation(named(symbol, value)) for symbol, value in found.items())
            else:
                text = _table_html(section, found)
            blocks.append(Block(section.caption, text, "html"))
    return blocks


def _links(name: str) -> str:
    """To the list of all systems, and to the ones before and after."""
    k = NAMES.index(name)
    around = [("←", k - 1), ("→", k + 1)]
    links = ['<a href="index.html">All The BPs</a>']
    for sign, place in around:
        if 0 <= place < len(NAMES):
            links.append(f'<a href="{NAMES[place]}.html">{sign} {NAMES[place]}</a>')
    return "".join(links)


def _table_html(section: Table, rows: Sequence[Sequence[float]]) -> str:
    heads = "".join(f"<th>{escape(head)}</th>" for head in section.headings)
    lines = "".join(
        "<tr>" + "".join(f"<td>{number(x)}</td>" for x in one) + "</tr>" for one in rows
    )
    return f"<table><tr>{heads}</tr>{lines}</table>"


# -- JSON ------------------------------------------------------------------------------------------
def as_json(opened: OpenSystem) -> str:
    """For a program to read."""
    sections: list[dict[str, Any]] = []
    for section in opened.system.sections:
        if isinstance(section, Prose):
            sections.append({"kind": "prose", "text": section.about(opened.first)})
        elif isinstance(section, Display):
            sections.append({"kind": "display", "equations": list(section.equations)})
        elif isinstance(section, Code):
            text = section.write(opened.first)
            sections.append({"kind": "code", "caption": section.caption, "text": text})
        elif isinstance(section, Example):
            derived = opened.of(section).derivation.to_json()
            sections.append({"kind": "example", "caption": section.caption, **derived})
        else:
            found = computed(section, opened)
            kind = type(section).__name__.lower()
            sections.append({"kind": kind, "caption": section.caption, "values": _plain(found)})
    system = opened.system
    return json.dumps(
        {"name": system.name, "title": system.title, "sections": sections},
        indent=2,
        ensure_ascii=False,
    )


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    return [_plain(part) for part in value] if isinstance(value, (list, tuple)) else value


WHOLE: dict[str, tuple[str, Callable[[OpenSystem], str]]] = {
    "text": ("txt", as_text),
    "markdown": ("md", as_markdown),
    "latex": ("tex", as_latex),
    "html": ("html", as_html),
    "json": ("json", as_json),
}
"""Format -> the ending of its files, and what writes a whole system in it."""
EACH = {
    "svg": ".svg",
    "tikz": "-picture.tex",
    "source": ".py",
    "fragment": "-fragment.tex",
    "beamer": "-beamer.tex",
}
"""Format of single examples -> how the names of their files end."""
FORMATS = (*WHOLE, *EACH)
