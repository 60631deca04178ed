"""PyTorch's own samples of every operation, run here: python benchmarks/opinfo.py [name …].

Without names all entries are judged and counted; with names (parts of entries) those, and samples
that are not right are shown. ``--write`` puts their rows into the table of docs/operations.md.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from vocabulary.judge import Verdict, entries, judge, label

DOCUMENT = Path(__file__).parents[1] / "docs" / "operations.md"
HEAD = """# PyTorch's operations

PyTorch tests its own operations on samples (`torch.testing._internal.common_methods_invocations`, `op_db`).
Below stands every entry with a derivative in float64 and what these samples say of `allbps`: value, and gradient with a random cotangent, against PyTorch's autograd.
A function is looked up in `allbps.functional` under PyTorch's name, then in NumPy and SciPy under theirs; `benchmarks/vocabulary/` holds the rules.
`python benchmarks/opinfo.py --write` wrote this page from all samples; `make test` runs some of each.

- *right*: every sample.
- *partly*: some samples are right, the others refused with a message.
- *refused*: every sample is refused with a message, or NumPy has no such argument.
- *missing*: nothing of that name.
- *random*: every sample draws, so its numbers are rightly others; of other entries such samples are left out.
- *wrong*: another number than PyTorch's.

"""


def kind(verdict: Verdict) -> str:
    """The verdict in one word."""
    if verdict.missing:
        return "missing"
    if verdict.wrong:
        return "wrong"
    if verdict.random and not (verdict.right or verdict.refused or verdict.crashed):
        return "random"
    if verdict.whole or not verdict.right:
        return "right" if verdict.whole else "refused"
    return "partly"


def why(verdict: Verdict) -> str:
    """The first reason for what is not right, fit for a cell of a table."""
    said = [*verdict.wrong, *verdict.refused, *verdict.crashed]
    first = said[0].splitlines()[0].replace("|", "\\|") if said else ""
    return first if len(first) < 160 else first[:157] + "…"


def row(verdict: Verdict) -> str:
    """Its line of the table."""
    return f"| `{verdict.entry}` | {kind(verdict)} | {why(verdict)} |"


ROW = re.compile(r"^\| `([^`]+)` \| (\w+) \|.*$", re.M)


def page(verdicts: list[Verdict], names: list[str]) -> str:
    """The document: the rows of these verdicts, and of other entries the rows that stand there."""
    old = {found[1]: found[0] for found in ROW.finditer(DOCUMENT.read_text("utf-8"))}
    rows = {**old, **{verdict.entry: row(verdict) for verdict in verdicts}}
    lines = [rows[name] for name in names if name in rows]
    counts = Counter(found[2] for found in ROW.finditer("\n".join(lines)))
    total = ", ".join(f"{n} {word}" for word, n in counts.most_common())
    table = "\n".join(["| entry | verdict | why |", "|---|---|---|", *lines])
    return f"{HEAD}{len(lines)} entries: {total}.\n\n{table}\n"


def main() -> int:
    """Judge, count, and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="parts of the names of entries")
    parser.add_argument("--most", type=int, help="samples of an entry")
    parser.add_argument("--write", action="store_true", help="write docs/operations.md")
    options = parser.parse_args()
    verdicts, known = [], entries()
    for op in known:
        if options.names and not any(name in label(op) for name in options.names):
            continue
        verdict = judge(op, options.most, tell=bool(options.names))
        verdicts.append(verdict)
        said = [*verdict.wrong[:1], *verdict.crashed[:1], *list(verdict.refused)[:1]]
        more = f"{verdict.right} right  {' | '.join(said)[:200]}" if not verdict.whole else ""
        print(f"{kind(verdict):8} {verdict.entry:50} {more}", flush=True)
    counts = Counter(map(kind, verdicts))
    print(", ".join(f"{n} {word}" for word, n in counts.most_common()))
    if options.write:
        DOCUMENT.write_text(page(verdicts, [label(op) for op in known]), "utf-8")
    return counts["wrong"] > 0


if __name__ == "__main__":
    raise SystemExit(main())
