r"""The derivation as Markdown, with formulas as GitHub shows them.

GitHub reads a page as Markdown first and looks for ``$`` after that, so no formula may hold what
Markdown changes. ``\\`` ends no row here, ``\cr`` does; there is no ``\,`` and no ``\{``; and an
index stands behind a letter (of ``\nolimits``), since ``)_`` would begin emphasis.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from allbps.mathematics import Math
from allbps.mathematics.tex import sentence
from allbps.mathematics.tree import Matrix
from allbps.mathematics.visit import has
from allbps.readings.boxes import columns
from allbps.readings.derivation import Derivation, Step, groups, headings, source_lines
from allbps.readings.equation import equation


def to_markdown(derivation: Derivation) -> str:
    """Headings, formulas between dollar signs, and tables where all numbers are scalars."""
    parts = [f"# {escape(derivation.title)}"]
    if derivation.doc:
        parts.append(escape(derivation.doc.partition("\n\n")[0]))
    if derivation.warning:
        parts.append(f"**Warning:** {escape(derivation.warning)}")
    for heading, steps in derivation.sections():
        parts += [f"## {heading}", *_section(heading, steps)]
    return "\n\n".join(parts) + "\n"


def _section(heading: str, steps: list[Step]) -> Iterable[str]:
    if heading == "Given":
        return _given_table(steps) if _scalars(steps) else map(display_of, steps)
    return _nested(heading, steps)


def _nested(section: str, steps: list[Step], depth: int = 0) -> Iterator[str]:
    """The steps of a section, those of a block in a part that folds."""
    for heading, some in groups(steps, depth):
        if heading is None:
            is_table = section == "Forward" and _scalars(some)
            yield from _forward_table(some) if is_table else _steps(some)
            continue
        flow = heading.flow(lambda math: escape(math.inline))
        said = f"<b>{escape(heading.label)}</b>{f': {flow}' if flow else ''}"
        yield f"<details open><summary>{said}</summary>"
        yield from _nested(section, some, depth + 1)
        yield "</details>"


def display(tex: str) -> str:
    """A formula on lines of its own."""
    return f"$$\n{_safe(tex)}\n$$"


def inline(math: Math) -> str:
    """A formula inside a sentence; its words become text, where lines can break."""
    return "".join(f"${_safe(part)}$" if is_math else part for is_math, part in sentence(math))


def escape(text: str) -> str:
    """Plain text for Markdown."""
    return "".join(f"\\{c}" if c in "\\`*_{}[]<>#|$~" else c for c in text)


def _safe(tex: str) -> str:
    tex = tex.replace("\\\\", r"\cr").replace(r"\,", r"\thinspace ")
    tex = tex.replace("](", "] (").strip()  # […](…) would be a link
    while ends := [found.start() for found in re.finditer(r"[)}](?=_)", tex)]:
        start, end = _start_of_atom(tex, ends[-1]), ends[-1] + 1
        tex = rf"{tex[:start]}\mathop{{{tex[start:end]}}}\nolimits{tex[end:]}"
    return tex


def _start_of_atom(tex: str, end: int) -> int:
    """Where the group that ends there begins, with the command before it."""
    start = _opening(tex, end)
    while tex[start] == "{" and tex[start - 1 : start] == "}":  # an earlier argument
        start = _opening(tex, start - 1)
    command = re.search(r"\\(\w+)$", tex[:start])
    if command is None or (tex[end] == ")" and command[1] != "left"):
        return start
    if command[1] == "end":
        return tex.rindex(rf"\begin{tex[start : end + 1]}", 0, start)
    return command.start()


def _opening(tex: str, end: int) -> int:
    start, depth = end, 1
    while depth and start:
        start -= 1
        depth += (tex[start] in ")}") - (tex[start] in "({")
    return start


def display_of(step: Step) -> str:
    """A step as a displayed formula."""
    return display(equation(step))


def _steps(steps: Sequence[Step]) -> list[str]:
    parts = []
    for step, source, turn in zip(steps, source_lines(steps), headings(steps), strict=True):
        parts += [f"**{escape(turn)}**"] if turn else []
        parts += [_code(source)] if source else []
        parts.append(display_of(step))
        if step.because:
            said = ", ".join(inline(part) for part in step.why())
            parts.append(said if step.kind == "seed" else f"because {said}")
    return parts


def _code(text: str) -> str:
    fence = "``" if "`" in text else "`"
    return f"{fence}{text}{fence}"


# -- tables ----------------------------------------------------------------------------------------
def _scalars(steps: Sequence[Step]) -> bool:
    """Is there no array in any of these steps?"""
    written = [part for step in steps for part in _cells(step)]
    return (
        bool(steps)
        and not any(step.summary for step in steps)
        and not any(has(part, Matrix) or columns(part.inline) > 40 for part in written)
    )


def _cells(step: Step) -> list[Math]:
    right = step.right()
    return ([right] if right is not None else []) + step.numbers()


def _given_table(steps: Sequence[Step]) -> list[str]:
    heads = [inline(step.left()[0]) for step in steps]
    values = [inline(step.numbers()[-1]) for step in steps]
    return [_table([heads, values])]


def _forward_table(steps: Sequence[Step]) -> list[str]:
    rows = [["", "formula", "numbers", "value", "line"]]
    for step, source in zip(steps, source_lines(steps), strict=True):
        *filled, value = step.numbers()
        right = step.right()
        math = [step.left()[0], right, filled[0] if filled else None, value]
        texts = [inline(part) if part is not None else "" for part in math]
        rows.append([*texts, _code(source).replace("|", "\\|") if source else ""])
    return [_table(rows)]


def _table(rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(cells)} |" for cells in rows]
    return "\n".join([lines[0], "|" + " --- |" * len(rows[0]), *lines[1:]])
