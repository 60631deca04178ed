"""What the site shows that nobody writes by hand: the table of operations, the lecture's pages.

A Sphinx extension: both are made when a build begins, from the package itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType
from typing import Any

import numpy as np

import allbps as bp
import allbps.functional as F
import allbps.ops
from allbps.ir import CONST, INPUT, OPS, Op, Rule
from allbps.lecture import NAMES
from allbps.lecture import commands as lecture
from allbps.readings.mathml import inline

HEAD = """# Operations

Every operation of the table, with δ of each operand and the reason, as a derivation prints it.
This page is written from the declarations in `src/allbps/ops/`; the notation is that of
[Notation and conventions](../notation.md).
"""


def operations() -> str:
    """The table of operations as Markdown, a section for each file of ``allbps.ops``."""
    parts = [HEAD]
    for family in iter_modules(allbps.ops.__path__):
        ops = list(_declared_in(import_module(f"allbps.ops.{family.name}")))
        if ops:
            parts.append(f"## {family.name.capitalize()}\n")
        parts += [f"### {op.name}\n\n{op.doc}\n\n" + "\n".join(_deltas(op)) + "\n" for op in ops]
    return "\n".join(parts)


def _declared_in(module: ModuleType) -> Iterator[Op]:
    """The operations that a file declares, rather than imports, in the table's order."""
    source = Path(str(module.__file__)).read_text("utf-8")
    own = {id(x) for name, x in vars(module).items() if f"\n{name} = " in source}
    return (op for op in OPS.values() if id(op) in own and op not in (INPUT, CONST))


def _deltas(op: Op) -> Iterator[str]:
    """A line for each operand: its δ and the reason, or why there is none."""
    worked = _worked(op)
    for index, name in enumerate(_operands(op)):
        rule = op.rule(index)
        if not isinstance(rule, Rule):
            yield f"- δ{name}: {WITHOUT[type(rule).__name__]}, {_text(rule.because)}"
        elif worked is not None and name in worked.names and worked[name].formula:
            step = worked.derivation[f"d{name}"]
            said = ", ".join(map(inline, step.why()))
            yield f"- {inline(step.stated())}, because {said}"


WITHOUT = {
    "Zero": "zero where it exists",
    "Stopped": "stopped on purpose",
    "NotDifferentiable": "does not exist",
    "NotImplementedRule": "has no rule yet",
}


def _operands(op: Op) -> list[str]:
    """The names of the operands; of any number of them, two."""
    return [f"{op.names[0]}{k}" for k in (1, 2)] if op.variadic else list(op.names)


def _text(because: str) -> str:
    return re.sub(r"([|*_\[\]])", r"\\\1", because)


def _worked(op: Op) -> Any:
    """The operation on its first sample, as a function with the names of its operands."""
    if not op.samples:
        return None
    sample = op.samples[0]
    drawn = sample.draw(np.random.default_rng(0))
    names = [f"{op.names[0]}{k}" for k in range(1, len(drawn) + 1)] if op.variadic else op.names
    given = dict(zip(names, drawn, strict=False))
    floats = {k: x for k, x in given.items() if np.asarray(x).dtype.kind == "f"}
    if not floats:
        return None
    scope = {"op": op, "attrs": dict(sample.attrs), "given": given}
    arguments = ", ".join(floats)
    operands = ", ".join(k if k in floats else f"given[{k!r}]" for k in given)
    text = f"def f({arguments}):\n    y = op({operands}, **attrs)\n    return y\n"
    exec(text, scope)
    try:
        y = np.asarray(scope["f"](*floats.values()))
        seed = {} if y.shape == () else {"y": np.ones(y.shape)}
        return bp.explain(scope["f"], cotangents=seed or None, **floats)
    except bp.errors.AllBPsError:
        return None


# -- the vocabulary of nets ----------------------------------------------------------------------
def vocabulary() -> str:
    """The functions of ``allbps.functional``, a section for each file."""
    parts = [
        "# The vocabulary of nets\n",
        "```{eval-rst}\n.. automodule:: allbps.functional",
        "```\n",
    ]
    for family in iter_modules(F.__path__):
        room = f"allbps.functional.{family.name}"
        names = [name for name in dir(F) if getattr(F, name).__module__ == room]
        if names:
            listed = "\n".join(f".. autofunction:: allbps.functional.{name}" for name in names)
            parts.append(f"## {family.name.capitalize()}\n\n```{{eval-rst}}\n{listed}\n```\n")
    return "\n".join(parts)


def _as_rst(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Docstrings hold mathematics: a bar or a star outside of code is itself."""
    in_example = False
    for k, line in enumerate(lines):
        in_example = line.lstrip().startswith(">>>") or (in_example and bool(line.strip()))
        if not in_example:
            pieces = re.split(r"(``.+?``)", line)
            lines[k] = "".join(p if p.startswith("``") else _escaped(p) for p in pieces)


def _escaped(text: str) -> str:
    return re.sub(r"(?<!\\)[|*]", lambda found: "\\" + found[0], text)


# -- when a build begins and ends ------------------------------------------------------------------
def _write(app: Any) -> None:
    made = Path(app.srcdir) / "generated"
    made.mkdir(exist_ok=True)
    _keep(made / "operations.md", operations())
    _keep(made / "functional.md", vocabulary())
    _keep(made / "design.md", _design(Path(app.srcdir) / "design"))
    guide = (Path(app.srcdir).parent / "CONTRIBUTING.md").read_text("utf-8")
    _keep(made / "contributing.md", guide.replace("](docs/", "](../"))


def _design(folder: Path) -> str:
    """The design notes, in order."""
    names = sorted(file.stem for file in folder.glob("*.md"))
    listed = "\n".join(f"../design/{name}" for name in names)
    return f"# Design notes\n\nWhy things are as they are.\n\n```{{toctree}}\n{listed}\n```\n"


def _keep(file: Path, text: str) -> None:
    """Write what has changed only, so that a second build is quick."""
    if not file.exists() or file.read_text("utf-8") != text:
        file.write_text(text, "utf-8")


def _lecture(app: Any, failed: Exception | None) -> None:
    """The fourteen living pages, beside the site."""
    if failed is None and app.builder.format == "html":
        lecture.write(NAMES, Path(app.outdir) / "lecture", "html", None)


def setup(app: Any) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("builder-inited", _write)
    app.connect("autodoc-process-docstring", _as_rst, priority=100)  # before napoleon
    app.connect("build-finished", _lecture)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
