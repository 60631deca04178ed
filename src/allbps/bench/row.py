"""Rows by their names, of both kinds."""

from __future__ import annotations

from allbps.bench.module_work import MODULES, ModuleWork
from allbps.bench.work import ROWS, Work
from allbps.errors import unknown_name


def known(row: str) -> str:
    """The name of a row.

    Raises:
        NameUnknownError: there is none of that name.

    """
    if row not in ROWS and row not in MODULES:
        raise unknown_name(row, [*ROWS, *MODULES], "row")
    return row


def work_for(row: str) -> Work | ModuleWork:
    """The row of that name.

    Raises:
        NameUnknownError: there is none.
        MissingExtraError: the digits are not installed.

    """
    return MODULES[row] if known(row) in MODULES else ROWS[row]()
