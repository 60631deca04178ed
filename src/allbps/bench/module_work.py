"""The rows ``torch-…``: a ``torch.nn.Module``, run by PyTorch and by ``allbps.torch``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from allbps.extras import needs


@dataclass(frozen=True)
class ModuleWork:
    """One row.

    Attributes:
        row: its name.
        title: the net and its sizes.
        lr: learning rate of gradient descent.
        momentum: its momentum.
        learns: is it trained? Otherwise it answers one question after the other.

    """

    row: str
    title: str
    lr: float = 0.01
    momentum: float = 0.9
    learns: bool = True

    def built(self) -> Any:
        """(module, loss, batches), the same every time.

        Raises:
            MissingExtraError: PyTorch is not installed.

        """
        with needs("torch", extra="torch", purpose=f"the row {self.row}"):
            from allbps.bench.torch_modules import made
        return made(self.row.removeprefix("torch-"))


MODULES = {
    row.row: row
    for row in (
        ModuleWork("torch-mlp", "MLP 784-512-256-10, batch 128"),
        ModuleWork("torch-lenet", "LeNet 28×28, batch 64"),
        ModuleWork("torch-resnet20", "ResNet-20 32×32, batch 64", 0.001),
        ModuleWork("torch-resnet18", "ResNet-18 64×64, batch 16", 0.0001),
        ModuleWork("torch-unet", "U-Net 48×48, batch 8", 0.001),
        ModuleWork("torch-mobilenet", "MobileNet v2 blocks 32×32, batch 32", 0.001),
        ModuleWork("torch-mobilenet-v3", "MobileNet v3 blocks 32×32, batch 32", 0.001),
        ModuleWork("torch-vae", "VAE 784-400-20, batch 128", 0.001),
        ModuleWork("torch-autoencoder", "Conv1d autoencoder, length 128, batch 64"),
        ModuleWork("torch-lstm", "LSTM 128, 24 words, batch 32"),
        ModuleWork("torch-gru", "GRU 128, 24 words, batch 32"),
        ModuleWork("torch-gpt", "GPT 4×128, 128 tokens, batch 16"),
        ModuleWork("torch-vit", "ViT 4×96, 64 patches, batch 32"),
        ModuleWork("torch-encoder", "TransformerEncoder 3×96, 32 words, batch 32"),
        ModuleWork("torch-gpt2", "GPT-2 2×128, 64 words, batch 16"),
        ModuleWork("torch-bert", "BERT 2×128, 64 words, batch 16"),
        ModuleWork("torch-llama", "Llama 2×128, 64 words, batch 16"),
        ModuleWork("torch-t5", "T5 2+2×128, 48 and 32 words, batch 16"),
        ModuleWork("torch-graph", "graph net, 512 nodes, 4096 edges"),
        ModuleWork("torch-attention", "causal attention, 4 heads of 32, 1024 tokens, batch 2"),
        ModuleWork("torch-lenet-answers", "LeNet 28×28, answers for one image", learns=False),
        ModuleWork("torch-gpt-answers", "GPT 4×128, one more token, 127 remembered", learns=False),
    )
}
