"""PyTorch modules in allbps: read, checked, and trained by native code.

Inside this room ``import torch`` is PyTorch.
"""

from allbps.extras import needs

with needs("torch", extra="torch", purpose="allbps.torch"):
    import torch  # noqa: F401

from allbps.torch.net import Net, from_module

__all__ = ["Net", "from_module"]
