"""A function called like a word that its own emitted source needs: the word steps aside."""

from __future__ import annotations

import builtins
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import count


@dataclass(frozen=True)
class Aside:
    """How a library, a helper or a word of Python's is spelled, now that its name is taken.

    Attributes:
        uses: where a text means it.
        instead: what the emitted source says for it.
        line: what imports it so; empty for a helper, which is defined in the source.

    """

    uses: re.Pattern[str]
    instead: str
    line: str

    def spelled(self, text: str) -> str:
        """``text`` with the other spelling."""
        return self.uses.sub(self.instead, text)


def aside(function: str, imports: Mapping[str, str], texts: Iterable[str]) -> Aside | None:
    """What has to step aside for ``function``, if anything.

    Args:
        function: the name of the emitted function.
        imports: name used in texts -> the line that imports it.
        texts: its statements, and the helpers that they call.

    >>> found = aside("len", {}, ["n = len(x)"])
    >>> found.line, found.spelled("n = len(x)")
    ('from builtins import len as len_', 'n = len_(x)')

    """
    text = "\n".join(texts)
    uses = re.compile(
        rf"(?<![\w.]){re.escape(function)}(?={'[.]' if function in imports else '[(]'})"
    )
    if not uses.search(text):
        return None
    taken = set(re.findall(r"\w+", text))
    instead = next(name for k in count(1) if (name := function + "_" * k) not in taken)
    if function in imports:
        line = re.sub(rf"( as {function})?$", f" as {instead}", imports[function], count=1)
    elif f"def {function}(" not in text and hasattr(builtins, function):
        line = f"from builtins import {function} as {instead}"
    else:
        line = ""
    return Aside(uses, instead, line)
