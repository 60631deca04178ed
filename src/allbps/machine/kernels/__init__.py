"""Kernels: the arithmetic of a training step, one idea a file.

Every kernel works on one piece of its result, ``lo <= piece < hi``, alone: which thread runs which
piece cannot change a bit. What must be summed over pieces goes into one partial result per piece,
and :func:`.reduce.combine` adds these in order. Arrays are row-major; images are (N, H, W, C),
convolution weights (h, w, C, O), so that the (column, channel) run of a window is contiguous.
"""
