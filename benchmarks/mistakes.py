"""How well the checker blames and names mistakes: python benchmarks/mistakes.py [--write]

Each mistake is planted by hand in a net with a hand-written backward pass, on several instances,
at full precision and rounded to 3 decimals. Right hand-ins are counted too. ``--write`` puts the
table into docs/checking.md.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from planted.blocks import GATED, RENDERED, SCANNED
from planted.chains import FIELD, KALMAN
from planted.dense import BATCH_NORM, BY_HAND, LAYER_NORM, REGRESSION, RESIDUAL, SMOOTHED
from planted.experts import ADAPTER, MIXTURE
from planted.graphs import GRAPH, TRIPLET
from planted.images import CONV, DEPTHWISE
from planted.latent import AUTOENCODER, CONTRASTIVE
from planted.plant import Net, Plant
from planted.sequences import ATTENTION, BAG, GRU, LSTM, PENALISED
from planted.windows import GROUPED, SLICED, TAPPED

from allbps.verify import Mark, State, check

NETS = (
    CONV, ATTENTION, LSTM, BATCH_NORM, LAYER_NORM, BAG, GRU, RESIDUAL, DEPTHWISE, REGRESSION,
    BY_HAND, SMOOTHED, AUTOENCODER, CONTRASTIVE, MIXTURE, ADAPTER, KALMAN, FIELD, GROUPED, SLICED,
    TAPPED, PENALISED, GRAPH, TRIPLET, GATED, SCANNED, RENDERED,
)  # fmt: skip
DOCUMENT = Path(__file__).parents[1] / "docs" / "checking.md"
VISIBLE = {None: 1e-6, 3: 4e-3}
"""A mistake that changes no number by more than this cannot be seen."""


@dataclass(frozen=True)
class Result:
    """What the checker said about one planted mistake."""

    net: str
    kind: str
    decimals: int | None
    node: bool
    named: bool
    false: bool
    said: str


def rounded(given: dict[str, Any], decimals: int | None) -> dict[str, Any]:
    """A hand-in as a person writes it."""
    if decimals is None:
        return given
    return {name: np.round(g, decimals) for name, g in given.items()}


def marks_of(net: Net, values: dict[str, Any], given: dict[str, Any]) -> dict[str, Mark]:
    """The checker's marks; its own derivation is not verified again each time."""
    report = check(net.forward, gradients=given, judges=[], **values)
    return {mark.node: mark for mark in report.marks}


def visible(right: Any, wrong: Any, decimals: int | None) -> bool:
    """Does the mistake change the numbers, or their shape?"""
    if np.shape(right) != np.shape(wrong):
        return True
    size = float(np.max(np.abs(right), initial=0)) if decimals is None else 1.0
    return float(np.max(np.abs(np.subtract(right, wrong)))) > VISIBLE[decimals] * size


def tried(net: Net, plant: Plant, seed: int, decimals: int | None) -> Result | None:
    """One mistake in one instance, all δ handed in; None where it cannot be seen."""
    values = net.data(np.random.default_rng(seed))
    right, wrong = net.hand_in(values), net.hand_in(values, plant)
    if not visible(right[plant.node], wrong[plant.node], decimals):
        return None
    marks = marks_of(net, values, rounded(wrong, decimals))
    blamed = [name for name, mark in marks.items() if mark.state is State.WRONG]
    texts = marks[plant.node].mistakes
    named = any(re.search(plant.says, text, re.IGNORECASE) for text in texts)
    said = f"{plant.node}: blamed {blamed}, {'; '.join(texts)}"
    return Result(net.name, plant.kind, decimals, blamed == [plant.node], named,
                  bool(texts) and not named, said)  # fmt: skip


def parameters_only(net: Net, plant: Plant, seed: int, decimals: int | None) -> bool | None:
    """Is the mistake named where parameter gradients are all that was handed in?"""
    values = net.data(np.random.default_rng(seed))
    right, wrong = net.hand_in(values), net.hand_in(values, plant)
    given = {name: wrong[name] for name in net.parameters}
    if not any(visible(right[n], wrong[n], decimals) for n in given):
        return None
    marks = marks_of(net, values, rounded(given, decimals))
    texts = [text for mark in marks.values() for text in mark.mistakes]
    return any(re.search(plant.says, text, re.IGNORECASE) for text in texts)


def results(nets: tuple[Net, ...], seeds: range) -> Iterator[Result]:
    """Every mistake of every net, at full precision and at 3 decimals."""
    for net in nets:
        for plant in net.mistakes:
            for decimals in (None, 3):
                for seed in seeds:
                    found = tried(net, plant, seed, decimals)
                    if found is not None:
                        yield found


def accused(nets: tuple[Net, ...], seeds: range) -> tuple[int, int]:
    """(right hand-ins that were called wrong, right hand-ins tried)."""
    wrong = count = 0
    for net in nets:
        for seed in seeds:
            values = net.data(np.random.default_rng(seed))
            for decimals in (None, 3):
                marks = marks_of(net, values, rounded(net.hand_in(values), decimals))
                wrong += not all(marks.values())
                count += 1
    return wrong, count


def share(found: list[Result], field: str) -> str:
    """A percentage of results."""
    return f"{100 * np.mean([getattr(r, field) for r in found]):.0f} %" if found else "–"


def table(found: list[Result]) -> str:
    """The confusion table, by mistake and rounding, in Markdown."""
    rows = defaultdict(list)
    for result in found:
        rows[result.kind].append(result)
    lines = [
        "| mistake | tried | right node | named | false name "
        "| at 3 decimals: node | named | false |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for kind, some in [*sorted(rows.items()), ("**all**", found)]:
        full = [r for r in some if r.decimals is None]
        rough = [r for r in some if r.decimals == 3]
        cells = [share(part, f) for part in (full, rough) for f in ("node", "named", "false")]
        lines.append(f"| {kind} | {len(some)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the table into docs/checking.md")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--net", default="")
    parser.add_argument("--failures", action="store_true")
    parser.add_argument("--parameters", action="store_true", help="hand in parameters only")
    options = parser.parse_args()
    nets = tuple(net for net in NETS if options.net in net.name)
    seeds = range(1, options.seeds + 1)
    if options.parameters:
        said = [parameters_only(n, p, s, None) for n in nets for p in n.mistakes for s in seeds]
        seen = [x for x in said if x is not None]
        print(
            f"with parameter gradients alone {100 * np.mean(seen):.1f} % of {len(seen)} are named"
        )
        return
    found = list(results(nets, seeds))
    if options.failures:
        for r in found:
            if not (r.node and r.named):
                print(f"{r.net}, {r.kind}, {r.decimals}: {r.said}")
    text = table(found)
    wrong, count = accused(nets, seeds)
    text += f"\n\nOf {count} right hand-ins {wrong or 'none'} was called wrong."
    print(text)
    if options.write:
        document = DOCUMENT.read_text()
        before, rest = document.split("<!-- table -->")[0], document.split("<!-- end -->")[1]
        DOCUMENT.write_text(f"{before}<!-- table -->\n{text}\n<!-- end -->{rest}")


if __name__ == "__main__":
    main()
