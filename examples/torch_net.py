"""A PyTorch module with its loss and a batch.

allbps explain examples/torch_net.py:build
allbps emit examples/torch_net.py:build
allbps check examples/torch_net.py:build
"""

import torch
from torch import nn
from torch.nn import functional


class Digits(nn.Module):
    """A small convolutional net."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3)
        self.fc = nn.Linear(2 * 3 * 3, 3)

    def forward(self, image):
        h = torch.relu(self.conv(image))
        h = functional.max_pool2d(h, 2)
        return self.fc(h.flatten(1))


def build():
    torch.manual_seed(0)
    images, labels = torch.randn(2, 1, 8, 8), torch.tensor([2, 0])
    return Digits(), functional.cross_entropy, (images, labels)
