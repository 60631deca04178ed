"""A folder that holds one folder of images for each class."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from allbps.data.decoding import (
    Decoding,
    Form,
    Header,
    decode,
    header,
    is_image,
    wide_extent,
)
from allbps.data.images import Dataset, Raw, assemble
from allbps.data.parts import PARTS, part_called
from allbps.data.scale import Note, Scale, choose_scale, darkness, left_out
from allbps.data.sources import Files
from allbps.errors import UserFileError

LEFT_BY_PROGRAMS = frozenset({"__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "@eadir"})
"""Files and folders that systems leave among a user's own, beside all that begin with a dot."""


@dataclass(frozen=True)
class File:
    """One image file and the name of its class."""

    path: Path
    label: str


@dataclass
class Aside:
    """What a folder holds beside images."""

    junk: list[str]
    others: list[str]

    def notes(self) -> list[Note]:
        """What is said of it."""
        names = ", ".join(sorted({Path(name).name for name in self.junk})[:3])
        skipped = f"skipped: {len(self.junk)} hidden or left behind by programs ({names})"
        return [
            *([Note(skipped, heed=False)] if self.junk else []),
            *left_out(
                self.others,
                ("not an image" if len(self.others) == 1 else "not images") + " in a class folder",
            ),
        ]


def load_folder(folder: Path, decoding: Decoding) -> Dataset:
    """Images of class folders; folders ``train``, ``val`` and ``test`` of them are understood.

    Raises:
        UserFileError: fewer than two classes, an empty class folder, a file that is not an image,
            images of different sizes.
        MissingExtraError: Pillow is not installed.

    """
    aside = Aside([], [])
    parts = {
        part: (place, _files(place, folder, aside)) for part, place in _parts(folder, aside).items()
    }
    files = [file for _, found in parts.values() for file in found]
    headers = [header(file.path) for file in files]
    form, scale, dark = _form(folder, files, headers, decoding)
    if decoding.size is None:
        _check_sizes(files, headers)
    channels = (1 if form.gray else 3) + form.alpha
    shape = channels, *(form.size or headers[0].size)
    raws = {
        part: Raw(
            str(place),
            Files(tuple(file.path for file in found), form, (len(found), *shape)),
            np.array([file.label for file in found]),
        )
        for part, (place, found) in parts.items()
    }
    if "test" not in raws and "validation" in raws:
        raws["test"] = raws.pop("validation")
    return assemble(
        str(folder),
        raws["train"],
        raws.get("test"),
        raws.get("validation"),
        scale=scale,
        stream=decoding.stream,
        notes=(*dark, *_remarks(files, headers, form), *aside.notes()),
    )


def has_class_folders(folder: Path) -> bool:
    """Does the folder hold folders?"""
    return bool(_folders(folder, Aside([], [])))


def _folders(folder: Path, aside: Aside) -> list[Path]:
    found = []
    for path in sorted(folder.iterdir()):
        if _is_junk(path.name):
            aside.junk.append(str(path))
        elif path.is_dir():
            found.append(path)
        else:
            aside.others.append(str(path.relative_to(folder)))
    return found


def _is_junk(name: str) -> bool:
    return name.startswith(".") or name.lower() in LEFT_BY_PROGRAMS


def _parts(folder: Path, aside: Aside) -> dict[str, Path]:
    """Part -> its folder; the folder itself where it is not divided into parts."""
    folders = _folders(folder, aside)
    parts: dict[str, Path] = {}
    strangers = []
    for path in folders:
        part = part_called(path.name)
        if part is None:
            strangers.append(path)
        elif part in parts:
            raise UserFileError(
                f"{folder} has two folders of {part} images",
                expected="one of them",
                got=f"{parts[part].name} and {path.name}",
            )
        else:
            parts[part] = path
    if len(parts) > 1 and "train" not in parts and not strangers and _hold_folders(parts):
        raise UserFileError(
            f"{folder} has no folder of training images",
            expected="train/ beside " + " and ".join(f"{p.name}/" for p in parts.values()),
            got=", ".join(f"{p.name}/" for p in parts.values()),
            todo="name the folder to learn from train, or give it alone",
        )
    divided = "train" in parts and (len(parts) > 1 or not strangers)
    if not divided:
        return {"train": folder}
    aside.others += [f"{path.name}/" for path in strangers]
    return {part: parts[part] for part in PARTS if part in parts}


def _hold_folders(parts: Mapping[str, Path]) -> bool:
    """Are these parts of a data set, with folders of classes inside, and not two classes?"""
    return all(_folders(path, Aside([], [])) for path in parts.values())


def _files(folder: Path, root: Path, aside: Aside) -> list[File]:
    classes = _folders(folder, Aside([], []) if folder == root else aside)
    if len(classes) < 2:
        raise UserFileError(
            f"{folder} has fewer than two classes",
            expected="at least two folders of images, one for each class",
            got=", ".join(p.name for p in classes) or "no folders",
        )
    found = []
    for place in classes:
        files = list(_images(place, root, aside))
        if not files:
            raise UserFileError(
                f"the class folder {place} holds no images",
                expected="files of a kind that Pillow can open, such as .png, .jpg or .tif",
                todo="put images there, or remove the folder",
            )
        found += [File(path, place.name) for path in files]
    return found


def _images(place: Path, root: Path, aside: Aside) -> Iterator[Path]:
    """The image files of a class, also those in folders of its own."""
    seen: set[str] = set()
    everything = []
    for top, folders, names in os.walk(place, followlinks=True):
        seen.add(os.path.realpath(top))
        aside.junk += [str(Path(top, name)) for name in folders if _is_junk(name)]
        folders[:] = [
            name
            for name in folders
            if not _is_junk(name) and os.path.realpath(Path(top, name)) not in seen
        ]
        everything += [Path(top, name) for name in names]
    for path in sorted(everything):
        if _is_junk(path.name):
            aside.junk.append(str(path))
        elif path.is_file() and is_image(path):
            yield path
        else:
            aside.others.append(str(path.relative_to(root)))


def _form(
    folder: Path, files: list[File], headers: list[Header], decoding: Decoding
) -> tuple[Form, Scale, list[Note]]:
    """What all images become, in what scale, and what is to be said of it."""
    wide = [wide_extent(file.path) for file, head in zip(files, headers, strict=True) if head.wide]
    whites: dict[str, float] = {}
    dark: list[Note] = []
    for kind in sorted({found.kind for found in wide}):
        own = [found for found in wide if found.kind == kind]
        scale = choose_scale(str(folder), own, decoding.white)
        whites[kind] = scale.white
        dark += darkness(own, scale)
    if decoding.white is not None and not all(head.wide for head in headers):
        raise UserFileError(
            f"the images of {folder} already say what is white",
            expected="--white for images of floats or of 32-bit numbers",
            got=f"--white {decoding.white:g}",
            todo="leave it out",
        )
    gray = decoding.grayscale
    if gray is None:
        gray = all(head.gray for head in headers)
    form = Form(gray, decoding.alpha == "channel", decoding.size, whites)
    kinds = sorted({_kind(head, whites) for head in headers})
    return form, Scale(1.0, " and ".join(kinds)), dark


def _kind(head: Header, whites: dict[str, float]) -> str:
    """``8 bits (255 is white)``."""
    if head.mode == "1":
        return "1 bit"
    if head.mode == "F":
        return f"floats ({whites['float']:g} is white)"
    if head.wide:
        return f"32 bits ({whites['integer']:g} is white)"
    return "16 bits (65535 is white)" if head.mode.startswith("I") else "8 bits (255 is white)"


def _vanished(files: list[File], headers: list[Header], form: Form) -> list[str]:
    """The transparent images of which nothing is seen on white."""
    clear = [file.path for file, head in zip(files, headers, strict=True) if head.alpha]
    return [] if form.alpha else [str(path) for path in clear if decode(path, form)[1]]


def _remarks(files: list[File], headers: list[Header], form: Form) -> list[Note]:
    pairs = list(zip(files, headers, strict=True))
    clear = sum(head.alpha for head in headers)
    several = [str(file.path) for file, head in pairs if head.frames > 1]
    narrowed = [str(file.path) for file, head in pairs if head.narrowed]
    vanished = _vanished(files, headers, form)
    notes = []
    if clear and not form.alpha:
        notes.append(
            Note(f"{clear} with transparency are placed on white; --alpha channel keeps it", False)
        )
    if vanished:
        notes.append(
            Note(
                f"{len(vanished)} with transparency cannot be seen on white ({vanished[0]});"
                " --alpha channel keeps their alpha"
            )
        )
    if narrowed:
        notes.append(
            Note(
                f"{len(narrowed)} in colour have 16 bits and are read with 8 ({narrowed[0]});"
                " arrays in an .npz archive keep 16"
            )
        )
    if several:
        notes.append(
            Note(
                f"{len(several)} files have several pictures: only the first is read ({several[0]})"
            )
        )
    return notes


def _check_sizes(files: list[File], headers: list[Header]) -> None:
    height, width = headers[0].size
    for file, head in zip(files, headers, strict=True):
        if head.size != (height, width):
            raise UserFileError(
                "the images differ in size",
                expected=f"{height}×{width} everywhere, as in {files[0].path}",
                got=f"{head.size[0]}×{head.size[1]} in {file.path}",
                todo=f"--resize {height}x{width}",
            )
