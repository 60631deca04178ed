"""Batches of the rows of PyTorch modules: tensors and what is wanted of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

BATCHES = 8
"""Different mini-batches; longer runs visit them again and again."""
Batches = list[tuple[torch.Tensor, ...]]
Training = tuple[nn.Module, Callable[..., Any], Batches]
"""A module, its loss as a function of (output, target), and its batches, inputs and then the
target; where it only answers, a number for the answer, and the questions."""


def labelled(batch: int, *shape: int, classes: int = 10) -> Batches:
    """Images or features, and a class of each."""
    labels = (torch.randint(classes, (batch,)) for _ in range(BATCHES))
    return [(torch.randn(batch, *shape), y) for y in labels]


def worded(batch: int, length: int, words: int, classes: int) -> Batches:
    """Texts, and a class of each."""
    return [
        (torch.randint(words, (batch, length)), torch.randint(classes, (batch,)))
        for _ in range(BATCHES)
    ]


def continued(batch: int, length: int, words: int) -> Batches:
    """Texts, and for every word the one that follows."""
    texts = (torch.randint(words, (batch, length + 1)) for _ in range(BATCHES))
    return [(t[:, :-1].clone(), t[:, 1:].clone()) for t in texts]
