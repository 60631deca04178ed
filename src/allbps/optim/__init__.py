"""Optimisers and learning-rate schedules: PyTorch's formulas and argument names, no hidden state.

Parameters and gradients are containers of arrays. ``init`` makes the state, ``update`` takes the
state in and gives the new one out; nothing is changed in place. An optimiser is one class with one
method, ``move``: ``update`` runs it as NumPy, and ``allbps.compile`` compiles the same method.

>>> import numpy as np
>>> sgd = SGD(lr=0.1)
>>> K, dK = {"K": np.array([1.0, 2.0])}, {"K": np.array([10.0, 0.0])}
>>> K, state = sgd.update(K, dK, sgd.init(K))
>>> K["K"]
array([0., 2.])
"""

from allbps.optim.clipping import clip_grad_norm
from allbps.optim.matrices import Adafactor, Muon
from allbps.optim.optimizer import Optimizer, Slots, require
from allbps.optim.rules import (
    ASGD,
    LAMB,
    SGD,
    SGDW,
    Adadelta,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    AMSGrad,
    AMSGradW,
    Lion,
    NAdam,
    NAdamW,
    RAdam,
    RAdamW,
    RMSprop,
    Rprop,
)
from allbps.optim.schedules import (
    CosineAnnealingLR,
    ExponentialLR,
    LinearWarmup,
    OneCycleLR,
    ReduceLROnPlateau,
    Schedule,
    StepLR,
    WarmupCosineLR,
    rate,
)

__all__ = [
    "ASGD",
    "LAMB",
    "SGD",
    "SGDW",
    "AMSGrad",
    "AMSGradW",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "CosineAnnealingLR",
    "ExponentialLR",
    "LinearWarmup",
    "Lion",
    "Muon",
    "NAdam",
    "NAdamW",
    "OneCycleLR",
    "Optimizer",
    "RAdam",
    "RAdamW",
    "RMSprop",
    "ReduceLROnPlateau",
    "Rprop",
    "Schedule",
    "Slots",
    "StepLR",
    "WarmupCosineLR",
    "clip_grad_norm",
    "rate",
    "require",
]
