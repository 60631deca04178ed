"""Elements that a mask picks, ``x[mask]``: all places stay, and a mask says which of them count.

How many a mask picks follows from values, and ``torch.export`` writes that as a symbol. Here the
symbol's axis becomes as long as the mask. A place that is not picked holds what the first picked
one holds, so that nothing new is computed there, and what sums over the axis passes over it: the
mean of ``x[mask]`` is a masked mean, in one graph for any count. Whatever would mind the places
themselves (a slice, a sort, an axis that is split) is refused.
"""

from allbps.torch.counting.counted import counted

__all__ = ["counted"]
