"""Readable backward source of attention, to port by hand.

allbps emit examples/emit_attention.py:attention --target numpy
allbps emit examples/emit_attention.py:attention --target torch --out attention_backward.py
"""

import numpy as np

import allbps.functional as F


def attention(Q, K, V, target):
    scores = Q @ K.T / np.sqrt(Q.shape[-1])
    weights = F.softmax(scores)
    out = weights @ V
    return F.euclidean_loss(out, target)


def inputs():
    rng = np.random.default_rng(0)
    return {name: np.round(rng.normal(size=(4, 3)), 1) for name in ("Q", "K", "V", "target")}
