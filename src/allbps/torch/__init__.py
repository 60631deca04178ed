"""PyTorch modules in allbps: read, checked, and trained by native code.

Inside this room ``import torch`` is PyTorch.
"""

from allbps.extras import needs

with needs("torch", extra="torch", purpose="allbps.torch"):
    import torch  # noqa: F401

from allbps.torch.applied import Function, function
from allbps.torch.checked import DifferenceError
from allbps.torch.grad_check import WrongGradientError, gradcheck
from allbps.torch.net import Net, from_module
from allbps.torch.state import from_state, to_state
from allbps.torch.step import CompiledAgainWarning, RoundingWarning, TrainStep, train_step

__all__ = [
    "CompiledAgainWarning",
    "DifferenceError",
    "Function",
    "Net",
    "RoundingWarning",
    "TrainStep",
    "WrongGradientError",
    "from_module",
    "from_state",
    "function",
    "gradcheck",
    "to_state",
    "train_step",
]
