"""Which Parquet and Arrow files of a folder hold what.

Folders come from the Hugging Face hub (``train-00000-of-00002.parquet``, ``train/0000.parquet``),
from the cache of its library ``datasets`` (``mnist-train.arrow``), or from its ``save_to_disk``: a
folder with a ``state.json`` that lists its files, or one of these for each part.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from allbps.data.parts import PARTS, part_called
from allbps.data.scale import Note, left_out
from allbps.errors import UserFileError

ENDINGS = (".parquet", ".arrow", ".feather")


@dataclass
class Tables:
    """The files of a data set.

    Attributes:
        parts: "train", "test" or "validation" -> its files, in order.
        aside: what is not read.

    """

    parts: dict[str, list[Path]]
    aside: list[str] = field(default_factory=list)

    def notes(self) -> list[Note]:
        """What is said of the files that are not read."""
        return left_out(self.aside)


def is_table(path: Path) -> bool:
    """Is it a file of these kinds?"""
    return path.suffix in ENDINGS and path.is_file()


def holds_tables(folder: Path) -> bool:
    """Does a folder hold such files, or do its folders of parts?"""
    return _has_tables(folder) or bool(_part_folders(folder))


def data_set_in(folder: Path) -> Path:
    """The folder of tables that lies in a folder alone, as ``data/`` of a clone from the hub does.

    The cache of ``datasets`` has it four folders down. The folder itself where there is none.

    Raises:
        UserFileError: there are several.

    """
    at = folder
    while not holds_tables(at):
        inside = [path for path in sorted(at.iterdir()) if path.is_dir() and path.name[0] != "."]
        if len(inside) == 1:
            at = inside[0]
            continue
        several = [path for path in inside if holds_tables(path)]
        if len(several) > 1:
            raise UserFileError(
                f"{at} holds several data sets", expected="one of them", got=_named(at, several)
            )
        return folder
    return at


def _has_tables(path: Path) -> bool:
    return path.is_dir() and any(map(is_table, path.iterdir()))


def tables_of(path: Path) -> Tables:
    """The files of a data set: one file, or those of a folder.

    Raises:
        UserFileError: it cannot be told which files are to be learnt from.

    """
    if not path.is_dir():
        return Tables({"train": [path]})
    folders = _part_folders(path)
    found = _of_folders(path, folders) if folders else _of_files(path)
    if "train" not in found.parts:
        files = [file for part in found.parts.values() for file in part]
        raise UserFileError(
            f"{path} holds nothing to learn from",
            expected="a file or a folder with train in its name",
            got=_named(path, files),
        )
    return found


def _part_folders(folder: Path) -> dict[str, Path]:
    """Part -> the folder of its tables, in a folder that is divided into such."""
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        part = part_called(path.name)
        if part is None or not _has_tables(path):
            continue
        if part in found:
            raise UserFileError(
                f"{folder} has two folders of {part} files",
                expected="one of them",
                got=f"{found[part].name} and {path.name}",
            )
        found[part] = path
    return found


def _of_folders(folder: Path, folders: Mapping[str, Path]) -> Tables:
    found = Tables({})
    for part in filter(folders.__contains__, PARTS):
        found.parts[part], unlisted = _files(folders[part])
        found.aside += unlisted
    others = sorted(set(folder.iterdir()) - set(folders.values()))
    found.aside += [path.name for path in others if is_table(path) or _has_tables(path)]
    return found


def _files(folder: Path) -> tuple[list[Path], list[str]]:
    """The tables of one part, in order, and the names of those that are not part of it."""
    present = sorted(filter(is_table, folder.iterdir()))
    listed = _listed(folder)
    if listed is None:
        return present, []
    missing = [path for path in listed if path not in present]
    if missing:
        raise UserFileError(
            f"{missing[0]} is missing",
            expected=f"every file that {folder / 'state.json'} lists",
            got=_named(folder, present),
            todo="save the data set again",
        )
    return listed, [path.name for path in present if path not in listed]


def _listed(folder: Path) -> list[Path] | None:
    """The files that ``save_to_disk`` wrote; beside them ``datasets`` may leave its cache."""
    try:
        state = json.loads((folder / "state.json").read_text("utf-8"))
        return [folder / str(file["filename"]) for file in state["_data_files"]]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _of_files(folder: Path) -> Tables:
    """Files are told apart by a word in their names, where any of them has one."""
    files, aside = _files(folder)
    found: dict[str, list[Path]] = {}
    for file in files:
        found.setdefault("train" if _listed(folder) else _part_of(file), []).append(file)
    strangers = found.pop("", [])
    if strangers and found:
        raise UserFileError(
            f"{folder} holds files of which it cannot be told whether they are to be learnt from",
            expected="train, test or val in the name of every file, or in none",
            got=_named(folder, strangers),
            todo="rename them, or move them elsewhere",
        )
    return Tables(found or {"train": strangers}, aside)


def _part_of(file: Path) -> str:
    """The part that a file's name speaks of; empty where it speaks of none, or of two."""
    words = re.split(r"[^a-z]+", file.stem.lower())
    parts = {part for word in words if (part := part_called(word))}
    return parts.pop() if len(parts) == 1 else ""


def _named(folder: Path, files: Sequence[Path]) -> str:
    names = [str(file.relative_to(folder)) for file in files]
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
