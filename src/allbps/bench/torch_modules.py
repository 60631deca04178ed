"""PyTorch modules as people write them, for the rows ``torch-…``: layers, losses and batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
import torch.nn.functional as T
from torch import nn

from allbps.bench import torch_texts
from allbps.bench.torch_batches import BATCHES, Batches, Training, continued, labelled, worded


def mlp() -> Training:
    layers = [nn.Flatten(), nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 256), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(256, 10)), T.cross_entropy, labelled(128, 1, 28, 28)


def lenet() -> Training:
    net = nn.Sequential(
        nn.Conv2d(1, 32, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 5), nn.ReLU(),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(1024, 128), nn.ReLU(), nn.Linear(128, 10),
    )  # fmt: skip
    return net, T.cross_entropy, labelled(64, 1, 28, 28)


# -- images ----------------------------------------------------------------------------------------
def _normed(inside: int, outside: int, size: int = 3, **options: Any) -> list[nn.Module]:
    options = {"padding": size // 2, "bias": False, **options}
    return [nn.Conv2d(inside, outside, size, **options), nn.BatchNorm2d(outside)]


class _Block(nn.Module):
    """A residual block of two convolutions."""

    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        first, second = _normed(inside, outside, stride=stride), _normed(outside, outside)
        self.body = nn.Sequential(*first, nn.ReLU(inplace=True), *second)
        same = stride == 1 and inside == outside
        self.skip = nn.Sequential(*([] if same else _normed(inside, outside, 1, stride=stride)))

    def forward(self, x: Any) -> Any:
        """δ goes both ways."""
        return T.relu(self.body(x) + self.skip(x))


def _resnet(stem: list[nn.Module], widths: tuple[int, ...], blocks: int) -> nn.Module:
    layers, inside = stem, widths[0]
    for k, width in enumerate(widths):
        for block in range(blocks):
            layers.append(_Block(inside, width, 2 if k and not block else 1))
            inside = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inside, 10))


def resnet20() -> Training:
    net = _resnet([*_normed(3, 16), nn.ReLU(inplace=True)], (16, 32, 64), 3)
    return net, T.cross_entropy, labelled(64, 3, 32, 32)


def resnet18() -> Training:
    stem = [*_normed(3, 64, 7, stride=2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)]
    return _resnet(stem, (64, 128, 256, 512), 2), T.cross_entropy, labelled(16, 3, 64, 64)


class _UNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down, self.middle = self._two(1, 16), self._two(16, 32)
        self.up, self.mix = nn.ConvTranspose2d(32, 16, 2, stride=2), self._two(32, 16)
        self.out = nn.Conv2d(16, 2, 1)

    @staticmethod
    def _two(inside: int, outside: int) -> nn.Module:
        first, second = _normed(inside, outside), _normed(outside, outside)
        return nn.Sequential(*first, nn.ReLU(inplace=True), *second, nn.ReLU(inplace=True))

    def forward(self, x: Any) -> Any:
        """Down, and up again beside what was there."""
        a = self.down(x)
        b = self.up(self.middle(T.max_pool2d(a, 2)))
        return self.out(self.mix(torch.cat([a, b], dim=1)))


def unet() -> Training:
    masks = (torch.randint(2, (8, 48, 48)) for _ in range(BATCHES))
    return _UNet(), T.cross_entropy, [(torch.randn(8, 1, 48, 48), y) for y in masks]


class _Squeezed(nn.Module):
    """Channels weighed by what they are on average, as in MobileNet v3."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Conv2d(width, width // 4, 1), nn.Conv2d(width // 4, width, 1)

    def forward(self, x: Any) -> Any:
        """Two layers of one pixel."""
        mean = T.adaptive_avg_pool2d(x, 1)
        return x * T.hardsigmoid(self.fc2(T.relu(self.fc1(mean))))


class _Inverted(nn.Module):
    """An inverted residual block of version 2 or 3."""

    def __init__(self, inside: int, outside: int, stride: int, version: int) -> None:
        super().__init__()
        wide, act = 4 * inside, nn.ReLU6 if version == 2 else nn.Hardswish
        self.body = nn.Sequential(
            *_normed(inside, wide, 1), act(inplace=True),
            *_normed(wide, wide, stride=stride, groups=wide), act(inplace=True),
            *([_Squeezed(wide)] if version == 3 else []), *_normed(wide, outside, 1),
        )  # fmt: skip
        self.same = stride == 1 and inside == outside

    def forward(self, x: Any) -> Any:
        """Past it, where the shapes are the same."""
        return x + self.body(x) if self.same else self.body(x)


def mobilenet(version: int = 2) -> Training:
    sizes = [(16, 16, 1), (16, 24, 2), (24, 24, 1), (24, 32, 2), (32, 32, 1)]
    act = nn.ReLU6 if version == 2 else nn.Hardswish
    blocks = (_Inverted(*size, version) for size in sizes)
    layers = [*_normed(3, 16, stride=2), act(inplace=True), *blocks]
    net = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10))
    return net, T.cross_entropy, labelled(32, 3, 32, 32)


def mobilenet_v3() -> Training:
    return mobilenet(3)


class _VAE(nn.Module):
    """A variational autoencoder; its noise is given, so that everyone's is the same."""

    def __init__(self) -> None:
        super().__init__()
        self.enc, self.mu, self.logvar = nn.Linear(784, 400), nn.Linear(400, 20), nn.Linear(400, 20)
        self.dec = nn.Sequential(nn.Linear(20, 400), nn.ReLU(), nn.Linear(400, 784), nn.Sigmoid())

    def forward(self, x: Any, noise: Any) -> Any:
        """The image again, and the mean and log-variance of its code."""
        h = T.relu(self.enc(x))
        mu, logvar = self.mu(h), self.logvar(h)
        return self.dec(mu + noise * torch.exp(0.5 * logvar)), mu, logvar


def _evidence(found: Any, x: Any) -> Any:
    image, mu, logvar = found
    given = T.binary_cross_entropy(image, x, reduction="sum")
    return (given - 0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())) / len(x)


def vae() -> Training:
    images = (torch.rand(128, 784) for _ in range(BATCHES))
    return _VAE(), _evidence, [(x, torch.randn(128, 20), x) for x in images]


def autoencoder() -> Training:
    net = nn.Sequential(
        nn.Conv1d(4, 32, 5, 2, 2), nn.BatchNorm1d(32), nn.LeakyReLU(0.1),
        nn.Conv1d(32, 64, 3, 2, 1), nn.BatchNorm1d(64), nn.ELU(),
        nn.ConvTranspose1d(64, 32, 4, 2, 1), nn.BatchNorm1d(32), nn.ReLU(),
        nn.ConvTranspose1d(32, 4, 4, 2, 1),
    )  # fmt: skip
    waves = (torch.randn(64, 4, 128) for _ in range(BATCHES))
    return net, T.mse_loss, [(x, x) for x in waves]


# -- sequences -------------------------------------------------------------------------------------
class _Recurrent(nn.Module):
    def __init__(self, kind: Callable[..., nn.Module]) -> None:
        super().__init__()
        self.emb, self.rnn = nn.Embedding(100, 64), kind(64, 128, batch_first=True)
        self.fc = nn.Linear(128, 10)

    def forward(self, x: Any) -> Any:
        """The last state decides."""
        return self.fc(self.rnn(self.emb(x))[0][:, -1])


def lstm() -> Training:
    return _Recurrent(nn.LSTM), T.cross_entropy, worded(32, 24, 100, 10)


def gru() -> Training:
    return _Recurrent(nn.GRU), T.cross_entropy, worded(32, 24, 100, 10)


class _Attending(nn.Module):
    """A block of a transformer: norm, attention, norm, two layers."""

    def __init__(self, width: int, heads: int, causal: bool) -> None:
        super().__init__()
        self.heads, self.causal = heads, causal
        self.ln1, self.ln2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        up, down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.mlp = nn.Sequential(up, nn.GELU(), down)

    def forward(self, x: Any) -> Any:
        """(N, T, D), as it comes."""
        n, t, d = x.shape
        parts = self.attn(self.ln1(x)).split(d, dim=2)
        q, k, v = (z.view(n, t, self.heads, -1).transpose(1, 2) for z in parts)
        seen = T.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        x = x + self.proj(seen.transpose(1, 2).reshape(n, t, d))
        return x + self.mlp(self.ln2(x))

    def one_more(self, x: Any, keys: Any, values: Any) -> Any:
        """One token, (N, 1, D), that sees what is remembered and itself."""
        parts = self.attn(self.ln1(x)).split(x.shape[-1], dim=2)
        q, k, v = (z.view(len(x), 1, self.heads, -1).transpose(1, 2) for z in parts)
        seen = T.scaled_dot_product_attention(q, torch.cat([keys, k], 2), torch.cat([values, v], 2))
        x = x + self.proj(seen.transpose(1, 2).reshape(x.shape))
        return x + self.mlp(self.ln2(x))


class _GPT(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.wte, self.wpe = nn.Embedding(65, 128), nn.Embedding(128, 128)
        self.blocks = nn.Sequential(*(_Attending(128, 4, True) for _ in range(4)))
        self.ln, self.head = nn.LayerNorm(128), nn.Linear(128, 65, bias=False)

    def forward(self, x: Any) -> Any:
        """Logits, classes on the axis where the loss looks for them."""
        h = self.wte(x) + self.wpe(torch.arange(x.shape[1]))
        return self.head(self.ln(self.blocks(h))).transpose(1, 2)


def gpt() -> Training:
    return _GPT(), T.cross_entropy, continued(16, 128, 65)


class _ViT(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.patch, self.pos = nn.Conv2d(3, 96, 4, 4), nn.Parameter(torch.randn(1, 64, 96) * 0.1)
        self.blocks = nn.Sequential(*(_Attending(96, 4, False) for _ in range(4)))
        self.ln, self.head = nn.LayerNorm(96), nn.Linear(96, 10)

    def forward(self, x: Any) -> Any:
        """The mean over patches decides."""
        h = self.patch(x).flatten(2).transpose(1, 2) + self.pos
        return self.head(self.ln(self.blocks(h)).mean(1))


def vit() -> Training:
    return _ViT(), T.cross_entropy, labelled(32, 3, 32, 32)


def encoder() -> Training:
    layer = nn.TransformerEncoderLayer(96, 4, 192, 0.0, batch_first=True)
    stack = nn.TransformerEncoder(layer, 3, enable_nested_tensor=False)
    flat = nn.Sequential(nn.Embedding(100, 96), stack, nn.Flatten(), nn.Linear(32 * 96, 10))
    return flat, T.cross_entropy, worded(32, 32, 100, 10)


class _Graph(nn.Module):
    """Two layers that add up what neighbours send."""

    def __init__(self) -> None:
        super().__init__()
        self.lin1, self.lin2 = nn.Linear(32, 64), nn.Linear(64, 10)
        self.register_buffer("edges", torch.randint(512, (2, 4096)))

    def forward(self, x: Any) -> Any:
        """(nodes, features) -> (nodes, classes)."""
        source, target = self.get_buffer("edges")
        for layer in (self.lin1, self.lin2):
            h = layer(x)
            x = torch.zeros_like(h).index_add(0, target, T.relu(h)[source] / 8)
        return x


def graph() -> Training:
    return _Graph(), T.cross_entropy, labelled(512, 32)


class _Heads(nn.Module):
    """Attention alone, its queries, keys and values learnt."""

    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v = (nn.Parameter(torch.randn(2, 4, 1024, 32)) for _ in range(3))

    def forward(self, x: Any) -> Any:
        """(N, heads, T, E), like the queries."""
        return T.scaled_dot_product_attention(self.q + x, self.k, self.v, is_causal=True)


def attention() -> Training:
    whole: Batches = [
        (torch.randn(1, 1, 1024, 1), torch.randn(2, 4, 1024, 32)) for _ in range(BATCHES)
    ]
    return _Heads(), T.mse_loss, whole


# -- answers ---------------------------------------------------------------------------------------
def _size(answer: Any) -> Any:
    return answer.square().mean()


def lenet_answers() -> Training:
    return lenet()[0], _size, [(torch.randn(1, 1, 28, 28),) for _ in range(BATCHES)]


class _Remembering(nn.Module):
    """A GPT that is asked for one more token, keys and values of the others at hand."""

    def __init__(self, net: _GPT) -> None:
        super().__init__()
        self.net = net

    def forward(self, token: Any, keys: Any, values: Any) -> Any:
        """Logits, (N, classes), after (N, 1) and what each block remembers, (L, N, H, T, E)."""
        h = self.net.wte(token) + self.net.wpe(torch.tensor([keys.shape[3]]))
        for block, k, v in zip(self.net.blocks, keys, values, strict=True):
            h = cast(_Attending, block).one_more(h, k, v)
        return self.net.head(self.net.ln(h))[:, 0]


def gpt_answers() -> Training:
    net = _Remembering(_GPT())
    held = [tuple(torch.randn(4, 1, 4, 127, 32) for _ in range(2)) for _ in range(BATCHES)]
    return net, _size, [(torch.randint(65, (1, 1)), *pair) for pair in held]


def made(name: str) -> Training:
    """The row's module, loss and batches, the same every time."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        name = name.replace("-", "_")
        training: Training = (globals().get(name) or getattr(torch_texts, name))()
        return training
