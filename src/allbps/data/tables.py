"""Images and labels in Parquet and Arrow files, as the Hugging Face hub has them.

Rows of such files cannot be read in any order at once, since they are compressed by thousands. So
they are gone through once, a few thousand rows at a time, and their pixels are put into a temporary
file that is mapped into memory: from there a batch is read as from an ``.npy`` file, with the same
shuffling and the same bits.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from allbps.data.arrays import as_images
from allbps.data.images import Dataset, Raw, assemble
from allbps.data.scale import Note
from allbps.data.sources import Mapped, Stamps, stamps
from allbps.data.tables_of import tables_of
from allbps.errors import UserFileError
from allbps.extras import needs

PIXELS = ("image", "img", "pixels", "images", "x", "X", "data")
LABELS = ("label", "labels", "y", "target", "class", "fine_label")
"""Names of columns, the first that is there."""
AT_ONCE = 1024
"""Rows that are read at once."""
BUFFER = 1 << 20
"""Bytes of a column that Parquet reads ahead; all of it in a group of rows where there is none."""


@dataclass(frozen=True, eq=False)
class Unpacked(Mapped):
    """Pixels that were put into a temporary file, which is gone when nobody maps it any more.

    Attributes:
        files: those that they come from.

    """

    files: tuple[Path, ...] = ()

    def stamps(self) -> Stamps:
        """Size and time of the files."""
        return stamps(self.files)


def load_tables(
    path: Path,
    *,
    alpha: str | None = None,
    white: float | None = None,
    stream: bool | None = None,
) -> Dataset:
    """Images and labels of a file, or of a folder as ``tables_of`` knows them.

    The images are the column ``image`` (or ``img``, ``pixels``, ``x``, …): encoded image files, as
    bytes or as a struct with ``bytes``; or numbers, a list of H·H or nested lists. Labels are the
    column ``label`` (or ``labels``, ``y``, ``target``, …), whole numbers or names.

    Raises:
        MissingExtraError: pyarrow is not installed.
        UserFileError: a file cannot be read, or does not hold images of one size and labels.

    """
    tables = tables_of(path)
    raws = {part: _raw(files, alpha) for part, files in tables.parts.items()}
    names = _class_names(tables.parts["train"][0])
    return assemble(
        str(path),
        raws["train"],
        raws.get("test"),
        raws.get("validation"),
        classes=names,
        white=white,
        stream=stream,
        notes=[Note("pixels were unpacked into a temporary file", heed=False), *tables.notes()],
    )


def _raw(files: Sequence[Path], alpha: str | None) -> Raw:
    """All rows of some files: pixels in a temporary file, labels in memory."""
    with tempfile.TemporaryFile(prefix="allbps-") as store:
        shape: tuple[int, ...] | None = None
        dtype, labels, count = np.dtype(np.uint8), [], 0
        for file in files:
            for pixels, names in _rows(file):
                if shape is None:
                    shape, dtype = pixels.shape[1:], pixels.dtype
                if pixels.shape[1:] != shape or pixels.dtype != dtype:
                    raise UserFileError(
                        f"the images of {file} differ in size or kind",
                        expected=f"{dtype} {shape}, as in the first row",
                        got=f"{pixels.dtype} {pixels.shape[1:]} from row {count} on",
                    )
                store.write(np.ascontiguousarray(pixels).data)
                labels.append(names)
                count += len(pixels)
        if shape is None:
            raise UserFileError(f"{files[0]} holds no images", expected="at least one row")
        store.flush()
        mapped = np.memmap(store, dtype, "r", shape=(count, *shape))
    source = str(files[0].parent if len(files) > 1 else files[0])
    images = as_images(source, mapped, alpha)
    rows = Unpacked(images, mapped, tuple(files))
    return Raw(source, rows, np.concatenate(labels))


def _rows(file: Path) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    """(pixels, labels) of some rows at a time."""
    for batch in _batches(file):
        columns = dict(zip(batch.schema.names, batch.columns, strict=True))
        pixels, labels = (_column(file, columns, known) for known in (PIXELS, LABELS))
        if len(batch):
            yield _pixels(file, pixels), _labels(file, labels)


def _batches(file: Path) -> Iterator[Any]:
    """All rows, some at a time."""
    with _opened(file) as table:
        if file.suffix == ".parquet":
            yield from table.iter_batches(AT_ONCE, use_threads=False)
            return
        for number in range(getattr(table, "num_record_batches", 0)):
            yield from _sliced(table.get_batch(number))
        if not hasattr(table, "num_record_batches"):
            for batch in table:
                yield from _sliced(batch)


@contextmanager
def _opened(file: Path) -> Iterator[Any]:
    """A Parquet file, or a reader of an Arrow file; memory that Arrow keeps is given back.

    Raises:
        MissingExtraError: pyarrow is not installed.
        UserFileError: the file cannot be read, at the start or inside.

    """
    with needs("pyarrow", extra="tables", purpose="Parquet and Arrow files"):
        import pyarrow
        from pyarrow import ipc, parquet
    try:
        if file.suffix == ".parquet":
            with parquet.ParquetFile(
                file, pre_buffer=False, buffer_size=BUFFER, page_checksum_verification=True
            ) as table:
                yield table
        else:
            with pyarrow.memory_map(str(file)) as source:
                yield _reader(ipc, pyarrow, source)
        pyarrow.default_memory_pool().release_unused()
    except FileNotFoundError:
        raise UserFileError(f"there is no file {file}", todo="check the path") from None
    except (pyarrow.ArrowException, OSError) as error:
        raise UserFileError(
            f"{file} cannot be read as a table: {str(error).splitlines()[0]}",
            expected="a Parquet or Arrow file",
            todo="copy or download it again",
        ) from error


def _reader(ipc: Any, pyarrow: Any, source: Any) -> Any:
    """An Arrow file, or the stream of batches that ``datasets`` writes."""
    try:
        return ipc.open_file(source)
    except pyarrow.ArrowInvalid:
        source.seek(0)
        return ipc.open_stream(source)


def _sliced(batch: Any) -> Iterator[Any]:
    for start in range(0, len(batch), AT_ONCE):
        yield batch.slice(start, AT_ONCE)


def _column(file: Path, columns: Mapping[str, Any], known: Sequence[str]) -> Any:
    name = next((name for name in known if name in columns), None)
    if name is None:
        raise UserFileError(
            f"{file} has no column that allbps knows for its "
            + ("images" if known is PIXELS else "labels"),
            expected="one of " + ", ".join(known),
            got=", ".join(columns) or "no columns",
        )
    column = columns[name]
    if column.null_count:
        raise UserFileError(
            f"the column {name} of {file} has rows without a value",
            expected="an image and a label in every row",
            got=f"{column.null_count} rows without one",
        )
    return getattr(column, "storage", column)


def _labels(file: Path, column: Any) -> NDArray[Any]:
    if hasattr(column, "dictionary_decode"):
        column = column.dictionary_decode()
    found = column.to_numpy(zero_copy_only=False)
    return found.astype(str) if found.dtype.kind == "O" else np.asarray(found)


def _pixels(file: Path, column: Any) -> NDArray[Any]:
    """(N, …) of a column of lists of numbers, or of encoded images."""
    from pyarrow import types

    if types.is_struct(column.type):
        column = column.field("bytes") if column.type.get_field_index("bytes") >= 0 else column
    if types.is_binary(column.type) or types.is_large_binary(column.type):
        return _decoded(file, column)
    shape = [len(column)]
    while hasattr(column.type, "value_type") and not types.is_dictionary(column.type):
        inner = getattr(column, "storage", column).flatten()
        each, rest = divmod(len(inner), max(len(column), 1))
        lengths = np.unique(column.value_lengths()) if len(column) else np.array([each])
        if rest or len(lengths) != 1 or inner.null_count:
            raise UserFileError(
                f"the images of {file} differ in size",
                expected="lists of one length",
                got=f"lengths {', '.join(map(str, lengths[:5]))}",
            )
        shape.append(each)
        column = getattr(inner, "storage", inner)
    numbers = column.to_numpy(zero_copy_only=False)
    if len(shape) < 2 or numbers.dtype.kind not in "biuf":
        raise UserFileError(
            f"the images of {file} are neither image files nor lists of numbers",
            expected="a column of bytes, or of lists",
            got=str(column.type),
        )
    return np.asarray(numbers).reshape(shape)


def _decoded(file: Path, column: Any) -> NDArray[Any]:
    """Encoded images (N, H, W) or (N, H, W, 3), uint8."""
    with needs("pillow", extra="train", purpose="image files"):
        from PIL import Image, UnidentifiedImageError
    found = []
    for row, encoded in enumerate(column):
        if not encoded.is_valid:
            raise UserFileError(f"row {row} of {file} holds no bytes, perhaps only a path")
        try:
            with Image.open(BytesIO(encoded.as_py())) as image:
                clear = "transparency" in image.info
                plain = image if image.mode in ("L", "RGB") and not clear else _plain(image)
                found.append(np.asarray(plain))
        except UnidentifiedImageError as error:
            raise UserFileError(f"row {row} of {file} is not an image that Pillow knows") from error
        except (OSError, SyntaxError) as error:
            raise UserFileError(f"row {row} of {file} is not an image: {error}") from error
    sizes = {array.shape for array in found}
    if len(sizes) > 1:
        raise UserFileError(
            f"the images of {file} differ in size",
            expected=f"{found[0].shape} everywhere, as in its first row",
            got=str(next(size for size in sizes if size != found[0].shape)),
            todo="resize them beforehand; folders of image files take --resize",
        )
    return np.stack(found)


def _plain(image: Any) -> Any:
    """Grey, colour, either with alpha, or the numbers of more than 8 bits as they are."""
    if image.mode.startswith("I") or image.mode == "F":
        return image
    if image.mode in ("LA", "RGBA") or "transparency" in image.info:
        return image.convert("LA" if image.mode == "LA" else "RGBA")
    return image.convert("L" if image.mode == "1" else "RGB")


def _class_names(file: Path) -> list[str] | None:
    """The names that the Hugging Face library leaves in a file's schema."""
    with _opened(file) as table:
        schema = table.schema_arrow if file.suffix == ".parquet" else table.schema
        metadata = schema.metadata or {}
    try:
        features = json.loads(metadata.get(b"huggingface", b"{}"))["info"]["features"]
    except (KeyError, ValueError):
        return None
    named = [features[name].get("names") for name in LABELS if name in features]
    return next((list(names) for names in named if names), None)
