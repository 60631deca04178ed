"""Models of texts as the library transformers builds them, small: GPT-2, BERT, Llama, T5."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as T
from torch import nn

from allbps.bench.torch_batches import BATCHES, Training, continued, worded

WORDS, WIDTH, HEADS, BLOCKS = 256, 128, 4, 2


def by_word(logits: Any, words: Any) -> Any:
    """Cross-entropy of every word's logits, (N, T, words)."""
    return T.cross_entropy(logits.flatten(0, 1), words.flatten())


def _apart(x: Any, heads: int) -> Any:
    """(N, T, heads · E) -> (N, heads, T, E)."""
    return x.view(*x.shape[:2], heads, -1).transpose(1, 2)


def _together(x: Any) -> Any:
    """(N, heads, T, E) -> (N, T, heads · E)."""
    return x.transpose(1, 2).flatten(2)


# -- GPT-2 -----------------------------------------------------------------------------------------
class _Affine(nn.Module):
    """GPT-2's linear layer, whose weight is (in, out)."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(inside, outside) * 0.02)
        self.bias = nn.Parameter(torch.zeros(outside))

    def forward(self, x: Any) -> Any:
        """All words at once."""
        found = torch.addmm(self.bias, x.view(-1, x.shape[-1]), self.weight)
        return found.view(*x.shape[:-1], -1)


class _GPT2Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.ln1, self.ln2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.attn, self.proj = _Affine(WIDTH, 3 * WIDTH), _Affine(WIDTH, WIDTH)
        self.up, self.down = _Affine(WIDTH, 4 * WIDTH), _Affine(4 * WIDTH, WIDTH)

    def forward(self, x: Any) -> Any:
        """GELU by tanh, written out."""
        q, k, v = (_apart(z, HEADS) for z in self.attn(self.ln1(x)).split(WIDTH, dim=2))
        x = x + self.proj(_together(T.scaled_dot_product_attention(q, k, v, is_causal=True)))
        h = self.up(self.ln2(x))
        inner = math.sqrt(2 / math.pi) * (h + 0.044715 * torch.pow(h, 3.0))
        return x + self.down(0.5 * h * (1 + torch.tanh(inner)))


class _GPT2(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.wte, self.wpe = nn.Embedding(WORDS, WIDTH), nn.Embedding(128, WIDTH)
        self.blocks = nn.Sequential(*(_GPT2Block() for _ in range(BLOCKS)))
        self.ln, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, WORDS, bias=False)
        nn.init.normal_(self.wte.weight, std=0.02)
        self.head.weight = self.wte.weight

    def forward(self, x: Any) -> Any:
        """Logits of the next words by the embedding itself."""
        h = self.wte(x) + self.wpe(torch.arange(x.shape[1]))
        return self.head(self.ln(self.blocks(h)))


def gpt2() -> Training:
    """GPT-2, its head tied to the embedding."""
    return _GPT2(), by_word, continued(16, 64, WORDS)


# -- BERT ------------------------------------------------------------------------------------------
class _BertBlock(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v, self.out = (nn.Linear(WIDTH, WIDTH) for _ in range(4))
        self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)
        self.ln1, self.ln2 = (nn.LayerNorm(WIDTH, eps=1e-12) for _ in range(2))

    def forward(self, x: Any, mask: Any) -> Any:
        """Norms behind the sums."""
        q, k, v = (_apart(layer(x), HEADS) for layer in (self.q, self.k, self.v))
        seen = T.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        x = self.ln1(x + self.out(_together(seen)))
        return self.ln2(x + self.down(T.gelu(self.up(x))))


class _Bert(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(WORDS, WIDTH, padding_idx=0), nn.Embedding(64, WIDTH)
        self.ln = nn.LayerNorm(WIDTH, eps=1e-12)
        self.blocks = nn.ModuleList(_BertBlock() for _ in range(BLOCKS))
        self.pooler, self.head = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 2)

    def forward(self, x: Any) -> Any:
        """The first word decides; nobody looks at words that are 0, which fill up."""
        mask = torch.where(x == 0, torch.finfo(torch.float32).min, 0.0)[:, None, None, :]
        h = self.ln(self.words(x) + self.places(torch.arange(x.shape[1])))
        for block in self.blocks:
            h = block(h, mask.to(h.dtype))
        return self.head(torch.tanh(self.pooler(h[:, 0])))


def bert() -> Training:
    """BERT for classification, texts of different lengths."""
    batches = worded(16, 64, WORDS, 2)
    for x, _ in batches:
        x[torch.arange(64) >= torch.randint(16, 65, (16, 1))] = 0
    return _Bert(), T.cross_entropy, batches


# -- Llama -----------------------------------------------------------------------------------------
class _RMSNorm(nn.Module):
    """Without a mean, written out."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(WIDTH))

    def forward(self, x: Any) -> Any:
        """By the root of the mean square."""
        return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6))


def _turned(x: Any, cos: Any, sin: Any) -> Any:
    """Rotary positions: the halves of each head turned by angles."""
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-second, first), dim=-1) * sin


class _LlamaBlock(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        few = WIDTH // 2
        self.q, self.out = (nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(2))
        self.k, self.v = (nn.Linear(WIDTH, few, bias=False) for _ in range(2))
        self.gate, self.up = (nn.Linear(WIDTH, 344, bias=False) for _ in range(2))
        self.down = nn.Linear(344, WIDTH, bias=False)
        self.norm1, self.norm2 = _RMSNorm(), _RMSNorm()

    def forward(self, x: Any, cos: Any, sin: Any) -> Any:
        """Two heads share keys and values; SwiGLU behind."""
        h = self.norm1(x)
        q, k = _turned(_apart(self.q(h), HEADS), cos, sin), _apart(self.k(h), HEADS // 2)
        k, v = (
            z.repeat_interleave(2, dim=1)
            for z in (_turned(k, cos, sin), _apart(self.v(h), HEADS // 2))
        )
        x = x + self.out(_together(T.scaled_dot_product_attention(q, k, v, is_causal=True)))
        h = self.norm2(x)
        return x + self.down(T.silu(self.gate(h)) * self.up(h))


class _Llama(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words, self.norm = nn.Embedding(WORDS, WIDTH), _RMSNorm()
        self.blocks = nn.ModuleList(_LlamaBlock() for _ in range(BLOCKS))
        self.head = nn.Linear(WIDTH, WORDS, bias=False)
        half = WIDTH // HEADS // 2
        angles = torch.arange(64)[:, None] * 10000 ** (-torch.arange(half) / half)
        self.register_buffer("angles", torch.cat([angles, angles], dim=1))

    def forward(self, x: Any) -> Any:
        """Logits of the next words."""
        angles, h = self.get_buffer("angles"), self.words(x)
        for block in self.blocks:
            h = block(h, angles.cos(), angles.sin())
        return self.head(self.norm(h))


def llama() -> Training:
    """Llama: rotary positions, grouped heads, RMS norms, SwiGLU."""
    return _Llama(), by_word, continued(16, 64, WORDS)


# -- T5 --------------------------------------------------------------------------------------------
class _T5Attention(nn.Module):
    """Neither scaled nor with biases; what positions add to scores comes from outside."""

    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v, self.out = (nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(4))
        nn.init.normal_(self.q.weight, std=(WIDTH * WIDTH // HEADS) ** -0.5)

    def forward(self, x: Any, seen: Any, bias: Any) -> Any:
        """From x to what is seen."""
        q, k, v = (_apart(f(z), HEADS) for f, z in ((self.q, x), (self.k, seen), (self.v, seen)))
        scores = q @ k.transpose(2, 3)
        weights = T.softmax(scores if bias is None else scores + bias, dim=-1)
        return self.out(_together(weights @ v))


class _T5Block(nn.Module):
    def __init__(self, decodes: bool) -> None:
        super().__init__()
        self.attn, self.across = _T5Attention(), _T5Attention() if decodes else None
        self.up, self.down = (
            nn.Linear(WIDTH, 4 * WIDTH, bias=False),
            nn.Linear(4 * WIDTH, WIDTH, bias=False),
        )
        self.norms = nn.ModuleList(_RMSNorm() for _ in range(3 if decodes else 2))

    def forward(self, x: Any, bias: Any, source: Any) -> Any:
        """Itself, the source, two layers."""
        h = self.norms[0](x)
        x = x + self.attn(h, h, bias)
        if self.across is not None:
            x = x + self.across(self.norms[1](x), source, None)
        return x + self.down(T.relu(self.up(self.norms[-1](x))))


class _T5Stack(nn.Module):
    """Encoder or decoder, with a table of what distances add to the scores."""

    def __init__(self, decodes: bool, length: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(_T5Block(decodes) for _ in range(BLOCKS))
        self.norm, self.distances = _RMSNorm(), nn.Embedding(32, HEADS)
        away = torch.arange(length)[None, :] - torch.arange(length)[:, None]
        unseen = torch.where(away > 0, torch.finfo(torch.float32).min, 0.0)
        self.register_buffer("bucket", away.clamp(-16, 15) + 16)
        self.register_buffer("unseen", unseen if decodes else torch.zeros_like(unseen))

    def forward(self, x: Any, source: Any) -> Any:
        """(N, T, D), as it comes."""
        bias = self.distances(self.get_buffer("bucket")).permute(2, 0, 1)[None]
        bias = bias + self.get_buffer("unseen")
        for block in self.blocks:
            x = block(x, bias, source)
        return self.norm(x)


class _T5(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words, self.head = nn.Embedding(WORDS, WIDTH), nn.Linear(WIDTH, WORDS, bias=False)
        self.encoder, self.decoder = _T5Stack(False, 48), _T5Stack(True, 32)

    def forward(self, source: Any, target: Any) -> Any:
        """Logits of the words that follow those of the target."""
        seen = self.encoder(self.words(source), None)
        return self.head(self.decoder(self.words(target), seen))


def t5() -> Training:
    """T5: an encoder and a decoder that looks at it, positions as additions to scores."""
    sources = (torch.randint(WORDS, (16, 48)) for _ in range(BATCHES))
    return (
        _T5(),
        by_word,
        [(x, *pair) for x, pair in zip(sources, continued(16, 32, WORDS), strict=True)],
    )
