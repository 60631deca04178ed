"""SciPy's functions on traced arrays: ``allbps.scipy.linalg.expm`` is ``scipy.linalg.expm``.

SciPy asks nobody what an array is, so its own functions do not take traced ones, but for the
ufuncs of ``scipy.special``. Here are those that have a derivative, with SciPy's names, arguments
and values, in the rooms ``linalg``, ``signal`` and ``special``. They take plain arrays too.

>>> import numpy as np, allbps as bp
>>> import allbps.scipy as asp
>>> bp.grad(lambda x: asp.special.logsumexp(x))(np.zeros(2))
array([0.5, 0.5])
"""

from allbps.scipy import linalg, signal, special

__all__ = ["linalg", "signal", "special"]
