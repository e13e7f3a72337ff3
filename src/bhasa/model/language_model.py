"""The language model: embedding, blocks, final norm, output projection.

Parameter names are those of transformers' `MambaForCausalLM`, so folders load both ways without a
conversion. Each module initialises its own parameters when it is made, and nothing touches them after.
"""

from collections.abc import Iterator, Sequence
from typing import Any, overload

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.utils.checkpoint import checkpoint

from bhasa.model.block import Block, build_norm
from bhasa.model.config import ModelConfig
from bhasa.model.mixers.protocol import Mixer, State
from bhasa.ops import cross_entropy
from bhasa.ops.operations import require_backend


def build(config: ModelConfig, *, seed: int, backend: str = "auto") -> "LanguageModel":
    """A new model whose initial weights are a function of (config, seed) alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return LanguageModel(config, backend)


def outline(config: ModelConfig, backend: str = "auto") -> "LanguageModel":
    """A model of names and shapes, to take weights or to be counted; its memory is reserved and not touched.

    On the meta device it would be the same, after torch has imported its compiler for the first product.
    """
    with torch.random.fork_rng(devices=[]), Uninitialised():
        return LanguageModel(config, backend)


class Uninitialised(TorchFunctionMode):
    """What is done to a tensor in place, which is how parameters get their values, is left out."""

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if function.__name__.endswith("_") and not function.__name__.endswith("__"):
            return kwargs["tensor"] if "tensor" in kwargs else args[0]  # `nn.init` names it
        return function(*args, **kwargs)


class Backbone(nn.Module):
    """Everything but the output projection: token ids to what the logits are made from."""

    def __init__(self, config: ModelConfig, backend: str) -> None:
        super().__init__()
        self.embeddings = nn.Embedding(config.vocab_size, config.d_model)
        nn.init.normal_(self.embeddings.weight, std=config.initializer_range)
        self.layers = nn.ModuleList(Block(config, mixer, backend) for mixer in config.layers)
        self.norm_f = build_norm(config, backend)
        self.activation_checkpointing = False
        """Recompute each block in backward instead of keeping its activations: slower, far smaller."""

    def forward(
        self,
        input_ids: Tensor,
        state: State | None = None,
        segment_ids: Tensor | None = None,
        lengths: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        """input_ids (b, l) to (b, l, d_model) and the state after the last token, of `lengths` if given."""
        residual = self.embeddings(input_ids)  # (b, l, d_model)
        after: State = []
        for i, block in enumerate(self.layers):
            before = state[i] if state else None
            if self.activation_checkpointing and self.training:
                residual, layer_state = checkpoint(
                    block, residual, before, segment_ids, lengths, use_reentrant=False
                )
            else:
                residual, layer_state = block(residual, before, segment_ids, lengths)
            after.append(layer_state)
        return self.norm_f(residual), after

    def step(self, input_ids: Tensor, state: State) -> tuple[Tensor, State]:
        """One token: input_ids (b,) to (b, d_model) and the state after it."""
        residual = self.embeddings(input_ids)  # (b, d_model)
        after: State = []
        for block, before in zip(self.layers, state, strict=True):
            assert isinstance(block, Block)
            residual, layer_state = block.step(residual, before)
            after.append(layer_state)
        return self.norm_f(residual), after


class LanguageModel(nn.Module):
    """Token ids to next-token logits, with a state: of constant size, but for attention's cache."""

    def __init__(self, config: ModelConfig, backend: str = "auto") -> None:
        super().__init__()
        self.config, self.backend = config, backend
        self.backbone = Backbone(config, backend)
        self.lm_head = nn.Linear(config.d_model, config.vocab_size, bias=False)
        if config.tie_embeddings:
            self.lm_head.weight = self.backbone.embeddings.weight
        else:
            nn.init.normal_(self.lm_head.weight, std=config.initializer_range)
        require_backend(backend, self.operations())

    @overload
    def forward(
        self,
        input_ids: Tensor,
        state: State | None = None,
        *,
        segment_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
    ) -> tuple[Tensor, State]: ...

    @overload
    def forward(
        self,
        input_ids: Tensor,
        state: State | None = None,
        *,
        segment_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        targets: Tensor,
    ) -> Tensor: ...

    def forward(
        self,
        input_ids: Tensor,
        state: State | None = None,
        *,
        segment_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        targets: Tensor | None = None,
    ) -> tuple[Tensor, State] | Tensor:
        """input_ids (b, l) to float32 logits (b, l, vocab_size) and the state after the last token.

        With `targets` (b, l) to their cross-entropy instead, summed, in nats, float32, without holding all
        logits; a target of -100 does not count.

        `state` is what an earlier call returned for the tokens before; segment_ids (b, l) separate packed
        documents, see `ops.segments`. Where attention_mask (b, l) is 0 there is padding, on either side or in
        between: it changes neither the logits of the other tokens nor the state, to the bit.
        """
        hidden, state = self._hidden(input_ids, state, segment_ids, attention_mask)
        return (self.logits(hidden), state) if targets is None else self._loss_sum(hidden, targets)

    def _hidden(
        self,
        input_ids: Tensor,
        state: State | None,
        segment_ids: Tensor | None,
        attention_mask: Tensor | None,
    ) -> tuple[Tensor, State]:
        if attention_mask is None:
            return self.backbone(input_ids, state, segment_ids)  # type: ignore[no-any-return]
        padding = attention_mask == 0
        # The row's own tokens first, so that nothing lies between them.
        order = padding.argsort(dim=1, stable=True)
        moved = [t if t is None else t.gather(1, order) for t in (input_ids, segment_ids)]
        hidden, state = self.backbone(moved[0], state, moved[1], (~padding).sum(1))
        back = order.argsort(dim=1)[..., None].expand_as(hidden)
        return hidden.gather(1, back), state

    def _loss_sum(self, hidden: Tensor, targets: Tensor) -> Tensor:
        weight = self._head_weight()
        if weight is not None:
            return cross_entropy.cross_entropy(hidden, weight, targets, backend=self.backend)
        # An adapter is around it, so only its own forward gives the logits.
        return F.cross_entropy(self.logits(hidden).flatten(0, 1), targets.flatten(), reduction="sum")

    def _head_weight(self) -> Tensor | None:
        """The matrix (V, d_model) that makes the logits; None where they are more than a product with one.

        Fine-tuning trains some rows alone: peft then puts a `token_adapter` around the module, whose `weight`
        is the matrix with those rows replaced, and differentiable in them.
        """
        if type(self.lm_head) is nn.Linear or hasattr(self.lm_head, "token_adapter"):
            return self.lm_head.weight
        return None

    def last_logits(self, input_ids: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """As `forward`, with the logits (b, vocab_size) of the last token alone."""
        hidden, state = self.backbone(input_ids, state)  # (b, l, d_model)
        return self.logits(hidden[:, -1]), state

    def step(self, input_ids: Tensor, state: State) -> tuple[Tensor, State]:
        """One token: input_ids (b,) to logits (b, vocab_size) and the state after it."""
        hidden, state = self.backbone.step(input_ids, state)
        return self.logits(hidden), state

    @torch.no_grad()
    def token_losses(
        self, input_ids: Tensor, targets: Tensor, state: State | None = None
    ) -> tuple[Tensor, State]:
        """-log p of each target (b, l), in nats, and the state after the last token."""
        hidden, state = self.backbone(input_ids, state)
        weight = self._head_weight()
        if weight is not None:
            return cross_entropy.token_losses(hidden, weight, targets, backend=self.backend), state
        logits = self.logits(hidden).flatten(0, 1)
        return F.cross_entropy(logits, targets.flatten(), reduction="none").view(targets.shape), state

    def initial_state(self, batch_size: int) -> State:
        """The state before the first token, one entry a layer."""
        return [mixer.initial_state(batch_size) for mixer in self._mixers()]

    def select_state(self, state: State, rows: Sequence[int]) -> State:
        """The states of these rows, in this order, each as often as it is named."""
        index = torch.tensor(rows, device=self.lm_head.weight.device)
        return [mixer.select(layer, index) for mixer, layer in zip(self._mixers(), state, strict=True)]

    def join_states(self, states: Sequence[State]) -> State:
        """One state of all the rows of several, in order, whatever each of them has read."""
        layers = zip(*states, strict=True)
        return [mixer.join(parts) for mixer, parts in zip(self._mixers(), layers, strict=True)]

    def _mixers(self) -> Iterator[Mixer[Any]]:
        for block in self.backbone.layers:
            assert isinstance(block, Block)
            yield block.mixer

    def logits(self, hidden: Tensor) -> Tensor:
        """(..., d_model) to float32 (..., vocab_size)."""
        logits: Tensor = self.lm_head(hidden)
        return logits.float()

    def operations(self) -> dict[str, int]:
        """Which of `ops.operations.OPERATIONS` it computes with, and the size that may limit each."""
        sizes = {"cross_entropy": self.config.vocab_size}
        if self.config.norm == "rms":
            sizes["rms_norm"] = self.config.d_model
        for block in self.backbone.layers:
            sizes |= block.mixer.operations()  # type: ignore[union-attr, operator]
        return sizes

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
