"""Weights in ``.safetensors`` files: PyTorch's into the parameters of a NumPy net, and back.

An entry of a file goes by the place of a parameter in its container, with dots, as in PyTorch:
``{"fc1": {"weight": W, "bias": b}}`` and ``{"fc1.weight": W, "fc1.bias": b}`` both name
``fc1.weight``, and the third of a list of layers is ``layers.2``. ``allbps.torch`` has the same for
state dicts.
"""

from allbps.weights.files import load, save

__all__ = ["load", "save"]
