"""Kernels: the arithmetic of a training step, one idea a file.

Every kernel works on one piece of its result, ``lo <= piece < hi``, alone: which thread runs which
piece cannot change a bit. What must be summed over pieces goes into one partial result per piece,
and :func:`.reduce.combine` adds these in order. Arrays are row-major; images are (N, H, W, C),
convolution weights (h, w, C, O), so that the (column, channel) run of a window is contiguous.

A step is a kernel of four arguments that all threads of a team run together, in stages:

    @kernel
    def step(tid: Int, threads: Int, team: Ints, a: Ints) -> None:
        X, W, Z = pointer_at(a, 0), pointer_at(a, 1), pointer_at(a, 2)
        scratch = pointer_at(a, 3) + tid * 100000       # memory of this thread
        # Z = X W: (128, 784) · (784, 512)
        p = first_piece(team, tid, threads, 16)
        while p < 16:
            product_piece(
                Z, 512, X, 784, 1, W, 512, 128, 512, 784, 0, Z, 1, 16, 1, scratch, p
            )
            p = next_piece(team, p, tid, threads, 16)
        barrier(team, threads)                          # every piece loop ends with one

The cut into pieces is a function of the shapes only. Kernels never allocate, never check and never
read outside their operands; indices and labels must be checked before they come here.
"""
