"""allbps: write a forward computation, get its backward pass to read, check and run."""

from typing import TYPE_CHECKING, Any

from allbps.transforms import grad, hessian, jacobian, jvp, stop_gradient, value_and_grad, vjp

if TYPE_CHECKING:
    from allbps.machine.compile import compile  # noqa: A004 - the word that users know
    from allbps.verify.check import check
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
    "stop_gradient",
    "value_and_grad",
    "vjp",
]

_LATER = {
    "Worked": "worked",
    "check": "verify",
    "compile": "machine.compile",
    "explain": "worked",
}
"""Names whose rooms are only opened when asked for, so that importing allbps stays light."""


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module 'allbps' has no attribute {name!r}")
    from importlib import import_module

    if name == "compile":
        from allbps.extras import needs

        with needs("llvmlite", extra="machine", purpose="allbps.compile"):
            import_module("llvmlite")
    return getattr(import_module(f"allbps.{_LATER[name]}"), name)
