"""ONNX models as functions: how each operator is written with NumPy and ``functional/``."""
