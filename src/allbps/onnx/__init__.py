"""ONNX out and in: forward and backward pass as one ONNX graph, and ONNX models as functions.

Inside this room ``import onnx`` is the library.
"""

from allbps.extras import needs

with needs("onnx", extra="onnx", purpose="allbps.onnx"):
    import onnx  # noqa: F401

from allbps.onnx.exporting import export
from allbps.onnx.loading import Net, load

__all__ = ["Net", "export", "load"]
