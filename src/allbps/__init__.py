"""allbps: write a forward computation, get its backward pass to read, check and run."""

from typing import TYPE_CHECKING, Any

from allbps.transforms import grad, hessian, jacobian, jvp, stop_gradient, value_and_grad, vjp

if TYPE_CHECKING:
    from allbps.verify.check import check
    from allbps.worked import Worked, explain

__version__ = "0.1.0"
__all__ = [
    "Worked",
    "check",
    "explain",
    "grad",
    "hessian",
    "jacobian",
    "jvp",
    "stop_gradient",
    "value_and_grad",
    "vjp",
]

_LATER = {"Worked": "worked", "check": "verify", "explain": "worked"}
"""Names whose rooms are only opened when asked for, so that importing allbps stays light."""


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module 'allbps' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"allbps.{_LATER[name]}"), name)
