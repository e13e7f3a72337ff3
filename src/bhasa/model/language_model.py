"""The language model: embedding, blocks, final norm, output projection.

Parameter names are those of transformers' `MambaForCausalLM`, so folders load both ways without a
conversion. Each module initialises its own parameters when it is made, and nothing touches them after.
"""

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from bhasa.model.block import Block, build_norm
from bhasa.model.config import ModelConfig
from bhasa.model.mixers import MambaState

State = list[MambaState]


def build(config: ModelConfig, *, seed: int, backend: str = "auto") -> "LanguageModel":
    """A new model whose initial weights are a function of (config, seed) alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return LanguageModel(config, backend)


class Backbone(nn.Module):
    def __init__(self, config: ModelConfig, backend: str) -> None:
        super().__init__()
        self.embeddings = nn.Embedding(config.vocab_size, config.d_model)
        nn.init.normal_(self.embeddings.weight, std=config.initializer_range)
        self.layers = nn.ModuleList(Block(config, backend) for _ in range(config.n_layer))
        self.norm_f = build_norm(config)


class LanguageModel(nn.Module):
    """Token ids to next-token logits, with a state of constant size."""

    def __init__(self, config: ModelConfig, backend: str = "auto") -> None:
        super().__init__()
        self.config = config
        self.backbone = Backbone(config, backend)
        self.lm_head = nn.Linear(config.d_model, config.vocab_size, bias=False)
        if config.tie_embeddings:
            self.lm_head.weight = self.backbone.embeddings.weight
        else:
            nn.init.normal_(self.lm_head.weight, std=config.initializer_range)
        self.activation_checkpointing = False
        """Recompute each block in backward instead of keeping its activations: slower, far smaller."""

    def forward(
        self, input_ids: Tensor, state: State | None = None, *, segment_ids: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """input_ids (b, l) to float32 logits (b, l, vocab_size) and the state after the last token.

        `state` is what an earlier call returned for the tokens before; segment_ids (b, l) separate packed
        documents, see `ops.segments`.
        """
        residual = self.backbone.embeddings(input_ids)  # (b, l, d_model)
        after: State = []
        for i, block in enumerate(self.backbone.layers):
            before = state[i] if state else None
            if self.activation_checkpointing and self.training:
                residual, layer_state = checkpoint(block, residual, before, segment_ids, use_reentrant=False)
            else:
                residual, layer_state = block(residual, before, segment_ids)
            after.append(layer_state)
        return self._logits(residual), after

    def step(self, input_ids: Tensor, state: State) -> tuple[Tensor, State]:
        """One token: input_ids (b,) to logits (b, vocab_size) and the state after it."""
        residual = self.backbone.embeddings(input_ids)  # (b, d_model)
        after: State = []
        for block, before in zip(self.backbone.layers, state, strict=True):
            assert isinstance(block, Block)
            residual, layer_state = block.step(residual, before)
            after.append(layer_state)
        return self._logits(residual), after

    def initial_state(self, batch_size: int) -> State:
        """The state before the first token, one entry a layer."""
        return [block.mixer.initial_state(batch_size) for block in self.backbone.layers]  # type: ignore[union-attr, operator]

    def num_parameters(self) -> int:
        """Trained numbers; a tied embedding counts once."""
        return sum(parameter.numel() for parameter in self.parameters())

    @property
    def _tied_weights_keys(self) -> dict[str, str]:
        """Which matrix shares another's memory, as transformers says it and peft asks."""
        return {"lm_head.weight": "backbone.embeddings.weight"} if self.config.tie_embeddings else {}

    def get_input_embeddings(self) -> nn.Module:
        return self.backbone.embeddings

    def get_output_embeddings(self) -> nn.Module:
        return self.lm_head

    def _logits(self, residual: Tensor) -> Tensor:
        logits: Tensor = self.lm_head(self.backbone.norm_f(residual))
        return logits.float()
