"""What the judges said, as a whole: true or not, a table to read, a dict for programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from allbps.sheet import paragraph, sheet, table
from allbps.verify.finding import Finding, Origin, Subject, Verdict
from allbps.verify.marks import Mark, State, listed
from allbps.verify.plain import PlainRun

# from the weakest to the one that decides, when findings are put together
_WEIGHT = (
    Verdict.NOT_CHECKED,
    Verdict.NOISY,
    Verdict.CONVENTION,
    Verdict.AGREE,
    Verdict.NOT_DIFFERENTIABLE,
    Verdict.DISAGREE,
)
_ALLOWED = (Verdict.AGREE, Verdict.CONVENTION, Verdict.NOISY)
"""What a judge may say of a δ of a true report."""
_CONFIRMED = (Verdict.AGREE, Verdict.CONVENTION)

NOT_ALONE = ("expansion",)
"""Judges that share rules with what they judge: their word alone confirms nothing."""


@dataclass(frozen=True, repr=False)
class Report:
    """Every δ of a backward pass, and what each judge says of it.

    A report is true when the function's own value is the graph's, no judge disagrees, something
    was confirmed, and of every δ an independent judge says "agree", "a convention" (one of the
    slopes at a kink) or "noisy" (as near as rounding lets it be); and when gradients that were
    handed in are right. What is not confirmed is named in the first line. "Not differentiable
    here" and "not checked" confirm nothing.

    Attributes:
        function: whose backward pass it is.
        subjects: the δ, in teaching order.
        findings: one per judge and δ.
        silent: judge -> why it said nothing.
        notes: what else there is to know.
        origin: the first value that is not finite; nothing is judged then.
        marks: what is to say of gradients that were handed in.
        plain: what the function itself gave on plain arrays, where it was run.
        faults: what else is wrong with a backward pass that was handed in.

    """

    function: str
    subjects: tuple[Subject, ...]
    findings: tuple[Finding, ...] = ()
    silent: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    origin: Origin | None = None
    marks: tuple[Mark, ...] = ()
    plain: PlainRun | None = None
    faults: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self.verified and all(self.marks) and not self.faults

    @property
    def verified(self) -> bool:
        """Is every δ of allbps as right as can be said? Gradients handed in are left out."""
        is_the_functions = self.plain is None or self.plain.confirms
        sound = self.origin is None and not self.disagreements and not self.unchecked
        return is_the_functions and sound and len(self.noisy) < len(self.subjects)

    @cached_property
    def of(self) -> dict[str, dict[str, Finding]]:
        """Primal -> judge -> finding, in teaching order."""
        table: dict[str, dict[str, Finding]] = {subject.node: {} for subject in self.subjects}
        for finding in self.findings:
            table[finding.node][finding.judge] = finding
        return table

    @property
    def disagreements(self) -> tuple[Finding, ...]:
        """Findings against a δ, nearest to the loss first: what comes later may only follow."""
        wrong = [f for f in self.findings if f.verdict is Verdict.DISAGREE]
        rank = {subject.node: k for k, subject in enumerate(self.subjects)}
        return tuple(sorted(wrong, key=lambda finding: rank[finding.node]))

    @property
    def unchecked(self) -> tuple[str, ...]:
        """Primals whose δ no independent judge confirms, or that one says is not a derivative."""
        return tuple(
            name
            for name, said in self._verdicts.items()
            if not said & {*_ALLOWED, Verdict.DISAGREE} or Verdict.NOT_DIFFERENTIABLE in said
        )

    @property
    def noisy(self) -> tuple[str, ...]:
        """Primals of whose δ nothing more can be said than that rounding explains the rest."""
        return tuple(
            name
            for name, said in self._verdicts.items()
            if Verdict.NOISY in said and not said & {*_CONFIRMED, Verdict.DISAGREE}
        )

    @cached_property
    def _verdicts(self) -> dict[str, set[Verdict]]:
        """Primal -> what independent judges say."""
        return {
            name: {f.verdict for judge, f in said.items() if judge not in NOT_ALONE}
            for name, said in self.of.items()
        }

    @cached_property
    def judges(self) -> dict[str, dict[str, Any]]:
        """Judge -> its largest error and how many δ it compared."""
        summary: dict[str, dict[str, Any]] = {}
        for finding in self.findings:
            mine = summary.setdefault(finding.judge, {"max_error": 0.0, "checked": 0})
            if finding.error is not None and finding.verdict in (Verdict.AGREE, Verdict.DISAGREE):
                mine["max_error"] = max(mine["max_error"], finding.error)
                mine["checked"] += 1
        return summary

    def to_json(self) -> dict[str, Any]:
        """The report as plain dicts, lists, strings and numbers."""
        return {
            "function": self.function,
            "passed": bool(self),
            "nodes": len(self.subjects),
            "judges": self.judges,
            "silent": dict(self.silent),
            "findings": [_plain(finding) for finding in self.findings],
            "unchecked": list(self.unchecked),
            "noisy": list(self.noisy),
            "origin": str(self.origin) if self.origin else None,
            "plain": self.plain.to_json() if self.plain else None,
            "marks": [mark.to_json() for mark in self.marks],
            "faults": list(self.faults),
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        return "\n".join(self._lines())

    __repr__ = __str__

    def _repr_html_(self) -> str:
        heading, *rows = self._rows()
        shown = table(heading, rows, numbers=()) if self.judges and not self.origin else ""
        after = [] if self.origin else [*self._remarks(), *self._noted()]
        parts = paragraph("\n".join(self._opening())), shown, paragraph("\n".join(after))
        return sheet("".join(parts))

    def _lines(self) -> Iterator[str]:
        yield from self._opening()
        if not self.origin:
            yield from self._table()
            yield from self._remarks()
            yield from self._noted()

    def _noted(self) -> Iterator[str]:
        return (f"note: {note}" for note in self.notes)

    def _opening(self) -> Iterator[str]:
        yield from (f"fault: {fault}" for fault in self.faults)
        if self.marks:
            yield from self._verdict()
            yield from self._mistakes()
            shared = self._shared
            yield from (mark.without(shared) for mark in self.marks if not mark)
            yield from self._right()
            yield ""
            yield "What they were compared with, and whether that is right:"
        state = "verified" if self.verified else "NOT verified"
        if self.noisy and self.verified:
            state += f" except {_names(self.noisy)}: noisy, cannot be decided at this precision"
        yield f"{self.function}: {len(self.subjects)} δ, {state}"
        if self.origin:
            yield str(self.origin)
        else:
            yield from self._judge_lines()
        yield from self._plain_lines()

    def _verdict(self) -> Iterator[str]:
        """One sentence on the gradients that were handed in."""
        wrong = [mark.name for mark in self.marks if mark.state is State.WRONG]
        follow = [mark.name for mark in self.marks if mark.state is State.FOLLOWS]
        open_ = [mark.name for mark in self.marks if mark.state is State.UNDECIDED]
        count = len(self.marks)
        if not wrong and not follow and not open_:
            all_of = f"all {count} gradients" if count > 1 else "the gradient"
            yield f"{self.function}: {all_of} you gave {'are' if count > 1 else 'is'} right"
            return
        text = f"{listed(wrong)} {'are' if len(wrong) > 1 else 'is'} wrong" if wrong else ""
        rest = f"{listed(follow)} follow{'s' * (len(follow) == 1)} from that" if follow else ""
        doubt = f"{listed(open_)} cannot be decided" if open_ else ""
        right = count - len(wrong) - len(follow) - len(open_)
        others = f"the other {right} right" if right else ""
        yield f"{self.function}: {', '.join(part for part in (text, rest, doubt, others) if part)}"

    @property
    def _shared(self) -> tuple[str, ...]:
        """The mistakes that explain every wrong gradient of several."""
        wrong = [mark for mark in self.marks if mark.state is State.WRONG]
        first = wrong[0].mistakes if len(wrong) > 1 else ()
        return first if all(set(mark.mistakes) == set(first) for mark in wrong) else ()

    def _mistakes(self) -> Iterator[str]:
        """What explains every wrong gradient of several is said once."""
        if self._shared:
            yield "one mistake would explain all that is wrong:"
        if len(self._shared) > 1:
            yield f"  one of these {len(self._shared)}, of which the first is the likeliest"
        yield from (f"  {text}" for text in self._shared)

    def _right(self) -> Iterator[str]:
        """Gradients that are right, those with the same remark together."""
        found: dict[str, list[str]] = {}
        for mark in self.marks:
            if mark:
                found.setdefault(mark.note, []).append(mark.name)
        for note, names in found.items():
            are = "are" if len(names) > 1 else "is"
            yield f"{listed(names)} {are} right{f' ({note})' if note else ''}"

    def _judge_lines(self) -> Iterator[str]:
        width = max((len(name) for name in (*self.judges, *self.silent)), default=0)
        for name, said in self.judges.items():
            mine = [f.verdict for f in self.findings if f.judge == name]
            noisy = f", noisy on {mine.count(Verdict.NOISY)}" if Verdict.NOISY in mine else ""
            yield (
                f"  {name:{width}}  agrees with {mine.count(Verdict.AGREE)} of"
                f" {len(self.subjects)}, largest error {said['max_error']:.1e}{noisy}"
            )
        for name, why in self.silent.items():
            yield f"  {name:{width}}  silent: {why}"

    def _plain_lines(self) -> Iterator[str]:
        if self.plain is None:
            return
        wrong = "WRONG: " if self.plain.verdict is Verdict.DISAGREE else ""
        yield f"  plain run: {wrong}{self.plain}"
        if self.plain.effects:
            yield f"  side effect: {self.function} changes {', '.join(self.plain.effects)}"

    def _table(self) -> Iterator[str]:
        if not self.judges or len(self.subjects) > 60:
            return
        rows = self._rows()
        widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
        yield ""
        for row in rows:
            text = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            yield f"  {text}".rstrip()
        yield ""

    def _rows(self) -> list[tuple[str, ...]]:
        """The headings, then what each judge says of each δ."""
        rows = [("δ", *self.judges, "line")]
        for subject in self.subjects:
            cells = [_cell(self.of[subject.node].get(judge)) for judge in self.judges]
            rows.append((f"δ{subject.node}", *cells, subject.where))
        return rows

    def _kinks(self) -> Iterator[str]:
        """Each kink once, with the δ that it keeps from being checked in full."""
        found: dict[tuple[str, str], dict[str, None]] = {}
        for finding in self.findings:
            if finding.excluded and finding.note:
                refused = finding.verdict is Verdict.NOT_DIFFERENTIABLE
                word = "not differentiable here" if refused else "a convention at a kink"
                found.setdefault((word, finding.note), {})[_elements(finding)] = None
        for (word, note), left_out in found.items():
            yield f"{word}: {', '.join(left_out)}; {note}"

    def _remarks(self) -> Iterator[str]:
        wrong = self.disagreements
        if wrong:
            first = wrong[0]
            subject = next(s for s in self.subjects if s.node == first.node)
            yield f"nearest to the loss: {first}"
            yield from (f"  comes through {edge}" for edge in subject.edges)
            yield from (f"  at {subject.where}" for _ in range(bool(subject.where)))
            yield from (str(finding) for finding in wrong[1:10])
        yield from self._kinks()
        for finding in self.findings:
            if finding.verdict is Verdict.NOT_CHECKED or (
                finding.verdict is Verdict.NOISY and finding.node in self.noisy
            ):
                yield str(finding)
        if self.unchecked:
            yield f"no judge confirms {_names(self.unchecked)}"


def _names(primals: Sequence[str]) -> str:
    return ", ".join(f"δ{name}" for name in primals)


def _elements(finding: Finding) -> str:
    return f"{finding.excluded} of δ{finding.node}" if finding.compared else f"δ{finding.node}"


def _cell(finding: Finding | None) -> str:
    if finding is None or finding.verdict is Verdict.NOT_CHECKED:
        return "not checked"
    if finding.verdict is Verdict.NOT_DIFFERENTIABLE:
        return "no derivative"
    if finding.verdict is Verdict.CONVENTION:
        return "convention"
    error = f"{finding.error:.1e}" if finding.error else "0"
    word = {Verdict.DISAGREE: "WRONG ", Verdict.NOISY: "noisy "}.get(finding.verdict, "")
    kinks = f", {finding.excluded} at a kink" if finding.excluded else ""
    return f"{word}{error}{kinks}"


def _plain(finding: Finding) -> dict[str, Any]:
    plain = dict(vars(finding))
    plain["verdict"] = str(finding.verdict)
    plain["index"] = list(finding.index) if finding.index is not None else None
    return plain


def combined(reports: Sequence[Report]) -> Report:
    """One report on the same backward pass judged for several cotangents: the worst counts."""
    first = reports[0]
    found: dict[tuple[str, str], list[Finding]] = {}
    for report in reports:
        for finding in report.findings:
            found.setdefault((finding.judge, finding.node), []).append(finding)
    return Report(
        function=first.function,
        subjects=first.subjects,
        findings=tuple(_worst(several) for several in found.values()),
        silent={name: why for report in reports for name, why in report.silent.items()},
        notes=tuple(dict.fromkeys(note for report in reports for note in report.notes)),
        origin=next((report.origin for report in reports if report.origin), None),
        marks=_worst_marks(reports),
        plain=first.plain,
    )


def _worst(several: Sequence[Finding]) -> Finding:
    worst = max(several, key=lambda f: (_WEIGHT.index(f.verdict), f.error or 0.0))
    return replace(worst, compared=sum(f.compared for f in several))


def _worst_marks(reports: Sequence[Report]) -> tuple[Mark, ...]:
    """For each gradient that was handed in the worst that was said of it."""
    order = (State.RIGHT, State.UNDECIDED, State.FOLLOWS, State.WRONG)
    found: dict[str, Mark] = {}
    for mark in (mark for report in reports for mark in report.marks):
        before = found.get(mark.node)
        if before is None or order.index(mark.state) > order.index(before.state):
            found[mark.node] = mark
    return tuple(found.values())
