"""The named nets once more, written with PyTorch's own modules and nothing of ours."""

import torch
from torch import nn


class Mlp(nn.Sequential):
    """Two hidden layers."""

    def __init__(self, pixels, one, two, classes):
        super().__init__(
            nn.Flatten(), nn.Linear(pixels, one), nn.ReLU(), nn.Linear(one, two), nn.ReLU(),
            nn.Linear(two, classes),
        )  # fmt: skip


class Lenet(nn.Sequential):
    """Two convolutions, one pooling."""

    def __init__(self, channels, one, two, pooled, hidden, classes):
        super().__init__(
            nn.Conv2d(channels, one, 3), nn.ReLU(), nn.Conv2d(one, two, 3), nn.ReLU(),
            nn.MaxPool2d(2), nn.Flatten(), nn.Linear(pooled, hidden), nn.ReLU(),
            nn.Linear(hidden, classes),
        )  # fmt: skip


class Lecture(nn.Sequential):
    """One convolution."""

    def __init__(self, channels, one, pooled, classes):
        super().__init__(
            nn.Conv2d(channels, one, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
            nn.Linear(pooled, classes),
        )  # fmt: skip


class BasicBlock(nn.Module):
    """Two convolutions and a shortcut, with torchvision's names."""

    def __init__(self, before, width, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(before, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = nn.Identity()
        if stride == 2:
            self.downsample = nn.Sequential(
                nn.Conv2d(before, width, 1, stride, bias=False), nn.BatchNorm2d(width)
            )

    def forward(self, x):
        h = self.bn1(self.conv1(x)).relu()
        return (self.bn2(self.conv2(h)) + self.downsample(x)).relu()


class Resnet(nn.Module):
    """Three stages of basic blocks, with torchvision's names."""

    def __init__(self, channels, widths, blocks, classes):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, widths[0], 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        before = widths[0]
        for stage, width in enumerate(widths, start=1):
            strides = [2 if stage > 1 else 1] + [1] * (blocks - 1)
            layer = [BasicBlock(b, width, s) for b, s in zip([before] + [width] * (blocks - 1),
                     strides, strict=True)]  # fmt: skip
            setattr(self, f"layer{stage}", nn.Sequential(*layer))
            before = width
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(before, classes)

    def forward(self, x):
        h = self.bn1(self.conv1(x)).relu()
        h = self.layer3(self.layer2(self.layer1(h)))
        return self.fc(self.avgpool(h).flatten(1))


class Block(nn.Module):
    """Attention and MLP of a GPT; ``nn.MultiheadAttention`` does its own splitting into heads."""

    def __init__(self, width, heads):
        super().__init__()
        self.ln1, self.ln2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, h):
        length = h.shape[1]
        later = torch.ones(length, length, dtype=torch.bool).triu(1)
        n = self.ln1(h)
        seen, _ = self.attention(n, n, n, attn_mask=later, need_weights=False)
        h = h + seen
        return h + self.down(nn.functional.gelu(self.up(self.ln2(h))))


class Gpt(nn.Module):
    """A GPT with a head of its own."""

    def __init__(self, classes, context, width, blocks, heads):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(classes, width), nn.Embedding(context, width)
        self.h = nn.ModuleList(Block(width, heads) for _ in range(blocks))
        self.lnf = nn.LayerNorm(width)
        self.head = nn.Linear(width, classes, bias=False)

    def forward(self, x):
        h = self.wte(x) + self.wpe(torch.arange(x.shape[1]))
        for block in self.h:
            h = block(h)
        return self.head(self.lnf(h))


def gpt_name(ours):
    """Our name of a parameter -> its name in ``Gpt``."""
    if ours in ("wte", "wpe", "head"):
        return f"{ours}.weight"
    if ours.startswith("lnf"):
        return ours.replace("_", ".")
    block, layer, kind = ours[1:].split("_")
    parts = {"attn": f"attention.in_proj_{kind}", "proj": f"attention.out_proj.{kind}"}
    return f"h.{block}." + parts.get(layer, f"{layer}.{kind}")
