"""allbps: write a forward computation, get its backward pass to read, check and run."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from allbps.declared import rule
    from allbps.judged import check
    from allbps.machine.compile import compile  # noqa: A004 - the word that users know
    from allbps.transforms import grad, hessian, jacobian, jvp, stop_gradient, value_and_grad, vjp
    from allbps.worked import Worked, explain

__version__ = "0.1.0"
__all__ = [
    "Worked",
    "check",
    "compile",
    "explain",
    "grad",
    "hessian",
    "jacobian",
    "jvp",
    "rule",
    "stop_gradient",
    "value_and_grad",
    "vjp",
]

_ROOMS = {
    "Worked": "worked",
    "check": "judged",
    "compile": "machine.compile",
    "explain": "worked",
    "rule": "declared",
}
"""Where the names live, if not in transforms; rooms are opened when one of them is asked for."""


def __getattr__(name: str) -> Any:
    from importlib import import_module
    from importlib.util import find_spec

    if name not in __all__:
        if name.startswith("_") or find_spec(f"allbps.{name}") is None:
            raise AttributeError(f"module 'allbps' has no attribute {name!r}")
        return import_module(f"allbps.{name}")
    if name == "compile":
        from allbps.extras import needs

        with needs("llvmlite", extra="machine", purpose="allbps.compile"):
            import_module("llvmlite")
    room = import_module(f"allbps.{_ROOMS.get(name, 'transforms')}")
    value = globals()[name] = getattr(room, name)
    return value


def load_ipython_extension(shell: Any) -> None:
    """``%load_ext allbps`` in a notebook gives it the magic ``%%explain``."""
    from allbps.notebook import load

    load(shell)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
