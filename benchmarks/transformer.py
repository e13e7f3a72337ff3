"""A plain pre-norm GPT with fused attention, as in nanoGPT: no biases, tied embedding, learned positions.

It answers to what the training step asks of a model, so it is trained by the same code as bhasa's.
"""

import math
from typing import Self

from torch import Tensor, nn
from torch.nn import functional as F

from bhasa.params import Config


class GPTConfig(Config):
    """Widths; `d_ff` null is 4 d_model."""

    d_model: int
    n_layer: int
    n_head: int
    context_length: int
    vocab_size: int = 50280
    d_ff: int | None = None

    @classmethod
    def like(cls, products: int, *, d_model: int, n_layer: int, context_length: int, vocab_size: int) -> Self:
        """Heads of 64, and an MLP so wide that a token meets `products` numbers in matrix products."""
        a_layer = (products - vocab_size * d_model) / n_layer
        d_ff = round((a_layer - 4 * d_model**2) / (2 * d_model) / 32) * 32  # a multiple that vectors like
        return cls(
            d_model=d_model,
            n_layer=n_layer,
            n_head=max(1, d_model // 64),
            context_length=context_length,
            vocab_size=vocab_size,
            d_ff=max(32, d_ff),
        )


class Layer(nn.Module):
    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        width, hidden = config.d_model, config.d_ff or 4 * config.d_model
        self.n_head = config.n_head
        self.norm1 = nn.LayerNorm(width, bias=False)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.norm2 = nn.LayerNorm(width, bias=False)
        self.fc1 = nn.Linear(width, hidden, bias=False)
        self.fc2 = nn.Linear(hidden, width, bias=False)
        for linear in (self.qkv, self.fc1):
            nn.init.normal_(linear.weight, std=0.02)
        for linear in (self.out, self.fc2):
            nn.init.normal_(linear.weight, std=0.02 / math.sqrt(2 * config.n_layer))

    def forward(self, x: Tensor) -> Tensor:
        """(b, l, d_model) to the same."""
        q, k, v = (
            part.unflatten(-1, (self.n_head, -1)).transpose(1, 2)  # (b, n_head, l, head)
            for part in self.qkv(self.norm1(x)).chunk(3, dim=-1)
        )
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).flatten(2))
        return x + self.fc2(F.gelu(self.fc1(self.norm2(x))))


class GPT(nn.Module):
    """Token ids to next-token logits."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.config = config
        self.tokens = nn.Embedding(config.vocab_size, config.d_model)
        self.positions = nn.Embedding(config.context_length, config.d_model)
        for embedding in (self.tokens, self.positions):
            nn.init.normal_(embedding.weight, std=0.02)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.n_layer))
        self.norm = nn.LayerNorm(config.d_model, bias=False)
        self.lm_head = nn.Linear(config.d_model, config.vocab_size, bias=False)
        self.lm_head.weight = self.tokens.weight

    def forward(
        self, input_ids: Tensor, *, targets: Tensor | None = None, segment_ids: Tensor | None = None
    ) -> tuple[Tensor, None] | Tensor:
        """(b, l) to logits (b, l, vocab_size), or to the targets' summed cross-entropy, in nats.

        A row is one document, so its segments are not looked at.
        """
        x = self.tokens(input_ids) + self.positions.weight[: input_ids.shape[1]]
        for layer in self.layers:
            x = layer(x)
        logits = self.lm_head(self.norm(x))
        if targets is None:
            return logits, None
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="sum")
