"""Optional libraries: a clear word when one is missing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from allbps.errors import MissingExtraError


@contextmanager
def needs(library: str, *, extra: str, purpose: str) -> Iterator[None]:
    """Around an import of an optional library.

    Args:
        library: its name on the package index.
        extra: the extra of allbps that brings it.
        purpose: what it is needed for.

    Raises:
        MissingExtraError: the import failed because the library is not there.

    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"{library} is needed for {purpose}, and is not installed",
            todo=f"pip install 'allbps[{extra}]'",
        ) from error
