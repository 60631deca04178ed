"""Which entry belongs to which parameter, and one message for all that do not fit."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from allbps.errors import AllBPsError, ArgumentError, UserFileError, unknown_name
from allbps.weights.entry import Entries
from allbps.weights.own import Own

Names = Mapping[str, str] | Callable[[str], str]
COUNTER = "num_batches_tracked"
"""PyTorch's batch norm counts its batches under this name; no forward pass of ours reads it."""
SHOWN = 40


@dataclass(frozen=True)
class Asked:
    """How entries are to be fitted to parameters.

    Attributes:
        source: where the entries are, for messages.
        names: parameter -> entry, for those whose names differ.
        transposed: parameters whose two axes are swapped: (in, out) where PyTorch has (out, in).
        strict: must every parameter have an entry, and every entry a parameter?
        tied: entry that is left out -> the entry that stands for it.
        error: what is raised.

    """

    source: str
    names: Names = field(default_factory=dict)
    transposed: Collection[str] = ()
    strict: bool = True
    tied: Mapping[str, str] = field(default_factory=dict)
    error: type[AllBPsError] = UserFileError


def fitted(own: Own, entries: Entries, asked: Asked) -> dict[str, str]:
    """Parameter -> entry.

    An entry belongs to the parameter of its name, or to the one that has ``_`` for its dots. A
    parameter without one takes that of another which shares its memory.

    Raises:
        ArgumentError: ``names`` or ``transposed`` name what is no parameter, or has not two axes.
        UserFileError, ArgumentError: entries are missing, unexpected or misshaped; all are named.

    """
    _check_asked(own, asked)
    found = _found(own, entries, asked)
    missing = [name for name in own.arrays if name not in found]
    places = {entries[entry].place for entry in found.values()} - {None}
    unexpected = sorted(
        name for name in entries.keys() - found.values()
        if name.rpartition(".")[2] != COUNTER and entries[name].place not in places
    )  # fmt: skip
    shaped = {name: turned(own.arrays[name].shape, name, asked) for name in found}
    misshaped = [name for name in found if shaped[name] != entries[found[name]].shape]
    if misshaped or (asked.strict and (missing or unexpected)) or (own.arrays and not found):
        got = {
            "missing": [f"{name} {own.arrays[name].shape}" for name in missing],
            "unexpected": [f"{name} {entries[name].shape}" for name in unexpected],
            "misshaped": [
                f"{found[name]} {entries[found[name]].shape}, not {shaped[name]}"
                for name in misshaped
            ],
        }
        raise asked.error(
            f"{asked.source} does not fit the parameters",
            expected=f"an entry for each of the {len(own.arrays)} parameters, and no other",
            got=_listed(got),
            todo=_advice(own, entries, asked, missing, unexpected, misshaped, found),
        )
    return found


def turned(shape: tuple[int, ...], name: str, asked: Asked) -> tuple[int, ...]:
    """The shape of the entry of a parameter."""
    return shape[::-1] if name in asked.transposed else shape


def _check_asked(own: Own, asked: Asked) -> None:
    given = [*(asked.names if isinstance(asked.names, Mapping) else ()), *asked.transposed]
    for name in given:
        if name not in own.arrays:
            raise unknown_name(name, list(own.arrays), "parameter")
    for name in asked.transposed:
        if own.arrays[name].ndim != 2:
            raise ArgumentError(
                f"{name} cannot be transposed",
                expected="a matrix",
                got=f"shape {own.arrays[name].shape}",
            )


def _found(own: Own, entries: Entries, asked: Asked) -> dict[str, str]:
    """Parameter -> entry, by ever weaker signs; no sign gives one entry to two parameters."""
    wanted = {name: entry_name(asked.names, name) for name in own.arrays}
    found = {
        name: entry for name, entry in wanted.items() if _chosen(asked.names, name)
        and entry in entries
    }  # fmt: skip
    taken = set(found.values())
    found |= {
        name: name for name in own.arrays
        if not _chosen(asked.names, name) and name in entries and name not in taken
    }  # fmt: skip
    found |= _by_flat_name(
        {name: wanted[name] for name in own.arrays if name not in found},
        entries.keys() - found.values(),
    )
    for name, entry in wanted.items():
        if name not in found and asked.tied.get(entry) in entries:
            found[name] = asked.tied[entry]
    for group in own.shared:
        first = next((found[name] for name in group if name in found), None)
        found |= {name: first for name in group if name not in found and first is not None}
    return {name: found[name] for name in own.arrays if name in found}


def _chosen(names: Names, name: str) -> bool:
    """Has the user said which entry it is?"""
    return name in names if isinstance(names, Mapping) else True


def entry_name(names: Names, name: str) -> str:
    """The entry that a parameter asks for."""
    return names.get(name, name) if isinstance(names, Mapping) else names(name)


def _by_flat_name(wanted: Mapping[str, str], entries: Collection[str]) -> dict[str, str]:
    """Parameter -> the entry that is written like it, with ``_`` for dots, where one pair is."""

    def grouped(named: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
        groups: dict[str, list[str]] = {}
        for name, text in named:
            groups.setdefault(text.replace(".", "_"), []).append(name)
        return groups

    theirs = grouped((entry, entry) for entry in entries)
    return {
        names[0]: theirs[flat][0]
        for flat, names in grouped(wanted.items()).items()
        if len(names) == len(theirs.get(flat, ())) == 1
    }


def _listed(kinds: Mapping[str, list[str]]) -> str:
    def line(kind: str, listed: list[str]) -> str:
        more = f"; and {len(listed) - SHOWN} more" if len(listed) > SHOWN else ""
        return f"{kind}: {'; '.join(listed[:SHOWN])}{more}"

    return ("\n" + " " * 12).join(line(kind, listed) for kind, listed in kinds.items() if listed)


def _advice(
    own: Own, entries: Entries, asked: Asked, missing: list[str], unexpected: list[str],
    misshaped: list[str], found: Mapping[str, str],
) -> str:  # fmt: skip
    """What would make it fit, where that can be seen."""
    flipped = [
        name for name in misshaped
        if own.arrays[name].ndim == 2 and own.arrays[name].shape[::-1] == entries[found[name]].shape
    ]  # fmt: skip
    if flipped and flipped == misshaped:
        return f"transposed={flipped}, since PyTorch's linear weights are (out, in)"
    pairs = dict(_alike(own, entries, missing, unexpected))
    if pairs:
        return f"names={pairs}, if these are meant"
    return "strict=False passes over what the other side lacks" if asked.strict else ""


def _alike(
    own: Own, entries: Entries, missing: list[str], unexpected: list[str]
) -> Iterator[tuple[str, str]]:
    """(parameter, entry) that are the only ones of their shape."""
    for name in missing[:SHOWN]:
        shape = own.arrays[name].shape
        rivals = [other for other in missing if own.arrays[other].shape == shape]
        fits = [entry for entry in unexpected if entries[entry].shape == shape]
        if len(rivals) == len(fits) == 1:
            yield name, fits[0]
