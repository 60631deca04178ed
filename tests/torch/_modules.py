"""Small modules of each family, as people write them, with batches: (module, loss, batch)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as T
from torch import nn


class MLP(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2, self.head = nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(8, 4)

    def forward(self, x):
        h = T.relu(self.fc1(x))
        h = T.gelu(self.fc2(h))
        return self.head(h)


class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 6, 3)
        self.fc1, self.fc2 = nn.Linear(6 * 2 * 2, 8), nn.Linear(8, 4)

    def forward(self, x):
        x = T.max_pool2d(T.relu(self.conv1(x)), 2)
        x = T.max_pool2d(T.relu(self.conv2(x)), 2)
        x = x.view(x.size(0), -1)
        return self.fc2(T.relu(self.fc1(x)))


class BasicBlock(nn.Module):
    def __init__(self, inside, outside, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outside)
        self.conv2 = nn.Conv2d(outside, outside, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outside)
        self.downsample = None
        if stride != 1 or inside != outside:
            self.downsample = nn.Sequential(
                nn.Conv2d(inside, outside, 1, stride, bias=False), nn.BatchNorm2d(outside)
            )

    def forward(self, x):
        identity = x
        out = T.relu(self.bn1(self.conv1(x)), inplace=True)
        out = self.bn2(self.conv2(out))
        if self.downsample is not None:
            identity = self.downsample(x)
        out += identity
        return T.relu(out)


class ResNet(nn.Module):
    def __init__(self, widths=(4, 6), blocks=2, imagenet=False):
        super().__init__()
        first = widths[0]
        if imagenet:
            stem = [nn.Conv2d(3, first, 7, 2, 3, bias=False), nn.BatchNorm2d(first), nn.ReLU(True),
                    nn.MaxPool2d(3, 2, 1)]  # fmt: skip
        else:
            stem = [nn.Conv2d(3, first, 3, 1, 1, bias=False), nn.BatchNorm2d(first), nn.ReLU(True)]
        self.stem = nn.Sequential(*stem)
        layers, inside = [], first
        for k, width in enumerate(widths):
            for block in range(blocks):
                layers.append(BasicBlock(inside, width, 2 if k and not block else 1))
                inside = width
        self.layers = nn.Sequential(*layers)
        self.pool, self.fc = nn.AdaptiveAvgPool2d(1), nn.Linear(inside, 4)

    def forward(self, x):
        return self.fc(torch.flatten(self.pool(self.layers(self.stem(x))), 1))


def double_conv(inside, outside):
    return nn.Sequential(
        nn.Conv2d(inside, outside, 3, padding=1), nn.BatchNorm2d(outside), nn.ReLU(inplace=True),
        nn.Conv2d(outside, outside, 3, padding=1), nn.BatchNorm2d(outside), nn.ReLU(inplace=True),
    )  # fmt: skip


class UNet(nn.Module):
    def __init__(self, bilinear=False):
        super().__init__()
        self.down1, self.down2 = double_conv(1, 3), double_conv(3, 4)
        self.pool = nn.MaxPool2d(2)
        if bilinear:
            self.up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
            self.mix = double_conv(4 + 3, 3)
        else:
            self.up = nn.ConvTranspose2d(4, 3, 2, stride=2)
            self.mix = double_conv(3 + 3, 3)
        self.out = nn.Conv2d(3, 2, 1)

    def forward(self, x):
        a = self.down1(x)
        b = self.down2(self.pool(a))
        b = self.up(b)
        return self.out(self.mix(torch.cat([a, b], dim=1)))


class InvertedResidual(nn.Module):
    def __init__(self, inside, outside, stride, act=nn.ReLU6, squeeze=False):
        super().__init__()
        hidden = 2 * inside
        layers = [nn.Conv2d(inside, hidden, 1, bias=False), nn.BatchNorm2d(hidden), act(),
                  nn.Conv2d(hidden, hidden, 3, stride, 1, groups=hidden, bias=False),
                  nn.BatchNorm2d(hidden), act()]  # fmt: skip
        if squeeze:
            layers.append(SqueezeExcite(hidden))
        layers += [nn.Conv2d(hidden, outside, 1, bias=False), nn.BatchNorm2d(outside)]
        self.conv, self.skip = nn.Sequential(*layers), stride == 1 and inside == outside

    def forward(self, x):
        return x + self.conv(x) if self.skip else self.conv(x)


class SqueezeExcite(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.fc1, self.fc2 = nn.Conv2d(width, 2, 1), nn.Conv2d(2, width, 1)

    def forward(self, x):
        scale = T.adaptive_avg_pool2d(x, 1)
        scale = T.hardsigmoid(self.fc2(T.relu(self.fc1(scale))))
        return scale * x


class MobileNet(nn.Module):
    def __init__(self, act=nn.ReLU6, squeeze=False):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 4, 3, 2, 1, bias=False), nn.BatchNorm2d(4), act(),
            InvertedResidual(4, 4, 1, act, squeeze), InvertedResidual(4, 6, 2, act, squeeze),
        )  # fmt: skip
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(6, 4))

    def forward(self, x):
        return self.classifier(self.features(x).mean([2, 3]))


class VAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.enc, self.mu, self.logvar = nn.Linear(8, 6), nn.Linear(6, 2), nn.Linear(6, 2)
        self.dec = nn.Sequential(nn.Linear(2, 6), nn.ReLU(), nn.Linear(6, 8), nn.Sigmoid())

    def forward(self, x):
        h = T.relu(self.enc(x))
        mu, logvar = self.mu(h), self.logvar(h)
        std = torch.exp(0.5 * logvar)
        z = mu + torch.randn_like(std) * std
        return self.dec(z), mu, logvar


def vae_loss(module, x):
    recon, mu, logvar = module(x)
    bce = T.binary_cross_entropy(recon, x, reduction="sum")
    return bce - 0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())


class Conv1dAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.enc = nn.Sequential(
            nn.Conv1d(2, 4, 5, 2, 2), nn.BatchNorm1d(4), nn.LeakyReLU(0.1),
            nn.Conv1d(4, 6, 3, 2, 1), nn.BatchNorm1d(6), nn.ELU(),
        )  # fmt: skip
        self.dec = nn.Sequential(
            nn.ConvTranspose1d(6, 4, 4, 2, 1), nn.BatchNorm1d(4), nn.ReLU(),
            nn.ConvTranspose1d(4, 2, 4, 2, 1),
        )  # fmt: skip

    def forward(self, x):
        return self.dec(self.enc(x))


class Recurrent(nn.Module):
    def __init__(self, kind, layers=1, both=False, dropout=0.0):
        super().__init__()
        self.emb = nn.Embedding(10, 5, padding_idx=0)
        self.rnn = kind(5, 6, layers, batch_first=True, bidirectional=both, dropout=dropout)
        self.fc = nn.Linear(12 if both else 6, 3)

    def forward(self, x):
        out, _ = self.rnn(self.emb(x))
        return self.fc(out[:, -1])


class Projected(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(5, 6, 2, proj_size=3, bidirectional=True, batch_first=True)
        self.fc = nn.Linear(6, 3)

    def forward(self, x):
        return self.fc(self.rnn(x)[0][:, -1])


class Translator(nn.Module):
    def __init__(self):
        super().__init__()
        self.both = nn.Transformer(8, 2, 1, 1, 12, dropout=0.0, batch_first=True)
        self.fc = nn.Linear(8, 3)

    def forward(self, x):
        mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1], dtype=x.dtype)
        return self.fc(self.both(x, x.flip(1), tgt_mask=mask)[:, -1])


class Encoder(nn.Module):
    def __init__(self, dropout=0.1, norm_first=False):
        super().__init__()
        self.emb = nn.Embedding(12, 8)
        self.pos = nn.Parameter(torch.zeros(1, 6, 8))
        layer = nn.TransformerEncoderLayer(8, 2, 16, dropout, batch_first=True,
                                           norm_first=norm_first)  # fmt: skip
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.fc = nn.Linear(8, 3)

    def forward(self, x):
        return self.fc(self.encoder(self.emb(x) + self.pos).mean(1))


class CausalSelfAttention(nn.Module):
    """With a mask in a buffer, as minGPT has it."""

    def __init__(self, width=8, heads=2, length=6):
        super().__init__()
        self.c_attn, self.c_proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.heads = heads
        mask = torch.tril(torch.ones(length, length)).view(1, 1, length, length)
        self.register_buffer("bias", mask)

    def forward(self, x):
        B, L, C = x.size()
        q, k, v = self.c_attn(x).split(C, dim=2)
        k = k.view(B, L, self.heads, C // self.heads).transpose(1, 2)
        q = q.view(B, L, self.heads, C // self.heads).transpose(1, 2)
        v = v.view(B, L, self.heads, C // self.heads).transpose(1, 2)
        att = (q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(k.size(-1)))
        att = att.masked_fill(self.bias[:, :, :L, :L] == 0, float("-inf"))
        att = T.softmax(att, dim=-1)
        y = (att @ v).transpose(1, 2).contiguous().view(B, L, C)
        return self.c_proj(y)


class MinGPT(nn.Module):
    def __init__(self, tied=True):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(11, 8), nn.Embedding(6, 8)
        self.ln1, self.attn = nn.LayerNorm(8), CausalSelfAttention()
        self.ln2 = nn.LayerNorm(8)
        self.mlp = nn.Sequential(nn.Linear(8, 16), nn.GELU(approximate="tanh"), nn.Linear(16, 8))
        self.head = nn.Linear(8, 11, bias=False)
        if tied:
            self.head.weight = self.wte.weight

    def forward(self, idx):
        pos = torch.arange(0, idx.size(1), dtype=torch.long, device=idx.device).unsqueeze(0)
        x = self.wte(idx) + self.wpe(pos)
        x = x + self.attn(self.ln1(x))
        x = x + self.mlp(self.ln2(x))
        return self.head(x)


def language_loss(logits, targets):
    return T.cross_entropy(logits.view(-1, logits.size(-1)), targets.view(-1))


class ViT(nn.Module):
    def __init__(self):
        super().__init__()
        self.patch = nn.Conv2d(3, 8, 4, 4)
        self.cls = nn.Parameter(torch.randn(1, 1, 8) * 0.1)
        self.pos = nn.Parameter(torch.randn(1, 5, 8) * 0.1)
        self.ln1, self.attn = nn.LayerNorm(8), nn.MultiheadAttention(8, 2, batch_first=True)
        self.ln2 = nn.LayerNorm(8)
        self.mlp = nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 8))
        self.head = nn.Linear(8, 4)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls.expand(x.shape[0], -1, -1), x], dim=1) + self.pos
        y = self.ln1(x)
        x = x + self.attn(y, y, y, need_weights=False)[0]
        x = x + self.mlp(self.ln2(x))
        return self.head(x[:, 0])


class GCN(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin1, self.lin2 = nn.Linear(4, 6), nn.Linear(6, 3)

    def forward(self, x, edges, weight):
        source, target = edges[0], edges[1]
        for lin in (self.lin1, self.lin2):
            h = lin(x)
            message = h[source] * weight.unsqueeze(1)
            out = torch.zeros_like(h).index_add(0, target, message)
            degree = torch.zeros(h.shape[0], dtype=h.dtype)
            degree = degree.scatter_add(0, target, torch.ones_like(weight)).clamp(min=1)
            x = T.relu(out / degree.unsqueeze(1))
        picked = torch.gather(x, 1, edges[:, : x.shape[0]].t()[:, :1].remainder(3))
        return x + picked


def families():
    """Name -> (module in training mode, loss, batch): float32, the same every time."""
    torch.manual_seed(0)
    image, gray = torch.randn(3, 3, 8, 8), torch.randn(3, 1, 14, 14)
    labels = torch.tensor([1, 3, 0])
    words = torch.randint(0, 10, (3, 6))
    three = torch.tensor([1, 2, 0])
    sequence = torch.randn(3, 2, 16)
    edges = torch.randint(0, 5, (2, 9))
    masks = torch.randint(0, 2, (2, 8, 8))
    ce = T.cross_entropy

    def graph_loss(output, target):
        return ce(output, target)

    made = {
        "mlp": (MLP(), ce, (torch.randn(3, 6), labels)),
        "lenet": (LeNet(), ce, (gray, labels)),
        "resnet20": (ResNet((3, 4, 5), 1), ce, (image, labels)),
        "resnet18": (ResNet((4, 6), 1, True), ce, (torch.randn(3, 3, 32, 32), labels)),
        "unet": (UNet(), ce, (torch.randn(2, 1, 8, 8), masks)),
        "unet_bilinear": (UNet(True), ce, (torch.randn(2, 1, 8, 8), masks)),
        "mobilenet_v2": (MobileNet(), ce, (image, labels)),
        "mobilenet_v3": (MobileNet(nn.Hardswish, True), ce, (image, labels)),
        "vae": (VAE(), vae_loss, (torch.rand(3, 8),)),
        "conv1d_ae": (Conv1dAE(), nn.MSELoss(), (sequence, sequence)),
        "lstm": (Recurrent(nn.LSTM), ce, (words, three)),
        "bilstm": (Recurrent(nn.LSTM, 2, True, 0.2), ce, (words, three)),
        "projected": (Projected(), ce, (torch.randn(len(words), 4, 5), three)),
        "translator": (Translator(), ce, (torch.randn(len(words), 4, 8), three)),
        "gru": (Recurrent(nn.GRU), ce, (words, three)),
        "rnn": (Recurrent(nn.RNN), ce, (words, three)),
        "encoder": (Encoder(), ce, (words, three)),
        "mingpt": (MinGPT(), language_loss, (words, words.roll(-1, 1))),
        "vit": (ViT(), ce, (image, labels)),
        "graph": (GCN(), graph_loss,
                  (torch.randn(5, 4), edges, torch.rand(9), torch.tensor([0, 1, 2, 0, 1]))),
    }  # fmt: skip
    return {name: (module.train(), loss, batch) for name, (module, loss, batch) in made.items()}
