"""What a forward pass makes sure of."""

from __future__ import annotations

from typing import Any

from allbps.errors import ArgumentError


def passed(x: Any, *checks: tuple[Any, str]) -> Any:
    """``x``, where all checks are true.

    Args:
        x: anything.
        checks: a truth value, and the line that asks for it.

    Raises:
        ArgumentError: one is false.

    """
    for met, site in checks:
        if not met:
            raise ArgumentError(
                "the forward pass raises an error on these values, or goes another way",
                where=site,
                expected="values that pass this check",
                todo="PyTorch's own error: call the module on this batch",
            )
    return x
