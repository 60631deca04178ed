"""The vocabulary of nets, with the names, arguments and semantics of ``torch.nn.functional``.

Every function takes traced arrays, NumPy arrays and Python numbers. Outside a trace the result is
an ordinary NumPy array, so a net written with these functions is also a plain NumPy function.
Arguments whose position differs from PyTorch's are taken by keyword only.

>>> import allbps.functional as F
>>> F.relu([-1.0, 2.0])
array([0., 2.])
"""
# ruff: noqa: F403  (what a module defines is what it offers)

from allbps.functional.activations import *
from allbps.functional.adaptive import *
from allbps.functional.algebra import *
from allbps.functional.alignment import *
from allbps.functional.arrangement import *
from allbps.functional.attention import *
from allbps.functional.classification import *
from allbps.functional.convolution import *
from allbps.functional.curves import *
from allbps.functional.distances import *
from allbps.functional.embeddings import *
from allbps.functional.factors import *
from allbps.functional.interpolation import *
from allbps.functional.layers import *
from allbps.functional.lengths import *
from allbps.functional.margins import *
from allbps.functional.matrices import *
from allbps.functional.multihead import *
from allbps.functional.normalisation import *
from allbps.functional.ordering import *
from allbps.functional.picking import *
from allbps.functional.plane import *
from allbps.functional.pooling import *
from allbps.functional.regression import *
from allbps.functional.regularisation import *
from allbps.functional.sampling import *
from allbps.functional.scattering import *
from allbps.functional.unpooling import *


def __dir__() -> list[str]:
    """The functions alone, without what their modules import."""
    return [name for name, x in globals().items() if getattr(x, "__wrapped__", None) is not None]
