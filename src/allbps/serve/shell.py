"""The page around a derivation: what to derive, its numbers, and the place where it appears."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

from allbps.formula.meaning import functions
from allbps.lecture import NAMES, system
from allbps.page.document import script_hash, style, walking


def shell(*, has_file: bool, target: str) -> tuple[str, str]:
    """The page, and the policy it is to be served under."""
    script = f"{walking()}\n{_own('live.js')}"
    policy = (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:;"
        f" script-src 'sha256-{script_hash(script)}'; connect-src 'self'; base-uri 'none';"
        " form-action 'none'; frame-ancestors 'none'"
    )
    text: str = _template().render(
        css=f"{style()}\n{_own('live.css')}", script=script, has_file=has_file,
        target=target, systems=[(name, system(name).title) for name in NAMES],
        functions=", ".join(sorted(functions())),
    )  # fmt: skip
    return text, policy


@cache
def _own(name: str) -> str:
    return files("allbps.serve").joinpath(name).read_text("utf-8")


@cache
def _template() -> Any:
    import jinja2

    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(_own("live.html.jinja"))
