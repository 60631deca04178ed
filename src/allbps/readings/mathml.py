"""The derivation as HTML with native MathML formulas, which browsers draw without a script."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from html import escape
from html.entities import html5
from typing import Any

from allbps.mathematics import Math
from allbps.mathematics.tex import latex, links, phrases
from allbps.readings.derivation import Derivation, Step, groups, headings, source_lines
from allbps.readings.equation import cut, is_narrow, pieces

XML_ENTITIES = {"amp", "lt", "gt", "quot", "apos"}


def to_mathml(
    derivation: Derivation,
    verdicts: Mapping[str, str] | None = None,
    pictures: Mapping[str, str] | None = None,
) -> str:
    """A fragment of well-formed XML that stands in an HTML page.

    Args:
        derivation: what to show.
        verdicts: name of a step, ``dZ1`` -> what the judges said of it.
        pictures: name of a step -> a figure of its value, as HTML.

    """
    parts = [_paragraph("doc", escape(derivation.doc.partition("\n\n")[0]))]
    if derivation.warning:
        parts.append(
            _paragraph("warning", f"<strong>Warning:</strong> {escape(derivation.warning)}")
        )
    for heading, steps in derivation.sections():
        parts += [f"<h3>{heading}</h3>", typeset(steps, verdicts, pictures)]
    return '<div class="derivation">\n' + "\n".join(filter(None, parts)) + "\n</div>"


def typeset(
    steps: list[Step],
    verdicts: Mapping[str, str] | None = None,
    pictures: Mapping[str, str] | None = None,
) -> str:
    """Some steps alone."""
    content = "\n".join(_nested(steps, verdicts or {}, pictures or {}))
    return f'<div class="steps">\n{content}\n</div>'


def _nested(
    steps: list[Step], verdicts: Mapping[str, str], pictures: Mapping[str, str], depth: int = 0
) -> Iterator[str]:
    """The steps, those of a block in a part that folds."""
    for heading, some in groups(steps, depth):
        if heading is None:
            yield from _steps(some, verdicts, pictures)
            continue
        flow = heading.flow(inline)
        said = f"<b>{escape(heading.label)}</b>{f' <small>{flow}</small>' if flow else ''}"
        yield f'<details class="block" open="open"><summary>{said}</summary>'
        yield from _nested(some, verdicts, pictures, depth + 1)
        yield "</details>"


def mathml(tex: str) -> str:
    """A displayed formula.

    >>> mathml("W_{2}")
    '<math display="block"><msub><mi>W</mi><mn>2</mn></msub></math>'
    """
    return _converted(tex, True)


def displayed(math: Math) -> str:
    """A formula on lines of its own, which break before its relation signs where they must.

    >>> from allbps.mathematics import parse
    >>> displayed(parse("x"))
    '<div class="eq"><math displaystyle="true"><mi>x</mi></math><span class="sides"></span></div>'
    """
    (_, first), *more = links(math)
    return _flow(first.latex, [cut(mark, side) for mark, side in more])


def _flow(left: str, sides: list[list[str]]) -> str:
    """What is left of the first relation sign, and each side after it in parts that stay whole."""
    shown = "".join(f'<span class="side">{"".join(map(_part, side))}</span>' for side in sides)
    return f'<div class="eq">{_part(left)}<span class="sides">{shown}</span></div>'


def _part(tex: str) -> str:
    """A formula as large as a displayed one, in a line of several."""
    return _converted(tex, True).replace('<math display="block">', '<math displaystyle="true">', 1)


def inline(math: Math) -> str:
    """A formula inside a sentence; its words become text, where lines can break.

    A long chain of equations may break before its signs too.
    """
    return "".join(
        escape(part) if isinstance(part, str) else "".join(_links(part)) for part in phrases(math)
    )


def _links(math: Math) -> Iterator[str]:
    for mark, side in [("", math)] if is_narrow(math) else links(math):
        yield _converted(f"{{}} {mark} {latex(side)}" if mark else latex(side), False)


def _steps(
    steps: list[Step], verdicts: Mapping[str, str], pictures: Mapping[str, str]
) -> list[str]:
    parts = []
    for step, source, turn in zip(steps, source_lines(steps), headings(steps), strict=True):
        parts += [f'<h4 class="turn">{escape(turn)}</h4>'] if turn else []
        code = f"<code>{escape(source)}</code>" if source else ""
        said = ", ".join(inline(part) for part in step.why())
        because = f"because {said}" if said and step.kind != "seed" else said
        parts.append(
            f'<div class="step {step.kind}" data-step="{escape(step.name)}">'
            f"{code}{_flow(*pieces(step))}{_paragraph('because', because)}"
            f"{_paragraph('verdict', escape(verdicts.get(step.name, '')))}"
            f"{pictures.get(step.name, '')}</div>"
        )
    return parts


def _paragraph(kind: str, content: str) -> str:
    return f'<p class="{kind}">{content}</p>' if content else ""


def _converted(tex: str, block: bool) -> str:
    found: str = _converter().convert_with_local_state(tex, displaystyle=block)
    found = _SIGNED.sub(r"<mtd\1><mn>\2", found)
    found = _UNDERLINED.sub(r'<mrow style="border-bottom: .06em solid">\1</mrow>', found)
    found = _PRIMED.sub(r'<mrow>\1<mo lspace="0" rspace="0">\2</mo></mrow>', found)
    # entities that HTML knows and XML does not, as characters
    return re.sub(
        r"&(\w+);",
        lambda m: m[0] if m[1] in XML_ENTITIES else html5.get(f"{m[1]};", m[0]),
        found,
    )


_SIGNED = re.compile(r"<mtd([^>]*)><mo[^>]*>(−)</mo><mn>")
"""A number of a matrix that is negative: one sign string, with no space for an operator."""

_UNDERLINED = re.compile(r'<munder accentunder="true">(.*?)<mo stretchy="true">̲</mo></munder>')
"""A winner's line as its border: a combining line is drawn beside the number."""

_PRIMED = re.compile(
    r"<msup>((?:<mi[^>]*>[^<]*</mi>|<mrow><mspace/><mi[^>]*>[^<]*</mi></mrow>))<mo>(′+)</mo></msup>"
)
"""A prime has its height in the sign itself: as a script it would be raised and shrunk twice."""


@cache
def _converter() -> Any:
    from math_core import LatexToMathML

    return LatexToMathML()
