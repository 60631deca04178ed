"""What the compiler says where a kernel is wrong."""

from __future__ import annotations


class KernelError(Exception):
    """A kernel, or a call of one, says something that is not in the language of kernels."""
